"""Where networks run."""

import torch

from hsc.errors import HscError


def find_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; "auto": the accelerator where there is one, else the processor.

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
