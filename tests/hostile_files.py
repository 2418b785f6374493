"""Malformed and malicious files for a whole codec: each must end in a clear error, a flagged or a correct decode.

The long run (the tests make a short one):

    python tests/hostile_files.py --mutations 10000
"""

import argparse
import json
import resource
import time
from binascii import crc_hqx
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

import hsc
from hsc.codec import Codec
from hsc.coding.container import MAX_CHUNK_BYTES, MAX_FILE_BYTES, Header, read, write
from hsc.errors import HscError

GOLDEN = Path(__file__).parent / "golden"
REFUSED, FLAGGED, TRUE, SILENT = "refused", "flagged", "true", "silent"
CHECKSUM_CHANCE = 2.0**-16


class Original(NamedTuple):
    """A file and its symbols."""

    data: bytes
    symbols: list  # of each layer, as nested lists


def load_golden() -> tuple[Codec, list[Original]]:
    """The fixed tiny codec and its files."""
    files = []
    for version in (1, 2):
        known = json.loads((GOLDEN / f"codec-v{version}.json").read_text())["files"]
        read_in = [(GOLDEN / f"codec-v{version}-{case['name']}.hsc").read_bytes() for case in known]
        files += [Original(data, case["symbols"]) for data, case in zip(read_in, known, strict=True)]
    return hsc.load(GOLDEN / "codec-v1.safetensors"), files


def outcome(codec: Codec, data: bytes, original: Original) -> str:
    """How a codec handles `data`, which was made from `original`; exceptions other than HscError are not caught."""
    try:
        decoded = codec.decode([data])
        codec.synthesise(decoded.latents, decoded.quality)
    except HscError:
        return REFUSED
    symbols = [layer[0].tolist() for layer in decoded.symbols[: decoded.held[0]]]
    if read(data).header != read(original.data).header or symbols != original.symbols[: len(symbols)]:
        return SILENT
    return FLAGGED if decoded.damage[0] else TRUE


def mutated(data: bytes, generator: np.random.Generator) -> bytes:
    """One to four random edits: bytes changed, inserted, removed, repeated or swapped, bits flipped, the end cut."""
    altered = bytearray(data)
    for _ in range(generator.integers(1, 5)):
        place, other = (int(number) for number in generator.integers(0, len(altered), 2))
        match generator.integers(0, 7):
            case 0:
                altered[place] = generator.integers(0, 256)
            case 1:
                altered[place] ^= 1 << int(generator.integers(0, 8))
            case 2:
                altered.insert(place, generator.integers(0, 256))
            case 3 if len(altered) > 1:
                del altered[place]
            case 4:
                altered[place:place] = altered[max(0, place - 8) : place]
            case 5:
                altered[place], altered[other] = altered[other], altered[place]
            case 6 if place:
                del altered[place:]
    return bytes(altered)


def crafted(model_id: int) -> Iterator[tuple[str, bytes]]:
    """Headers and lengths from an attacker who knows the format; checksums are valid where that gets further."""
    header = Header(model_id, 100, 64, 64)
    start = write(header, [])
    for length in (b"\xff" * 9, b"\x80\x00", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\x80", b"\xff\xff\xff\xff\x0f"):
        yield f"length {length.hex()}", start + length + bytes(40)
    yield "another model", write(header._replace(model_id=model_id ^ 0x8000), [b""])
    yield "the largest sides", write(header._replace(width=65535, height=65535), [b""])
    yield "no side", start[:4] + bytes(5) + write(header, [b""])[5:]
    yield "a usual size the long way", start[:4] + b"\0\0\x40\0\x40" + write(header, [b""])[5:]
    yield "more layers than the model has", write(header, [b""] * 3 + [b"\xa5"])
    yield "a hundred thousand layers", write(header, [b"\xa5"] * 100_000)
    yield "a hundred thousand empty layers", write(header, [b""] * 100_000 + [b"\xa5"])
    yield "empty layers at the end", write(header, [b""]) + bytes(100)
    old = bytes([0xB1, *start[1:3], 2, 8])
    yield "an unknown level of version 1", old + b"\0" + crc_hqx(old + b"\0", 0xFFFF).to_bytes(2)
    for name, byte in (("zeros", b"\0"), ("ones", b"\xff"), ("a pattern", b"\xa5")):
        for size in (1, 64, 4096, MAX_CHUNK_BYTES):
            yield f"{size} bytes of {name}", write(header, [byte * size])
    yield "an endless escape", write(header, [b"\xff\xff\xff\xfe" + b"\xff" * 1000])
    yield "the longest chunks", write(header, [bytes(MAX_CHUNK_BYTES)] * 15)
    yield "a longer file than any", start + bytes(MAX_FILE_BYTES)
    for version in (0, 3, 15):
        yield f"version {version}", bytes([0xB0 | version]) + start[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    codec, originals = load_golden()
    for original in originals:
        assert outcome(codec, original.data, original) == TRUE
    memory, generator = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, np.random.default_rng(arguments.seed)

    def throw(name: str, files: Iterator[tuple[bytes, Original]]) -> Counter:
        counts: Counter = Counter()
        slowest = 0.0
        for data, original in files:
            begin = time.perf_counter()
            counts[outcome(codec, data, original)] += 1
            slowest = max(slowest, time.perf_counter() - begin)
        print(f"{name}: {dict(counts)}, slowest {1000 * slowest:.0f} ms", flush=True)
        return counts

    throw("every truncation", ((o.data[:length], o) for o in originals for length in range(len(o.data))))
    # Silent ones are files that an encoder could have written, with a valid checksum.
    throw("crafted", ((data, originals[0]) for _, data in crafted(codec.model_id)))
    chosen = (originals[int(generator.integers(0, len(originals)))] for _ in range(arguments.mutations))
    counts = throw("mutations", ((mutated(original.data, generator), original) for original in chosen))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(
        f"silent mutations: {counts[SILENT]}, the checksum predicts at most {arguments.mutations * CHECKSUM_CHANCE:.2f}"
    )
    print(f"memory grew by {grown:.0f} MB at most")


if __name__ == "__main__":
    main()
