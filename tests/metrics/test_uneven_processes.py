"""A process without images takes part in every reduction."""

import json
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

from hsc.metrics.distribution import FeatureStatistics
from hsc.metrics.identity import IdentityAccuracy
from hsc.metrics.per_image import PerImageMean
from hsc.metrics.rate import SymbolCounts

NAMES = ["a", "b", "c"]


def measure(rank: int, folder: Path, processes: int) -> None:
    """Only the last process gets images; every process writes its metric values to a file."""
    torch.set_num_threads(1)  # forked processes cannot use the threads of their parent
    rendezvous = f"file://{folder / f'rendezvous-{processes}'}"
    torch.distributed.init_process_group("gloo", rendezvous, rank=rank, world_size=processes)
    means, symbols = PerImageMean("first", "second"), SymbolCounts(2)
    identity, features = IdentityAccuracy(), FeatureStatistics(4)
    if rank == processes - 1:
        vectors = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
        means.update(NAMES, vectors[:, :2])
        symbols.update(NAMES, vectors)
        identity.update(NAMES, torch.cat([vectors, vectors.flip(0)], dim=1))
        features.update(NAMES, vectors)
    results = {**means.compute(), **identity.compute()}
    statistics = features.compute()
    values = {name: value.item() for name, value in results.items()} | {
        "symbols": symbols.compute().tolist(),
        "features": [*statistics.moments.mean.tolist(), len(statistics.keys), identity.gallery_size],
    }
    (folder / f"{rank} of {processes}").write_text(json.dumps(values))


def test_a_process_without_images_changes_nothing(tmp_path: Path) -> None:
    for processes in (1, 2):
        torch.multiprocessing.start_processes(measure, (tmp_path, processes), processes, start_method="fork")
    alone, *both = (json.loads((tmp_path / name).read_text()) for name in ("0 of 1", "0 of 2", "1 of 2"))
    assert both == [alone, alone]
    assert alone["features"][-2:] == [3, 3]
