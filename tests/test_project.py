"""Rules that hold for the whole project and that no linter checks."""

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_one_version_everywhere():
    import hsc

    assert PROJECT["project"]["version"] == hsc.__version__
    assert re.search(
        r"^## \[(Unreleased|" + re.escape(hsc.__version__) + r")\]", (ROOT / "CHANGELOG.md").read_text(), re.M
    )


def test_constraints_lie_within_what_is_declared():
    from packaging.requirements import Requirement

    declared = {Requirement(line).name: Requirement(line).specifier for line in PROJECT["project"]["dependencies"]}
    for line in (ROOT / "constraints.txt").read_text().split():
        name, version = line.split("==")
        assert version in declared.get(name, Requirement(name).specifier)


def test_all_that_lies_beside_the_sources_is_installed():
    """Weights, example faces, pages: an installed hsc has the same files as this folder."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["hsc"]
    installed = {path for pattern in patterns for path in (ROOT / "hsc").glob(pattern)}
    beside = {path for path in (ROOT / "hsc").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert any(path.match("assets/faces/*.jpg") for path in beside)
    assert beside <= installed, "name it in pyproject.toml: [tool.setuptools.package-data]"


def test_shell_scripts_parse_and_can_be_run():
    for script in (ROOT / ".ci/run", *(ROOT / "experiments").rglob("*.sh")):
        assert script.stat().st_mode & 0o111, f"{script} is not executable"
        subprocess.run(["bash", "-n", script], check=True)


def test_hooks_run_what_make_lint_runs():
    """So that commits that pass the hooks also pass in CI."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    linted = subprocess.run(["make", "-n", "lint"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for tool in ("ruff check", "ruff format", "mypy", "lint-imports"):
        assert f".venv/bin/{tool}" in hooks
        assert f".venv/bin/{tool}" in linted
