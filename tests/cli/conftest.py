"""The command line, called as from a shell but in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from programs import run_hsc
from tiny_model import EXPERIMENT, tiny_codec

from hsc.checkpoints import save_generator
from hsc.codec_file import save
from hsc.config import model_from_dict
from hsc.nets.stylegan2 import StyleGAN2


class Ended(NamedTuple):
    """The exit status and the output of a command."""

    status: int
    out: str
    err: str

    def assert_refused(self, *words: object) -> None:
        """Status 1, nothing on standard output, and one line on standard error that contains these words."""
        assert (self.status, self.out) == (1, ""), self
        assert self.err.startswith("hsc: ")
        assert self.err.count("\n") == 1
        for word in words:
            assert str(word) in self.err

    def assert_wrong_usage(self, words: str) -> None:
        assert self.status == 2, self
        assert words in " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """`run("encode", path, "--bytes", 80)` → Ended."""
    monkeypatch.delenv("HSC_DEBUG", raising=False)

    def call(*words: object) -> Ended:
        status = run_hsc(*words)
        written = capsys.readouterr()
        return Ended(status, written.out, written.err)

    return call


@pytest.fixture(scope="session")
def codec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec of small untrained networks for 16×16 pixels: its pictures are meaningless, its files are real."""
    codec, entropy = tiny_codec(model_from_dict(EXPERIMENT["model"]))
    path = tmp_path_factory.mktemp("codec") / "tiny.safetensors"
    save(path, codec, entropy, {"bytes_per_face": [22, 24, 26, 28]})
    return path


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    """A user's own generator of 32×32 pixels."""
    torch.manual_seed(0)
    generator = StyleGAN2([8, 8, 8, 8], z_dim=8, w_dim=8, mapping_layers=2)
    save_generator(tmp_path / "prior.safetensors", generator)
    return tmp_path / "prior.safetensors"
