"""A codec that starts as a plain transform codec of principal components."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import write_pictures
from tiny_model import DIM, SIZE, tiny_config, tiny_linear_model, tiny_model_with_blocks
from torch import Tensor

from hsc.checkpoints import weights_file
from hsc.config import LayerConfig
from hsc.data.module import FaceDataModule
from hsc.modules.codec import CodecModule
from hsc.nets.eigenfaces import STEP, principal_components
from hsc.nets.planes import emphasis, enlarged, from_planes, to_planes
from hsc.training.eigenfaces import holds_eigenfaces, start_as_eigenfaces


def fresh_module() -> CodecModule:
    config = tiny_config()
    config.model = tiny_linear_model()
    return CodecModule(config, config.stages["only"], {})


@pytest.fixture
def data(tmp_path: Path) -> FaceDataModule:
    path = write_pictures(tmp_path / "faces.zip", 50, SIZE, squares=4, digits=5)
    return FaceDataModule(str(path), SIZE, train="00000-00039", validation="00040-00049")


@pytest.fixture
def module(data: FaceDataModule) -> CodecModule:
    torch.manual_seed(0)
    module = fresh_module()
    start_as_eigenfaces(module, data)
    return module


@torch.no_grad()
def test_it_decodes_what_the_components_hold_and_says_how_much_they_vary(
    module: CodecModule, data: FaceDataModule
) -> None:
    images = data.dataset("train")[list(range(40))]["image"]
    mean, basis, deviations = principal_components([images], SIZE, 16 * DIM, emphasis(SIZE))
    latents = module.encoder(images)
    decoded = module.decoder.heads.picture(latents).small
    planes = to_planes(images, SIZE)
    coefficients = (planes - mean) * emphasis(SIZE) @ basis
    drawn = from_planes(mean + coefficients @ basis.t() / emphasis(SIZE), SIZE)
    torch.testing.assert_close(decoded, drawn, atol=1e-3, rtol=0)
    flat = torch.cat([layer.flatten(1) for layer in latents], 1)
    torch.testing.assert_close(flat, coefficients / (STEP * 3**0.5 * SIZE), atol=1e-2, rtol=1e-3)
    known = torch.cat([bias.flatten() for bias in module.entropy.net.scale_bias]).exp()
    torch.testing.assert_close(known, (deviations / (STEP * 3**0.5 * SIZE)).clamp(0.08, 32), rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_blocks_start_from_what_whole_faces_leave_out(data: FaceDataModule) -> None:
    config = tiny_config()
    config.model = replace(tiny_model_with_blocks(), blocks=2)
    config.model.layers["enhanced"] = LayerConfig(9, 16)
    module = CodecModule(config, config.stages["only"], {})
    start_as_eigenfaces(module, data)
    images = data.dataset("train")[list(range(40))]["image"]
    latents = torch.cat([layer.flatten(1) for layer in module.encoder(images)], 1)[:, -128:]
    known = module.entropy.net.scale_bias[2].flatten()[-128:].exp()
    torch.testing.assert_close(known, latents.square().mean(0).sqrt().clamp(0.08, 32), rtol=1e-3, atol=1e-3)
    small, large, _ = module.decoder.heads.picture(module.encoder(images))
    assert (large - images).square().mean() < 0.9 * (enlarged(small, SIZE) - images).square().mean()


def test_all_faces_are_decomposed(data: FaceDataModule, monkeypatch: pytest.MonkeyPatch) -> None:
    decomposed: list[Tensor] = []

    def spy(images: Iterable[Tensor], *arguments: Any) -> Any:
        decomposed.extend(images)
        return principal_components(decomposed, *arguments)

    monkeypatch.setattr("hsc.training.eigenfaces.BATCH", 6)
    monkeypatch.setattr("hsc.training.eigenfaces.principal_components", spy)
    start_as_eigenfaces(fresh_module(), data)
    assert [len(batch) for batch in decomposed] == [6] * 6 + [4]


@torch.no_grad()
def test_fewer_layers_show_fewer_components(module: CodecModule, data: FaceDataModule) -> None:
    images = data.dataset("validation")[list(range(10))]["image"]
    latents = module.encoder(images)
    errors = []
    for kept in range(4):
        known = [layer if k < kept else torch.zeros_like(layer) for k, layer in enumerate(latents)]
        errors.append(float((module.decoder.heads.picture(known).small - images).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.8 * errors[0]


def test_both_halves_train_one_set_of_components(module: CodecModule, data: FaceDataModule) -> None:
    optimizer = module.configure_optimizers()["optimizer"]
    parameters = [id(p) for group in optimizer.param_groups for p in group["params"]]
    shared = module.decoder.heads.eigen.components.weight  # type: ignore[union-attr]
    assert parameters.count(id(shared)) == 1
    before = shared.detach().clone()
    images = data.dataset("train")[list(range(4))]["image"]
    module.decoder(module.encoder(images), torch.zeros(4, dtype=torch.long)).square().mean().backward()
    optimizer.step()
    assert not torch.equal(before, shared)
    assert module.encoder.net.eigen.components.weight is shared  # type: ignore[union-attr]


def test_weights_tell_whether_they_have_a_linear_path(module: CodecModule, tmp_path: Path) -> None:
    weights_file.save(tmp_path / "with", module.state_dict(), "stage", {})
    without = {name: value for name, value in module.state_dict().items() if "eigen" not in name}
    weights_file.save(tmp_path / "without", without, "stage", {})
    assert holds_eigenfaces(tmp_path / "with", module)
    assert not holds_eigenfaces(tmp_path / "without", module)
