"""The integer twin: equal to its specification, identical under every setting, and close to the float network."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from integer_network_by_the_book import Network

from hsc.coding.chunk import decode_chunk, encode_chunk
from hsc.coding.tables import FrequencyTable
from hsc.errors import HscError
from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer
from hsc.nets.entropy_integer import IntegerEntropyTransformer
from hsc.nets.fixed_point import LATENT_BITS
from hsc.nets.quantise import gaussian_bits

SHAPE = {"bands": [(2, 12), (3, 12), (2, 12)], "num_qualities": 3, "width": 64, "depth": 2, "heads": 4}
ONE = 1 << LATENT_BITS
PER_LEVEL = 127  # positions between neighbouring levels, of three
GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "entropy-v1.json").read_text())


def synthetic_latents(count: int, generator: torch.Generator) -> torch.Tensor:
    """[count, 7, 12]: every row mixes a hidden cause with noise, whose size depends on that cause."""
    mixing = torch.randn(6, 7 * 12, generator=torch.Generator().manual_seed(9))
    cause = torch.randn(count, 6, generator=generator)
    loudness = torch.exp(0.7 * cause[:, :1])
    noise = torch.randn(count, 7 * 12, generator=generator) * 0.7 * loudness
    return (cause.tanh() @ mixing * 1.5 + noise).view(count, 7, 12)


def latent_gain(quality: torch.Tensor) -> torch.Tensor:
    return 0.6 * 2.0 ** quality[:, None, None]


@pytest.fixture(scope="module")
def trained() -> EntropyTransformer:
    """A small float network trained for 100 steps on the rate of synthetic latents."""
    torch.manual_seed(0)
    net = EntropyTransformer(**SHAPE)
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(100):
        quality = torch.randint(0, 3, (32,), generator=generator)
        latents = synthetic_latents(32, generator) * latent_gain(quality)
        noisy = latents + torch.rand(latents.shape, generator=generator) - 0.5
        memory, bits = net.begin(quality), torch.zeros(())
        for layer, rows in enumerate(net.layer_rows):
            target = noisy[:, rows.start : rows.stop]
            mean, log_scale = net.predict(memory, layer)
            bits = bits + gaussian_bits(target - mean, log_scale).sum() / 32
            memory = net.observe(memory, layer, target)
        optimizer.zero_grad()
        bits.backward()
        optimizer.step()
    return net.eval()


@pytest.fixture(scope="module")
def twin(trained) -> IntegerEntropyTransformer:
    return IntegerEntropyTransformer.from_float(trained)


@pytest.fixture(scope="module")
def faces() -> tuple[torch.Tensor, torch.Tensor]:
    """Positions at and between levels, and scaled latents, of 12 unseen examples."""
    generator = torch.Generator().manual_seed(2)
    position = torch.arange(12) * 83 % 255
    return position, synthetic_latents(12, generator) * latent_gain(position / PER_LEVEL)


def code(twin, position, latents):
    """Symbols, classes and means of all rows, as an encoder computes them from rounded residuals."""
    progress, symbols, classes, means = twin.begin(position), [], [], []
    for rows in twin.layer_rows:
        mean, scale_class = progress.expected
        residual = latents[:, rows.start : rows.stop].double() - mean.double() / ONE
        symbols.append(residual.round().long())
        classes.append(scale_class)
        means.append(mean)
        progress = twin.advance(progress, symbols[-1] * ONE + mean)
    assert progress.expected is None
    return torch.cat(symbols, 1), torch.cat(classes, 1), torch.cat(means, 1)


def fingerprint(results) -> str:
    return hashlib.sha256(b"".join(result.contiguous().numpy().tobytes() for result in results)).hexdigest()


def test_the_rate_is_the_float_networks(trained, twin):
    """Within 0.2 % of the float network's Gaussians, and within 0.05 % when those are coded with the same table."""
    generator = torch.Generator().manual_seed(3)
    position = torch.arange(600) % 255
    quality = position / PER_LEVEL
    latents = synthetic_latents(600, generator) * latent_gain(quality)
    table, ideal, tabled = FrequencyTable.gaussian(), 0.0, 0.0
    with torch.no_grad():
        memory = trained.begin(quality)
        for layer, rows in enumerate(trained.layer_rows):
            mean, log_scale = trained.predict(memory, layer)
            symbols = (latents[:, rows.start : rows.stop] - mean).round()
            ideal += float(gaussian_bits(symbols.double(), log_scale.double()).sum())
            nearest = np.abs(log_scale.flatten().numpy()[:, None] - np.log(table.scales)).argmin(1)
            tabled += table.bits(symbols.flatten().long().numpy(), nearest).sum()
            memory = trained.observe(memory, layer, symbols + mean)
    symbols, classes, _ = code(twin, position, latents)
    actual = table.bits(symbols.flatten().numpy(), classes.flatten().numpy()).sum()
    assert 1 < ideal / symbols.numel() < 4  # bits per number: a rate at which the comparison is meaningful
    assert actual < 1.002 * ideal
    assert actual == pytest.approx(tabled, rel=5e-4)


def test_classes_are_rows_of_the_default_table():
    """Both are log-spaced over LOG_SCALE_RANGE; the table's arguments are literals since coding cannot import nets."""
    scales = FrequencyTable.gaussian().scales
    assert np.log(scales) == pytest.approx(np.linspace(*LOG_SCALE_RANGE, 64))


