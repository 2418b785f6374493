"""`hsc encode --on ray`: batches of pictures through Ray Data, each worker with the codec loaded once."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hsc.cli.encoding import Encoded, Settings, encode_batch
from hsc.cli.files import Job, attempt
from hsc.data.pictures import readable
from hsc.errors import HscError

if TYPE_CHECKING:
    from hsc.codec import Codec

MOST_BLOCKS = 1000  # Ray's unit of scheduling; more cost more than they spread


class Worker:
    """Encodes batches on some node. `model_id` is the caller's: another file of the same name would code otherwise."""

    def __init__(self, model: str, model_id: int, settings: Settings) -> None:
        import hsc

        self.codec, self.settings = hsc.load(model), settings
        if self.codec.model_id != model_id:
            raise HscError(f"{model} on this node is another model: copy the same weights to every node")

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A batch's number and its pictures' paths → for each picture its file and pixels, or what is wrong with it."""
        batch = [Job(Path(os.fsdecode(source)), Path()) for source in row["sources"]]
        outcomes = attempt(batch, lambda jobs: encode_batch(self.codec, self.settings, jobs))
        coded = [Encoded(b"", 0) if isinstance(result, HscError) else result for _, result in outcomes]
        return {
            "number": row["number"],
            "files": [file.data for file in coded],
            "pixels": [file.pixels for file in coded],
            "errors": [readable(str(result)) if isinstance(result, HscError) else "" for _, result in outcomes],
        }


def in_cluster(
    codec: "Codec", model: str, settings: Settings
) -> Callable[[list[list[Job]]], Iterator[list[tuple[Job, Encoded | HscError]]]]:
    """As `hsc.cli.files.in_threads`, on the cluster that RAY_ADDRESS names or that runs here, else one of this machine.

    Nodes read pictures and model from the paths that the caller sees; results come back and are written by the caller.
    Batches are answered as they are done.
    """
    try:
        import ray
    except ImportError as error:
        raise HscError("--on ray needs Ray: pip install 'hsc[ray]'") from error

    place = str(Path(model).resolve()) if Path(model).exists() and model else model

    def spread(batches: list[list[Job]]) -> Iterator[list[tuple[Job, Encoded | HscError]]]:
        if not batches:
            return
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        ray.data.DataContext.get_current().enable_progress_bars = False  # the verb shows its own
        rows = [
            {"number": number, "sources": [os.fsencode(job.source.resolve()) for job in batch]}
            for number, batch in enumerate(batches)
        ]
        workers = max(1, min(len(batches), int(ray.cluster_resources().get("CPU", 1))))
        coded = ray.data.from_items(rows, override_num_blocks=min(len(rows), MOST_BLOCKS)).map(
            cast(Any, Worker), fn_constructor_args=(place, codec.model_id, settings), concurrency=workers, num_cpus=1
        )
        for row in coded.iter_rows():
            results = zip(row["files"], row["pixels"], row["errors"], strict=True)
            outcomes = [HscError(error) if error else Encoded(bytes(data), int(px)) for data, px, error in results]
            yield list(zip(batches[row["number"]], outcomes, strict=True))

    return spread
