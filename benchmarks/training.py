"""Images per second of the joint stage in hsc compared with a bare PyTorch loop, in the same run.

    python benchmarks/training.py [--turns 12] [--steps 4] [--experiment experiments/ffhq128.yaml] [key=value …]

Both train the same networks on the same losses, from the same weights, with batches of the same faces. The bare loop
is what one would write by hand: batch, forward, losses, backward, clipping, Adam, schedule, and nothing else. hsc is
the Trainer of `hsc train` with everything else that it does: moving average, logging, checkpoints, signals. Validation,
which the bare loop lacks, is left out. The two take turns of `--steps` steps, one right after the other, so that other
load on the machine affects both. Prints the medians of images per second, and the median of each turn's ratio
(hsc ÷ bare) with its quartiles, by wall time and by processor time. The first run finds the landmarks of all training
faces, which takes minutes: `defaults.data.train=00000-00063` is enough for the comparison.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hsc.compat  # noqa: F401  isort: skip  before Lightning
import pytorch_lightning as pl
import torch

import hsc.training.stage as stage_room
from hsc import config as configuration
from hsc.config import Config
from hsc.data.sampler import StepBatches
from hsc.losses import load_losses
from hsc.modules.codec import CodecModule
from hsc.training.run import train
from hsc.training.stage import data_module
from hsc.training.trainer import resolve_precision
from hsc.training.weights import load_start, start_file

STAGE = "joint"
WARM = 2  # turns before any is counted
EXPERIMENT = Path(__file__).resolve().parent.parent / "experiments" / "ffhq128.yaml"


class Seconds(NamedTuple):
    """Times of a turn."""

    wall: float
    processor: float


def now() -> Seconds:
    return Seconds(time.perf_counter(), time.process_time())


def since(then: Seconds) -> Seconds:
    return Seconds(*(b - a for a, b in zip(then, now(), strict=True)))


def bare_steps(config: Config) -> Callable[[], None]:
    """A function that trains one step of the bare loop."""
    stage = config.stages[STAGE]
    losses = load_losses(config.task_names([STAGE]))
    networks = CodecModule(config, stage, losses)
    start = start_file(stage, {}, None)
    if start is not None:
        load_start(networks, start)
    weights = [weight for weight in networks.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(networks.parameter_groups(stage.train), betas=tuple(stage.betas))
    schedule = networks.schedule(optimizer)
    data = data_module(config, STAGE).dataset("train")
    batches = iter(StepBatches(len(data), stage.batch_size, config.seed, flips=True))
    bfloat = resolve_precision(stage.precision, "cpu") == "bf16-mixed"
    layers = list(config.model.layers)

    def step() -> None:
        batch = data[next(batches)]
        images, landmarks = batch["image"].contiguous(memory_format=torch.channels_last), batch.get("landmarks")
        quality = torch.randint(len(config.model.lambdas), (len(images),))
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat):
            latents = networks.encoder(images)
            coded = networks.entropy(latents, quality, "noise")
            rows = [layer.shape[1] for layer in latents]
            total, _ = networks.objective.rate(coded.row_bits, rows, networks.lambdas[quality], networks.size**2)
            draw = torch.randint(len(layers), quality.shape)
            chosen = [(draw == j).nonzero()[:, 0] for j in range(len(layers))]
            sent = [
                torch.cat([prefix[k][own] for prefix, own in zip(coded.prefixes, chosen, strict=True)])
                for k in range(len(layers))
            ]
            decoded = networks.decoder(sent, quality[torch.cat(chosen)]).float()
            for layer, own, shown in zip(layers, chosen, decoded.split([len(own) for own in chosen]), strict=True):
                known = None if landmarks is None else landmarks[own]
                total = total + networks.objective.distortion(layer, shown, images[own], known).total
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(weights, stage.grad_clip)
        optimizer.step()
        schedule.step()

    return step


class Turns(pl.Callback):
    """Runs the bare loop after every turn of hsc, and times both."""

    def __init__(self, bare: Callable[[], None], steps: int) -> None:
        self.bare, self.steps = bare, steps
        self.times: list[tuple[Seconds, Seconds]] = []
        self._began: Seconds | None = None

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        done = int(pl_module.batches_seen)
        if done % self.steps == 0:
            if self._began is not None:
                through_hsc, began = since(self._began), now()
                for _ in range(self.steps):
                    self.bare()
                self.times.append((through_hsc, since(began)))
            self._began = now()


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def measure(config_words: list[str], experiment: str, turns: int, steps: int, runs: str) -> Iterator[str]:
    """Train and time; yields the lines to print."""
    total = (WARM + turns) * steps + 1
    words = [
        f"runs={runs}",
        f"run=[{STAGE}]",
        f"stages.{STAGE}.steps={total}",
        f"stages.{STAGE}.validate_every={total}",
    ]
    words += ["logging.wandb=disabled", "device=cpu", "judges.identity=none", "judges.landmarks=none"]
    words += ["judges.perceptual=[psnr]", f"stages.{STAGE}.data.validation_limit=2", *config_words]
    config = configuration.load([experiment], words)
    timing = Turns(bare_steps(config), steps)
    with_timing(timing)
    train([experiment], words)
    batch = config.stages[STAGE].batch_size
    precision = resolve_precision(config.stages[STAGE].precision, "cpu")
    yield f"{Path(experiment).name}, batches of {batch}, {precision}, {turns} turns of {steps} steps each"
    for clock in ("wall", "processor"):
        times = [(getattr(own, clock), getattr(bare, clock)) for own, bare in timing.times[WARM:]]
        speeds = [statistics.median(steps * batch / one[k] for one in times) for k in (0, 1)]
        low, middle, high = quartiles([bare / own for own, bare in times])
        yield (
            f"{clock:>9}: hsc {speeds[0]:.2f} images/s, bare loop {speeds[1]:.2f} images/s, "
            f"ratio {middle:.3f} (quartiles {low:.3f} to {high:.3f})"
        )


def with_timing(timing: Turns) -> None:
    """Add a callback to the stage's Trainer."""
    reports = stage_room.report_callbacks
    stage_room.report_callbacks = lambda *arguments: [*reports(*arguments), timing]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--experiment", default=str(EXPERIMENT))
    parser.add_argument("words", nargs="*", metavar="key=value")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        for line in measure(chosen.words, chosen.experiment, chosen.turns, chosen.steps, runs):
            print(line)


if __name__ == "__main__":
    main()