def test_the_specification_gives_the_same_integers(twin, faces):
    position, latents = faces
    _, classes, means = code(twin, position[:2], latents[:2] * 100)
    state = {name: tensor.tolist() for name, tensor in twin.state_dict().items()}
    for index in range(2):
        book = Network(state, [rows for rows, _ in SHAPE["bands"]], SHAPE["heads"], int(position[index]))
        for layer, rows in enumerate(twin.layer_rows):
            expected_means, expected_classes = book.predict(layer, 64)
            mine = means[index, rows.start : rows.stop]
            assert mine.tolist() == expected_means
            assert classes[index, rows.start : rows.stop].tolist() == expected_classes
            residual = latents[index, rows.start : rows.stop].double() * 100 - mine.double() / ONE
            book.observe(layer, (residual.round().long() * ONE + mine).tolist())


@pytest.mark.parametrize(("threads", "split"), [(1, 1), (2, 5)])
def test_results_do_not_depend_on_batches_or_threads(twin, faces, threads, split):
    position, latents = faces
    expected = fingerprint(code(twin, position, latents))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        parts = [code(twin, q, y) for q, y in zip(position.split(split), latents.split(split), strict=True)]
    finally:
        torch.set_num_threads(before)
    assert fingerprint(torch.cat(part) for part in zip(*parts, strict=True)) == expected


def test_results_do_not_depend_on_memory_layout(twin, faces):
    position, latents = faces
    expected = code(twin, position, latents)
    transposed = latents.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert not transposed.is_contiguous()
    assert fingerprint(code(twin, position, transposed)) == fingerprint(expected)
    progress, latents = twin.begin(position), torch.zeros(12, 2, 12, dtype=torch.int64)
    progress = twin.advance(progress, latents)
    strided = progress._replace(keys=tuple(k.swapaxes(1, 2).copy().swapaxes(1, 2) for k in progress.keys))
    latents = torch.ones(12, 3, 12, dtype=torch.int64)
    assert fingerprint(twin.advance(strided, latents).expected) == fingerprint(twin.advance(progress, latents).expected)


def test_a_reloaded_twin_is_the_same(twin, faces):
    position, latents = faces
    reloaded = IntegerEntropyTransformer(**SHAPE)
    reloaded.load_state_dict(twin.state_dict())
    assert not any(tensor.is_floating_point() for tensor in twin.state_dict().values())
    expected = fingerprint(code(twin, position, latents))
    assert fingerprint(code(reloaded, position, latents)) == expected
    assert fingerprint(code(reloaded.float(), position, latents)) == expected


def test_extreme_latents_stay_exact_and_decodable(twin, faces):
    """Clamps, escapes and the largest sums: symbols of meaningless latents still decode."""
    position, latents = faces
    latents = latents.sign() * 10.0 ** torch.arange(12)[:, None, None].clamp(max=9)
    symbols, classes, _ = code(twin, position, latents)
    table = FrequencyTable.gaussian()
    for index in (0, 3, 11):
        progress = twin.begin(position[index : index + 1])
        for rows in twin.layer_rows:
            mean, scale_class = progress.expected
            own, of_class = symbols[index, rows.start : rows.stop], scale_class.flatten().numpy()
            assert torch.equal(scale_class[0], classes[index, rows.start : rows.stop])
            payload = encode_chunk(own.flatten().numpy(), of_class, table)
            decoded = torch.from_numpy(decode_chunk(payload, of_class, table)).long()
            assert torch.equal(decoded.view_as(own), own)
            progress = twin.advance(progress, decoded.view_as(mean) * ONE + mean)


def test_golden_parameters():
    """Weights come from a formula, so no export is involved; these results must never change in version 1."""
    twin = IntegerEntropyTransformer(bands=[(1, 4), (2, 4)], num_qualities=2, width=16, depth=2, heads=2)
    state = {}
    for name, tensor in twin.state_dict().items():
        mixed = (torch.arange(tensor.numel()) * 2654435761 + len(name) * 40503) % 2**32 >> 16
        values = {"weight": mixed - 32768, "bias": (mixed - 32768) * 4096, "shift": mixed * 0 + 18}.get(
            name.rpartition(".")[2], (mixed - 32768) // 16
        )
        state[name] = values.view(tensor.shape).to(tensor.dtype)
    state["exponentials"] = (65536 - 8 * torch.arange(8192)).int()
    twin.load_state_dict(state)
    first = twin.begin(torch.tensor([255]))  # level 1 of two
    second = twin.advance(first, torch.tensor([[[1024, -3000, 70000, 2**30]]]))
    results = [tensor.flatten().tolist() for tensor in (*first.expected, *second.expected)]
    assert results == GOLDEN["parameters"]


def test_weights_beyond_exact_arithmetic_are_refused():
    net = EntropyTransformer(**SHAPE)
    with torch.no_grad():
        net.blocks[0].qkv.weight.mul_(1e5)
    with pytest.raises(HscError, match="cannot export"):
        IntegerEntropyTransformer.from_float(net)
    net = EntropyTransformer(**SHAPE)
    with torch.no_grad():
        net.query_rows.mul_(1e5)
    with pytest.raises(HscError, match="an embedding"):
        IntegerEntropyTransformer.from_float(net)
