"""Distances between two images, compared with the implementations of their authors and of torchmetrics."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from hsc.images import load_image, resize, to_tensor
from hsc.judges import backbones
from hsc.metrics.measures import Perceptual


@pytest.fixture
def pair(faces: Tensor) -> tuple[Tensor, Tensor]:
    originals = resize(faces[:3], 96).clamp(-1, 1)
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    return originals, (originals + 0.2 * noise).clamp(-1, 1)


@pytest.fixture
def examples(shared_dir: Path) -> list[Tensor]:
    names = ("ref", "p0", "p1")
    return [to_tensor(load_image(shared_dir / "fixtures" / f"lpips-ex_{name}.png"))[None] for name in names]


def test_lpips_gives_the_published_values_of_the_examples(judge, examples) -> None:
    reference, first, second = examples
    assert judge("lpips.alex")(reference, first).item() == pytest.approx(0.722, abs=0.002)
    assert judge("lpips.alex")(reference, second).item() == pytest.approx(0.138, abs=0.002)
    assert judge("lpips.vgg")(reference, second) < judge("lpips.vgg")(reference, first)


@pytest.mark.parametrize(("name", "family"), [("alexnet", "alex"), ("vgg16", "vgg")])
def test_lpips_equals_the_authors_package(judge, pair, monkeypatch, name: str, family: str) -> None:
    ours = judge(f"lpips.{family}")
    import lpips

    # Their constructor would download the backbone, so it is given ours.
    networks = SimpleNamespace(**{name: lambda pretrained: SimpleNamespace(features=getattr(backbones, name)())})
    monkeypatch.setattr(lpips.pretrained_networks, "tv", networks)
    theirs = lpips.LPIPS(net=family, verbose=False)
    torch.testing.assert_close(ours(*pair), theirs(*pair).flatten(), atol=1e-5, rtol=1e-4)


def test_dists_equals_torchmetrics(judge, pair, monkeypatch) -> None:
    ours = judge("dists")
    from torchmetrics.functional.image import dists

    monkeypatch.setattr(dists, "vgg16", lambda weights: SimpleNamespace(features=backbones.vgg16()))
    theirs = dists.DISTSNetwork()
    reference, image = pair
    torch.testing.assert_close(ours(*pair), theirs((reference + 1) / 2, (image + 1) / 2), atol=1e-5, rtol=1e-4)


def test_dists_on_lite0_weighs_the_image_and_four_scales_alike(judge, pair) -> None:
    ours, (reference, image) = judge("dists.lite0"), pair
    scales = [((reference + 1) / 2, (image + 1) / 2)]
    for a, b in zip(ours.features(reference), ours.features(image), strict=True):
        scales.append(tuple(torch.cat([x.clamp(min=0), -x.clamp(max=0)], 1) for x in (a, b)))
    expected = torch.ones(3, dtype=torch.float64)
    for layer in scales:
        a, b = (x.double().flatten(2) for x in layer)
        mean_a, mean_b = a.mean(2), b.mean(2)
        together = ((a - mean_a[..., None]) * (b - mean_b[..., None])).mean(2)
        texture = (2 * mean_a * mean_b + 1e-6) / (mean_a**2 + mean_b**2 + 1e-6)
        structure = (2 * together + 1e-6) / (a.var(2, correction=0) + b.var(2, correction=0) + 1e-6)
        expected -= (texture.mean(1) + structure.mean(1)) / 2 / 5
    torch.testing.assert_close(ours(*pair), expected.float(), atol=1e-4, rtol=0)


def test_dists_on_lite0_enlarges_small_images(judge, pair) -> None:
    small = [resize(images, 32) for images in pair]
    enlarged = [resize(images, 64) for images in small]
    torch.testing.assert_close(judge("dists.lite0")(*small), judge("dists.lite0")(*enlarged))


@pytest.mark.parametrize("name", ["lpips.alex", "lpips.vgg", "dists", "dists.lite0"])
def test_flat_images_give_finite_gradients(judge, name: str) -> None:
    """In a black image, some layers have all-zero features, for which a plain norm has no gradient."""
    image = torch.full((1, 3, 64, 64), -1.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(judge(name)(torch.zeros(1, 3, 64, 64), image).sum(), image)
    assert gradient.isfinite().all()


def test_reported_distances_ignore_a_training_precision(judge, pair) -> None:
    with torch.no_grad():
        expected = judge("lpips.alex")(*pair)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(judge("lpips.alex")(*pair), expected, atol=0, rtol=0)


def test_psnr_is_that_of_8_bit_images(judge, pair) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    originals, noisy = pair
    expected = [
        peak_signal_noise_ratio((a + 1) / 2, (b + 1) / 2, data_range=1.0) for a, b in zip(noisy, originals, strict=True)
    ]
    torch.testing.assert_close(judge("psnr")(originals, noisy), torch.stack(expected))
    assert judge("psnr")(originals, originals).isinf().all()


def test_ms_ssim_is_the_usual_one_where_five_scales_fit(judge, pair) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    originals, noisy = (resize(images, 192).clamp(-1, 1) for images in pair)
    expected = multiscale_structural_similarity_index_measure(
        (noisy + 1) / 2, (originals + 1) / 2, reduction="none", data_range=1.0
    )
    torch.testing.assert_close(judge("ms_ssim")(originals, noisy), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [64, 128])
def test_ms_ssim_ranks_small_images(judge, pair, size: int) -> None:
    originals, noisy = (resize(images, size).clamp(-1, 1) for images in pair)
    worse = resize(resize(originals, size // 16), size)
    same, near, far = (judge("ms_ssim")(originals, image) for image in (originals, noisy, worse))
    torch.testing.assert_close(same, torch.ones(3))
    assert (near > far).all()


@pytest.mark.parametrize("name", ["lpips.alex", "dists"])
def test_measuring_looks_once_at_the_originals_that_layers_share(judge, name: str, monkeypatch) -> None:
    perceptual, seen = judge(name), []
    describe = perceptual.describe
    monkeypatch.setattr(perceptual, "describe", lambda image: seen.append(image) or describe(image))
    measure = Perceptual({name: perceptual})
    first, second, *layers = torch.rand(4, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for originals in (first, second):
        for layer in layers:
            assert torch.equal(measure.ask(originals, layer)[:, 0], perceptual(originals, layer))
    assert sum(image is first for image in seen) == 1 + len(layers), "once, and in each comparison by the judge itself"
