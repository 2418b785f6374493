"""Program: one of two processes has seen no image; both print what the metrics say, as JSON."""

import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

from hsc.metrics.distribution import FeatureStatistics
from hsc.metrics.identity import IdentityAccuracy
from hsc.metrics.per_image import PerImageMean
from hsc.metrics.rate import SymbolCounts

NAMES = ["a", "b", "c"]


def measure(rank: int, rendezvous: str, processes: int) -> None:
    torch.distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=processes)
    random = torch.Generator().manual_seed(0)
    means, symbols = PerImageMean("first", "second"), SymbolCounts(2)
    identity, features = IdentityAccuracy(), FeatureStatistics(4)
    if rank == processes - 1:
        vectors = torch.rand(3, 4, generator=random)
        means.update(NAMES, vectors[:, :2])
        symbols.update(NAMES, vectors)
        identity.update(NAMES, torch.cat([vectors, vectors.flip(0)], dim=1))
        features.update(NAMES, vectors)
    results = {**means.compute(), **identity.compute()}
    values = {name: value.item() for name, value in results.items()}
    statistics = features.compute()
    values["symbols"] = symbols.compute().tolist()
    values["features"] = [*statistics.moments.mean.tolist(), len(statistics.keys), identity.gallery_size]
    sys.stdout.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)  # forked processes cannot use the threads of their parent
    for count in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            arguments = (str(Path(folder) / "rendezvous"), count)
            torch.multiprocessing.start_processes(measure, arguments, nprocs=count, start_method="fork")
