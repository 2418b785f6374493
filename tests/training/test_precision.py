"""`precision: auto` picks what the device computes natively."""

import pytest
import torch

from hsc.training.trainer import fitting_precision


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "expected"),
    [(False, False, "32-true"), (True, False, "bf16-mixed"), (False, True, "bf16-mixed")],
)
def test_on_a_processor(monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool, amx: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert fitting_precision("auto", "cpu") == expected


def test_what_was_asked_for_is_what_runs() -> None:
    assert fitting_precision("32-true", "gpu") == "32-true"
