"""insightface's own code with models made here: linear ones, whose outputs can also be computed in another way."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hsc.judges import NotAvailable, load_judge
from hsc.judges.aligned import FIVE_POINTS, INSIGHTFACE_BOX
from hsc.losses import load_losses

pytest.importorskip("insightface")


def write_model(path: Path, size: int, outputs: int, nodes: list, numbers: dict[str, np.ndarray]) -> None:
    """An ONNX model from `input.1` [N, 3, size, size] to `out` [N, outputs]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", outputs])],
        [numpy_helper.from_array(values.astype("f4"), name) for name, values in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)


def linear_model(path: Path, size: int, outputs: int, seed: int) -> np.ndarray:
    """A model whose outputs are weighted sums of its input; returns the weights [outputs, 3, size, size]."""
    from onnx.helper import make_node

    block = 8  # side of the squares with one weight each, in pixels
    weights = np.random.default_rng(seed).standard_normal((outputs, 3, size // block, size // block)) / size * block
    nodes = [
        make_node("AveragePool", ["input.1"], ["means"], kernel_shape=[block] * 2, strides=[block] * 2),
        make_node("Conv", ["means", "weights"], ["sums"]),
        make_node("Flatten", ["sums"], ["out"]),
    ]
    write_model(path, size, outputs, nodes, {"weights": weights})
    return np.kron(weights, np.full((block, block), block**-2)).astype("f4")


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
    """The least-squares rotation, scale and shift [2, 3] that maps source points to target points."""
    rows = [[[x, -y, 1, 0], [y, x, 0, 1]] for x, y in source]
    a, b, shift_x, shift_y = np.linalg.lstsq(np.concatenate(rows), target.flatten(), rcond=None)[0]
    return np.array([[a, -b, shift_x], [b, a, shift_y]])


def sample(images: torch.Tensor, transform: np.ndarray, size: int) -> torch.Tensor:
    """The crop defined by `transform` ([2, 3], from image to crop pixels), sampled bilinearly."""
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
    # Outside the image the crop is black, which is -1 here.
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


def small_recogniser(path: Path, size: int = 112, outputs: int = 32) -> None:
    """A model that consists of the operators of ArcFace's networks."""
    from onnx.helper import make_node

    random = np.random.default_rng(0)

    def numbers(*shape: int, around: float = 0.0, spread: float = 0.3) -> np.ndarray:
        return around + spread * random.standard_normal(shape)

    nodes = [
        make_node("Conv", ["input.1", "k1"], ["a"], strides=[4, 4]),
        make_node("BatchNormalization", ["a", "g1", "b1", "m1", "v1"], ["b"]),
        make_node("PRelu", ["b", "slope"], ["c"]),
        make_node("Conv", ["c", "k2", "bias"], ["d"], pads=[1, 1, 1, 1]),
        make_node("Add", ["c", "d"], ["e"]),
        make_node("Flatten", ["e"], ["f"]),
        make_node("Gemm", ["f", "w", "wb"], ["g"], transB=1),
        make_node("BatchNormalization", ["g", "g2", "b2", "m2", "v2"], ["out"]),
    ]
    held = {"k1": numbers(8, 3, 4, 4), "k2": numbers(8, 8, 3, 3), "bias": numbers(8)}
    held |= {"slope": numbers(8, 1, 1, around=0.2), "wb": numbers(outputs)}
    held |= {"w": numbers(outputs, 8 * (size // 4) ** 2, spread=0.01)}
    for layer, width in (("1", 8), ("2", outputs)):
        held |= {part + layer: numbers(width, around=float(part in "gv"), spread=0.1) for part in "gbmv"}
    write_model(path, size, outputs, nodes, held)


def test_a_pack_s_recogniser_becomes_a_network_of_torch(pack: Path) -> None:
    pytest.importorskip("onnx2torch")
    small_recogniser(pack / "w600k.onnx")
    images = smooth_images(4).requires_grad_()
    theirs, ours = load_judge(f"insightface:{pack}")(images.detach()), load_judge(f"arcface:{pack}")(images)
    assert (F.cosine_similarity(theirs, ours) > 0.999).all()
    assert F.cosine_similarity(theirs[:1], ours[1:2]) < 0.99
    (gradient,) = torch.autograd.grad(ours[:, 0].sum(), images)
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_a_pack_teaches_and_then_does_not_report(pack: Path) -> None:
    pytest.importorskip("onnx2torch")
    small_recogniser(pack / "w600k.onnx")
    name = f"arcface:{pack}"
    loss = load_losses([name])[name]
    images = smooth_images(2)
    torch.testing.assert_close(loss(images, images), torch.zeros(2), atol=1e-5, rtol=0)
    assert (loss(images.flip(0), images) > 1e-3).all()
    assert load_judge(f"insightface:{pack}").family == load_judge(loss.judge).family
