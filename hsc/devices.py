"""Devices on which networks run."""

import torch

from hsc.errors import HscError


def find_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; "auto": the accelerator if there is one, else the processor.

    Raises HscError for a device that this machine does not have.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        count = torch.accelerator.device_count() if accelerator and accelerator.type == device.type else 0
        if device.type == "cpu" or (device.index or 0) < count:
            return device
    except RuntimeError:
        pass
    there = ", ".join(["cpu", *([accelerator.type] if accelerator else [])])
    raise HscError(f"no device {str(name)!r} on this machine; there is: {there}")


def computes_bfloat16(device_type: str) -> bool:
    """Whether cpu, cuda or mps has instructions for bfloat16 here.

    A processor without them emulates them: convolutions then take 12 times as long as in float32.
    """
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device_type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
