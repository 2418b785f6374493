"""Who teaches does not report: a codec is pleasing to the networks that trained it."""

from contextlib import suppress

from hsc.config import Config, task_names
from hsc.errors import HscError
from hsc.judges import NotAvailable, load_judge
from hsc.losses import load_losses, unavailable_losses


def check_reporters(config: Config) -> None:
    """Raise HscError where the judge that reports identity or landmarks is one of those that train, or of the family of
    one: its teacher, its student, or a network on the same backbone.

    Perceptual judges of a family that trains are reported, and marked.
    """
    tasks = task_names(config, config.run)
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
                    f"config: judges.{key}: {reporter!r} is of the family ({family}) of the judge that trains "
                    f"{taught_by[family]!r}, so it cannot also report; name another, or none"
                )
