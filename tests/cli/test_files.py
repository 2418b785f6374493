"""Where results are written, and how bad files in a folder are skipped."""

from pathlib import Path

import pytest

from hsc.cli import files
from hsc.cli.files import Job
from hsc.data.pictures import pictures_among
from hsc.errors import HscError


def plan(source: Path, output: Path | str | None = None) -> list[Job]:
    return files.plan(source, None if output is None else str(output), pictures_among, files.ENCODED)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_one_file(tmp_path: Path):
    face = tmp_path / "face.png"
    touch(face)
    assert plan(face) == [Job(face, tmp_path / "face.hsc")]
    assert plan(face, tmp_path / "small.hsc") == [Job(face, tmp_path / "small.hsc")]
    assert plan(face, tmp_path) == [Job(face, tmp_path / "face.hsc")]


def test_an_output_that_ends_in_a_slash_is_a_folder(tmp_path: Path):
    face = tmp_path / "face.png"
    touch(face)
    assert plan(face, f"{tmp_path}/new/") == [Job(face, tmp_path / "new" / "face.hsc")]
    with pytest.raises(HscError, match="name a folder for the results"):
        plan(tmp_path, face)
    with pytest.raises(HscError, match="name a folder for the results"):
        plan(tmp_path, "-")


def test_a_dash_is_a_standard_stream_and_a_file_may_be_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "-")
    assert files.source_path("-") == Path("/dev/stdin")
    assert plan(files.source_path("./-"), "-") == [Job(Path("-"), Path("/dev/stdout"))]


def test_a_folder_keeps_its_structure(tmp_path: Path):
    faces = tmp_path / "faces"
    touch(faces / "b.png", faces / "a" / "1.JPG", faces / "notes.txt", faces / ".thumbnails" / "b.png")
    there = tmp_path / "faces-hsc"
    assert plan(faces) == [Job(faces / "a" / "1.JPG", there / "a" / "1.hsc"), Job(faces / "b.png", there / "b.hsc")]
    assert [job.target for job in plan(faces, tmp_path / "out")] == [tmp_path / "out/a/1.hsc", tmp_path / "out/b.hsc"]


def test_linked_folders_are_part_of_it_and_circles_end(tmp_path: Path):
    faces = tmp_path / "faces"
    touch(faces / "a.png", tmp_path / "other" / "b.png")
    (faces / "linked").symlink_to("../other")
    (tmp_path / "other" / "back").symlink_to(faces)
    (faces / "x.png").mkdir()
    targets = [job.target.relative_to(tmp_path).as_posix() for job in plan(faces)]
    assert targets == ["faces-hsc/a.hsc", "faces-hsc/linked/b.hsc"]


def test_the_working_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    touch(tmp_path / "faces" / "a.png")
    monkeypatch.chdir(tmp_path / "faces")
    assert [job.target for job in plan(Path("."))] == [tmp_path / "faces-hsc" / "a.hsc"]


def test_a_decoded_picture_never_replaces_its_original(tmp_path: Path):
    face, coded = tmp_path / "face.png", tmp_path / "face.hsc"
    touch(face, coded)
    (job,) = files.plan(coded, None, files.coded_among, files.DECODED)
    assert job.target != face


def test_two_files_that_would_become_one_are_refused(tmp_path: Path):
    touch(tmp_path / "a.png", tmp_path / "a.jpg")
    with pytest.raises(HscError, match=r"a\.jpg and .*a\.png would both become .*a\.hsc"):
        plan(tmp_path)


@pytest.mark.parametrize("name", ["nowhere.png", "."])
def test_nothing_to_do_is_an_error(tmp_path: Path, name: str):
    with pytest.raises(HscError, match=r"no such file|holds no images"):
        plan(tmp_path / name)


def test_bad_files_are_named_and_the_others_go_on(capsys: pytest.CaptureFixture[str]):
    jobs = [Job(Path(f"{number}.png"), Path(f"{number}.hsc")) for number in range(2 * files.BATCH + 1)]
    bad = {jobs[3].source, jobs[-1].source}

    def work(batch: list[Job]) -> list[str]:
        for job in batch:
            if job.source in bad:
                raise HscError("broken image")
        return [job.source.stem for job in batch]

    done = []
    with pytest.raises(HscError, match=rf"2 of {len(jobs)} files failed"):
        done.extend(files.run_batches(jobs, files.in_threads(work), "testing"))
    assert done == [(job, job.source.stem) for job in jobs if job.source not in bad]
    assert capsys.readouterr().err == f"hsc: 3.png: broken image\nhsc: {jobs[-1].source}: broken image\n"


def test_the_failure_of_a_single_file_names_it():
    def work(batch: list[Job]) -> list[str]:
        raise HscError("broken image")

    with pytest.raises(HscError, match=r"^a\.png: broken image$"):
        list(files.run_batches([Job(Path("a.png"), Path("a.hsc"))], files.in_threads(work), "testing"))
