"""Which files count as pictures, and how folders are traversed."""

import os
import sys
from pathlib import Path

import pytest

from hsc.data.pictures import files_below, pictures_among
from hsc.errors import HscError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_links_are_followed_except_in_circles(tmp_path: Path):
    root, other = tmp_path / "root", tmp_path / "other"
    touch(root / "a.png", root / "x.png" / "inside.png", other / "b.png", root / ".hidden" / "c.png", root / ".mark")
    (root / "linked").symlink_to("../other")
    (root / "again").symlink_to("../other")
    (root / "self").symlink_to(".")
    (other / "up").symlink_to(tmp_path)
    (root / "file.png").symlink_to("../other/b.png")
    (root / "dangling.png").symlink_to("nowhere")
    (root / "circle.png").symlink_to("circle.png")
    os.mkfifo(root / "pipe.png")
    # other/up leads to the parent of root. The link is followed, but root is not entered again there.
    found = {name for name in files_below(root) if "/up/" not in name}
    assert found == {
        ".mark", "a.png", "again/b.png", "circle.png", "dangling.png", "file.png", "linked/b.png", "x.png/inside.png",
    }  # fmt: skip


def test_a_folder_that_cannot_be_listed_costs_a_line(tmp_path: Path, monkeypatch, capsys):
    touch(tmp_path / "a.png", tmp_path / "locked" / "b.png")
    listed = os.scandir

    def refusing(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    assert list(files_below(tmp_path)) == ["a.png"]
    assert capsys.readouterr().err == f"{tmp_path}/locked: cannot be listed (Permission denied), skipped\n"


def test_names_are_told_apart_and_lead_to_their_files(tmp_path: Path):
    for name in (b"\xe8.png", b"\xe9.png", "\ufffd.png".encode()):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(name)
    found = files_below(tmp_path)
    assert sorted(found) == ["\ufffd-2.png", "\ufffd-3.png", "\ufffd.png"]
    for path in found.values():
        assert (tmp_path / path).read_bytes() == os.fsencode(path)
    assert found["\ufffd.png"] == Path("\ufffd.png")


def test_what_is_passed_over_is_said_once(tmp_path: Path, capsys):
    names = ["b.JPG", "a.png", "._a.png", ".DS_Store", "__MACOSX/c.png", "Thumbs.db", "LICENSE.txt", "x/1", "y/2"]
    for _ in range(2):
        assert pictures_among(names, tmp_path) == ["a.png", "b.JPG"]
    line = f"{tmp_path}: 4 files that are not images skipped: LICENSE.txt, Thumbs.db, x/1, …\n"
    assert capsys.readouterr().err == line


def test_heic_counts_where_it_can_be_read_and_is_named_where_not(tmp_path: Path, monkeypatch, capsys):
    pytest.importorskip("pillow_heif", reason="needs the anchors extra: make env")
    names = ["a.jpg", "IMG_1.HEIC"]
    assert pictures_among(names, tmp_path) == ["IMG_1.HEIC", "a.jpg"]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert pictures_among(names, tmp_path) == ["a.jpg"]
    assert capsys.readouterr().err == f"{tmp_path}: 1 HEIC photograph skipped: pip install pillow-heif\n"
    with pytest.raises(HscError, match="holds no images"):
        pictures_among(["IMG_1.HEIC"], tmp_path)
