"""The recorded provenance: code and machine."""

import json
import subprocess

import pytest

from hsc.callbacks import provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    finished = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return finished.stdout.strip()


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A package in a git repository, used in place of hsc's own sources."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("version = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "package")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.setattr(provenance, "SOURCE", folder)
    return folder


def test_collects_json_without_a_trainer():
    collected = json.loads(json.dumps(provenance.collect()))
    assert collected.keys() == {"hsc", "git", "python", "platform", "packages", "device", "command", "time"}
    assert "pytorch-lightning" in collected["packages"]
    assert collected["device"]["threads"] >= 1


def test_a_clean_commit(sources):
    assert provenance.git_state() == {"commit": git(sources, "rev-parse", "HEAD"), "changed": False}


def test_the_patch_restores_changes_and_names_new_files(sources, tmp_path):
    (sources / "__init__.py").write_text("version = 2\n")
    (sources / "new.py").write_text("")
    assert provenance.git_state()["changed"]
    provenance.write(tmp_path / "out", {"hsc": "0"}, "seed: 1\n")
    patch = tmp_path / "out" / "code.patch"
    assert patch.read_text().startswith("# not in the commit: package/new.py\n")
    git(sources.parent, "checkout", "-q", "package/__init__.py")
    git(sources.parent, "apply", str(patch))
    assert (sources / "__init__.py").read_text() == "version = 2\n"


def test_a_copy_inside_another_repository_has_no_commit(sources, monkeypatch):
    installed = sources / "site-packages"
    installed.mkdir()
    (installed / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "SOURCE", installed)
    assert provenance.git_state() is None
    assert provenance.git_patch() == ""
