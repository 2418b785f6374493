"""The objective compared with the same sum computed by hand."""

import torch

from hsc.config import StageConfig
from hsc.losses import L2Loss, Loss
from hsc.modules.rate_distortion import Compared, Objective


class Darkness(Loss):
    """How much darker the decoded image is."""

    name = "darkness"

    def forward(self, image: torch.Tensor, original: torch.Tensor, landmarks: torch.Tensor | None = None):
        return (original - image).mean((1, 2, 3))


STAGE = StageConfig(
    layer_weights={"basic": 2.0, "middle": 0.5},
    losses={"basic": {"l2": 1.0, "darkness": 3.0}, "middle": {"l2": 4.0}, "enhanced": {"l2": 1.0, "missing": 9.0}},
)
LOSSES = {"l2": L2Loss(), "darkness": Darkness()}
OBJECTIVE = Objective(STAGE, ["basic", "middle", "enhanced"], LOSSES)


def test_distortion():
    torch.manual_seed(0)
    images, originals = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    l2, darkness = (images - originals).square().mean(), (originals - images).mean()
    expected = {"basic": 2 * (l2 + 3 * darkness), "middle": 0.5 * 4 * l2, "enhanced": l2}
    for layer, total in expected.items():
        terms = OBJECTIVE.distortion([Compared(layer, 1.0, images, originals, None)])
        torch.testing.assert_close(terms.total, total)
        torch.testing.assert_close(terms.parts[f"{layer}/l2"], l2)
    layers = {"basic": 0.5, "enhanced": 2.0}
    terms = OBJECTIVE.distortion([Compared(layer, layers[layer], images, originals, None) for layer in layers])
    torch.testing.assert_close(terms.total, sum(portion * expected[layer] for layer, portion in layers.items()))
    assert terms.parts.keys() == {"basic/l2", "basic/darkness", "enhanced/l2"}


def test_rate_counts_every_prefix():
    bits = torch.tensor([[1.0, 2, 4, 8, 16], [3.0, 3, 3, 3, 3]])
    lambdas = torch.tensor([0.5, 0.25])
    terms = OBJECTIVE.rate(bits, [2, 2, 1], lambdas, pixels=10)
    basic, middle, enhanced = torch.tensor([[3.0, 6.0], [15.0, 12.0], [31.0, 15.0]]) / 10
    expected = 2 * (lambdas * basic).mean() + 0.5 * (lambdas * middle).mean() + (lambdas * enhanced).mean()
    torch.testing.assert_close(terms.total, expected)
    torch.testing.assert_close(terms.parts["middle/bpp_estimated"], middle.mean())


def test_rate_of_fewer_layers():
    terms = OBJECTIVE.rate(torch.tensor([[1.0, 2.0]]), [2], torch.tensor([0.5]), pixels=10)
    torch.testing.assert_close(terms.total, torch.tensor(2 * 0.5 * 3 / 10))
    assert terms.parts.keys() == {"basic/bpp_estimated"}
