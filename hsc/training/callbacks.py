"""The callbacks of a stage: moving average of the weights, compilation, logging, early stopping, and the callbacks that
measure.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from hsc import callbacks
from hsc.callbacks.base import described_metrics
from hsc.config import Config, to_yaml
from hsc.errors import HscError
from hsc.judges import NotAvailable, load_judge
from hsc.metrics.info import distance_names, logged_name
from hsc.metrics.own import own_metrics, write_own_metrics
from hsc.modules.base import StepCallback, TrainableModule
from hsc.training.checkpoints import check_finite

RAMP_UP = 0.05
BEST = "best.ckpt"


class HalfLifeAveraging(WeightAveraging):
    """Exponential average with a half-life in images, shorter at the start (5 % of the images so far, as in StyleGAN2).

    It is kept on the weights' device and updated without waiting for it. Validation, checkpoints' `state_dict` and the
    end of training use the average; training continues from the current weights.
    """

    def __init__(self, half_life_images: float, batch_size: int) -> None:
        self.half_life_images, self.batch_size = half_life_images, batch_size
        super().__init__(use_buffers=False, multi_avg_fn=self._follow)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device  # the module itself is moved there later
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()  # read in every step

    def _follow(self, averaged: Any, current: Any, _: Any) -> None:
        assert self._average_model is not None
        torch._foreach_lerp_(averaged, current, 1 - self._decay(int(self._average_model.n_averaged)))

    def _decay(self, updates: int) -> float:
        half_life = min(self.half_life_images, max(updates, 1) * self.batch_size * RAMP_UP)
        return 0.5 ** (self.batch_size / max(half_life, 1e-8))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # If a resumed run has no steps left, Lightning skips on_train_end, which puts the average in place.
        self.on_train_end(trainer, pl_module)


class CompiledNetworks(pl.Callback):
    """`compile: true`: compiles a step's networks with torch.compile; validation, with other batch sizes, runs eagerly.

    If compilation is not possible, training warns and continues without it.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainableModule)
        missing = why_not_compiled(pl_module.device)
        if missing:
            rank_zero_warn(f"compile: {missing}; trains without it")
            return
        for network in pl_module.networks_to_compile():
            network.compile(dynamic=False)  # in place: names of weights stay as they are

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        torch.compiler.set_stance("default")


def why_not_compiled(device: torch.device) -> str:
    """Why nothing can be compiled for this device; empty if it can."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:  # the compilers' errors have no common class
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        need = "a C++ compiler such as g++" if device.type == "cpu" else "Triton and a C compiler such as gcc"
        return f"torch.compile does not work here, it needs {need} ({reason.strip()})"
    return ""


class TrainingCurves(StepCallback):
    """Logs `train/…`, means over `log_every` steps (or fewer at the end of the stage), with `samples_seen`, and checks
    that training has not diverged. Only then does a step wait for the device.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_step_end(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        if module.step % module.stage.log_every == 0 or module.step == module.stage.steps:
            self._log(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainableModule)
        self._log(trainer, pl_module)  # of a stage that stopped early

    def _log(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        if not module.running_means.names:
            return
        check_finite(trainer, module, self.stage)
        values = {f"train/{name}": value for name, value in module.take_running_means().items()}
        trainer.callback_metrics.update(values)
        for logger in trainer.loggers:
            logger.log_metrics(
                {name: float(value) for name, value in values.items()} | {"samples_seen": float(module.samples_seen)},
                module.step,
            )


class OwnMetrics(pl.Callback):
    """Records beside the stage's log which direction is better for the metrics of the user's own judges."""

    def __init__(self, stage: Path) -> None:
        self._stage = stage

    @rank_zero_only
    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        write_own_metrics(self._stage, own_metrics(described_metrics(trainer).values()))


class Selection(NamedTuple):
    """A stage keeps its best weights by `monitor`, and ends after `patience` validations without improvement."""

    monitor: str
    patience: int


class EarlyStop(callbacks.BestValueCallback):
    """Ends training after `patience` validations that did not improve `monitor`; keeps the best averaged weights.

    Small sets are memorised within minutes: the last weights are then not the best. A resumed run continues the count.
    Raises HscError at the first validation that does not report `monitor`, and if it is not known which direction is
    better.

    With `patience` 0 it only keeps the best, if validation reports `monitor` at all.
    """

    def __init__(self, folder: Path, monitor: str, patience: int) -> None:
        super().__init__(monitor)
        self._file, self.patience = folder / BEST, patience
        self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.waited = state_dict["waited"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        if self.patience and self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(name for name in trainer.callback_metrics if name.startswith("val/")))
            raise HscError(f"config: monitor: validation does not report {self.monitor!r}; it reports {known}")
        before = self.best
        super().on_validation_end(trainer, pl_module)
        if self.best is not before:
            self.waited = 0
            # On every process: Lightning gathers their states. The averaging callback puts its weights into the file.
            trainer.save_checkpoint(self._file, weights_only=True)
            return
        self.waited += 1
        trainer.should_stop = 0 < self.patience <= self.waited

    def load_best(self, module: pl.LightningModule) -> None:
        """Give the module the weights of the best validation."""
        if self.best:
            held = torch.load(self._file, map_location="cpu", mmap=True, weights_only=True)
            module.load_state_dict(held["state_dict"])

    def remove(self) -> None:
        """Delete the file, once the weights have been saved for good."""
        self._file.unlink(missing_ok=True)


def report_callbacks(config: Config, name: str) -> list[pl.Callback]:
    """Pictures for every stage; judges of the decoded images, or of the faces that a prior samples; rate if the stage
    writes files.
    """
    stage, judges = config.stages[name], config.judges
    reports: list[pl.Callback] = [callbacks.ProvenanceCallback(to_yaml(config)), callbacks.SampleGridCallback()]
    if stage.module == "prior":
        if judges.distribution != "none":
            reports.append(callbacks.GeneratedFacesCallback(judges.distribution, judges.distribution_faces))
    else:
        reports.append(callbacks.PerceptualCallback({logged_name(judge): judge for judge in judges.perceptual}))
        if judges.identity != "none":
            reports.append(callbacks.IdentityAccuracyCallback(judges.identity))
        if judges.landmarks != "none":
            reports.append(callbacks.LandmarkErrorCallback(judges.landmarks))
        if judges.distribution != "none":
            reports.append(callbacks.FIDCallback(judges.distribution))
        if stage.quantises:
            reports += [callbacks.BppCallback(), callbacks.SymbolStatisticsCallback()]
        reports.append(callbacks.WandbTableCallback())
    return reports


def monitored(config: Config, name: str) -> str:
    """The logged value that decides which of a stage's validations is the best: the distribution distance of the faces
    that a prior generates, if that is measured, else the stage's `monitor`."""
    stage = config.stages[name]
    if not stage.patience and stage.module == "prior" and config.judges.distribution != "none":
        with suppress(NotAvailable):
            _, distance = distance_names(load_judge(config.judges.distribution))
            return f"val/generated/{distance}"
    return stage.monitor


def choose_selection(config: Config, name: str) -> Selection | None:
    """How validation chooses the weights to keep: for early stopping, or for the most realistic faces of a prior; None
    to keep the last weights."""
    monitor, patience = monitored(config, name), config.stages[name].patience
    return Selection(monitor, patience) if patience or monitor.startswith("val/generated/") else None
