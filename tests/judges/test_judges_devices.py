"""Judges run on the device of their images, stay frozen, and limit their batches by pixels, not by images.

Tensors on the meta device have no values, so moving one to the CPU raises an error.
"""

from contextlib import nullcontext

import pytest
import torch

from hsc.judges import Judge, NotAvailable, load_judge
from hsc.metrics.measures import Perceptual

NETWORKS = (
    "lpips.alex", "lpips.vgg", "dists", "dists.lite0", "vgg16", "inception", "facemesh", "identity_student", "faceres",
)  # fmt: skip


def available(name: str, device: str) -> Judge:
    try:
        return load_judge(name, device)
    except NotAvailable as reason:
        pytest.skip(str(reason))


def ask(judge: Judge, images: torch.Tensor) -> torch.Tensor:
    return judge(images, images) if judge.kind == "perceptual" else judge(images)


@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_leaves_the_device_on_the_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # does not support the meta device
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    judge = available(name, "meta")
    images = torch.empty(2, 3, 64, 64, device="meta")
    with torch.no_grad():
        answer = ask(judge, images)
        assert answer.device.type == "meta"
        if judge.kind == "perceptual":
            assert Perceptual({name: judge}).ask(images, images).device.type == "meta"


@pytest.mark.parametrize("name", [*NETWORKS, "psnr", "ms_ssim"])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_answers_on_cuda_are_those_of_the_processor(name: str) -> None:
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    here, there = available(name, "cpu"), available(name, "cuda")
    with torch.no_grad():
        pair = (images, images.flip(3)) if here.kind == "perceptual" else (images,)
        torch.testing.assert_close(there(*(part.cuda() for part in pair)).cpu(), here(*pair), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_stay_frozen(name: str) -> None:
    judge = available(name, "cpu").train()
    assert not any(module.training for module in judge.modules())
    assert not any(parameter.requires_grad for parameter in judge.parameters())


class Counting(Judge):
    name = family = "counting"
    kind = "perceptual"

    def forward(self, reference: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        self.most = max(getattr(self, "most", 0), len(image))
        return (reference - image).mean((1, 2, 3))


def test_many_pictures_are_judged_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsc.images.PIXELS_AT_ONCE", 5 * 8**2)
    judge, images = Counting(), torch.rand(12, 3, 8, 8)
    with torch.no_grad():
        answer = judge(images, images.flip(0))
    assert judge.most == 5
    torch.testing.assert_close(answer, judge(images, images.flip(0)))  # with gradients: in one batch
    assert judge.most == 12
