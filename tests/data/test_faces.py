"""Sets of faces in folders and zips."""

import contextlib
import errno
import io
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from hsc.data.archives import MAX_MEMBER_BYTES
from hsc.data.faces import Faces, open_faces, without_broken
from hsc.errors import FileRefused, HscError
from hsc.images import load_image


def encode(picture: np.ndarray, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format=format)
    return buffer.getvalue()


def encoded(colour: int = 0, size: int = 8, format: str = "PNG") -> bytes:
    return encode(np.full((size, size, 3), colour, np.uint8), format)


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


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
    return {"b/2.png": encoded(20), "a/1.png": encoded(10), "3.PNG": encoded(30)}


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


def test_clutter_of_archivers_is_ignored(tmp_path, members):
    clutter = {"__MACOSX/a/._1.png": b"x", ".DS_Store": b"x", "a/.hidden.txt": b"x", "empty/": b""}
    assert open_faces(write_zip(tmp_path / "faces.zip", members | clutter)).names == sorted(members)
    (tmp_path / "folder" / ".git").mkdir(parents=True)
    (tmp_path / "folder" / ".git" / "x.png").write_bytes(encoded())
    (tmp_path / "folder" / "1.png").write_bytes(encoded())
    assert open_faces(tmp_path / "folder").names == ["1.png"]


def test_other_files_are_passed_over_with_a_line(tmp_path, members, capsys):
    path = write_zip(tmp_path / "faces.zip", members | {"README.txt": b"hello", "dataset.json": b"{}"})
    for _ in range(2):
        assert open_faces(path).names == sorted(members)
    assert capsys.readouterr().err == f"{path}: 2 files that are no pictures passed over: README.txt, dataset.json\n"


def test_backslashes_in_a_zip_are_folders(tmp_path, members):
    """Windows writes them; a person's folder decides the split."""
    windows = {name.replace("/", "\\"): content for name, content in members.items()} | {"empty\\": b""}
    faces = open_faces(write_zip(tmp_path / "faces.zip", windows))
    assert faces.names == sorted(members)
    assert mean_of(faces, "a/1.png") == 10
    assert faces.content_key == open_faces(write_zip(tmp_path / "unix.zip", members)).content_key
    with pytest.raises(HscError, match="twice"):
        open_faces(write_zip(tmp_path / "both.zip", {"a/1.png": encoded(), "a\\1.png": encoded()}))


def test_a_compression_that_cannot_be_undone_is_named(tmp_path):
    path = write_zip(tmp_path / "faces.zip", {"1.png": encoded()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 9  # the method in the central directory
    path.write_bytes(content)
    with pytest.raises(HscError, match=r"1\.png: compressed by deflate64.*make the archive again with deflate"):
        open_faces(path)


def test_names_that_are_not_utf8_can_be_read_split_and_told_apart(tmp_path):
    for byte, value in ((b"\xe8", 1), (b"\xe9", 2)):
        with open(os.path.join(os.fsencode(tmp_path), b"caf" + byte + b".png"), "wb") as file:
            file.write(encoded(value))
    faces = open_faces(tmp_path)
    assert faces.names == ["caf\ufffd-2.png", "caf\ufffd.png"]
    assert [mean_of(faces, name) for name in faces.names] == [2, 1]
    assert len(faces.content_key) == 64
    assert sum(len(open_faces(tmp_path, split=name)) for name in faces.names) == 2


def test_a_set_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HscError, match="holds no images"):
        open_faces(tmp_path / "empty")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"not a zip"], ids=["empty", "torn", "text"])
def test_a_broken_archive_is_named(tmp_path, content):
    (tmp_path / "faces.zip").write_bytes(content)
    with pytest.raises(HscError, match=r"faces\.zip: neither a folder nor a readable zip"):
        open_faces(tmp_path / "faces.zip")


@pytest.mark.parametrize(
    "content", [encoded(7, size=64)[:60], b"", b"no image", encoded(7, size=64, format="JPEG")[:-200]],
    ids=["torn png", "empty", "text", "torn jpeg"],
)  # fmt: skip
def test_a_broken_image_is_named_with_its_archive(tmp_path, members, content):
    path = write_zip(tmp_path / "faces.zip", members | {"bad.png": content})
    with pytest.raises(HscError, match=r"faces\.zip: bad\.png: "):
        open_faces(path).load("bad.png")


