"""The entropy transformer: what a step's parameters may depend on."""

import pytest
import torch

from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer, Parameters

DIMS = [4, 4, 4, 6, 6, 6, 6, 5, 5, 5]
STEPS = {"layer": [3, 4, 3], "row": [1] * 10}


def network(context: str) -> EntropyTransformer:
    torch.manual_seed(0)
    net = EntropyTransformer(DIMS, STEPS[context], num_qualities=3, width=16, depth=2, heads=2)
    for parameter in net.parameters():  # some begin at zero, where nothing could be seen
        torch.nn.init.normal_(parameter, std=0.3)
    return net


@torch.no_grad()
def parameters(net: EntropyTransformer, latents: list[torch.Tensor], quality: torch.Tensor) -> list[Parameters]:
    """Of every step, each having observed the steps before it."""
    memory, predicted = net.begin(quality), []
    for step, values in enumerate(latents):
        predicted.append(net.predict(memory, step))
        memory = net.observe(memory, step, values)
    return predicted


def random_latents(net: EntropyTransformer, n: int) -> list[torch.Tensor]:
    return [torch.randn(n, len(rows), DIMS[rows[0]]) for rows in net.step_rows]


@pytest.mark.parametrize("context", ["layer", "row"])
def test_parameters_depend_on_all_earlier_steps_and_no_other(context: str):
    net, quality = network(context), torch.tensor([0, 2])
    latents = random_latents(net, 2)
    before = parameters(net, latents, quality)
    for step, (rows, predicted) in enumerate(zip(net.step_rows, before, strict=True)):
        assert predicted.mean.shape == predicted.log_scale.shape == (2, len(rows), DIMS[rows[0]])
        moved = [values + 1.0 if s == step else values for s, values in enumerate(latents)]
        after = parameters(net, moved, quality)
        same = [torch.equal(a.mean, b.mean) for a, b in zip(before, after, strict=True)]
        assert same == [later <= step for later in range(len(latents))]


def test_images_of_a_batch_do_not_see_each_other():
    net, quality = network("layer"), torch.tensor([0, 1, 2])
    latents = random_latents(net, 3)
    together = parameters(net, latents, quality)
    alone = parameters(net, [values[1:2] for values in latents], quality[1:2])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a.mean[1:2], b.mean)


def test_quality_reaches_the_first_step():
    net = network("layer")
    low, high = (net.predict(net.begin(torch.tensor([level])), 0) for level in (0, 2))
    assert not torch.equal(low.mean, high.mean)


def test_scales_stay_in_their_range():
    net = network("layer")
    with torch.no_grad():
        net.scale_bias[0].fill_(100.0)
        net.scale_bias[1].fill_(-100.0)
    first, second, _ = parameters(net, random_latents(net, 1), torch.tensor([0]))
    assert first.log_scale.unique().tolist() == pytest.approx([LOG_SCALE_RANGE[1]])
    assert second.log_scale.unique().tolist() == pytest.approx([LOG_SCALE_RANGE[0]])


def test_steps_must_cover_the_rows():
    with pytest.raises(ValueError, match="do not cover 10 rows"):
        EntropyTransformer(DIMS, [3, 4], num_qualities=1)
