"""The base of the training modules: trained parts, optimisers and learning-rate schedule, steps and their logged
values, random numbers of a step.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hsc.config import Config, StageConfig, from_yaml, to_yaml
from hsc.errors import HscError
from hsc.losses import Loss
from hsc.modules.batch_slice import BatchSlice
from hsc.modules.rate_distortion import Objective
from hsc.nets.build import image_size
from hsc.validation_output import CodecOutput, LayerOutput

OBJECTIVES = ("objective", "adversarial/discriminator")  # what the optimisers minimise


class TrainableModule(pl.LightningModule):
    """Base of the modules that stages train.

    Lightning passes a step to `training_step` in `accumulate` micro-batches. Each ends with `end_micro_batch`, the last
    of them with `end_step`, which counts the step and adds what it logs to `running_means`:

    ```
    batch ──training_step──▶ values of a micro-batch ──mean──▶ of the step ──running_means──▶ of `log_every` steps
    ```
    `batches_seen` counts this stage's steps, and all its randomness is a function of (seed, step): a run that was
    killed continues with exactly the noise it would have had. `samples_seen` continues over the stages of a run.
    """

    batches_seen: Tensor

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__()
        self.config, self.stage = config, stage
        self.samples_before = samples_before
        self.size = image_size(config.model)
        self.layer_names = stage.layers or list(config.model.layers)
        self.objective = Objective(stage, self.layer_names, losses)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))
        self.step = 0
        """`batches_seen` as a Python number, read without waiting for the device"""
        self.register_load_state_dict_post_hook(_read_step)
        self.running_means = RunningMeans()
        """of the values that have not been logged yet"""
        self._micro_batches: list[Mapping[str, Tensor | float]] = []  # logged values of this step's

    @property
    def samples_seen(self) -> int:
        """Training images so far, earlier stages included: the x-axis of everything logged."""
        return self.samples_before + self.step * self.stage.batch_size

    def parts(self) -> Mapping[str, nn.Module]:
        """The parts (`hsc.config.schema.Part`) that this module has, by name."""
        raise NotImplementedError

    def networks_to_compile(self) -> list[nn.Module]:
        """The networks that take most of a step's time, for torch.compile."""
        raise NotImplementedError

    def freeze_untrained(self) -> None:
        """Freeze everything except the stage's parts."""
        self.requires_grad_(False)
        for name, part in self.parts().items():
            part.requires_grad_(name in self.stage.train)

    def parameter_groups(self, names: Iterator[str] | list[str]) -> list[dict]:
        """Adam's groups for the named parts, each with its own rate. Parameters of a trained part that lies inside
        another belong to the inner one, others that are shared to the first part.
        """
        trained = [(name, part) for name, part in self.parts().items() if name in self.stage.train]
        parts = {name: dict.fromkeys(part.parameters()) for name, part in trained}
        groups, seen = [], set[Tensor]()
        for name in names:
            if name in parts:
                inner = set[Tensor]().union(*(other for other in parts.values() if other.keys() < parts[name].keys()))
                own = [p for p in parts[name] if p.requires_grad and p not in seen | inner]
                seen.update(own)
                groups.append({"params": own, "lr": self.stage.learning_rate * self.stage.lr_scale.get(name, 1.0)})
        return groups

    def configure_optimizers(self) -> Any:
        """One optimiser for all trained parts; adversarial stages have two."""
        optimizer = torch.optim.Adam(self.parameter_groups(list(self.parts())), betas=pair(self.stage.betas), eps=1e-8)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.schedule(optimizer), "interval": "step"}}

    def schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        """Linear warm-up, then a cosine down to `final_rate`."""
        stage = self.stage

        def factor(step: int) -> float:
            if step < stage.warmup:
                return (step + 1) / (stage.warmup + 1)
            progress = (step - stage.warmup) / max(stage.steps - stage.warmup, 1)
            return stage.final_rate + (1 - stage.final_rate) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def step_generator(self, purpose: int = 0, device: torch.device | None = None) -> torch.Generator:
        """Random numbers of this step, the same in all processes and for all micro-batches: each takes its own slice of
        those drawn for the whole batch. Different purposes, numbered below 4099, give independent numbers.
        """
        generator = torch.Generator(device or self.device)
        return generator.manual_seed((self.config.seed * 1_000_003 + self.step) * 4099 + purpose)

    @property
    def batch_slice(self) -> BatchSlice:
        """Which images of the step the current micro-batch holds."""
        return self.slice_of(len(self._micro_batches))

    def slice_of(self, micro_batch: int) -> BatchSlice:
        """Which images of the step this process computes in its micro-batch of this index."""
        return BatchSlice(self.global_rank + self._processes * micro_batch, self._processes * self.stage.accumulate)

    @property
    def between_steps(self) -> bool:
        """Whether no step is partly accumulated: checkpoints hold whole steps only."""
        return not self._micro_batches

    def end_micro_batch(self, values: Mapping[str, Tensor | float]) -> dict[str, Tensor | float] | None:
        """Call once per micro-batch, with its values to log. Returns their means at a step's last one, else None."""
        self._micro_batches.append(values)
        if len(self._micro_batches) < self.stage.accumulate:
            return None
        micro_batches, self._micro_batches = self._micro_batches, []
        return mean_of(micro_batches)

    def end_step(self, values: Mapping[str, Tensor | float]) -> None:
        """Call once per step, with its values to log."""
        self.batches_seen += 1
        self.step += 1
        self.running_means.add(values)

    def take_running_means(self) -> dict[str, Tensor]:
        """Means since the last log point, over steps and processes, by name; resets them."""
        means = self.mean_over_ranks(self.running_means.values(self.device)).cpu()
        names, self.running_means = self.running_means.names, RunningMeans()
        return dict(zip(names, means, strict=True))

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # Lightning's is a descriptor
        cls, checkpoint_path: str | Path, map_location: Any = "cpu", losses: Mapping[str, Loss] | None = None
    ) -> Self:
        """The module stored in a stage's checkpoint, with the averaged weights; no other file is needed.

        losses: those to train on; without them the module encodes, decodes and validates. Nothing in the file is
        executed. Raises HscError if the checkpoint is not of this class or not hsc's.
        """
        held = torch.load(checkpoint_path, map_location=map_location, weights_only=True)
        known = held.get("hyper_parameters", {})
        if known.get("class") != cls.__name__:
            made_by = known.get("class") or "something else than hsc"
            raise HscError(f"{checkpoint_path}: is a checkpoint of {made_by}, not of {cls.__name__}")
        config = from_yaml(known["config"])
        (stage,) = config.stages.values()
        module = cls(config, stage, losses or {}, known["samples_before"])
        module.load_state_dict(held["state_dict"])
        return module

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["hyper_parameters"] = {
            "class": type(self).__name__,
            "config": to_yaml(replace(self.config, stages={"this": self.stage}, run=["this"])),
            "samples_before": self.samples_before,
        }
        if self.running_means.names:
            means = self.mean_over_ranks(self.running_means.values(self.device))
            checkpoint["window"] = self.running_means.state(means)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if "window" in checkpoint:
            self.running_means.restore(checkpoint["window"])

    def mean_over_ranks(self, value: Tensor) -> Tensor:
        """The mean over all processes of a tensor that each of them has."""
        if self._processes == 1:
            return value
        gathered = self.all_gather(value)
        assert isinstance(gathered, Tensor)
        return gathered.float().mean(0)

    @property
    def _processes(self) -> int:
        return 1 if self._trainer is None else self._trainer.world_size


