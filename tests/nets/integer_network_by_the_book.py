"""docs/bitstream.md's "Entropy parameters" in Python integers: no torch, no floats, no fast paths."""

from math import isqrt


def linear(layer: dict, x: list[int], row: int | None = None) -> list[int]:
    weight, bias, shift = layer["weight"], layer["bias"], layer["shift"]
    if row is not None:
        weight, bias = weight[row], bias[row]
    return [(sum(a * w[j] for a, w in zip(x, weight, strict=True)) + bias[j]) >> shift for j in range(len(bias))]


def normalise(x: list[int]) -> list[int]:
    epsilon = (len(x) * 2**22 + 500_000) // 1_000_000
    length = isqrt(sum(a * a for a in x) + epsilon)
    return [(a << 18) // length for a in x]


def attend(
    exponentials: list[int], heads: int, query: list[int], known: list[tuple[list[int], list[int]]]
) -> list[int]:
    """The values of the known (key, value) pairs, weighted by how well their keys match the query."""
    size = len(query) // heads
    attended = []
    for first in range(0, len(query), size):
        part = slice(first, first + size)
        scores = [sum(q * k for q, k in zip(query[part], key[part], strict=True)) for key, _ in known]
        weights = [exponentials[min(max(scores) - score >> 15, 8191)] for score in scores]
        for column in zip(*(value[part] for _, value in known), strict=True):
            attended.append(sum(w * v for w, v in zip(weights, column, strict=True)) // sum(weights))
    return attended


class Network:
    """`state`: the stored integers as nested lists by name; `rows`: rows of each layer; `quality`: a byte."""

    def __init__(self, state: dict, rows: list[int], heads: int, quality: int) -> None:
        self.state, self.heads = state, heads
        self.rows = [range(sum(rows[:i]), sum(rows[: i + 1])) for i in range(len(rows))]
        levels = state["quality_rows"]
        apart = 255 // max(len(levels) - 1, 1)
        level, past = divmod(quality, apart)
        above = levels[min(level + 1, len(levels) - 1)]
        self.quality = [
            ((apart - past) * a + past * b + apart // 2) // apart for a, b in zip(levels[level], above, strict=True)
        ]
        self.depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks"))
        self.memory: list[list[tuple[list[int], list[int]]]] = [[] for _ in range(self.depth)]
        squares = 2**50 - 2**40 - (len(self.quality) * 2**22 + 500_000) // 1_000_000
        self.limit = isqrt(squares // len(self.quality))

    def linear_of(self, name: str) -> dict:
        return {part: self.state[f"{name}.{part}"] for part in ("weight", "bias", "shift")}

    def clamp(self, x: list[int]) -> list[int]:
        return [max(-self.limit, min(self.limit, a)) for a in x]

    def blocks(self, stream: list[list[int]]) -> tuple[list[list[int]], list[list[tuple[list[int], list[int]]]]]:
        """The tokens after all blocks, and the keys and values they add to each block's memory."""
        added = []
        for index in range(self.depth):
            name, width = f"blocks.{index}", len(self.quality)
            qkv = [linear(self.linear_of(f"{name}.qkv"), normalise(x)) for x in stream]
            added.append([(a[width : 2 * width], a[2 * width :]) for a in qkv])
            known = self.memory[index] + added[-1]
            for t, x in enumerate(stream):
                attended = attend(self.state["exponentials"], self.heads, qkv[t][:width], known)
                x = self.clamp([a + b for a, b in zip(x, linear(self.linear_of(f"{name}.out"), attended), strict=True)])
                hidden = [max(a, 0) for a in linear(self.linear_of(f"{name}.up"), normalise(x))]
                down = linear(self.linear_of(f"{name}.down"), hidden)
                stream[t] = self.clamp([a + b for a, b in zip(x, down, strict=True)])
        return stream, added

    def predict(self, layer: int, num_classes: int) -> tuple[list[list[int]], list[list[int]]]:
        queries = [
            [a + b for a, b in zip(self.state["query_rows"][r], self.quality, strict=True)] for r in self.rows[layer]
        ]
        stream, _ = self.blocks(queries)
        outputs = [linear(self.linear_of(f"out.{layer}"), normalise(x), row) for row, x in enumerate(stream)]
        dim = len(outputs[0]) // 2
        classes = [[max(0, min(num_classes - 1, a + 512 >> 10)) for a in output[dim:]] for output in outputs]
        return [output[:dim] for output in outputs], classes

    def observe(self, layer: int, latents: list[list[int]]) -> None:
        stream = []
        for row, values in enumerate(latents):
            clamped = [max(-(2**20) + 1, min(2**20 - 1, value)) for value in values]
            embedded = linear(self.linear_of(f"embed.{layer}"), clamped, row)
            stream.append(self.clamp([a + b for a, b in zip(embedded, self.quality, strict=True)]))
        _, added = self.blocks(stream)
        for memory, new in zip(self.memory, added, strict=True):
            memory += new