def test_damage_inside_the_archive_is_named(tmp_path):
    picture = encoded(99, size=32)
    path = write_zip(tmp_path / "faces.zip", {"1.png": picture})
    damaged = path.read_bytes().replace(picture, bytes(len(picture)))
    path.write_bytes(damaged)
    with pytest.raises(HscError, match=r"faces\.zip: 1\.png: .*CRC"):
        open_faces(path).load("1.png")


def test_broken_images_are_left_out_once_known(tmp_path, members, monkeypatch, capsys):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    faces = open_faces(write_zip(tmp_path / "faces.zip", members | {"bad.png": b"?"}))
    assert without_broken(faces).names == sorted(members)
    assert "bad.png" in capsys.readouterr().err
    monkeypatch.setattr(Faces, "load", None)  # the second time nothing is read
    assert without_broken(faces).names == sorted(members)


def test_what_the_file_system_refuses_is_left_out_and_asked_for_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(encoded(number))
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
    assert "leaving out 2 images that the file system does not give: 1.png, 4.png" in capsys.readouterr().err
    assert without_broken(open_faces(folder)).names == ["0.png", "1.png", "2.png"]
    (folder / "nowhere").write_bytes(encoded(4))
    assert "4.png" in without_broken(open_faces(folder)).names


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_a_refusal_of_the_file_system_is_no_broken_image(tmp_path, code, monkeypatch):
    (tmp_path / "1.png").write_bytes(encoded())
    faces = open_faces(tmp_path)

    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(FileRefused, match=rf"1\.png: cannot be read \({os.strerror(code)}\)"):
        faces.load("1.png")
    with pytest.raises(FileRefused, match=os.strerror(code)):
        load_image(tmp_path / "1.png")


def test_a_set_of_nothing_but_broken_images_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(HscError, match="none of the 1 images"):
        without_broken(open_faces(write_zip(tmp_path / "faces.zip", {"bad.png": b"?"})))


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png"])
def test_members_that_lead_out_of_the_archive_are_refused(tmp_path, name):
    with pytest.raises(HscError, match="leads out of the archive"):
        open_faces(write_zip(tmp_path / "faces.zip", {name: encoded()}))


