"""Untrusted archives: everything that reads pictures refuses a hostile one as a whole."""

import contextlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import plain, tar_member, write_tar, write_zip

from hsc.data.archives import MAX_MEMBER_BYTES
from hsc.data.faces import open_faces
from hsc.data.prepare.photographs import Photographs
from hsc.errors import HscError

READERS = (open_faces, Photographs)


def assert_refused(archive: Path, message: str) -> None:
    for read in READERS:
        with pytest.raises(HscError, match=message) as caught:
            read(archive)
        assert "\n" not in str(caught.value)


def write_directory(archive: Path, place: int, value: bytes) -> Path:
    """Overwrite a field of every entry in the central directory of a zip."""
    content, entry = bytearray(archive.read_bytes()), -1
    while (entry := content.find(b"PK\x01\x02", entry + 1)) >= 0:
        content[entry + place : entry + place + len(value)] = value
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("name", ["/etc/a.jpg", "x/../../a.jpg", "..\\a.jpg", "C:\\a.jpg"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    for archive in (write_zip(tmp_path / "a.zip", {name: b"x"}), write_tar(tmp_path / "a.tar", {name: b"x"})):
        assert_refused(archive, "leads out of the archive")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tar_member("a.jpg"))
        archive.addfile(tar_member("b.jpg", 0, kind, "/etc/passwd"))
    assert_refused(tmp_path / "a.tar", "is a link or a device|is not a plain file")


def test_links_in_zips_are_refused(tmp_path: Path) -> None:
    assert_refused(
        write_directory(write_zip(tmp_path / "a.zip", {"a.jpg": b"x"}), 40, b"\xff\xa1"), r"a\.jpg: is a link"
    )


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jpg", b"2")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(2):
            tar.addfile(tar_member("a.jpg"))
    both = write_zip(tmp_path / "slashes.zip", {"a/1.png": b"", "a\\1.png": b""})
    for archive in (tmp_path / "a.zip", tmp_path / "a.tar", both):
        assert_refused(archive, "is in the archive twice")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (8, b"\1", "encrypted"),
        (10, b"\x09", "compressed by deflate64.*make the archive again with deflate"),
        (24, (MAX_MEMBER_BYTES + 1).to_bytes(4, "little"), "claims 268,435,457 bytes"),
    ],
)
def test_members_of_zips_that_cannot_be_read_are_named(tmp_path: Path, place: int, value: bytes, message: str) -> None:
    assert_refused(
        write_directory(write_zip(tmp_path / "a.zip", {"1.png": plain()}), place, value), rf"1\.png: {message}"
    )


def test_many_members_that_claim_much_together_are_a_bomb(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{i}.jpg": b"x" for i in range(9)})
    assert_refused(write_directory(archive, 24, (2**27).to_bytes(4, "little")), "decompression bomb")


def test_bombs_in_tars_are_refused_before_they_are_inflated(tmp_path: Path) -> None:
    for header, message in (
        (tar_member("a.jpg", 2**40).tobuf(tarfile.GNU_FORMAT), "claims 1,099,511,627,776 bytes"),
        (tar_member("a.jpg", MAX_MEMBER_BYTES).tobuf(), "readable (zip or )?tar"),
    ):
        (tmp_path / "a.tar").write_bytes(header + bytes(1024))
        assert_refused(tmp_path / "a.tar", message)
    pax = tar_member("x", 2**33, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(pax + bytes(1024))
    with pytest.raises(HscError, match="a header claims"):
        Photographs(tmp_path / "a.tar")


@pytest.mark.parametrize("read", READERS)
def test_clutter_is_ignored_and_other_files_are_passed_over_with_a_line(tmp_path: Path, read, capsys) -> None:
    clutter = {"__MACOSX/a/._1.png": b"x", ".DS_Store": b"x", "a/.hidden.txt": b"x", "empty/": b""}
    found = read(write_zip(tmp_path / "a.zip", {"b.jpg": b"1"} | clutter | {"read.me": b""}))
    assert found.names == ["b.jpg"]
    assert capsys.readouterr().err == f"{tmp_path}/a.zip: 1 file that is not an image skipped: read.me\n"


@pytest.mark.parametrize("read", READERS)
def test_backslashes_in_a_zip_are_folders(tmp_path: Path, read) -> None:
    """Windows writes backslashes, and the split depends on the folder of a person."""
    windows = read(write_zip(tmp_path / "a.zip", {"bert\\1.jpg": b"2", "anna\\1.jpg": b"1", "anna\\": b""}))
    assert windows.names == ["anna/1.jpg", "bert/1.jpg"]


@pytest.mark.parametrize("file", ["a.zip", "a.tar"])
@given(st.binary(max_size=1500), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00"]))
def test_any_bytes_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, file: str, content: bytes, start: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / file
    path.write_bytes(start + content)
    assert_refused(path, "a readable zip|readable tar|a readable zip or tar|a header claims")


@pytest.mark.parametrize("file", ["a.zip", "a.tar"])
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_mutated_archives_end_in_an_error_or_in_pictures(
    tmp_path_factory: pytest.TempPathFactory, file: str, seed: int, edits: int
) -> None:
    path, members = tmp_path_factory.mktemp("mutated") / file, {"a/é.png": plain(), "b.png": plain()}
    content = bytearray((write_zip if file == "a.zip" else write_tar)(path, members).read_bytes())
    generator, end = np.random.default_rng(seed), min(len(content), 2600)
    for _ in range(edits):
        content[generator.integers(0, end)] = generator.integers(0, 256)
    path.write_bytes(content)
    with contextlib.suppress(HscError):
        photographs = Photographs(path)
        assert [photo.name for photo in photographs.read()] == photographs.names
    with contextlib.suppress(HscError):
        faces = open_faces(path)
        for name in faces.names:
            faces.load(name)


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", {"evil.jpg": b"x"}).read_bytes()
    photographs = Photographs(write_tar(tmp_path / "a.tar", {"a.jpg": b"abc", "inner.zip": inner}))
    assert [(photo.name, photo.content) for photo in photographs.read()] == [("a.jpg", b"abc")]


def test_photographs_are_read_from_anywhere_and_a_damaged_one_is_a_word(tmp_path: Path) -> None:
    members = {f"{i}.jpg": bytes([i]) * 100 for i in range(3)}
    archive = write_zip(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED)
    content = bytearray(archive.read_bytes())
    place = content.index(b"1.jpg") + 6
    content[place : place + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    damaged, whole = Photographs(archive).read(1)
    assert "cannot be read" in damaged.error
    assert (whole.name, whole.content, whole.error) == ("2.jpg", members["2.jpg"], "")


def test_a_dangling_link_is_a_word_about_one_photograph_and_a_pipe_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to("nowhere")
    (tmp_path / "b.jpg").write_bytes(b"abc")
    os.mkfifo(tmp_path / "c.jpg")
    photographs = Photographs(tmp_path)
    dangling, whole = photographs.read()
    assert (dangling.name, dangling.refused, photographs.gives("a.jpg")) == ("a.jpg", True, False)
    assert "No such file" in dangling.error
    assert (whole.content, whole.refused) == (b"abc", False)


def test_names_of_photographs_may_have_any_bytes(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tar_member("caf\udce9.jpg", 3), io.BytesIO(b"abc"))
    assert [(photo.name, photo.content) for photo in Photographs(tmp_path / "a.tar").read()] == [
        ("caf\ufffd.jpg", b"abc")
    ]
