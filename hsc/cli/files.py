"""Processing of one file or a folder: paths of results, batches, progress, separate failures, and what an interrupted
run has finished."""

import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from hsc.cli.exits import warn
from hsc.data.pictures import files_below, is_hidden
from hsc.errors import HscError
from hsc.files import STDIN, STDOUT, is_stream, refuse_overwriting, write_atomically
from hsc.journal import Journal
from hsc.parallel import in_order
from hsc.progress import number_of, progress

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
Force = Annotated[bool, typer.Option("--force", help="Overwrite outputs that this command did not write.")]
BATCH = 16
THREADS = min(4, os.cpu_count() or 1)
UNFINISHED = ".hsc-unfinished.jsonl"
_SOFTWARE = 0x0131  # the EXIF field for the software that made a picture


class Job(NamedTuple):
    """One file to make from another."""

    source: Path
    target: Path


Outcomes = list[tuple[Job, T | HscError]]
"""Jobs with their results, or with their errors."""
Spread = Callable[[list[list[Job]]], Iterator[Outcomes[T]]]
"""Processes batches, here or elsewhere, and yields results batch by batch."""


class Naming(NamedTuple):
    """Naming of results: the ending of a file, of a file beside its source, and of a folder."""

    file: str
    beside: str
    folder: str


ENCODED = Naming(".hsc", ".hsc", "-hsc")
# A decoded picture beside its .hsc file must not replace the original.
DECODED = Naming(".png", ".decoded.png", "-decoded")


def source_path(given: str) -> Path:
    """The input path for an argument; `-` is standard input."""
    return STDIN if given == "-" else Path(given)


def plan(
    source: Path, output: str | None, pick: Callable[[Iterable[str], Path], list[str]], naming: Naming
) -> list[Job]:
    """Pair every file with its result.

    The result of a single file goes to `output`, or into it if that is a folder (or ends with a slash), or beside the
    file. The results of a folder keep its structure in `output`, by default a folder beside it; `pick` selects the
    inputs from all names in the folder. `-` is standard output, the default for results of standard input.
    """
    if source.is_dir():
        folder, target = source.resolve(), output_folder(source, output, naming)
        inside = files_below(folder)
        found = [inside[name] for name in pick(inside, source)]
        jobs = [Job(folder / path, target / path.with_suffix(naming.file)) for path in found]
        _refuse_collisions(jobs)
        return jobs
    if not source.exists():
        raise HscError(f"{source}: no such file or folder")
    if output == "-" or (output is None and (source == STDIN or is_stream(source))):
        return [Job(source, STDOUT)]
    if output is None:
        return [Job(source, source.with_suffix(naming.beside))]
    into = output.endswith(os.sep) or Path(output).is_dir()
    return [Job(source, Path(output, f"{source.stem}{naming.file}") if into else Path(output))]


def coded_among(names: Iterable[str], folder: Path) -> list[str]:
    """The names of .hsc files that are not hidden, sorted. Raises HscError if there is none."""
    coded = sorted(name for name in names if name.lower().endswith(".hsc") and not is_hidden(name))
    if not coded:
        raise HscError(f"{folder} holds no file that ends in .hsc")
    return coded


def check_outputs(jobs: Sequence[Job], model: Path, own: Callable[[Path], bool], force: bool) -> None:
    """Raise HscError if the results would destroy an input or, without `force`, a file that is not `own`."""
    refuse_overwriting([job.target for job in jobs], [model, *(job.source for job in jobs)], own, force)


def check_pictures(targets: Iterable[Path], inputs: Iterable[Path], force: bool) -> None:
    """The same for pictures that `write_picture` will write; also rejects names that are not those of pictures."""
    targets = list(targets)
    refuse_overwriting(targets, inputs, made_here, force)
    for target in targets:
        _kind_of_picture(target)


def tell(job: Job, line: str) -> None:
    """Report a job's result on standard output, unless the result itself was written there."""
    typer.echo(f"{job.target}: {line}", err=is_stream(job.target))


def output_folder(source: Path, output: str | None, naming: Naming) -> Path:
    """The folder for the results of a folder. Raises HscError if it is not a folder."""
    folder = source.resolve()
    target = folder.with_name(folder.name + naming.folder) if output is None else Path(output)
    if output == "-" or (target.exists() and not target.is_dir()):
        raise HscError(f"{source} is a folder and {output or target} is not: name a folder for the results")
    return target


