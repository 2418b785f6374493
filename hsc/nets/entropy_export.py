"""Export a trained entropy transformer as the integers of its twin: done once, before any file exists, so floating
point is safe here.

Every sum that the twin can form is bounded here, from the integer weights and the clamps, and must stay below 2^53.
"""

import copy
import math
from typing import cast

import torch
from torch import Tensor

from hsc.errors import HscError
from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer, TransformerBlock
from hsc.nets.fixed_point import (
    EXACT,
    EXP_BITS,
    EXP_RANGE,
    EXP_STEPS,
    HEAD_BITS,
    LATENT_BITS,
    NORM_BITS,
    STREAM_BITS,
    stream_limit,
)

LATENT_LIMIT = (1 << 10 + LATENT_BITS) - 1  # the twin clamps the latents it remembers to ± this
_NORM_BOUND = 1 << NORM_BITS  # of a normalised number: the root of a sum of squares plus ε is at least any of them


@torch.no_grad()
def integer_state(net: EntropyTransformer, num_classes: int) -> dict[str, Tensor]:
    """The state dict of `IntegerEntropyTransformer`, always on the CPU; the network may be on any device. Raises
    HscError if exact arithmetic cannot be guaranteed.
    """
    net = copy.deepcopy(net).cpu()
    width, num_rows = net.norm.weight.numel(), len(net.query_rows)
    query_rows = (net.query_rows.double() * 2**STREAM_BITS).round()
    quality_rows = (net.quality_embedding.weight.double() * 2**STREAM_BITS).round()
    _require(query_rows.abs().max() + quality_rows.abs().max(), stream_limit(width), "an embedding")
    arguments = torch.arange(EXP_RANGE * EXP_STEPS, dtype=torch.float64) / EXP_STEPS
    state = {
        "query_rows": query_rows.int(),
        "quality_rows": quality_rows.int(),
        "exponentials": (torch.exp(-arguments) * 2**EXP_BITS).round().int(),
    }
    for index, block in enumerate(net.blocks):
        state |= _prefixed(f"blocks.{index}", _block(cast(TransformerBlock, block), num_rows))
    smallest, largest = LOG_SCALE_RANGE
    per_class = (largest - smallest) / (num_classes - 1)
    norm = net.norm.weight.double() * math.sqrt(width)
    for layer, rows in enumerate(net.layer_rows):
        start = net.value_rows[rows.start : rows.stop].double()
        embed, _ = _linear(net.embed[layer].double(), start, LATENT_BITS, STREAM_BITS, LATENT_LIMIT)
        # Mean and class are both affine in the normalised stream: one matrix computes both, in units of the means.
        weight = torch.cat([net.mean_out[layer].double(), net.scale_out[layer].double() / per_class], -1)
        bias = torch.cat([net.mean_bias[layer].double(), (net.scale_bias[layer].double() - smallest) / per_class], -1)
        out, _ = _linear(weight * norm[:, None], bias, NORM_BITS, LATENT_BITS, _NORM_BOUND)
        state |= _prefixed(f"embed.{layer}", embed) | _prefixed(f"out.{layer}", out)
    return state


def _block(block: TransformerBlock, num_keys: int) -> dict[str, Tensor]:
    """Integer weights of a block that will attend to at most `num_keys` rows."""
    width = block.norm0.weight.numel()
    per_head, root = width // block.heads, math.sqrt(width)
    # A normalised vector of length 1 is the float network's ÷ √width; the softmax's 1 / √d is folded into the queries.
    qkv = block.qkv.weight.double() * block.norm0.weight.double() * root
    qkv[:width] /= math.sqrt(per_head)
    qkv_state, bound = _linear(qkv.T, torch.zeros(3 * width), NORM_BITS, HEAD_BITS, _NORM_BOUND)
    _require(2 * bound * bound * per_head, EXACT, "the difference of two attention scores")
    _require((bound + 1) * num_keys * 2**EXP_BITS, EXACT, "an attention sum")
    out_state, _ = _linear(block.out.weight.double().T, torch.zeros(width), HEAD_BITS, STREAM_BITS, bound)
    up = block.up.weight.double() * block.norm1.weight.double() * root
    up_state, bound = _linear(up.T, block.up.bias.double(), NORM_BITS, HEAD_BITS, _NORM_BOUND)
    down = block.down
    down_state, _ = _linear(down.weight.double().T, down.bias.double(), HEAD_BITS, STREAM_BITS, bound)
    states = {"qkv": qkv_state, "out": out_state, "up": up_state, "down": down_state}
    return {key: tensor for name, state in states.items() for key, tensor in _prefixed(name, state).items()}


def _linear(weight: Tensor, bias: Tensor, in_bits: int, out_bits: int, bound: float) -> tuple[dict[str, Tensor], float]:
    """Integer weights of a layer whose inputs have `in_bits` fraction bits and magnitude ≤ `bound`; its outputs' bound.

    weight: float64 [(rows,) inputs, outputs]. It gets as many fraction bits as fit int16.
    """
    largest = float(weight.abs().max())
    weight_bits = min(math.floor(math.log2(32767 / max(largest, 1e-9))), 40)
    shift = in_bits + weight_bits - out_bits
    if shift < 1:
        raise HscError(f"cannot export: a weight of {largest:.3g} does not fit 16 bits; train with more weight decay")
    integers = (weight * 2.0**weight_bits).round()
    # Adding half of the divisor turns the layer's rounding down into rounding to nearest.
    offsets = (bias.double() * 2.0 ** (in_bits + weight_bits)).round() + 2.0 ** (shift - 1)
    largest_sum = float((integers.abs().sum(-2) * bound + offsets.abs()).max())
    _require(largest_sum, EXACT, "a linear layer's sum")
    shifts = torch.tensor(shift, dtype=torch.int64)
    return {"weight": integers.to(torch.int16), "bias": offsets.long(), "shift": shifts}, largest_sum / 2**shift + 1


def _prefixed(name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{key}": tensor for key, tensor in state.items()}


def _require(bound: float | Tensor, limit: int, what: str) -> None:
    if float(bound) >= limit:
        raise HscError(
            f"cannot export: {what} could reach {float(bound):.3g}, beyond exact integers; train with more weight decay"
        )
