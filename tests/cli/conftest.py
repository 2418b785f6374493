"""The command line, called as the shell calls it but in this process."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny_model import EXPERIMENT, tiny_codec

from hsc.cli import main
from hsc.codec_file import save
from hsc.config import model_from_dict


class Ended(NamedTuple):
    """How a command ended: its exit status and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ended]]:
    """`run("encode", path, "--bytes", 80)` → Ended."""
    monkeypatch.delenv("HSC_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Ended(int(ended.value.code or 0), written.out, written.err)

    yield call
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def codec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec with small untrained networks of 16×16 pixels: its pictures mean nothing, its files are real."""
    codec, entropy = tiny_codec(model_from_dict(EXPERIMENT["model"]))
    path = tmp_path_factory.mktemp("codec") / "tiny.safetensors"
    save(path, codec, entropy, {"bytes_per_face": [22, 24, 26, 28]})
    return path
