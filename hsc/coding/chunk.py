"""Symbols of one layer ↔ the bytes of its chunk, by range coding."""

from collections.abc import Callable, Iterator
from typing import Any

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsc.coding.tables import LARGEST_SYMBOL, TOTAL, Categorical, FrequencyTable, fold, unfold
from hsc.errors import HscError

_RangeEncoder = constriction.stream.queue.RangeEncoder
_RangeDecoder = constriction.stream.queue.RangeDecoder
_WORD = 32  # bits of constriction's words; its state has two
_FAIR = Categorical(np.full(2, TOTAL / 2 - 1), perfect=False)  # one raw bit of an escape code
_MAX_LENGTH = 31  # bits after the leading one of the largest gamma code


def encode_chunk(symbols: ArrayLike, classes: ArrayLike, table: FrequencyTable) -> bytes:
    """Code integers under their scale classes into the fewest bytes that decode to them.

    symbols: [n] integers of magnitude up to 2^31 − 1; those beyond the table are escaped, never clamped.
    classes: [n] rows of the table.
    No symbols give no bytes.
    """
    symbols = _checked("symbols", symbols, -LARGEST_SYMBOL, LARGEST_SYMBOL)
    classes = _checked("classes", classes, 0, table.num_classes - 1)
    if symbols.shape != classes.shape:
        raise ValueError(f"{len(symbols)} symbols but {len(classes)} classes")
    encoder = _RangeEncoder()
    encode, models, escape = encoder.encode, table.models, table.escape
    # One call per symbol takes 0.12 µs. constriction's array calls need a row of frequencies for each symbol (slower
    # with these wide rows) or symbols sorted by class (slower below 600), and cannot stop at an escape.
    for number, row in zip(fold(symbols).tolist(), classes.tolist(), strict=True):
        if number < escape:
            encode(number, models[row])
        else:
            encode(escape, models[row])
            for bit in _gamma_code(number - escape + 1):
                encode(bit, _FAIR)
    return _shortest_bytes(encoder)


def decode_chunk(payload: bytes, classes: ArrayLike, table: FrequencyTable) -> NDArray[np.int32]:
    """The symbols of a chunk, one for each class. Bytes after the end of the payload are read as zeros.

    Raises HscError if the payload is not exactly what encoding these symbols gives: damaged, truncated or too long.
    """
    classes = _checked("classes", classes, 0, table.num_classes - 1)
    padded = payload.ljust(-(-len(payload) * 8 // _WORD) * _WORD // 8, b"\0")
    decode = _RangeDecoder(np.frombuffer(padded, dtype=">u4").astype(np.uint32)).decode
    models, escape = table.models, table.escape
    try:
        folded = [
            number if (number := decode(models[row])) < escape else escape + _decode_excess(decode) - 1
            for row in classes.tolist()
        ]
    except AssertionError as error:  # constriction's sign that no encoder wrote these bytes
        raise HscError("damaged chunk: its bytes are not a coded layer; get the file again") from error
    if max(folded, default=0) > 2 * LARGEST_SYMBOL:
        raise HscError("damaged chunk: a symbol is too large; get the file again")
    symbols = unfold(np.array(folded, dtype=np.int64))
    if encode_chunk(symbols, classes, table) != payload:
        raise HscError("damaged chunk: its length does not match its content; get the file again")
    return symbols


def _decode_excess(decode: Callable[[Any], int]) -> int:
    """Read an Elias gamma code no longer than that of the largest symbol."""
    length, excess = 0, 1
    while length <= _MAX_LENGTH and decode(_FAIR):
        length += 1
    for _ in range(length):
        excess = 2 * excess + decode(_FAIR)
    return excess


def _gamma_code(number: int) -> Iterator[int]:
    """Elias gamma: as many ones as there are bits after the leading one, a zero, then those bits, highest first."""
    length = number.bit_length() - 1
    yield from [1] * length
    yield 0
    for shift in reversed(range(length)):
        yield number >> shift & 1


def _shortest_bytes(encoder: Any) -> bytes:
    """The shortest bytes that, followed by infinitely many zeros, are a number inside the encoder's final interval.

    constriction would flush one or two whole words that are safe whatever follows; here, by definition, zeros follow.
    """
    num_words, (lower, size) = encoder.pos()
    total = num_words * _WORD + 2 * _WORD  # bits of the interval's ends
    flushed = encoder.get_compressed().astype(">u4").tobytes()
    inside = int.from_bytes(flushed.ljust(total // 8, b"\0"))
    # `lower` is the low end modulo 2^64, `inside` a number in the interval with all its words, carries resolved.
    low = inside - (inside - lower) % (1 << 2 * _WORD)
    high = low + size - 1
    if low == 0:
        return b""
    # Some number in low … high ends in as many zero bits as lie below the highest bit where low − 1 and high differ.
    zero_bytes = (((low - 1) ^ high).bit_length() - 1) // 8
    return (high >> 8 * zero_bytes).to_bytes(total // 8 - zero_bytes)


def _checked(what: str, values: ArrayLike, low: int, high: int) -> NDArray[np.integer]:
    """One row of integers in low … high."""
    values = np.asarray(values)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise ValueError(f"{what} must be one row of integers, not {values.ndim}-d {values.dtype}")
    if values.size and not low <= int(values.min()) <= int(values.max()) <= high:
        raise ValueError(f"{what} reach from {values.min()} to {values.max()}, beyond {low} … {high}")
    return values.astype(np.int64)
