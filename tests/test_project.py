"""Rules that hold for the whole project and that no linter checks."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted((ROOT / "hsc").rglob("*.py"))
# Slow to import or not always installed: imported by the functions that need them.
HEAVY = {
    "wandb",
    "insightface",
    "onnxruntime",
    "dlib",
    "lpips",
    "matplotlib",
    "imageio_ffmpeg",
    "pandas",
}


def module_level_imports(path: Path) -> set[str]:
    """Top-level packages imported along with the file: not inside functions, nor for type checking only."""
    names: set[str] = set()
    pending: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.Import):
            names.update(alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names.add(statement.module.split(".")[0])
        elif isinstance(statement, ast.Try | ast.With | ast.ClassDef):
            pending += statement.body
        elif isinstance(statement, ast.If) and "TYPE_CHECKING" not in ast.unparse(statement.test):
            pending += statement.body + statement.orelse
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_file(path: Path):
    text = path.read_text()
    assert not module_level_imports(path) & HEAVY, "import it inside the function that needs it"
    assert ast.get_docstring(ast.parse(text)) or not text.strip() or path.name == "__init__.py", (
        "say what the file is for"
    )


def test_importing_hsc_is_light():
    program = "import sys, hsc\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "hsc" in loaded
    assert not {"pytorch_lightning", "torchvision", "torchmetrics", *HEAVY} & set(loaded)


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
    """Weights, example faces, pages: an installed hsc has what this folder has."""
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
    """So that what passes before a commit passes in CI."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    linted = subprocess.run(["make", "-n", "lint"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for tool in ("ruff check", "ruff format", "mypy", "lint-imports"):
        assert f".venv/bin/{tool}" in hooks
        assert f".venv/bin/{tool}" in linted
