"""Makes torchvision importable beside a CPU build of torch.

hsc does not need torchvision, but lpips, torch-fidelity and onnx2torch depend on it, and its wheels link against CUDA.
With CPU torch its C++ operators do not load, and `import torchvision` fails with "operator torchvision::nms does not
exist"; pytorch-lightning and torchmetrics import it if it is installed, and fail too. Declaring the two operators first
is enough for the parts they use (models, transforms). Import this module before them.
"""

import sys

import torch

_declarations: torch.library.Library | None = None


def repair_torchvision() -> None:
    """Import torchvision, declaring its missing operators if the import fails because of them.

    Does nothing if torchvision works or is absent.
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
        # Kept alive by the module: the operators are removed with the library object.
        _declarations = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            _declarations.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision  # noqa: F401


repair_torchvision()
