"""The base of the measuring callbacks: update metrics with the codec's output, log them by layer."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor
from torchmetrics import Metric

from hsc.callbacks.loggers import add_to_wandb_config, log_results, use_samples_seen_as_axis
from hsc.errors import HscError
from hsc.images import pictures_at_once
from hsc.judges import Judge, NotAvailable, load_judge
from hsc.metrics.cache import RememberedAnswers, remembered
from hsc.metrics.info import MetricInfo, metric_info
from hsc.metrics.measures import Measure
from hsc.metrics.per_image import PerImageMean
from hsc.validation_output import CodecOutput


class LayerMetricCallback(pl.Callback):
    """Keeps one metric per layer; logs `{val,test}/{layer}/{name}` for every name that the metric's `compute` returns.

    Subclasses define the metric (`new_metric`) and how it is updated (`observe`). They are called with each batch of
    `validation_step` and `test_step`, which must return a `CodecOutput`, and keep no images.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self._metric_device = torch.device("cpu")
        self._warned: set[str] = set()

    def new_metric(self) -> Metric:
        raise NotImplementedError

    def observe(self, output: CodecOutput) -> None:
        raise NotImplementedError

    @property
    def described(self) -> dict[str, MetricInfo]:
        """Descriptions of the logged names that `hsc.metrics.info` does not describe."""
        return {}

    def results(self) -> dict[str, Tensor]:
        """Values over all processes by `{layer}/{name}`; every process must call it."""
        return {
            f"{layer}/{name}": value
            for layer, metric in self.metrics.items()
            for name, value in metric.compute().items()
        }

    def metric(self, layer: str) -> Metric:
        """The metric of this layer, created on first use."""
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
        # A few numbers per image belong on the CPU, unless processes communicate between their devices.
        self._metric_device = trainer.strategy.root_device if trainer.world_size > 1 else torch.device("cpu")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.reset()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        self.observe(codec_output(outputs, pl_module))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.report(trainer, pl_module, "val")

    on_test_epoch_start, on_test_batch_end = on_validation_epoch_start, on_validation_batch_end

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.report(trainer, pl_module, "test")

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        # The sanity check has only a few images: no basis for a value, a warning or a log entry.
        if not trainer.sanity_checking:
            log_results(trainer, pl_module, {f"{stage}/{name}": value for name, value in self.results().items()})


class MeasureCallback(LayerMetricCallback):
    """Logs the means of a per-image measure; silent as long as there is none."""

    measure: Measure | None = None

    def new_metric(self) -> Metric:
        assert self.measure is not None
        return PerImageMean(*self.measure.judges)

    def observe(self, output: CodecOutput) -> None:
        """Measure a few images at a time, depending on their size, to bound memory; originals once for all layers."""
        if self.measure is None:
            return
        count = pictures_at_once(max(output.originals.shape[-2:]))
        for start in range(0, len(output.names), count):
            part = slice(start, start + count)
            originals = output.originals[part]
            for layer, decoded in output.layers.items():
                with torch.no_grad():
                    kept = self.measure.ask(originals, decoded.images[part].float())
                self.metric(layer).update(output.names[part], kept)
        self.measure.forget()

    @property
    def described(self) -> dict[str, MetricInfo]:
        return {info.name: info for info in self.measure.metrics} if self.measure is not None else {}


class JudgeCallback(MeasureCallback):
    """A measuring callback that uses one judge. Without its weights it warns once and logs nothing.

    `judge`: a name for `hsc.judges.load_judge`, or a judge.
    """

    measures: str  # what is not measured if the judge is not available

    def __init__(self, judge: str | Judge) -> None:
        super().__init__()
        self.judge_or_name = judge
        self.judge: Judge | None = None
        self.about_originals: RememberedAnswers | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        for other in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
            if type(other) is type(self) and other is not self and other.measures == self.measures:
                raise HscError(f"two callbacks measure {self.measures} under the same names: remove one")
        if self.judge is None:
            try:
                self.judge = find_judge(self.judge_or_name, trainer.strategy.root_device)
            except NotAvailable as error:
                self.warn_once(f"{self.measures}: {error}")
                return
            self.about_originals = remembered(self.judge, on_disk=isinstance(self.judge_or_name, str))
            self.measure = self.new_measure(self.judge, self.about_originals)
        add_to_wandb_config(trainer, {f"judge_of_{self.measures}": self.judge.name})

    def new_measure(self, judge: Judge, answers: RememberedAnswers) -> Measure | None:
        """The measure of single images; None if sets are measured."""
        return None

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().report(trainer, pl_module, stage)
        if self.about_originals is not None:
            self.about_originals.save()


def codec_output(outputs: Any, module: pl.LightningModule) -> CodecOutput:
    """The output of a step, if it is a CodecOutput; HscError otherwise."""
    if not isinstance(outputs, CodecOutput):
        raise HscError(
            f"{type(module).__name__}: validation_step and test_step must return a hsc.validation_output.CodecOutput"
        )
    return outputs


def find_judge(judge: str | Judge, device: torch.device) -> Judge:
    """The judge itself or the one of that name, on `device`; NotAvailable if its weights are missing."""
    return load_judge(judge, device) if isinstance(judge, str) else judge.to(device)


def known_info(trainer: pl.Trainer, metric: str) -> MetricInfo | None:
    """The description of a metric, by hsc or by its judge, by its logged name without the layer."""
    return metric_info(metric) or described_metrics(trainer).get(metric)


def described_metrics(trainer: pl.Trainer) -> dict[str, MetricInfo]:
    """The measuring callbacks' descriptions of their metrics, by logged name without the layer."""
    measuring = (one for one in trainer.callbacks if isinstance(one, LayerMetricCallback))  # type: ignore[attr-defined]
    return {name: info for callback in measuring for name, info in callback.described.items()}


def logged_info(trainer: pl.Trainer, name: str) -> MetricInfo:
    """The description of a logged value such as val/enhanced/lpips. Raises HscError if there is none."""
    info = known_info(trainer, name.rpartition("/")[2])
    if info is None:
        raise HscError(
            f"whether more of {name!r} is better is not known: monitor a metric of hsc's, or what a judge of your own "
            "says, whose class states `higher_is_better`"
        )
    return info
