"""One file or a folder of them through a codec: where each result goes, batches, progress, and failures kept apart."""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hsc.cli.exits import complain
from hsc.errors import HscError
from hsc.files import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
BATCH = 16


class Job(NamedTuple):
    """One file to make from another."""

    source: Path
    target: Path


class Naming(NamedTuple):
    """What results are called: the ending of a file, of one that lies beside its source, and of a folder."""

    file: str
    beside: str
    folder: str


ENCODED = Naming(".hsc", ".hsc", "-hsc")
# Beside its file a decoded picture must not take the place of the original.
DECODED = Naming(".png", ".decoded.png", "-decoded")


def plan(source: Path, output: Path | None, endings: Collection[str], naming: Naming) -> list[Job]:
    """Pair every file with its result.

    A single file goes to `output`, or into it when that is a folder, or beside itself. A folder keeps its structure in
    `output`, by default a folder beside it; there only files with one of `endings` count, and hidden ones do not.
    """
    if source.is_dir():
        folder = source.resolve()
        target = output or folder.with_name(folder.name + naming.folder)
        inside = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in endings)
        found = sorted(path for path in inside if not any(part.startswith(".") for part in path.parts))
        jobs = [Job(folder / path, target / path.with_suffix(naming.file)) for path in found]
        if not jobs:
            raise HscError(f"{source} holds no file that ends in {', '.join(sorted(endings))}")
        _refuse_collisions(jobs)
        return jobs
    if not source.is_file():
        raise HscError(f"{source}: no such file or folder")
    if output is None:
        return [Job(source, source.with_suffix(naming.beside))]
    return [Job(source, output / f"{source.stem}{naming.file}" if output.is_dir() else output)]


def run_batches(jobs: Sequence[Job], work: Callable[[list[Job]], list[T]], label: str) -> Iterator[tuple[Job, T]]:
    """Yield each job with its result, batch by batch, with a progress bar on a terminal.

    A file that fails is reported on standard error and the others go on; at the end HscError counts the failures.
    A single job's failure is raised itself.
    """
    failures = 0
    with _progress(len(jobs), label) as advance:
        for start in range(0, len(jobs), BATCH):
            batch = list(jobs[start : start + BATCH])
            for job, result in _attempt(batch, work):
                if not isinstance(result, HscError):
                    yield job, result
                elif len(jobs) == 1:
                    raise _naming(job.source, result)
                else:
                    failures += 1
                    complain(str(_naming(job.source, result)))
            advance(len(batch))
    if failures:
        raise HscError(f"{failures} of {len(jobs)} files failed; the reasons are above")


def group_by(items: Iterable[T], key: Callable[[T], object]) -> list[list[T]]:
    """Items with equal keys together, in order of first appearance."""
    groups: dict[object, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def write_picture(target: Path, image: "Tensor") -> None:
    """Write [3, H, W] in [-1, 1] as the kind of picture that the ending of `target` names."""
    from PIL import Image

    from hsc.images import to_pil

    Image.init()
    kind = Image.registered_extensions().get(target.suffix.lower())
    if kind not in Image.SAVE:
        raise HscError(f"{target}: no kind of picture ends in '{target.suffix}'; name the output .png, .jpg or .webp")
    write_atomically(target, lambda file: to_pil(image).save(file, format=kind))


def _attempt(batch: list[Job], work: Callable[[list[Job]], list[T]]) -> Iterator[tuple[Job, T | HscError]]:
    """The whole batch at once or, when that fails, file by file to tell the bad ones from the good."""
    try:
        results = work(batch)
    except HscError as error:
        if len(batch) == 1:
            yield batch[0], error
        else:
            for job in batch:
                yield from _attempt([job], work)
    else:
        yield from zip(batch, results, strict=True)


def _naming(source: Path, error: HscError) -> HscError:
    """The error with the file's name in it."""
    return error if str(source) in str(error) else HscError(f"{source}: {error}")


def _refuse_collisions(jobs: list[Job]) -> None:
    for same in group_by(jobs, lambda job: job.target):
        if len(same) > 1:
            raise HscError(
                f"{same[0].source} and {same[1].source} would both become {same[0].target}; rename one of them"
            )


@contextmanager
def _progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error when that is a terminal and there is more than one file to wait for."""
    if total == 1 or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    # Result lines printed meanwhile go above the bar, unless they are redirected elsewhere.
    together = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=together) as progress:
        task = progress.add_task(label, total=total)
        yield lambda count: progress.update(task, advance=count)
