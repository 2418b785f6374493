"""Fixtures for all tests."""

import builtins
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from chromium import launched
from hypothesis import settings

import hsc.compat  # noqa: F401  torchvision beside CPU torch, before any test imports Lightning or torchmetrics

# Tests run in parallel, with one thread each; so do the workers and programs that they start.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# On a busy machine, a correct example may still take long.
settings.register_profile("hsc", deadline=None, max_examples=50)
settings.load_profile("hsc")

# A shell's background jobs ignore SIGINT, and so would the programs that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
# Test files that take 20 seconds of processor time or more, the longest first.
LONGEST = (
    "test_readme_runs.py",
    "sweeps/test_training_sweeps.py",
    "training/test_processes.py",
    "training/test_recipes.py",
    "training/test_run_lock.py",
    "sweeps/test_local_sweeps.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, then those with the largest share of slow tests, so that no worker is still
    busy with one while others are idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path, len(LONGEST)), -slow[item.path] / tests[item.path]))
    marked = [item for item in items if item.get_closest_marker("cuda")]
    if marked and not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU that torch can use"))


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """A headless Chromium, for tests marked with `NEEDS_CHROMIUM`."""
    with launched() as started:
        yield started


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple]:
    """A Ray cluster of two nodes of one processor each on this machine, and its second node."""
    ray = pytest.importorskip("ray", reason="needs Ray: pip install 'hsc[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setattr(builtins, "print", print)  # Ray replaces it
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    yield cluster, cluster.add_node(**node)
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder instead of the user's (HSC_CACHE), including weights."""
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An HSC_CACHE that is not writable."""
    (tmp_path / "file").write_text("no folder can be made here")
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "file"))


@pytest.fixture
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs decode in float32 even if the processor supports bfloat16."""
    monkeypatch.setattr("hsc.codec.computes_bfloat16", lambda kind: False)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real faces (HSC_DATA, else ../shared/data); tests that need it are skipped if it is absent."""
    folder = Path(os.environ.get("HSC_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "ffhq128.zip").is_file():
        pytest.skip("needs real faces: set HSC_DATA to a folder with ffhq128.zip")
    return folder


@pytest.fixture(scope="session")
def shared_dir(data_dir: Path) -> Path:
    """The folder beside the faces that holds fixtures/."""
    if not (data_dir.parent / "fixtures").is_dir():
        pytest.skip("needs the fixtures folder beside the data folder")
    return data_dir.parent
