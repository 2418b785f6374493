"""Sets of faces in folders and zips."""

import errno
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, plain, write_zip
from torch.utils.data import DataLoader, Dataset

from hsc.data.faces import Faces, open_faces, without_broken
from hsc.errors import FileRefused, HscError
from hsc.images import load_image


class ArraysOf(Dataset):
    """Pixels of each face."""

    def __init__(self, faces: Faces):
        self.faces = faces

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.faces.load(self.faces.names[index]))


def mean_of(faces: Faces, name: str) -> float:
    return float(np.asarray(faces.load(name)).mean())


@pytest.fixture
def members() -> dict[str, bytes]:
    return {"b/2.png": plain(20), "a/1.png": plain(10), "3.PNG": plain(30)}


def test_folder_and_zip_hold_the_same_faces(tmp_path, members):
    archive = write_zip(tmp_path / "faces.zip", members)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "folder")
    for faces in (open_faces(archive), open_faces(tmp_path / "folder")):
        assert faces.names == ["3.PNG", "a/1.png", "b/2.png"]
        assert len(faces) == 3
        assert not faces.generated
        assert [mean_of(faces, name) for name in faces.names] == [30, 10, 20]


def test_a_split_and_a_selection_keep_only_their_names(tmp_path, members):
    path = write_zip(tmp_path / "faces.zip", members)
    assert open_faces(path, split="a/*").names == ["a/1.png"]
    chosen = open_faces(path).select(["b/2.png", "3.PNG"])
    assert chosen.names == ["3.PNG", "b/2.png"]
    with pytest.raises(HscError, match="no such image"):
        chosen.load("a/1.png")


def test_hidden_folders_are_not_entered(tmp_path):
    (tmp_path / ".git").mkdir()
    for name in (".git/x.png", "1.png"):
        (tmp_path / name).write_bytes(plain())
    assert open_faces(tmp_path).names == ["1.png"]


def test_names_that_are_not_utf8_can_be_read_split_and_told_apart(tmp_path):
    for byte, value in ((b"\xe8", 1), (b"\xe9", 2)):
        with open(os.path.join(os.fsencode(tmp_path), b"caf" + byte + b".png"), "wb") as file:
            file.write(plain(value))
    faces = open_faces(tmp_path)
    assert faces.names == ["caf\ufffd-2.png", "caf\ufffd.png"]
    assert [mean_of(faces, name) for name in faces.names] == [2, 1]
    assert len(faces.content_key) == 64
    assert sum(len(open_faces(tmp_path, split=name)) for name in faces.names) == 2


def test_a_set_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HscError, match="holds no images"):
        open_faces(tmp_path / "empty")


@pytest.mark.parametrize(
    "content", [plain(7, side=64)[:60], b"", b"no image", plain(7, side=64, format="JPEG")[:-200]],
    ids=["torn png", "empty", "text", "torn jpeg"],
)  # fmt: skip
def test_a_broken_image_is_named_with_its_archive(tmp_path, members, content):
    path = write_zip(tmp_path / "faces.zip", members | {"bad.png": content})
    with pytest.raises(HscError, match=r"faces\.zip: bad\.png: "):
        open_faces(path).load("bad.png")


def test_damage_inside_the_archive_is_named(tmp_path):
    picture = plain(99, side=32)
    path = write_zip(tmp_path / "faces.zip", {"1.png": picture})
    damaged = path.read_bytes().replace(picture, bytes(len(picture)))
    path.write_bytes(damaged)
    with pytest.raises(HscError, match=r"faces\.zip: 1\.png: .*CRC"):
        open_faces(path).load("1.png")


def test_broken_images_are_left_out_once_known(tmp_path, cache, members, monkeypatch, capsys):
    faces = open_faces(write_zip(tmp_path / "faces.zip", members | {"bad.png": b"?"}))
    assert without_broken(faces).names == sorted(members)
    assert "bad.png" in capsys.readouterr().err
    with pytest.raises(HscError, match="none of the 1 images"):
        without_broken(faces.select(["bad.png"]))
    monkeypatch.setattr(Faces, "load", None)  # nothing is read the second time
    assert without_broken(faces).names == sorted(members)


def test_what_the_file_system_refuses_is_left_out_and_asked_for_again(tmp_path, cache, monkeypatch, capsys):
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(plain(number))
    (folder / "3.png").write_bytes(b"?")
    (folder / "4.png").symlink_to("nowhere")
    with monkeypatch.context() as patched:
        whole = Faces.load

        def refused(self, name):
            if name == "1.png":
                raise FileRefused("Too many open files")
            return whole(self, name)

        patched.setattr(Faces, "load", refused)
        assert without_broken(open_faces(folder)).names == ["0.png", "2.png"]
    assert "leaving out 2 unreadable images: 1.png, 4.png" in capsys.readouterr().err
    assert without_broken(open_faces(folder)).names == ["0.png", "1.png", "2.png"]
    (folder / "nowhere").write_bytes(plain(4))
    assert "4.png" in without_broken(open_faces(folder)).names


