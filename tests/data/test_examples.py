"""The example faces: their properties, and that copying them overwrites nothing else."""

import numpy as np
import pytest

from hsc.data.examples import example_faces, write_examples
from hsc.data.faces import open_faces
from hsc.errors import HscError


def test_they_are_varied_aligned_faces_of_one_size(tmp_path):
    write_examples(tmp_path / "examples")
    faces = open_faces(tmp_path / "examples")
    assert 12 <= len(faces) <= 24
    assert not faces.generated
    pictures = [faces.load(name) for name in faces.names]
    assert {picture.size for picture in pictures} == {(256, 256)}
    assert sum(path.stat().st_size for path in example_faces()) < 1_500_000
    small = [np.asarray(picture.resize((32, 32))).astype(float) for picture in pictures]
    assert min(np.abs(a - b).mean() for i, a in enumerate(small) for b in small[:i]) > 10


def test_they_lie_as_the_codec_expects(tmp_path):
    pytest.importorskip("dlib")
    from hsc.data.prepare.face_detector import AlignmentCheck

    try:
        aligned = AlignmentCheck()
    except HscError:
        pytest.skip("needs dlib's landmarks")
    faces = open_faces(write_examples(tmp_path)[0].parent)
    assert all(aligned(faces.load(name)) for name in faces.names)


def test_copies_are_made_again_and_nobody_s_file_is_replaced(tmp_path):
    first = write_examples(tmp_path)
    first[0].unlink()
    assert write_examples(tmp_path) == first
    first[0].write_bytes(b"mine")
    with pytest.raises(HscError, match="is there already"):
        write_examples(tmp_path)
    assert first[0].read_bytes() == b"mine"
    write_examples(tmp_path, force=True)
    assert first[0].read_bytes() == example_faces()[0].read_bytes()


def test_a_file_in_the_folder_s_place_is_named(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(HscError, match="taken is a file: name a folder"):
        write_examples(tmp_path / "taken")


def test_they_come_in_any_size(tmp_path):
    small = open_faces(write_examples(tmp_path, size=64)[0].parent)
    assert {small.load(name).size for name in small.names} == {(64, 64)}
    assert len(write_examples(tmp_path, size=64)) == len(small), "equal files are made again"
