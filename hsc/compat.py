"""Makes torchvision importable beside a CPU build of torch.

hsc needs no torchvision, but lpips, torch-fidelity and onnx2torch bring it, and its wheels link against CUDA. Beside
CPU torch its C++ operators do not load, and `import torchvision` ends with "operator torchvision::nms does not exist";
pytorch-lightning and torchmetrics import it where it is installed, and fail with it. Declaring the two operators first
is enough for what these use (models, transforms). Import this before them.
"""

import sys

import torch

_declarations: torch.library.Library | None = None


def repair_torchvision() -> None:
    """Import torchvision, declaring its missing operators if that is what stops it.

    Does nothing where it is healthy or absent.
    """
    global _declarations
    if "torchvision" in sys.modules:
        return
    try:
        import torchvision
    except ModuleNotFoundError:
        return
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        # Kept alive by the module: the operators vanish with the library object.
        _declarations = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _declarations.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401


repair_torchvision()
