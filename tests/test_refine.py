"""Refinement: never worse by its own objective, real files only, within the bytes that are allowed."""

import pytest
import torch
from tiny_model import SIZE, tiny_codec

import hsc.refine
from hsc.codec import Codec
from hsc.errors import HscError
from hsc.images import resize
from hsc.judges import NotAvailable
from hsc.refine import refine

WEIGHT = 20.0


@pytest.fixture
def codec(monkeypatch: pytest.MonkeyPatch) -> Codec:
    monkeypatch.setattr(hsc.refine, "TASKS", {"l2": WEIGHT})  # arithmetic alone: no judge to wait for
    return tiny_codec(fineness=3.0)[0]


@pytest.fixture
def faces() -> torch.Tensor:
    return torch.rand(3, 3, 2 * SIZE, 2 * SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def objective(codec: Codec, files: list[bytes], faces: torch.Tensor, quality: int) -> torch.Tensor:
    decoded = codec.decode(files)
    shown = codec.synthesise(decoded.latents, decoded.quality)
    bits = 8 * torch.tensor([len(file) for file in files])
    distortion = (shown - resize(faces, SIZE)).square().mean((1, 2, 3))
    return codec.model.lambdas[quality] * bits / SIZE**2 + WEIGHT * distortion


@pytest.mark.parametrize("layers", [None, 2])
def test_the_objective_falls_and_is_that_of_the_files(codec: Codec, faces: torch.Tensor, layers: int | None):
    refined = refine(codec, faces, 1, layers, iterations=30)
    torch.testing.assert_close(refined.before, objective(codec, codec.compress(faces, 1, layers), faces, 1))
    torch.testing.assert_close(refined.after, objective(codec, refined.files, faces, 1))
    assert (refined.after <= refined.before).all()
    assert refined.after.mean() < 0.99 * refined.before.mean()


def test_more_iterations_are_never_worse(codec: Codec, faces: torch.Tensor):
    reached = [refine(codec, faces, 1, iterations=count).after for count in (0, 3, 12)]
    assert (reached[1] <= reached[0]).all()
    assert (reached[2] <= reached[1]).all()


def test_no_iterations_give_the_plain_files(codec: Codec, faces: torch.Tensor):
    assert refine(codec, faces, 0, iterations=0).files == codec.compress(faces, 0)


def test_the_same_again(codec: Codec, faces: torch.Tensor):
    assert refine(codec, faces, 1, iterations=5).files == refine(codec, faces, 1, iterations=5).files


def test_files_stay_within_the_limit(codec: Codec, faces: torch.Tensor):
    plain = codec.compress(faces, 1)
    limit = max(map(len, plain))
    assert max(map(len, refine(codec, faces, 1, iterations=10, limit=limit).files)) <= limit
    within = refine(codec, faces, iterations=0, limit=limit - 5)
    assert within.files == codec.compress(faces, bytes=limit - 5)


def test_a_missing_judge_is_named(codec: Codec, faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch):
    def missing(_names):
        raise NotAvailable("lpips.alex not available: hsc weights fetch")

    monkeypatch.setattr(hsc.refine, "load_losses", missing)
    with pytest.raises(HscError, match=r"--refine needs the judges.*hsc weights fetch"):
        refine(codec, faces, iterations=1)
