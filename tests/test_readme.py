"""Every command in the README and the getting-started page is one that works: run, or parsed where it takes minutes.

Commands on data (encode, train, …) are parsed by the real command line, with all their options, up to the point where
the verb would begin its work; the verbs themselves are tested in tests/cli.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer.main

from hsc.cli import app
from hsc.config import load

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/getting-started.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def commands(page: str) -> list[str]:
    return [line for block in blocks(page, "bash") for line in block.splitlines()]


def parse(arguments: list[str]) -> None:
    """Parse a line as `hsc` would, down to the verb; raises what the parser raises on wrong usage."""
    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(arguments[0], arguments[1:], parent=context)
        if not hasattr(command, "commands") or not (rest := context._protected_args + context.args):
            return
        command, arguments = command.commands[rest[0]], rest


def test_a_wrong_command_would_be_noticed():
    for wrong in ("hsc encode face.png --bogus 1", "hsc decode", "hsc bogus", "hsc prior bogus"):
        with pytest.raises((typer.TyperException, KeyError)):
            parse(shlex.split(wrong))


@pytest.mark.parametrize("line", [line for page in PAGES for line in commands(page)])
def test_command(line: str, tmp_path: Path):
    program, *arguments = shlex.split(line)
    if program == "hsc":
        parse(["hsc", *arguments])
    elif program == "make":
        said = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
    elif program == "pip":
        known = {"-c", "constraints.txt", "-e", ".[judges,anchors,dev]", "torch==2.13.0", "install"}
        assert set(arguments) <= known, "this test knows the install commands word by word: check the new one by hand"
        assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().split()
    else:
        assert line in ("source .venv/bin/activate", "export HSC_DATA=/path/to/data")


def test_train_commands_name_experiments_and_fields_that_exist(tmp_path: Path):
    """With the YAML shown on the same page in place of the user's own file."""
    shown = {}
    for page in PAGES:
        for block in blocks(page, "yaml"):
            name = block.splitlines()[0].removeprefix("# ")
            shown[name] = tmp_path / name
            shown[name].write_text(block)
    lines = [line for page in PAGES for line in commands(page) if line.startswith("hsc train")]
    assert lines
    for line in lines:
        arguments = shlex.split(line)[2:]
        files = [shown.get(word, ROOT / word) for word in arguments if "=" not in word]
        load(files, [word for word in arguments if "=" in word])


def test_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from hsc.data.examples import write_examples

    monkeypatch.chdir(tmp_path)
    write_examples(Path("examples"))
    (example,) = blocks("README.md", "python")
    exec(example, {})
    assert capsys.readouterr().out.strip().endswith("bytes")
    assert {path.name for path in tmp_path.glob("*.png")} == {"basic.png", "middle.png", "enhanced.png"}


def test_the_page_names_every_verb_and_target():
    text = (ROOT / "README.md").read_text()
    for verb in typer.main.get_command(app).commands:
        assert f"hsc {verb}" in text
    assert "make quickstart" in text
    assert "make test" in text
