"""A codec whose MobileStyleGAN starts from the linear path's picture: the code trains first, then the decoder alone."""

import zipfile
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from tiny_model import LAYERS, tiny_model_with_blocks

import hsc
from hsc.config import Config, StageConfig
from hsc.errors import HscError
from hsc.losses import load_losses
from hsc.modules.codec import CodecModule
from hsc.modules.rate_distortion import Prefix
from hsc.nets.planes import small_pictures

MODEL = tiny_model_with_blocks()
MODEL.generator.full = [8, 8, 8, 8]
STAGES = {
    "code": {"train": ["encoder", "gain", "entropy", "heads"], "decode_with": "linear", "steps": 3},
    "decoder": {"train": ["heads", "generator"], "steps": 3},
    "details": {"train": ["details"], "steps": 3},
    "full": {"train": ["full"], "decode_with": "full", "steps": 3},
}


@pytest.fixture(scope="module")
def trained(new_experiment: Callable[[], Any], train_in_process: Callable[..., int]) -> Any:
    whole = new_experiment()
    content = yaml.safe_load(whole.file.read_text())
    content |= {"model": asdict(MODEL), "stages": STAGES, "run": list(STAGES)}
    whole.file.write_text(yaml.safe_dump(content, sort_keys=False))  # the order of the layers matters
    said = whole.runs.with_name("said")
    assert train_in_process(whole, output=str(said)) == 0, said.read_text()
    return whole


def test_a_code_learns_without_the_generator_and_a_decoder_without_the_code(trained: Any) -> None:
    code, decoder = trained.weights("code"), trained.weights("decoder")
    changed = [name for name, value in code.items() if not torch.equal(value, decoder[name])]
    assert {name.split(".")[1] for name in changed} == {"heads", "generator"}
    assert not any(".eigen." in name for name in changed), "the encoder has them too: files would change"
    assert any(name.startswith("decoder.heads.modulation.") for name in changed)
    assert not any(code[name].any() for name in code if name.startswith("decoder.heads.modulation.features."))


def test_the_released_codec_codes(trained: Any) -> None:
    codec = hsc.load(trained.folder())
    files = codec.compress(torch.rand(2, 3, 40, 40) * 2 - 1)
    for layers in (1, 2, 3):
        assert [tuple(picture.shape) for picture in codec.decompress(files, layers)] == [(3, 40, 40)] * 2


def test_the_details_learn_alone(trained: Any) -> None:
    before, after = trained.weights("decoder"), trained.weights("details")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("decoder.heads.details.") for name in changed)


def test_the_details_learn_with_the_heads(trained: Any) -> None:
    before, after = trained.weights("code"), trained.weights("decoder")
    name = "decoder.heads.details.change.weight"
    assert not before[name].any()
    assert after[name].any()


def test_parts_inside_others_have_their_own_learning_rate() -> None:
    train = ["encoder", "heads", "details", "generator", "full"]
    scales = {"encoder": 0.5, "heads": 0.25, "details": 0.125, "full": 0}
    stage = StageConfig(train=train, lr_scale=scales, learning_rate=1, decode_with="full")
    module = CodecModule(Config(name="x", model=MODEL, stages={"x": stage}), stage, {})
    rates = {parameter: group["lr"] for group in module.parameter_groups(train) for parameter in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in module.parameter_groups(train))
    parts = module.parts()
    assert {rates[parameter] for parameter in parts["encoder"].parameters()} == {0.5}, "with the components"
    assert {rates[parameter] for parameter in parts["heads"].parameters()} == {0.5, 0.25, 0.125}
    assert {rates[parameter] for parameter in parts["details"].parameters()} == {0.125}
    assert {rates[parameter] for parameter in parts["generator"].parameters()} == {1, 0}
    assert {rates[parameter] for parameter in parts["full"].parameters()} == {0}


def test_the_full_size_learns_alone(trained: Any) -> None:
    before, after = trained.weights("details"), trained.weights("full")
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    own = ("decoder.generator.synthesis_network.full_layers.", "decoder.generator.synthesis_network.heads.64.")
    assert changed
    assert all(name.startswith(own) for name in changed)


