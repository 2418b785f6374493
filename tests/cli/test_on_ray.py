"""`hsc encode --on ray` on a cluster of two nodes on this machine: the same bytes as without it."""

from pathlib import Path

import pytest
from pictures import write_pictures

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder with 40 pictures in two subfolders and one broken picture."""
    folder = tmp_path / "faces"
    for part in range(2):
        write_pictures(folder / str(part), 20, 64, seed=part)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.hsc")}


def test_two_nodes_write_the_bytes_of_one_machine(run, ray_cluster, codec_file: Path, faces: Path, tmp_path: Path):
    import ray

    ray.init(address=ray_cluster[0].address, log_to_driver=False, logging_level="error")
    here = run("encode", faces, "-o", tmp_path / "here", "--model", codec_file)
    there = run("encode", faces, "-o", tmp_path / "there", "--model", codec_file, "--on", "ray")
    actors = ray._private.state.actors().values()
    assert len({actor["Address"]["NodeID"] for actor in actors}) == 2, "both nodes worked"
    assert (here.status, there.status) == (1, 1), "for the broken picture"
    assert there.err.count("hsc: ") == here.err.count("hsc: ") == 2
    assert f"hsc: {faces / 'broken.png'}" in there.err
    assert len(contents(tmp_path / "here")) == 40
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
