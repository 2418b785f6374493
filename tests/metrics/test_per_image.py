"""Per-image tables: the result does not depend on order, repetition or the split among processes."""

import hashlib

import pytest
import torch

from hsc.metrics.per_image import PerImage, PerImageMean, image_keys
from hsc.metrics.rate import BitsPerPixel, SymbolCounts


def names(count: int) -> list[str]:
    return [f"{index:05d}.jpg" for index in range(count)]


def test_keys_are_fixed_and_distinct():
    keys = image_keys(names(10_000))
    assert len(keys.unique()) == 10_000
    # The first 8 bytes of BLAKE2b, little endian: the same on every machine.
    digest = hashlib.blake2b(b"00000.jpg", digest_size=8).digest()
    assert image_keys(["00000.jpg"]).item() == int.from_bytes(digest, "little", signed=True)


def test_order_and_batches_do_not_matter():
    values = torch.rand(101, 3, generator=torch.Generator().manual_seed(0))
    together, apart = PerImage(), PerImage()
    together.update(names(101), values)
    order = torch.randperm(101, generator=torch.Generator().manual_seed(1))
    for part in order.split(7):
        apart.update([names(101)[index] for index in part], values[part])
    for one, other in zip(together.compute(), apart.compute(), strict=True):
        assert torch.equal(one, other)


def test_an_image_that_came_twice_counts_once():
    mean = PerImageMean("psnr")
    mean.update(["a", "b", "a"], torch.tensor([1.0, 5.0, 1.0]))
    assert mean.compute()["psnr"].item() == 3


def test_means_are_float64():
    mean = PerImageMean("value")
    mean.update(["a", "b"], torch.tensor([2.0**30, 1.0]))
    assert mean.compute()["value"].item() == (2**30 + 1) / 2


def test_without_images_there_is_no_mean():
    mean = PerImageMean("value")
    mean.update([], torch.empty(0))
    assert mean.compute() == {}


def test_names_must_match_values():
    with pytest.raises(ValueError, match="1 names for 2 values"):
        PerImage().update(["a"], torch.zeros(2))


def test_rates_count_bytes_of_the_file():
    rate = BitsPerPixel()
    rate.update(["a", "b"], torch.tensor([100, 300]), torch.tensor([790.0, 2390.0]), torch.tensor([40, 60]), 64 * 32)
    assert {name: value.item() for name, value in rate.compute().items()} == {
        "bytes": 200,
        "bpp": 8 * 200 / 2048,
        "bpp_estimated": 1590 / 2048,
        "bpp_layer": 8 * 150 / 2048,
    }


def test_a_rate_that_nobody_knows_is_left_out():
    rate = BitsPerPixel()
    unknown = torch.full((2,), torch.nan)
    rate.update(["a", "b"], unknown, unknown, torch.zeros(2), 64)
    assert rate.compute() == {}


def test_counts_of_symbols_clip_at_the_ends_and_count_repeated_images_once():
    counts = SymbolCounts(limit=2)
    counts.update(["a", "b"], torch.tensor([[[0, 0], [1, -9]], [[2, 0], [7, -1]]]))
    counts.update(["a"], torch.tensor([[[0.0, 0.0], [1.0, -9.0]]]))
    assert counts.compute().tolist() == [1, 1, 3, 1, 2]
