"""What the measuring callbacks share: feed metrics with the codec's output, log them by layer."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor
from torchmetrics import Metric

from hsc.callbacks.loggers import add_to_wandb_config, log_results, use_samples_seen_as_axis
from hsc.errors import HscError
from hsc.files import cache_dir
from hsc.judges import Judge, NotAvailable, load_judge
from hsc.metrics import RememberedAnswers
from hsc.validation_output import CodecOutput


class LayerMetricCallback(pl.Callback):
    """Keeps one metric a layer; logs `{val,test}/{layer}/{name}` for every name that the metric's `compute` returns.

    Subclasses say what the metric is (`new_metric`) and what it is fed with (`observe`). They see each batch of
    `validation_step` and `test_step`, which must return a `CodecOutput`, and hold no images.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self._metric_device = torch.device("cpu")
        self._warned: set[str] = set()

    def new_metric(self) -> Metric:
        raise NotImplementedError

    def observe(self, output: CodecOutput) -> None:
        raise NotImplementedError

    def results(self) -> dict[str, Tensor]:
        """Values over all processes by `{layer}/{name}`; every process must call it."""
        return {
            f"{layer}/{name}": value
            for layer, metric in self.metrics.items()
            for name, value in metric.compute().items()
        }

    def metric(self, layer: str) -> Metric:
        """The metric of this layer, made when it is first asked for."""
        if layer not in self.metrics:
            self.metrics[layer] = self.new_metric().to(self._metric_device)
        return self.metrics[layer]

    def reset(self) -> None:
        for metric in self.metrics.values():
            metric.reset()

    def warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            rank_zero_warn(message)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        use_samples_seen_as_axis(trainer, pl_module)
        # A few numbers an image belong on the CPU, unless the processes talk from device to device.
        self._metric_device = trainer.strategy.root_device if trainer.world_size > 1 else torch.device("cpu")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.reset()

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.reset()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        self.observe(codec_output(outputs, pl_module))

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        self.observe(codec_output(outputs, pl_module))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.report(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.report(trainer, pl_module, "test")

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The sanity check sees a few images only: nothing worth a number, a warning or a place in a log.
        if not trainer.sanity_checking:
            log_results(trainer, pl_module, {f"{stage}/{name}": value for name, value in self.results().items()})


class JudgeCallback(LayerMetricCallback):
    """A measuring callback that asks one judge about single images. Without its weights it warns once and is silent.

    `judge`: a name that `hsc.judges.load_judge` knows, or a judge.
    """

    measures: str  # what is missing where the judge is not available

    def __init__(self, judge: str | Judge) -> None:
        super().__init__()
        self.judge_or_name = judge
        self.judge: Judge | None = None
        self.about_originals: RememberedAnswers | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        for other in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
            if type(other) is type(self) and other is not self and other.measures == self.measures:
                raise HscError(f"two callbacks measure {self.measures}, and their values would be mixed: keep one")
        if self.judge is None:
            try:
                self.judge = find_judge(self.judge_or_name, trainer.strategy.root_device)
            except NotAvailable as error:
                self.warn_once(f"{self.measures}: {error}")
                return
            self.about_originals = remember(self.judge, on_disk=isinstance(self.judge_or_name, str))
        add_to_wandb_config(trainer, {f"judge_of_{self.measures}": self.judge.name})

    def about_decoded(self, images: Tensor) -> Tensor:
        """The judge's answers about decoded images [N, 3, H, W], which are not worth remembering."""
        assert self.judge is not None
        with torch.no_grad():
            return self.judge(images.float())

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().report(trainer, pl_module, stage)
        if self.about_originals is not None:
            self.about_originals.save()


def codec_output(outputs: Any, module: pl.LightningModule) -> CodecOutput:
    """What a step returned, when it is what callbacks need; HscError otherwise."""
    if not isinstance(outputs, CodecOutput):
        raise HscError(
            f"{type(module).__name__}: validation_step and test_step must return a hsc.validation_output.CodecOutput"
        )
    return outputs


def find_judge(judge: str | Judge, device: torch.device) -> Judge:
    """The judge itself or the one of that name, on `device`; NotAvailable when its weights are missing."""
    return load_judge(judge, device) if isinstance(judge, str) else judge.to(device)


def remember(judge: Judge, on_disk: bool) -> RememberedAnswers:
    """Only answers of a judge with a name go to the disk: nobody could tell later whose the others are."""
    name = judge.name.replace("/", "_").replace(":", "_")
    return RememberedAnswers(judge, cache_dir() / "answers" / name if on_disk else None)
