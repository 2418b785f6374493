"""Decoder heads: a later layer never moves an earlier layer's rows."""

import torch

from hsc.nets.heads import StyleHeads

BANDS = [(3, 5), (4, 6), (3, 7)]


def heads_with_every_weight() -> StyleHeads:
    torch.manual_seed(0)
    heads = StyleHeads(BANDS, w_dim=8, num_qualities=3, hidden=16)
    for parameter in heads.parameters():  # some are initialised to zero, which would hide differences
        torch.nn.init.normal_(parameter, std=0.3)
    return heads


def test_rows_depend_on_their_own_and_earlier_layers_only():
    heads, quality = heads_with_every_weight(), torch.tensor([0, 2])
    latents = [torch.randn(2, rows, dim) for rows, dim in BANDS]
    styles = heads(latents, quality)
    assert styles.shape == (2, 10, 8)
    first_row = 0
    for changed, (rows, _) in enumerate(BANDS):
        moved = [layer + 1.0 if k == changed else layer for k, layer in enumerate(latents)]
        difference = (heads(moved, quality) - styles).abs().amax((0, 2))  # [rows]
        assert (difference[:first_row] == 0).all()
        assert (difference[first_row:] > 0).all()
        first_row += rows


def test_quality_matters():
    heads = heads_with_every_weight()
    latents = [torch.randn(1, rows, dim) for rows, dim in BANDS]
    assert not torch.equal(heads(latents, torch.tensor([0])), heads(latents, torch.tensor([1])))
