"""Limits in bytes: never exceeded, nearly used up, found in a few passes of the entropy model alone."""

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import hsc
from hsc.codec import Codec
from hsc.data.faces import open_faces
from hsc.errors import HscError
from hsc.qualities import PASSES, highest_within

TYPICAL = np.geomspace(25, 340, 253)


@given(
    st.lists(st.floats(0.3, 3), min_size=1, max_size=5),
    st.floats(-0.3, 0.3),
    st.integers(20, 400),
)
def test_what_is_found_fits_and_is_near_the_best(factors: list[float], bend: float, limit: int):
    """Faces whose size is a multiple of the typical bytes, with another slope."""
    curves = np.floor(np.array(factors)[:, None] * TYPICAL * np.linspace(1, 1 + bend, len(TYPICAL)))
    passes = []

    def size_of(positions: np.ndarray) -> np.ndarray:
        passes.append(positions)
        return curves[np.arange(len(curves)), positions]

    found = highest_within(size_of, len(curves), TYPICAL, limit)
    assert len(passes) <= PASSES
    for curve, position in zip(curves, found, strict=True):
        if curve[0] > limit:
            assert position == -1
        else:
            assert curve[position] <= limit
            assert curve[position] >= 0.9 * min(limit, curve[-1])


def test_sizes_that_fall_with_quality_are_no_trouble():
    sizes = np.array([30, 33, 31, 40, 38, 50, 47, 60])
    for limit in range(30, 70):
        (found,) = highest_within(lambda positions: sizes[positions], 1, np.linspace(30, 60, 8), limit)
        assert sizes[found] <= limit
        assert sizes[found] >= 0.75 * limit or limit > 60


@pytest.fixture(scope="module")
def shipped() -> Codec:
    return hsc.load("ffhq128", "cpu")


@pytest.mark.parametrize("limit", [40, 100, 340])
def test_files_of_faces_use_the_bytes_they_may(shipped: Codec, data_dir: Path, limit: int):
    """20 held-out faces here; benchmarks/any_bytes.py measures 100."""
    faces = open_faces(data_dir / "ffhq128.zip", "04000-04019")
    pictures = [faces.load(name) for name in faces.names]
    with (
        patch.object(shipped.encoder, "forward", wraps=shipped.encoder.forward) as encoder,
        patch.object(shipped, "_encode_at", wraps=shipped._encode_at) as passes,
    ):
        files = shipped.compress(pictures, bytes=limit)
    assert encoder.call_count == 1
    assert passes.call_count <= PASSES + 1
    most = torch.tensor([len(file) for file in shipped.compress(pictures, shipped.num_qualities - 1)])
    used = torch.tensor([len(file) for file in files])
    assert used.max() <= limit
    assert (used / most.clamp(max=limit)).mean() >= 0.95


def test_too_few_bytes_name_the_fewest(shipped: Codec):
    grey = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with pytest.raises(HscError, match=r"no quality fits 5 bytes: the smallest file has \d+; allow more"):
        shipped.compress(grey, bytes=5)
    with pytest.raises(HscError, match="cannot be combined"):
        shipped.compress(grey, 2, bytes=100)