@pytest.mark.parametrize("code", [errno.EACCES, errno.ESTALE])
def test_a_refusal_of_the_file_system_is_no_broken_image(tmp_path, code, monkeypatch):
    (tmp_path / "1.png").write_bytes(plain())
    faces = open_faces(tmp_path)

    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr("builtins.open", refuse)
        with pytest.raises(FileRefused) as of_a_set:
            faces.load("1.png")
        with pytest.raises(FileRefused) as of_a_file:
            load_image(tmp_path / "1.png")
    assert f"1.png: cannot be read ({os.strerror(code)})" in str(of_a_set.value)
    assert os.strerror(code) in str(of_a_file.value)


def test_a_folder_called_like_a_shard_is_a_folder(tmp_path):
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "x.tar" / "1.png").write_bytes(plain())
    assert open_faces(tmp_path).names == ["x.tar/1.png"]


def test_keys_follow_the_contents_of_the_images_and_not_their_place_or_time(tmp_path, members):
    zips = {
        "first": members,
        "again": dict(sorted(members.items())),
        "changed": members | {"a/1.png": plain(11)},
        "renamed": {f"x/{name}": data for name, data in members.items()},
        "swapped": dict(zip(members, reversed(members.values()), strict=True)),
    }
    faces = {key: open_faces(write_zip(tmp_path / f"{key}.zip", files)) for key, files in zips.items()}
    for place in ("folder", "copy"):
        with zipfile.ZipFile(tmp_path / "first.zip") as archive:
            archive.extractall(tmp_path / place)
        os.utime(tmp_path / place / "3.PNG", ns=(len(place), len(place)))
        faces[place] = open_faces(tmp_path / place)
    first = faces.pop("first")
    same = {key for key, other in faces.items() if other.content_key == first.content_key}
    assert same == {"again", "folder", "copy"}
    assert first.select(["3.PNG"]).content_key != first.content_key
    assert {key for key, other in faces.items() if other.pictures_key == first.pictures_key} == {*same, "renamed"}
    (tmp_path / "folder" / "3.PNG").write_bytes(plain(2))
    assert open_faces(tmp_path / "folder").content_key != first.content_key


def test_contents_are_read_once(tmp_path, cache, monkeypatch, request):
    """The key is cached for later processes; without a writable cache, the contents are read again."""
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.png").write_bytes(plain(1))
    key = open_faces(tmp_path / "faces").content_key
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", lambda path: pytest.fail(f"reads {path} again"))
        assert open_faces(tmp_path / "faces").content_key == key
    request.getfixturevalue("no_cache")
    assert open_faces(tmp_path / "faces").content_key == key


def test_an_open_archive_survives_pickling(tmp_path, members):
    faces = open_faces(write_zip(tmp_path / "faces.zip", members))
    faces.load("3.PNG")
    copy = pickle.loads(pickle.dumps(faces))
    assert copy.names == faces.names
    assert copy.content_key == faces.content_key
    assert mean_of(copy, "a/1.png") == 10


def test_processes_read_one_archive_at_once(tmp_path):
    """Forked workers inherit the parent's open archive; a shared file position would mix up their reads."""
    random = np.random.default_rng(0)
    pictures = [random.integers(256, size=(64, 64, 3), dtype=np.uint8) for _ in range(400)]
    contents = {f"{i:03d}.bmp": encoded(picture, "BMP") for i, picture in enumerate(pictures)}
    faces = open_faces(write_zip(tmp_path / "faces.zip", contents))
    faces.load("000.bmp")
    loader = DataLoader(ArraysOf(faces), batch_size=None, num_workers=2, multiprocessing_context="fork")
    for picture, read in zip(pictures, loader, strict=True):
        assert np.array_equal(picture, read)


def test_real_faces(data_dir, tmp_path):
    faces = open_faces(data_dir / "ffhq128.zip", split="00000-00019")
    assert faces.names == [f"{i:05d}.jpg" for i in range(20)]
    assert faces.load("00007.jpg").size == (128, 128)
    shutil.copy(data_dir / "ffhq128.zip", tmp_path / "copy.zip")
    assert open_faces(tmp_path / "copy.zip", split="0-19").content_key == faces.content_key
