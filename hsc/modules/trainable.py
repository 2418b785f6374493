"""What the training modules share: parts that learn, optimisers, counters, randomness that belongs to the step."""

import math
from collections.abc import Iterator, Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from hsc.config import Config, StageConfig
from hsc.modules.share import Share
from hsc.nets.build import image_size


class TrainableModule(pl.LightningModule):
    """Base of `PriorModule`, `CodecModule` and `EntropyStageModule`.

    `batches_seen` counts this stage's batches, and all its randomness is a function of (seed, batch): a run that was
    killed continues with exactly the noise it would have had. `samples_seen` goes on over the stages of a run.
    """

    batches_seen: Tensor

    def __init__(self, config: Config, stage: StageConfig, samples_before: int = 0) -> None:
        super().__init__()
        self.config, self.stage = config, stage
        self.samples_before = samples_before
        self.size = image_size(config.model)
        self.layer_names = stage.layers or list(config.model.layers)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))
        self._values_of_parts: list[Mapping[str, Tensor | float]] = []

    @property
    def samples_seen(self) -> int:
        """Training images so far, earlier stages included: the x-axis of everything logged."""
        return self.samples_before + int(self.batches_seen) * self.stage.batch_size

    def parts(self) -> Mapping[str, nn.Module]:
        """The parts of PARTS that this module has, by name."""
        raise NotImplementedError

    def freeze_untrained(self) -> None:
        """Leave only the stage's parts learning."""
        self.requires_grad_(False)
        for name, part in self.parts().items():
            part.requires_grad_(name in self.stage.train)

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's β₁ and β₂."""
        first, second = self.stage.betas
        return first, second

    def parameter_groups(self, names: Iterator[str] | list[str]) -> list[dict]:
        """Adam's groups for the named parts, each with its own rate. What parts share learns with the first of them."""
        groups, seen = [], set[Tensor]()
        for name in names:
            if name in self.stage.train:
                own = [parameter for parameter in self.parts()[name].parameters() if parameter not in seen]
                seen.update(own)
                groups.append({"params": own, "lr": self.stage.learning_rate * self.stage.rates.get(name, 1.0)})
        return groups

    def schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        """Linear warm-up, then a cosine down to `final_rate`."""
        stage = self.stage

        def factor(step: int) -> float:
            if step < stage.warmup:
                return (step + 1) / (stage.warmup + 1)
            progress = (step - stage.warmup) / max(stage.steps - stage.warmup, 1)
            return stage.final_rate + (1 - stage.final_rate) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def step_generator(self, rank: int = 0) -> torch.Generator:
        """Random numbers of this batch: the same on all ranks, unless each asks for its own."""
        generator = torch.Generator(self.device)
        seed = (self.config.seed * 1_000_003 + int(self.batches_seen)) * 4099 + rank
        return generator.manual_seed(seed)

    @property
    def share(self) -> Share:
        """Which images of the step are computed now."""
        return Share(
            self.global_rank + self._processes * len(self._values_of_parts), self._processes * self.stage.accumulate
        )

    def count_part(self, values: Mapping[str, Tensor | float]) -> None:
        """To be called once a share of a step; with the last of this process, counts the step and logs the mean."""
        self._values_of_parts.append(values)
        if len(self._values_of_parts) < self.stage.accumulate:
            return
        parts, self._values_of_parts = self._values_of_parts, []
        self.batches_seen += 1
        self.log_training({name: sum(part[name] for part in parts) / len(parts) for name in parts[0]})

    def log_training(self, values: Mapping[str, Tensor | float]) -> None:
        """Log values under train/ every `log_every` batches, as means over the processes, with samples_seen."""
        if int(self.batches_seen) % self.stage.log_every == 0:
            together = torch.stack([torch.as_tensor(value, device=self.device).float() for value in values.values()])
            named = {f"train/{name}": value for name, value in zip(values, self.mean_over_ranks(together), strict=True)}
            self.log_dict(named | {"samples_seen": float(self.samples_seen)}, on_step=True, on_epoch=False)

    def mean_over_ranks(self, value: Tensor) -> Tensor:
        """Of a tensor that every process has."""
        if self._processes == 1:
            return value
        gathered = self.all_gather(value)
        assert isinstance(gathered, Tensor)
        return gathered.float().mean(0)

    @property
    def _processes(self) -> int:
        return 1 if self._trainer is None else self._trainer.world_size