def run_batches(
    jobs: Sequence[Job], spread: Spread[T], label: str, finished: Container[Job] = ()
) -> Iterator[tuple[Job, T]]:
    """Yield each job with its result, batch by batch, with progress on standard error.

    Batches whose jobs are all among `finished` are skipped. Others are processed completely, since the output of
    networks may depend on the other pictures in a batch.

    A file that fails is reported on standard error and the others continue; at the end HscError counts the failures.
    The failure of a single job is raised as it is.
    """
    batches = [list(jobs[start : start + BATCH]) for start in range(0, len(jobs), BATCH)]
    waiting = [batch for batch in batches if not all(job in finished for job in batch)]
    failures, total = 0, sum(map(len, waiting))
    with progress(total, label) as advance:
        for outcomes in spread(waiting):
            for job, result in outcomes:
                if not isinstance(result, HscError):
                    yield job, result
                elif len(jobs) == 1:
                    raise _naming(job.source, result)
                else:
                    failures += 1
                    warn(str(_naming(job.source, result)))
            advance(len(outcomes))
    if failures:
        raise HscError(f"{failures} of {number_of(total, 'file')} failed; the reasons are above")


class Finished:
    """The jobs that are done, and a few values about each, in a file in the output folder until the work is complete.

    Used as a context manager: leaving it without an error deletes the file, since everything is done. A job counts as
    done if its result exists and its source has not changed since. `settings` (JSON values) is everything else that
    results depend on: jobs done with other settings are repeated. Without a `folder` nothing is stored.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        self._folder = folder
        self._journal = Journal(folder / UNFINISHED, settings) if folder else None
        self._done: dict[str, list] = {}
        for entry in self._journal or ():
            try:
                name, (state, values) = entry
                self._done[str(name)] = [state, [int(value) for value in values]]
            except (ValueError, TypeError):
                continue

    def __enter__(self) -> "Finished":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._journal is not None:
            self._journal.close()
            if error is None:
                self._journal.path.unlink(missing_ok=True)

    def __contains__(self, job: object) -> bool:
        if not isinstance(job, Job):
            return False
        entry = self._done.get(self._name(job))
        return entry is not None and entry[0] == _state(job.source) and job.target.is_file()

    def values(self, job: Job) -> tuple[int, ...]:
        """The values that `add` stored about a finished job."""
        return tuple(self._done[self._name(job)][1])

    def add(self, job: Job, values: Sequence[int]) -> None:
        """Call once the result is on disk."""
        if self._journal is not None:
            entry = [_state(job.source), list(values)]
            self._journal.add([(self._name(job), entry)])
            self._done[self._name(job)] = entry

    def _name(self, job: Job) -> str:
        return str(job.target.relative_to(self._folder)) if self._folder else str(job.target)


def _state(source: Path) -> list[int]:
    """A file's size and modification time in nanoseconds, which change when the file does."""
    try:
        status = source.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def in_threads(work: Callable[[list[Job]], list[T]]) -> Spread[T]:
    """`work` on a few batches at a time, in order: one is read or coded while another is in the networks."""

    return lambda batches: in_order(
        ThreadPoolExecutor(THREADS), lambda batch: attempt(batch, work), batches, THREADS + 1
    )


def attempt(batch: list[Job], work: Callable[[list[Job]], list[T]]) -> Outcomes[T]:
    """The whole batch at once or, if that fails, file by file to isolate the bad ones."""
    try:
        return list(zip(batch, work(batch), strict=True))
    except HscError as error:
        if len(batch) == 1:
            return [(batch[0], error)]
        return [outcome for job in batch for outcome in attempt([job], work)]


def write_picture(target: Path, picture: "Image.Image") -> None:
    """Write a picture in the format of the ending of `target`; PNG to a stream without one.

    The picture is marked as made by hsc if its format allows; see `made_here`.
    """
    from PIL import Image

    about = Image.Exif()
    about[_SOFTWARE] = "hsc"
    write_atomically(target, lambda file: picture.save(file, format=_kind_of_picture(target), exif=about))


def _kind_of_picture(target: Path) -> str:
    from PIL import Image

    Image.init()
    ending = target.suffix.lower() or (".png" if is_stream(target) else "")
    kind = Image.registered_extensions().get(ending)
    if kind is None or kind not in Image.SAVE:
        raise HscError(f"{target}: '{target.suffix}' is not an image format; name the output .png, .jpg or .webp")
    return kind


def made_here(picture: Path) -> bool:
    """Whether `write_picture` wrote this file."""
    from PIL import Image

    try:
        with Image.open(picture) as image:
            return image.getexif().get(_SOFTWARE) == "hsc"
    except Exception:  # anything that Pillow raises for a file that is not an image
        return False


def _naming(source: Path, error: HscError) -> HscError:
    """The error with the file's name added."""
    return error if str(source) in str(error) else HscError(f"{source}: {error}")


def _refuse_collisions(jobs: list[Job]) -> None:
    sources: dict[Path, Path] = {}
    for source, target in jobs:
        if (first := sources.setdefault(target, source)) != source:
            raise HscError(f"{first} and {source} would both become {target}; rename one of them")
