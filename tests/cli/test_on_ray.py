"""`hsc encode --on ray` on a cluster of two nodes on this machine: the same bytes as without it."""

from pathlib import Path

import pytest
from pictures import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]
ray = pytest.importorskip("ray", reason="needs Ray: pip install 'hsc[ray]'")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch):
    """Two nodes of one processor each, so that two workers run on two nodes."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False, logging_level="error")
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of 40 pictures in two folders, and one that is broken."""
    folder = tmp_path / "faces"
    for part in range(2):
        write_pictures(folder / str(part), 20, 64, seed=part)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.hsc")}


def test_two_nodes_write_the_bytes_of_one_machine(run, cluster, codec_file: Path, faces: Path, tmp_path: Path):
    here = run("encode", faces, "-o", tmp_path / "here", "--model", codec_file)
    there = run("encode", faces, "-o", tmp_path / "there", "--model", codec_file, "--on", "ray")
    actors = ray._private.state.actors().values()
    assert len({actor["Address"]["NodeID"] for actor in actors}) == 2, "both nodes worked"
    assert (here.status, there.status) == (1, 1), "for the broken picture"
    assert there.err.count("hsc: ") == here.err.count("hsc: ") == 2
    assert f"hsc: {faces / 'broken.png'}" in there.err
    assert len(contents(tmp_path / "here")) == 40
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
