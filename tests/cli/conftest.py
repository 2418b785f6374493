"""The command line, called as the shell calls it but in this process."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from hsc.cli import main
from hsc.codec import Codec, Networks
from hsc.codec_file import save
from hsc.config import ModelConfig
from hsc.config.schema import EncoderConfig, EntropyConfig, GeneratorConfig, LayerConfig
from hsc.nets.build import build_encoder, build_entropy, build_gain, build_generator, build_heads


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
    torch.manual_seed(0)
    model = ModelConfig(
        layers={name: LayerConfig(rows=2, dim=8) for name in ("basic", "middle", "enhanced")},
        heads_hidden=16,
        generator=GeneratorConfig(channels=[8, 8, 8], z_dim=16, w_dim=16, mapping_layers=2),
        encoder=EncoderConfig(channels=[8, 8, 8], pyramid_channels=16),
        entropy=EntropyConfig(width=16, depth=1, heads=2),
    )
    networks = Networks(build_encoder(model), build_gain(model), build_heads(model), build_generator(model))
    entropy = build_entropy(model)
    path = tmp_path_factory.mktemp("codec") / "tiny.safetensors"
    save(path, Codec.export(model, networks, entropy), entropy, {"bytes_per_face": [22, 24, 26, 28]})
    return path
