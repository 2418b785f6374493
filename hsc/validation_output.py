"""What a codec module returns to its callbacks at validation: plain tensors by name; any module can make them."""

from typing import NamedTuple

from torch import Tensor


class LayerOutput(NamedTuple):
    """One prefix of the file, decoded. All per-image values include everything up to and including this layer."""

    images: Tensor  # [N, 3, H, W] in [-1, 1], at the size of the originals
    bits_estimated: Tensor  # [N] −log2 p of all symbols so far, by the entropy model
    file_bytes: Tensor  # [N] length of the real file up to this layer


class CodecOutput(NamedTuple):
    """The return value of a codec module's `validation_step`."""

    originals: Tensor  # [N, 3, H, W] in [-1, 1]
    names: list[str]  # N file names, unique in the data set
    layers: dict[str, LayerOutput]  # by layer name, in coding order
    symbols: dict[str, Tensor]  # [N, rows, dim] integers of each layer (its own, not cumulative)
    row_bits: Tensor  # [N, all rows] estimated bits of each row
