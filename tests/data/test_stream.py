"""Shards give the same pictures and batches as zips."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from pictures import write_pictures, write_tar

from hsc.data.faces import open_faces
from hsc.errors import HscError


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """47 noise images in a folder, and the same images with JSON files in three shards."""
    folder, shards = write_pictures(tmp_path / "folder", 47, 10), tmp_path / "shards"
    shards.mkdir()
    for number, part in enumerate(np.array_split(sorted(folder.iterdir()), 3)):
        members = {path.name: path.read_bytes() for path in part} | {f"{path.stem}.json": b"{}" for path in part}
        write_tar(shards / f"train-{number:06d}.tar", members)
    return folder, shards


def test_the_same_pictures_under_names_of_their_shard(both: tuple[Path, Path]):
    plain, streamed = map(open_faces, both)
    assert streamed.names[:2] == ["train-000000/00.png", "train-000000/01.png"]
    assert [name.partition("/")[2] for name in streamed.names] == plain.names
    for one, other in zip(plain.names, streamed.names, strict=True):
        assert plain.load(one).tobytes() == streamed.load(other).tobytes()
    assert open_faces(both[1], "train-000001/*").names[0] == "train-000001/16.png"
    assert open_faces(both[1] / "train-000000.tar").names[0] == "00.png"


def test_a_set_that_travels_to_a_worker_opens_the_shards_itself(both: tuple[Path, Path]):
    faces = open_faces(both[1])
    faces.load(faces.names[0])
    again = pickle.loads(pickle.dumps(faces))
    assert again.load(faces.names[40]).tobytes() == faces.load(faces.names[40]).tobytes()
    assert again.content_key == faces.content_key


def test_shards_are_known_by_their_pictures(both: tuple[Path, Path]):
    plain, streamed = map(open_faces, both)
    assert streamed.pictures_key == plain.pictures_key
    shard = both[1] / "train-000002.tar"
    os.utime(shard, ns=(1, 1))
    assert open_faces(both[1]).content_key == streamed.content_key
    content = bytearray(shard.read_bytes())
    content[content.index(b"PNG") + 100] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(2, 2))
    assert open_faces(both[1]).pictures_key != streamed.pictures_key


def test_compressed_and_torn_shards_are_refused(tmp_path: Path):
    with pytest.raises(HscError, match="without compression"):
        open_faces(write_tar(tmp_path / "a.tar", {"a.png": b"x"}, "w:gz"))
    content = write_tar(tmp_path / "b.tar", {"a.png": bytes(3000)}).read_bytes()
    (tmp_path / "b.tar").write_bytes(content[:1500])
    with pytest.raises(HscError, match=r"b\.tar"):
        open_faces(tmp_path / "b.tar")