@pytest.mark.usefixtures("in_float32")
def test_one_file_two_pictures(trained: Any) -> None:
    """The size in the file decides: small pictures decode at the codec's own size, larger ones at the full size."""
    codec = hsc.load(trained.folder())
    assert (codec.size, codec.full_size) == (32, 64)
    small, large = codec.compress([torch.rand(3, side, side) * 2 - 1 for side in (32, 64)])
    decoded = codec.decode([small, large])
    own, full = (codec.synthesise(decoded.latents, decoded.quality, full).clamp(-1, 1) for full in (False, True))
    assert full.shape[-1] == 64
    one, other = codec.decompress([small, large])
    torch.testing.assert_close(one, own[0])
    torch.testing.assert_close(other, full[1])
    torch.testing.assert_close(codec.decompress(small, side=64), full[0])
    torch.testing.assert_close(codec.decompress(large, native=True), own[1])
    assert codec.decompress(large, side=48).shape == (3, 48, 48)
    for impossible in ({"side": 0}, {"side": 48, "native": True}):
        with pytest.raises(HscError, match="must be 1 or more pixels, and excludes native"):
            codec.decompress(large, **impossible)


def test_the_full_size_learns_from_large_and_small_faces(
    trained: Any, faces: Path, tmp_path: Path, said_in_training: Callable[..., str]
) -> None:
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(faces) as small, zipfile.ZipFile(large, "w") as archive:
        for index, name in enumerate(small.namelist()[:6]):
            stream = BytesIO()
            Image.open(small.open(name)).resize((64, 64)).save(stream, "PNG")
            archive.writestr(f"large-{index}.png", stream.getvalue())
    content = yaml.safe_load(trained.file.read_text())
    content["runs"] = str(tmp_path / "runs")
    stage = {"train": ["full", "discriminator"], "decode_with": "full", "steps": 3, "init": str(trained.folder())}
    stage |= {"data": {"path": [str(faces), str(large)]}, "losses": {layer: {"l1": 1} for layer in LAYERS}}
    stage |= {"adversarial": {"weight": 0.1}}
    file = tmp_path / "mixed.yaml"
    content |= {"stages": {"mixed": stage}, "run": ["mixed"]}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    said_in_training(trained._replace(file=file, runs=tmp_path / "runs"))
    before, after = trained.weights("full"), load_file(tmp_path / "runs" / "tiny" / "mixed" / "weights.safetensors")
    assert any(not torch.equal(value, after[name]) for name, value in before.items() if ".full_layers." in name)


def test_images_are_compared_at_the_size_that_both_have() -> None:
    stage = StageConfig(train=["full"], decode_with="full", losses={layer: {"l2": 1} for layer in LAYERS})
    codec = CodecModule(Config(model=MODEL, stages={"full": stage}), stage, load_losses(["l2"]))
    faces = torch.rand(3, 3, 64, 64) * 2 - 1
    decoded = torch.rand(3, 3, 64, 64) * 2 - 1
    prefix = Prefix("basic", torch.tensor([2, 0, 1]), 1.0, torch.empty(3), decoded, num_small=2)
    total, parts = codec._distortion([prefix], {"image": faces, "large": [False, True, False]})
    small = (small_pictures(decoded[:2], 32) - small_pictures(faces[[2, 0]], 32)).square().mean()
    large = (decoded[2] - faces[1]).square().mean()
    torch.testing.assert_close(total, 2 / 3 * small + 1 / 3 * large)
    torch.testing.assert_close(parts["basic/l2"], total)
    views = codec._views(faces, [False, True, False])
    assert views.shape == (4, 3, 32, 32), "averages of all, a window of the large one"
    torch.testing.assert_close(views[:3], small_pictures(faces, 32))
    assert torch.equal(codec._views(faces, [False] * 3), views[:3]), "none without a large original to compare with"
    assert any(torch.equal(views[3], faces[1, :, y : y + 32, x : x + 32]) for y in range(33) for x in range(33))
