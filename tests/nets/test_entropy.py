"""The entropy transformer: what a layer's parameters may depend on."""

import pytest
import torch

from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer, Parameters

BANDS = [(3, 4), (4, 6), (3, 5)]


def network() -> EntropyTransformer:
    torch.manual_seed(0)
    net = EntropyTransformer(BANDS, num_qualities=3, width=16, depth=2, heads=2)
    for parameter in net.parameters():  # some are initialised to zero, which would hide differences
        torch.nn.init.normal_(parameter, std=0.3)
    return net


@torch.no_grad()
def parameters(net: EntropyTransformer, latents: list[torch.Tensor], quality: torch.Tensor) -> list[Parameters]:
    """Parameters of every layer, each predicted after observing the layers before it."""
    memory, predicted = net.begin(quality), []
    for layer, values in enumerate(latents):
        predicted.append(net.predict(memory, layer))
        memory = net.observe(memory, layer, values)
    return predicted


def random_latents(n: int) -> list[torch.Tensor]:
    return [torch.randn(n, rows, dim) for rows, dim in BANDS]


def test_parameters_depend_on_all_earlier_layers_and_no_other():
    net, quality = network(), torch.tensor([0, 2])
    latents = random_latents(2)
    before = parameters(net, latents, quality)
    for layer, (band, predicted) in enumerate(zip(BANDS, before, strict=True)):
        assert predicted.mean.shape == predicted.log_scale.shape == (2, *band)
        moved = [values + 1.0 if k == layer else values for k, values in enumerate(latents)]
        after = parameters(net, moved, quality)
        same = [torch.equal(a.mean, b.mean) for a, b in zip(before, after, strict=True)]
        assert same == [later <= layer for later in range(len(latents))]


def test_images_of_a_batch_do_not_see_each_other():
    net, quality = network(), torch.tensor([0, 1, 2])
    latents = random_latents(3)
    together = parameters(net, latents, quality)
    alone = parameters(net, [values[1:2] for values in latents], quality[1:2])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a.mean[1:2], b.mean)


def test_quality_reaches_the_first_layer():
    net = network()
    low, high = (net.predict(net.begin(torch.tensor([level])), 0) for level in (0, 2))
    assert not torch.equal(low.mean, high.mean)


def test_scales_stay_in_their_range():
    net = network()
    with torch.no_grad():
        net.scale_bias[0].fill_(100.0)
        net.scale_bias[1].fill_(-100.0)
    first, second, _ = parameters(net, random_latents(1), torch.tensor([0]))
    assert first.log_scale.unique().tolist() == pytest.approx([LOG_SCALE_RANGE[1]])
    assert second.log_scale.unique().tolist() == pytest.approx([LOG_SCALE_RANGE[0]])
