"""Fixtures around the small codec and judges of `doubles`."""

from pathlib import Path

import pytest
from doubles import JUDGES, JpegLayers, leave_undrawn, use_judges, write_smooth_pictures


@pytest.fixture
def judges(monkeypatch) -> tuple[str, ...]:
    """Names of judges a test can follow; any other is not available."""
    use_judges(monkeypatch)
    return JUDGES


@pytest.fixture(autouse=True)
def own_cache(cache) -> None:
    """No answer of a judge or an anchor is remembered from another test."""


@pytest.fixture
def undrawn(monkeypatch) -> None:
    """`compare` writes pages and tables, and no figures, which take most of its time."""
    leave_undrawn(monkeypatch)


@pytest.fixture
def pictures(tmp_path) -> Path:
    return write_smooth_pictures(tmp_path / "pictures.zip", 24)


@pytest.fixture
def codec() -> JpegLayers:
    return JpegLayers()
