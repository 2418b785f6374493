"""`compile: true`: a codec stage's networks through torch.compile."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import nn


class CompiledNetworks(pl.Callback):
    """Compiles the networks of a step; validation, whose batches have other sizes, runs as ever.

    Where nothing can be compiled, training says why and goes on without.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        missing = why_not(pl_module.device)
        if missing:
            rank_zero_warn(f"compile: {missing}; trains without it")
            return
        for network in networks(pl_module):
            network.compile(dynamic=False)  # in place: names of weights stay as they are

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        torch.compiler.set_stance("default")


def networks(module: Any) -> list[nn.Module]:
    """What takes the time of a codec's step. Entropy model and gains are many small calls, which compiling slows."""
    return [module.encoder.net, module.decoder.generator.synthesis_network]


def why_not(device: torch.device) -> str:
    """Why nothing can be compiled for this device; empty where it can."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:  # the compilers' errors have no common class
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        need = "a C++ compiler such as g++" if device.type == "cpu" else "Triton and a C compiler such as gcc"
        return f"torch.compile does not work here, it needs {need} ({reason.strip()})"
    return ""
