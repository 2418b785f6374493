"""Program: one of two processes has seen no image; both print what the metrics say, as JSON."""

import json
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

from hsc.metrics import FeatureStatistics, IdentityAccuracy, LandmarkError, PerImage, PerImageMean, SymbolCounts

NAMES = ["a", "b", "c"]


def measure(rank: int, rendezvous: str, processes: int) -> None:
    torch.distributed.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=processes)
    random = torch.Generator().manual_seed(0)
    gallery, mean, landmarks, symbols = PerImage(), PerImageMean("value"), LandmarkError((0, 1)), SymbolCounts(2)
    identity, features = IdentityAccuracy(gallery), FeatureStatistics(4)
    if rank == processes - 1:
        vectors = torch.rand(3, 4, generator=random)
        mean.update(NAMES, value=vectors[:, 0])
        landmarks.update(NAMES, vectors.reshape(3, 2, 2), vectors.reshape(3, 2, 2) * 1.1)
        symbols.update(NAMES, vectors)
        identity.update(NAMES, vectors, vectors.flip(0))
        features.update(NAMES, vectors)
    if rank == 0:
        gallery.update(["d"], torch.zeros(1, 4))
    results = {**mean.compute(), **landmarks.compute(), **identity.compute()}
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
