"""The port of FaceMesh compared with the original graph and with dlib, and its use as a loss."""

import torch
import torch.nn.functional as F

from hsc.files import sha256
from hsc.images import resize
from hsc.judges import load_judge
from hsc.judges.facemesh import WEIGHTS, FaceMesh, _FrozenPReLU

# Corresponding points of eyes, mouth and nose in the numbering of 300-W and of FaceMesh.
DLIB_POINTS = [36, 39, 42, 45, 48, 54, 51, 57, 37, 38, 40, 41, 43, 44, 46, 47]
MESH_POINTS = [33, 133, 362, 263, 61, 291, 0, 17, 160, 158, 153, 144, 385, 387, 373, 380]


def test_the_port_equals_the_original_graph() -> None:
    """The expected values were computed for this picture with the TensorFlow.js graph, operation by operation."""
    ramp = torch.linspace(0, 1, 192)
    red = ramp[:, None] * ramp
    green = ((ramp * 12).sin() / 2 + 0.5)[:, None].expand(192, 192)
    blue = ((ramp * 20).cos() / 2 + 0.5).expand(192, 192)
    points = FaceMesh().net(torch.stack([red, green, blue])[None])[0]
    original = {
        0: (100.0949, 122.2706, -7.3960),
        33: (58.0546, 69.4006, -0.4447),
        61: (73.0932, 124.4198, 7.3842),
        152: (97.8700, 159.1638, 15.2903),
        263: (138.6282, 69.9453, 4.9931),
        467: (140.2138, 66.9481, 2.8234),
    }
    torch.testing.assert_close(points[list(original)], torch.tensor(list(original.values())), atol=2e-3, rtol=0)


def test_it_agrees_with_dlib_at_eyes_and_mouth(faces, judge) -> None:
    mesh, dlib68 = judge("facemesh")(faces), judge("dlib68")(faces)
    right, left = (dlib68[:, corner] for corner in judge("dlib68").outer_eye_corners)
    distances = torch.linalg.vector_norm(mesh[:, MESH_POINTS] - dlib68[:, DLIB_POINTS], dim=-1).mean(1)
    error = distances / torch.linalg.vector_norm(right - left, dim=-1)
    assert error.median() < 0.035
    assert error.max() < 0.1


def test_a_mirrored_face_has_mirrored_points(faces) -> None:
    mesh = load_judge("facemesh")
    points, mirrored = mesh(faces), mesh(faces.flip(3))
    mirrored[..., 0] = faces.shape[-1] - mirrored[..., 0]
    left_to_right = [263, 33, 291, 61]
    assert (points[:, [33, 263, 61, 291]] - mirrored[:, left_to_right]).abs().mean() < 1


def test_points_are_pixels_of_the_input(faces) -> None:
    mesh = load_judge("facemesh")
    assert (mesh(resize(faces, 256)) / 2 - mesh(faces)).abs().mean() < 0.3
    assert (mesh(resize(faces, 64)) * 2 - mesh(faces)).abs().mean() < 0.8


def test_autocast_does_not_blur_it(faces) -> None:
    mesh = load_judge("facemesh")
    with torch.autocast("cpu", torch.bfloat16):
        points = mesh(faces)
    assert points.dtype == torch.float32
    torch.testing.assert_close(points, mesh(faces))


def test_the_frozen_prelu_is_a_prelu() -> None:
    x = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    slope = torch.tensor([0.3, -0.2, 1.5, 0.0, 1.0])
    upstream = torch.randn_like(x)
    frozen, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    outputs = _FrozenPReLU.apply(frozen, slope), F.prelu(plain, slope)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.backward(upstream)
    torch.testing.assert_close(frozen.grad, plain.grad)


def test_the_card_names_the_file_that_ships() -> None:
    assert sha256(WEIGHTS) in WEIGHTS.with_suffix(".md").read_text()
