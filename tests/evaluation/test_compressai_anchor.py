"""CompressAI's codecs as anchors: real files of its networks, with random weights instead of a download."""

import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch

from hsc.evaluation.anchors import AnchorNotAvailable, compressai, load_anchor
from hsc.evaluation.anchors.compressai import MeanScaleHyperprior


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch):
    zoo = pytest.importorskip("compressai.zoo", reason="CompressAI is not installed")
    compressai._network.cache_clear()
    yield zoo
    compressai._network.cache_clear()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "compressai", None)
    with pytest.raises(AnchorNotAvailable, match="pip install"):
        load_anchor("mbt2018-mean")


def test_without_weights_it_says_where_to_put_them(zoo, monkeypatch: pytest.MonkeyPatch):
    def refuse(**_):
        raise URLError("no route")

    monkeypatch.setitem(zoo.image_models, "mbt2018-mean", refuse)
    with pytest.raises(AnchorNotAvailable, match="no route"):
        MeanScaleHyperprior().version()


def test_a_file_decodes_to_what_the_network_makes_of_its_strings(zoo, monkeypatch: pytest.MonkeyPatch):
    plain = zoo.image_models["mbt2018-mean"]

    def random(pretrained: bool, **arguments):
        torch.manual_seed(0)
        return plain(pretrained=False, **arguments)

    monkeypatch.setitem(zoo.image_models, "mbt2018-mean", random)
    anchor = MeanScaleHyperprior()
    image = np.random.default_rng(0).integers(0, 256, (100, 70, 3), dtype=np.uint8)
    result = anchor.encode_decode(image, 1)
    network = compressai._network("mbt2018-mean", 1)
    pixels = torch.from_numpy(np.pad(image, ((0, 28), (0, 58), (0, 0)), "edge")).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        coded = network.compress(pixels)
        expected = network.decompress(**coded)["x_hat"][0, :, :100, :70]
    assert result.slice_bytes == sum(len(string) for (string,) in coded["strings"])
    assert result.file_bytes == result.slice_bytes + 7
    shown = torch.from_numpy(result.decoded).permute(2, 0, 1) / 255
    torch.testing.assert_close(shown, expected.clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)