def test_encrypted_members_are_refused(tmp_path):
    path = write_zip(tmp_path / "faces.zip", {"1.png": encoded()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    path.write_bytes(content)
    with pytest.raises(HscError, match=r"1\.png: encrypted"):
        open_faces(path)


def test_members_that_claim_to_be_huge_are_refused(tmp_path):
    path = write_zip(tmp_path / "faces.zip", {"1.png": encoded()})
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02") + 24  # the uncompressed size in the central directory
    content[start : start + 4] = (MAX_MEMBER_BYTES + 1).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(HscError, match=r"1\.png: claims"):
        open_faces(path)


def test_names_twice_in_an_archive_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("1.png", encoded(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("1.png", encoded(2))
    with pytest.raises(HscError, match="twice"):
        open_faces(tmp_path / "faces.zip")


def test_mutated_zips_end_in_an_error_or_in_images(tmp_path):
    path = write_zip(tmp_path / "faces.zip", {"a/é.png": encoded(), "b.png": encoded()})
    whole, random = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        mutated = bytearray(whole)
        for place in random.integers(len(whole) // 3, len(whole), 3):
            mutated[place] = random.integers(256)
        path.write_bytes(mutated)
        with contextlib.suppress(HscError):
            faces = open_faces(path)
            for name in faces.names:
                faces.load(name)


def test_a_folder_called_like_a_shard_is_a_folder(tmp_path):
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "x.tar" / "1.png").write_bytes(encoded())
    assert open_faces(tmp_path).names == ["x.tar/1.png"]


def test_the_content_key_follows_the_images_and_not_the_place(tmp_path, members):
    first = open_faces(write_zip(tmp_path / "1.zip", members))
    again = open_faces(write_zip(tmp_path / "2.zip", dict(sorted(members.items()))))
    changed = open_faces(write_zip(tmp_path / "3.zip", members | {"a/1.png": encoded(11)}))
    renamed = open_faces(write_zip(tmp_path / "4.zip", {f"x/{name}": data for name, data in members.items()}))
    assert first.content_key == again.content_key
    assert len({faces.content_key for faces in (first, changed, renamed, first.select(["3.PNG"]))}) == 4


def test_a_folder_is_known_by_what_is_in_its_files(tmp_path, members):
    """Not by times or by its place; and a folder, a copy of it and a zip of it are the same pictures."""
    for place in ("one", "other"):
        for name, data in members.items():
            file = tmp_path / place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            os.utime(file, ns=(len(place), len(place)))
    one, other, zipped = (
        open_faces(tmp_path / "one"),
        open_faces(tmp_path / "other"),
        open_faces(write_zip(tmp_path / "faces.zip", members)),
    )
    assert one.content_key == other.content_key == zipped.content_key
    file = tmp_path / "one" / "3.PNG"
    os.utime(file, ns=(5, 5))
    assert open_faces(tmp_path / "one").content_key == one.content_key
    file.write_bytes(encoded(2))
    os.utime(file, ns=(6, 6))
    assert open_faces(tmp_path / "one").content_key != one.content_key


def test_names_are_no_part_of_the_pictures(tmp_path, members):
    faces = open_faces(write_zip(tmp_path / "1.zip", members))
    renamed = open_faces(write_zip(tmp_path / "2.zip", {f"x/{name}": data for name, data in members.items()}))
    assert renamed.content_key != faces.content_key
    assert renamed.pictures_key == faces.pictures_key
    swapped = dict(zip(members, reversed(members.values()), strict=True))
    assert open_faces(write_zip(tmp_path / "3.zip", swapped)).pictures_key != faces.pictures_key


def test_contents_are_read_once(tmp_path, monkeypatch):
    """Also by the next process; without a cache that can be written to they are read again."""
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.png").write_bytes(encoded(1))
    key = open_faces(tmp_path / "faces").content_key
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"reads {path} again"))
    assert open_faces(tmp_path / "faces").content_key == key
    monkeypatch.undo()
    (tmp_path / "file").touch()
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "file"))
    assert open_faces(tmp_path / "faces").content_key == key


def test_an_open_archive_survives_pickling(tmp_path, members):
    faces = open_faces(write_zip(tmp_path / "faces.zip", members))
    faces.load("3.PNG")
    copy = pickle.loads(pickle.dumps(faces))
    assert copy.names == faces.names
    assert copy.content_key == faces.content_key
    assert mean_of(copy, "a/1.png") == 10


def test_processes_read_one_archive_at_once(tmp_path):
    """Forked workers inherit the parent's open archive; sharing its file position would mix their reads up."""
    random = np.random.default_rng(0)
    pictures = [random.integers(256, size=(64, 64, 3), dtype=np.uint8) for _ in range(400)]
    contents = {f"{i:03d}.bmp": encode(picture, format="BMP") for i, picture in enumerate(pictures)}
    faces = open_faces(write_zip(tmp_path / "faces.zip", contents))
    faces.load("000.bmp")
    loader = DataLoader(ArraysOf(faces), batch_size=None, num_workers=2, multiprocessing_context="fork")
    for picture, read in zip(pictures, loader, strict=True):
        assert np.array_equal(picture, read)


def test_grey_and_turned_photographs_become_upright_rgb(tmp_path):
    grey = Image.fromarray(np.full((8, 8), 77, np.uint8))
    grey.save(tmp_path / "grey.pgm")
    turned = Image.fromarray(np.zeros((8, 16, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90°
    turned.save(tmp_path / "turned.jpg", exif=exif)
    faces = open_faces(tmp_path)
    assert faces.load("grey.pgm").mode == "RGB"
    assert mean_of(faces, "grey.pgm") == 77
    assert faces.load("turned.jpg").size == (8, 16)


def test_real_faces(data_dir, tmp_path):
    faces = open_faces(data_dir / "ffhq128.zip", split="00000-00019")
    assert faces.names == [f"{i:05d}.jpg" for i in range(20)]
    assert faces.load("00007.jpg").size == (128, 128)
    shutil.copy(data_dir / "ffhq128.zip", tmp_path / "copy.zip")
    assert open_faces(tmp_path / "copy.zip", split="0-19").content_key == faces.content_key
