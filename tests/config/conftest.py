"""The experiment of a test module, written to a file."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def experiment(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A YAML file with the module's EXPERIMENT."""
    path = tmp_path / "experiment.yaml"
    path.write_text(yaml.safe_dump(request.module.EXPERIMENT))
    return path
