"""Fixtures for the small codec and judges of `doubles`."""

from pathlib import Path

import pytest
from doubles import JUDGES, JpegLayers, leave_undrawn, use_judges, write_smooth_pictures


@pytest.fixture
def judges(monkeypatch) -> tuple[str, ...]:
    """Names of the judges of `doubles`; all others are unavailable."""
    use_judges(monkeypatch)
    return JUDGES


@pytest.fixture(autouse=True)
def own_cache(cache) -> None:
    """An empty cache: no results of judges or anchors from other tests."""


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """`compare` writes pages and tables but no figures, which take most of its time."""
    leave_undrawn(monkeypatch)


@pytest.fixture
def pictures(tmp_path) -> Path:
    return write_smooth_pictures(tmp_path / "pictures.zip", 24)


@pytest.fixture
def codec() -> JpegLayers:
    return JpegLayers()
