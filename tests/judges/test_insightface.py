"""insightface's own code on models made here: linear ones, whose answers can be worked out by other means."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hsc.judges import NotAvailable, load_judge
from hsc.judges.aligned import FIVE_POINTS, INSIGHTFACE_BOX

pytest.importorskip("insightface")


def linear_model(path: Path, size: int, outputs: int, seed: int) -> np.ndarray:
    """Write an ONNX model whose outputs are weighted sums of its input; returns the weights [outputs, 3, s, s]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).standard_normal((outputs, 3, size, size)).astype("f4") / size
    graph = helper.make_graph(
        [helper.make_node("Conv", ["input.1", "weights"], ["c"]), helper.make_node("Flatten", ["c"], ["out"])],
        "linear",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", outputs])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return weights


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    return folder


def smooth_images(count: int) -> torch.Tensor:
    return F.interpolate(
        torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1, size=(256, 256), mode="bicubic"
    ).clamp(-1, 1)


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares rotation, scale and shift [2, 3] that takes source points to target points."""
    rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in source]
    a, b, shift_x, shift_y = np.linalg.lstsq(np.concatenate(rows), target.flatten(), rcond=None)[0]
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def sample(images: torch.Tensor, transform: np.ndarray, size: int) -> torch.Tensor:
    """The picture that `transform` ([2, 3], from image to crop pixels) cuts out, sampled bilinearly."""
    inverse = np.linalg.inv(np.vstack([transform, [0, 0, 1]]))[:2]
    y, x = np.mgrid[:size, :size]
    places = np.einsum("ij,jyx->yxi", inverse, np.stack([x, y, np.ones_like(x)]))
    grid = torch.tensor((places + 0.5) / images.shape[-1] * 2 - 1, dtype=torch.float32)
    return F.grid_sample(images, grid.expand(len(images), -1, -1, -1), align_corners=False)


def test_descriptors_are_those_of_the_aligned_crop(pack: Path) -> None:
    weights = linear_model(pack / "w600k.onnx", 112, 64, seed=1)
    images = smooth_images(3)
    judge = load_judge(f"insightface:{pack}")
    arcface = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    crops = sample(images, similarity(np.array(FIVE_POINTS), np.array(arcface)), 112)
    expected = F.normalize(torch.einsum("nchw,dchw->nd", crops, torch.from_numpy(weights)))
    assert judge.kind == "recogniser"
    assert (F.cosine_similarity(judge(images), expected) > 0.995).all()
    assert F.cosine_similarity(judge(images)[:1], expected[1:2]) < 0.9
    torch.testing.assert_close(judge(images).norm(dim=1), torch.ones(3))


def test_landmarks_come_back_to_pixels_of_the_image(pack: Path) -> None:
    weights = linear_model(pack / "2d106.onnx", 192, 212, seed=2)
    images = smooth_images(2)
    points = load_judge(f"insightface106:{pack}")(images)
    left, top, right, bottom = INSIGHTFACE_BOX
    scale = 192 / (1.5 * max(right - left, bottom - top))
    shift = 96 - scale * np.array([(left + right) / 2, (top + bottom) / 2])
    crops = sample(images, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), 192)
    # Outside of the image the crop is black, which is -1 here.
    crops = crops - (1 - sample(torch.ones_like(images), np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), 192))
    raw = torch.einsum("nchw,dchw->nd", crops * 127.5 / 128, torch.from_numpy(weights)).reshape(2, 106, 2)
    expected = ((raw + 1) * 96 - torch.tensor(shift)) / scale + 0.5
    assert points.shape == (2, 106, 2)
    assert (points - expected).abs().max() < 0.01 * (expected.max() - expected.min())


def test_the_models_task_is_told_by_its_shape(pack: Path) -> None:
    linear_model(pack / "a_landmarks.onnx", 192, 212, seed=1)
    with pytest.raises(NotAvailable, match="put a recognition model"):
        load_judge(f"insightface:{pack}")
    linear_model(pack / "b_recognition.onnx", 112, 32, seed=2)
    assert load_judge(f"insightface:{pack}")(smooth_images(1)).shape == (1, 32)


def test_a_pack_is_looked_up_among_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    place = tmp_path / "weights" / "insightface" / "mypack"
    with pytest.raises(NotAvailable, match=f"onnx files at {place}"):
        load_judge("insightface:mypack")
    place.mkdir(parents=True)
    linear_model(place / "recognition.onnx", 112, 16, seed=3)
    assert load_judge("insightface:mypack")(smooth_images(1)).shape == (1, 16)
