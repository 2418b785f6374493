"""Every command has a help text with an example, prints it quickly, and refuses wrong usage with status 2."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from hsc.cli import app


def verbs(command: Any, *before: str) -> Iterator[str]:
    """All commands: `prior`, `prior import`, …"""
    for name, below in getattr(command, "commands", {}).items():
        yield " ".join((*before, name))
        yield from verbs(below, *before, name)


VERBS = list(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_has_an_example_and_fits_80_columns(run, verb: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    ended = run(*verb.split(), "--help")
    assert (ended.status, ended.err) == (0, "")
    assert [line for line in ended.out.splitlines() if len(line) > 80] == []
    if verb:
        assert f"\n    hsc {verb}" in ended.out.replace("      hsc", "    hsc")
        assert "Example" in ended.out


def test_help_lists_every_verb_with_a_whole_sentence(run):
    listing = run("--help").out
    for verb in {verb.split()[0] for verb in VERBS}:
        line = next(line for line in listing.splitlines() if line.startswith(f"  {verb} "))
        assert line.endswith("."), line
        assert not line.endswith("..."), line


@pytest.mark.parametrize("group", ["prior", "data", "weights"])
def test_help_of_a_group_is_not_cut(run, group: str):
    listing = run(group, "--help").out.partition("Commands:")[2]
    assert "..." not in listing
    assert listing.count(".\n") == len(listing.strip().splitlines())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_verbs_and_options(shell: str):
    program = "from hsc.cli import main; main()"
    words = {"_HSC_COMPLETE": f"complete_{shell}", "COMP_WORDS": "hsc en", "COMP_CWORD": "1"}
    words |= {"_TYPER_COMPLETE_ARGS": "hsc en", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    asked = subprocess.run([sys.executable, "-c", program], env=os.environ | words, capture_output=True, text=True)
    assert "encode" in asked.stdout
    assert "evaluate" not in asked.stdout


def test_version(run):
    from hsc import __version__

    assert run("--version").out == f"hsc {__version__}\n"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "bogus",
        "encode face.png --bogus",
        "encode face.png --keep-crop",
        "train experiment.yaml --quiet --verbose",
        "encode face.png --quality 1 --bytes 80",
        "encode face.png --layers 0",
        "train",
        "train seed=1",
        "train experiment.yaml --seed",
        "data prepare a b.zip --size 4",
        "data prepare a b.zip --size 64 --faces some",
        "data prepare a b.zip --size 64 --format gif",
        "sweep sweep.yaml --on moon",
        "data sample faces.zip --count 0",
        "weights bogus",
    ],
)
def test_wrong_usage_is_status_2(run, wrong: str):
    ended = run(*wrong.split())
    ended.assert_wrong_usage("Usage: hsc")
    assert ended.out == ""
