"""`hsc doctor` and `hsc weights` on a machine on which things are missing."""

import re
import sys
from pathlib import Path

import pytest
import torch

from hsc.checkpoints import weights_file


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no fetched weights, no data and no W&B account."""
    monkeypatch.chdir(tmp_path)
    for name in ("HSC_DATA", "WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path


def findings(out: str) -> dict[str, str]:
    """The line for each topic."""
    rows = [re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines() if not line.startswith(" ")]
    return dict(rows)


def test_doctor_names_what_is_missing_and_what_to_do(run, bare: Path):
    ended = run("doctor")
    assert (ended.status, ended.err) == (0, "")
    found = findings(ended.out)
    for works in ("python", "torch", "pytorch-lightning", "judge facemesh", "anchor jpeg"):
        assert found[works].startswith("ok")
    assert found["data"].startswith("MISSING")
    assert found["judge lpips.alex"].startswith("MISSING")
    assert not any(topic.startswith("judge prior") for topic in found)
    assert found["prior ffhq1024"].startswith("MISSING")
    assert "-> pip install --no-deps compressai" in ended.out or found["anchor mbt2018-mean"].startswith("ok")
    assert "hsc weights fetch alexnet" in ended.out
    assert "HSC_DATA" in ended.out
    assert "wandb login" in ended.out
    marks = {line.index(" MISSING ") for line in ended.out.splitlines() if " MISSING " in line}
    marks |= {line.index(" ok ") for line in ended.out.splitlines() if re.match(r"\S.*? {2,}ok ", line)}
    assert len(marks) == 1, "columns are not aligned"


def test_doctor_sees_data_and_an_account(run, bare: Path, monkeypatch: pytest.MonkeyPatch):
    (bare / "data").mkdir()
    (bare / "data" / "faces.zip").touch()
    (bare / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    monkeypatch.setenv("HSC_DATA", str(bare / "data"))
    ended = run("doctor")
    found = findings(ended.out)
    assert "faces.zip" in found["data"]
    assert "logged in" in found["W&B"]
    assert "not logged in" not in found["W&B"]
    assert "secret" not in ended.out


def test_a_broken_installation_is_a_failure(run, bare: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pytorch_lightning", None)
    ended = run("doctor")
    assert ended.status == 1
    assert "MISSING" in findings(ended.out)["installation"]
    assert ended.err.count("\n") == 1


def test_weights_split_says_what_it_wrote(run, tmp_path: Path):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "w.safetensors"
    weights_file.save(whole, {name: torch.ones(100, 500) * n for n, name in enumerate("abc")}, "codec", {})
    ended = run("weights", "split", whole, out, "--largest", "0.3")
    assert ended.status == 0
    assert ended.out.splitlines() == [f"{out}  0.2 MB", *(f"{tmp_path}/w.{n}.safetensors  0.2 MB" for n in (2, 3))]
    assert run("weights", "split", whole, whole).status == 1
    second = tmp_path / "w.2.safetensors"
    before = second.read_bytes()
    ended = run("weights", "split", second, out, "--largest", "0.3")
    assert (ended.status, second.read_bytes()) == (1, before), "a file beside the first is an output, too"
    assert "input and output are the same file" in ended.err


def test_weights_lists_source_licence_and_remedy(run, bare: Path):
    from hsc.judges.weights import status

    ended = run("weights")
    assert (ended.status, ended.err) == (0, "")
    for row in status():
        assert f"{row.file.name} " in ended.out
        assert row.file.licence in ended.out
        assert (str(row.place) if row.present else row.remedy) in ended.out
    assert "MISSING" in ended.out
    assert "present" in ended.out


def test_weights_that_nobody_knows_are_refused(run, bare: Path):
    run("weights", "fetch", "bogus").assert_refused("'bogus'")
