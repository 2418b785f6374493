"""Archives of unknown origin: what is hostile is refused as a whole, what is broken is a word about one file."""

import io
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsc.data.archives import MAX_MEMBER_BYTES
from hsc.data.faces import open_faces
from hsc.data.prepare.photographs import Photographs
from hsc.errors import HscError


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def member(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    return info


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "..\\a.jpg", "C:/a.jpg", "C:\\a.jpg"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str):
    for archive in (zipped(tmp_path / "a.zip", {name: b"x"}), tarred(tmp_path / "a.tar", member(name))):
        with pytest.raises(HscError, match="leads out of the archive"):
            Photographs(archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tars_are_refused(tmp_path: Path, kind: bytes):
    link = member("b.jpg", 0, kind, "/etc/passwd")
    with pytest.raises(HscError, match="link or a device"):
        Photographs(tarred(tmp_path / "a.tar.gz", member("a.jpg"), link, mode="w:gz"))


def test_links_in_zips_are_refused(tmp_path: Path):
    info = zipfile.ZipInfo("a.jpg")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(HscError, match="is a link"):
        Photographs(tmp_path / "a.zip")


def test_bombs_are_refused_before_they_are_inflated(tmp_path: Path):
    claims = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": b"x"}).read_bytes())
    place = claims.index(b"PK\x01\x02") + 24
    claims[place : place + 4] = struct.pack("<I", MAX_MEMBER_BYTES + 1)
    (tmp_path / "a.zip").write_bytes(claims)
    with pytest.raises(HscError, match=r"claims 268,435,457 bytes"):
        Photographs(tmp_path / "a.zip")

    header = member("a.jpg", 2**40).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    with pytest.raises(HscError, match="claims 1,099,511,627,776 bytes"):
        Photographs(tmp_path / "a.tar")

    many = b"".join(member(f"{i}.jpg", MAX_MEMBER_BYTES).tobuf() for i in range(1))
    (tmp_path / "b.tar").write_bytes(many + bytes(1024))
    with pytest.raises(HscError, match="readable zip or tar"):
        Photographs(tmp_path / "b.tar")

    pax = member("x", 2**33, tarfile.XHDTYPE).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "c.tar").write_bytes(pax + bytes(1024))
    with pytest.raises(HscError, match="a header claims"):
        Photographs(tmp_path / "c.tar")


def test_many_members_that_claim_much_together_are_a_bomb(tmp_path: Path):
    size = 2**27
    content = bytearray(zipped(tmp_path / "a.zip", {f"{i}.jpg": b"x" for i in range(9)}).read_bytes())
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        content[place + 24 : place + 28] = struct.pack("<I", size)
        place += 4
    (tmp_path / "a.zip").write_bytes(content)
    for reads in (Photographs, open_faces):
        with pytest.raises(HscError, match="decompression bomb"):
            reads(tmp_path / "a.zip")


def test_a_picture_twice_is_refused(tmp_path: Path):
    with pytest.raises(HscError, match="twice"):
        Photographs(tarred(tmp_path / "a.tar", member("a.jpg"), member("a.jpg")))


def test_hidden_files_are_nothing_and_others_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = Photographs(zipped(tmp_path / "a.zip", {"b.jpg": b"1", ".x": b"", "__MACOSX/._b.jpg": b"", "read.me": b""}))
    assert found.names == ["b.jpg"]
    assert capsys.readouterr().err == f"{tmp_path}/a.zip: 1 file that is no picture passed over: read.me\n"


def test_names_of_any_bytes_and_folders_of_windows(tmp_path: Path):
    windows = Photographs(zipped(tmp_path / "a.zip", {"anna\\1.jpg": b"1", "anna\\": b"", "bert\\1.jpg": b"2"}))
    assert [(photo.name, photo.content) for photo in windows.read()] == [("anna/1.jpg", b"1"), ("bert/1.jpg", b"2")]
    (tmp_path / "d").mkdir()
    with open(os.fsencode(tmp_path / "d") + b"/caf\xe9.jpg", "wb") as file:
        file.write(b"abc")
    (photo,) = Photographs(tmp_path / "d").read()
    assert (photo.name, photo.content) == ("caf\ufffd.jpg", b"abc")
    latin = tarred(tmp_path / "a.tar", member("caf\udce9.jpg"))
    assert [(photo.name, len(photo.content)) for photo in Photographs(latin).read()] == [("caf\ufffd.jpg", 3)]


def test_a_compression_that_cannot_be_undone_is_named(tmp_path: Path):
    content = bytearray(zipped(tmp_path / "a.zip", {"a.jpg": b"x"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 9
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(HscError, match="compressed by deflate64"):
        Photographs(tmp_path / "a.zip")


def test_a_dangling_link_is_a_word_about_one_photograph_and_a_pipe_is_nothing(tmp_path: Path):
    (tmp_path / "a.jpg").symlink_to("nowhere")
    (tmp_path / "b.jpg").write_bytes(b"abc")
    os.mkfifo(tmp_path / "c.jpg")
    photographs = Photographs(tmp_path)
    dangling, whole = photographs.read()
    assert (dangling.name, dangling.refused, photographs.gives("a.jpg")) == ("a.jpg", True, False)
    assert "No such file" in dangling.error
    assert (whole.content, whole.refused) == (b"abc", False)


def test_a_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path):
    inner = zipped(tmp_path / "inner.zip", {"evil.jpg": b"x"}).read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, content in (("a.jpg", b"abc"), ("inner.zip", inner)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    photographs = Photographs(tmp_path / "a.tar")
    assert [(photo.name, photo.content) for photo in photographs.read()] == [("a.jpg", b"abc")]


def test_reading_starts_anywhere_and_a_torn_member_is_a_word(tmp_path: Path):
    members = {f"{i}.jpg": bytes([i]) * 100 for i in range(3)}
    archive = zipped(tmp_path / "a.zip", members, zipfile.ZIP_DEFLATED)
    content = bytearray(archive.read_bytes())
    place = content.index(b"1.jpg") + 6
    content[place : place + 4] = b"\xff\xff\xff\xff"
    archive.write_bytes(content)
    photographs = Photographs(archive)
    torn, whole = photographs.read(1)
    assert "cannot be read" in torn.error
    assert (whole.name, whole.content, whole.error) == ("2.jpg", members["2.jpg"], "")


@given(st.binary(max_size=2000), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00"]))
def test_any_bytes_are_refused_in_one_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes):
    path = tmp_path_factory.mktemp("any") / "archive"
    path.write_bytes(start + content)
    with pytest.raises(HscError, match=r"(?s)^.+$"):
        Photographs(path)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_mutated_tars_end_in_an_error_or_pictures(tmp_path_factory: pytest.TempPathFactory, seed: int, edits: int):
    import numpy as np

    folder = tmp_path_factory.mktemp("mutated")
    content = bytearray(tarred(folder / "a.tar", member("a.jpg", 600), member("b/c.png", 20)).read_bytes())
    generator = np.random.default_rng(seed)
    for _ in range(edits):
        content[generator.integers(0, 2600)] = generator.integers(0, 256)
    (folder / "a.tar").write_bytes(content)
    try:
        photographs = Photographs(folder / "a.tar")
    except HscError:
        return
    assert [photo.name for photo in photographs.read()] == photographs.names
