"""Which judges evaluate a codec, and which trained it: it is optimised for the latter, so they do not evaluate it."""

from contextlib import suppress

from hsc.checkpoints import weights_file
from hsc.config import Config
from hsc.errors import HscError
from hsc.judges import NotAvailable, families_in, judge_kind, load_judge
from hsc.judges.base import Kind
from hsc.losses import load_losses, unavailable_losses
from hsc.training.stage import stage_losses
from hsc.training.weights import outside_start

REPORTERS: dict[str, tuple[Kind, ...]] = {
    "identity": ("recogniser",),
    "landmarks": ("landmarker",),
    "perceptual": ("perceptual",),
    "distribution": ("features", "recogniser"),
}


def check_reporters(config: Config) -> None:
    """Raise HscError if a judge that evaluates does not exist, or is not of the kind that its metric needs."""
    for key, kinds in REPORTERS.items():
        named = getattr(config.judges, key)
        for name in [named] if isinstance(named, str) else named:
            try:
                kind = kinds[0] if name == "none" else judge_kind(name)
            except NotAvailable:
                continue  # the callback that uses it reports it
            except HscError as error:
                raise HscError(f"config: judges.{key}: {error}") from error
            if kind not in kinds:
                raise HscError(f"config: judges.{key}: {name} is of kind {kind}; name one of kind {' or '.join(kinds)}")


def check_judge_independence(config: Config) -> None:
    """Raise HscError if the judge for identity or landmarks is also a training loss, or of the same family as one: its
    teacher, its student, or a network on the same backbone.

    Perceptual judges of a family used in training are reported, and marked.
    """
    tasks = config.task_names(config.run)
    losses = load_losses(sorted(tasks - unavailable_losses(tasks).keys()))
    taught_by = {load_judge(loss.judge).family: name for name, loss in losses.items() if loss.judge}
    for key in ("identity", "landmarks"):
        reporter = getattr(config.judges, key)
        if reporter == "none":
            continue
        with suppress(NotAvailable):
            family = load_judge(reporter).family
            if family in taught_by:
                raise HscError(
                    f"config: judges.{key}: {reporter!r} is of the same family ({family}) as the judge of the "
                    f"loss {taught_by[family]!r}, so it cannot report; name another, or none"
                )


def trained_by(config: Config) -> dict[str, list[str]]:
    """The card's record of the judges used as losses in the run and in the training of its starting weights: `judges`,
    and their backbones as `judge_families`. What these judges report about the codec is marked."""
    losses = [loss for name in config.run for loss in stage_losses(config, name).values()]
    judges = {loss.judge for loss in losses if loss.judge}
    families = {load_judge(name).family for name in judges}
    for name in config.run:
        start = outside_start(config.stages[name])
        if start is not None and weights_file.is_safetensors(start):
            card = weights_file.describe(start).card
            judges.update(card.get("judges", []))
            families |= families_in(card)
    return {"judges": sorted(judges), "judge_families": sorted(families)}
