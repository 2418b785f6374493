"""`hsc data prepare`, from photographs to the finished files."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import write_tar
from PIL import Image

from hsc.data.faces import open_faces
from hsc.data.prepare import Settings, prepare
from hsc.data.prepare.aligner import Aligned
from hsc.data.prepare.work_journal import WorkJournal
from hsc.errors import HscError

SETTINGS = Settings(64, min_sharpness=400, validation="1", test="0")


def manifest_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in out.with_name(f"{out.stem}.manifest.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def prepared(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "faces.zip"
    report = prepare(album, out, SETTINGS, workers=1)
    assert (report.photographs, sum(report.splits.values())) == (7, 3)
    assert report.skipped == {"blurred": 1, "broken image": 1, "near-duplicate": 1, "no face": 1}
    return out


def test_faces_are_found_judged_and_told_why_not(prepared: Path):
    entries = {entry["source"]: entry for entry in manifest_of(prepared)}
    faults = {source: (entry["skipped"] or "").partition(":")[0] for source, entry in entries.items()}
    assert faults == {
        "anna/1.jpg": "",
        "anna/brighter.webp": "near-duplicate",
        "anna/grey.png": "",
        "bert/<i>blurred.jpg": "blurred",
        "bert/turned.jpg": "",
        "carl/torn.jpg": faults["carl/torn.jpg"],
        "carl/wall.png": "no face",
    }
    assert faults["carl/torn.jpg"].startswith("broken image")
    kept = entries["bert/turned.jpg"]
    assert np.array(kept["landmarks"]).shape == (68, 2)
    assert kept["photograph"] == [512, 512]
    assert len(kept["box"]) == 4
    assert len(bytes.fromhex(kept["hash"])) == 32


def test_the_set_is_one_that_hsc_reads(prepared: Path):
    faces = open_faces(prepared)
    assert faces.names == sorted(entry["name"] for entry in manifest_of(prepared) if entry["name"])
    assert faces.load(faces.names[0]).size == (64, 64)
    assert sorted(os.listdir(prepared.parent)) == ["faces.html", "faces.manifest.jsonl", "faces.zip"]


def test_nobody_is_in_two_splits(prepared: Path):
    split_of: dict[str, set[str]] = {}
    for entry in manifest_of(prepared):
        if entry["name"]:
            split_of.setdefault(entry["identity"], set()).add(entry["split"])
            assert entry["name"].startswith(f"{entry['split']}/{entry['identity']}/")
    assert sorted(map(sorted, split_of.values())) == [["train"], ["validation"]]


def test_the_sheet_shows_kept_and_skipped_escapes_names_and_needs_nothing_else(prepared: Path):
    page = prepared.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg;base64,") == 5  # three kept, the near-duplicate and the blurred one
    assert "near-duplicate" in page
    assert "&lt;i&gt;blurred" in page
    assert "<i>" not in page
    assert "http" not in page


def test_an_archive_gives_what_its_folder_gives(album: Path, prepared: Path, tmp_path: Path):
    source, out = tmp_path / "album.tar.gz", tmp_path / "faces.zip"
    files = {f"holiday/{path.relative_to(album)}": path for path in sorted(album.rglob("*")) if path.is_file()}
    write_tar(source, {name: path.read_bytes() for name, path in files.items()}, "w:gz")
    prepare(source, out, SETTINGS, workers=1)
    assert out.read_bytes() == prepared.read_bytes()


def test_killed_midway_it_goes_on_with_more_workers_to_the_same_bytes(album: Path, prepared: Path, tmp_path: Path):
    out = tmp_path / "faces.zip"
    command = [sys.executable, "-c", "from hsc.cli import main; main()", "data", "prepare", str(album), str(out)]
    command += ["--size", "64", "--min-sharpness", "400", "--validation", "1", "--test", "0", "--workers", "2"]
    journal = tmp_path / ".faces.zip.preparing" / "journal.jsonl"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (journal.is_file() and journal.read_bytes().count(b"\n") > 1) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    done = journal.read_bytes()
    journal.write_bytes(done + b'{"source": "anna/grey.png", "fac')  # as if killed in the middle of a line
    with open(journal.with_name("crops"), "ab") as crops:
        crops.write(b"half a crop")
    prepare(album, out, SETTINGS, workers=2)
    assert {path.name for path in tmp_path.iterdir()} == {"faces.html", "faces.manifest.jsonl", "faces.zip"}
    for file in prepared.parent.iterdir():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def gives(name: str) -> bool:
    """A file system from which every file can be read."""
    return True


def test_other_settings_begin_anew(tmp_path: Path):
    aligned = Aligned({"source": "a.jpg", "faces": []}, [])
    with WorkJournal(tmp_path, "these", gives) as journal:
        journal.append(aligned)
        with pytest.raises(HscError, match="another process is using"):
            WorkJournal(tmp_path, "these", gives)
    with WorkJournal(tmp_path, "these", gives) as journal:
        assert (journal.done, [record["source"] for record in journal.records()]) == (1, ["a.jpg"])
    with WorkJournal(tmp_path, "others", gives) as journal:
        assert (journal.done, list(journal.records())) == (0, [])


def test_what_the_file_system_refused_is_asked_for_again(tmp_path: Path):
    with WorkJournal(tmp_path, "key", gives) as journal:
        for name, refused in (("a.jpg", False), ("b.jpg", True), ("c.jpg", False)):
            journal.append(Aligned({"source": name, "faces": [], "refused": refused}, []))
    with WorkJournal(tmp_path, "key", lambda name: False) as journal:
        assert journal.done == 3
    with WorkJournal(tmp_path, "key", gives) as journal:
        assert (journal.done, [record["source"] for record in journal.records()]) == (1, ["a.jpg"])


def test_all_faces_of_a_group(portrait, tmp_path: Path):
    group = Image.new("RGB", (640, 320))
    for place, name in ((0, "female-00.jpg"), (320, "male-00.jpg")):
        group.paste(portrait(name).resize((320, 320)), (place, 0))
    (tmp_path / "src").mkdir()
    group.save(tmp_path / "src/group.png")
    for which, count in (("largest", 1), ("all", 2)):
        out = tmp_path / f"{which}.zip"
        prepare(tmp_path / "src", out, Settings(64, which, "png", test="0", validation="0"), workers=1)
        assert open_faces(out).names == ["train/group-2.png", "train/group.png"][-count:]


def test_shards(album: Path, prepared: Path, tmp_path: Path):
    settings = Settings(64, min_sharpness=400, validation="1", test="0", per_shard=1)
    prepare(album, tmp_path / "shards", settings, workers=1)
    kept = [entry for entry in manifest_of(prepared) if entry["name"]]
    shards = sorted(os.listdir(tmp_path / "shards"))
    train = sum(entry["split"] == "train" for entry in kept)
    assert shards == [
        *(f"train-{i:06d}.tar" for i in range(train)),
        *(f"validation-{i:06d}.tar" for i in range(3 - train)),
    ]
    with tarfile.open(tmp_path / "shards" / shards[0]) as shard, zipfile.ZipFile(prepared) as archive:
        picture, note = shard.getmembers()
        about = json.load(shard.extractfile(note))
        assert shard.extractfile(picture).read() == archive.read(about["name"])
        assert (f"train/{picture.name}", note.name) == (about["name"], str(Path(picture.name).with_suffix(".json")))
    with pytest.raises(HscError, match="is there already"):
        prepare(album, tmp_path / "shards", settings, workers=1)


def test_wrong_settings_and_outputs_are_one_sentence(album: Path, tmp_path: Path):
    for wrong in ({"validation": "200%"}, {"test": "-1"}):
        with pytest.raises(HscError, match=r"^[^\n]+$"):
            Settings(64, **wrong)
    with pytest.raises(HscError, match=r"name a file that ends in \.zip"):
        prepare(album, tmp_path / "faces.rar", SETTINGS)
    with pytest.raises(HscError, match="no such file or folder"):
        prepare(tmp_path / "nothing", tmp_path / "faces.zip", SETTINGS)
    with pytest.raises(HscError, match="loosen the threshold"):
        prepare(album / "anna", tmp_path / "faces.zip", Settings(64, min_side=5000), workers=1)