class RunningMeans:
    """Means of values by name, each over the steps that logged it since the last log point. Adding is asynchronous."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self.objectives: list[Tensor] = []
        """one value per step, not finite if any of its objectives is not"""

    @property
    def names(self) -> list[str]:
        """Names of the values collected; empty just after a log point."""
        return list(self._sums)

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        of_step = [torch.as_tensor(values[name]) for name in OBJECTIVES if name in values]
        if of_step:
            self.objectives.append(torch.stack(of_step).sum())

    def values(self, device: torch.device) -> Tensor:
        """The means in the order of `names`: [names], on the device."""
        return torch.stack(
            [torch.as_tensor(total, device=device).float() / self._counts[name] for name, total in self._sums.items()]
        )

    def state(self, means: Tensor) -> dict[str, Any]:
        """The state for a checkpoint, given the means over all processes."""
        return {"means": dict(zip(self._sums, means.tolist(), strict=True)), "counts": dict(self._counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._counts = dict(state["counts"])
        self._sums = {name: mean * self._counts[name] for name, mean in state["means"].items()}


class StepCallback(pl.Callback):
    """A callback of TrainableModules with a hook for whole steps; Lightning's own hooks run for each micro-batch."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, TrainableModule)
        if pl_module.between_steps:
            self.on_step_end(trainer, pl_module)

    def on_step_end(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        """Called after every step."""
        raise NotImplementedError


def output_without_rate(originals: Tensor, names: list[str], layer: str, images: Tensor) -> CodecOutput:
    """Validation output for images [N, 3, H, W] that were not decoded from a file."""
    nothing = torch.full((len(names),), torch.nan, dtype=torch.float64)
    layers = {layer: LayerOutput(images, nothing, nothing)}
    return CodecOutput(originals, names, layers, {}, torch.empty(len(names), 0))


def mean_of(micro_batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means of the values that all micro-batches have, by name."""
    return {name: sum(values[name] for values in micro_batches) / len(micro_batches) for name in micro_batches[0]}


def pair(betas: Sequence[float]) -> tuple[float, float]:
    """Adam's β₁ and β₂ as a config holds them."""
    first, second = betas
    return first, second


def _read_step(module: nn.Module, _: Any) -> None:
    module.step = int(module.batches_seen)  # type: ignore[assignment, arg-type]
