"""Training faces from several sets at once."""

import pickle
from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import darkest_pixel, noise, write_zip

from hsc.data.faces import GENERATED_MARKER, STYLES, open_faces
from hsc.data.module import FaceDataModule
from hsc.data.sets import JoinedFaces, first_set, joined, split_sets
from hsc.errors import HscError

SPECS = {"train": "0-5", "validation": "6-9"}


pytestmark = pytest.mark.usefixtures("cache")


def write_set(path: Path, members: Mapping[str, bytes | str]) -> str:
    return str(write_zip(path, members))


@pytest.fixture
def main(tmp_path: Path) -> str:
    return write_set(tmp_path / "main.zip", {f"{seed}.png": noise(seed) for seed in range(10)})


@pytest.fixture
def more(tmp_path: Path) -> str:
    """A set of larger pictures in a folder, with file names that also occur in the first set."""
    return write_set(tmp_path / "more.zip", {f"a/{seed}.png": noise(100 + seed, 20) for seed in range(4)})


def test_the_first_set_is_split_and_the_others_train_whole(main: str, more: str) -> None:
    data = FaceDataModule([main, more], 8, validation_limit=2, **SPECS)
    train = data.faces("train")
    assert train.names == [f"main.zip/{n}.png" for n in range(6)] + [f"more.zip/a/{n}.png" for n in range(4)]
    assert {name: len(faces) for name, faces in train.sets.items()} == {"main.zip": 6, "more.zip": 4}
    assert data.faces("validation").names == ["6.png", "7.png"]
    assert data.dataset("train")[9]["image"].shape == (3, 8, 8)
    assert data.dataset("train")[9]["name"] == "more.zip/a/3.png"


def test_a_list_of_one_set_is_the_set(main: str) -> None:
    alone, listed = (FaceDataModule(path, 8, **SPECS).faces("train") for path in (main, [main]))
    assert listed.names == alone.names
    assert listed.content_key == alone.content_key
    assert list(listed.sets) == ["main.zip"]
    assert first_set(main) == first_set([main, "more.zip"]) == main


def test_several_sets_train_as_one_set_of_the_same_pictures_would(main: str, more: str, tmp_path: Path) -> None:
    """The content key is the same, so stage keys and cached landmarks are too; so are the pixels of each batch."""
    members = {f"{n}.png": noise(n) for n in range(6)} | {f"x/{n}.png": noise(100 + n, 20) for n in range(4)}
    whole = write_set(tmp_path / "whole.zip", members)
    settings: dict[str, Any] = {"size": 8, "batch_size": 6, "landmarker": darkest_pixel}
    several = FaceDataModule([main, more], **settings, **SPECS)
    single = FaceDataModule(whole, **settings, train="*", validation=None)
    assert several.faces("train").pictures_key == single.faces("train").pictures_key
    pairs = zip(several.train_dataloader(), islice(single.train_dataloader(), 5), strict=False)
    for one, other in islice(pairs, 5):
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["landmarks"], other["landmarks"])
        assert torch.equal(one["landmarks"], darkest_pixel(one["image"]))
    assert len(list((tmp_path / "cache" / "landmarks").iterdir())) == 1


def test_contents_and_order_count_and_not_what_the_sets_are_called(main: str, more: str, tmp_path: Path) -> None:
    renamed = write_set(tmp_path / "a.zip", {f"a/{n}.png": noise(100 + n, 20) for n in range(4)})
    third = write_set(tmp_path / "third.zip", {"1.png": noise(50)})

    def key(*paths: str) -> str:
        return FaceDataModule(list(paths), 8, **SPECS).faces("train").pictures_key

    assert key(main, renamed, third) == key(main, more, third)
    assert len({key(main), key(main, more), key(main, more, third), key(main, third, more)}) == 4


def test_sets_of_one_name_are_told_apart(main: str, tmp_path: Path) -> None:
    other = write_set(tmp_path / "other" / "main.zip", {"0.png": noise(90)})
    names = joined(split_sets([main, other], SPECS)["train"]).names
    assert names[-1] == "main-2.zip/0.png"
    assert len(set(names)) == len(names) == 7


def test_validation_images_in_another_set_are_left_out_with_a_line(
    main: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_set(tmp_path / "other.zip", {"p.png": noise(9), "q.png": noise(8), "r.png": noise(77)})
    for limit in (1, None):  # images beyond the limit are still held out
        data = FaceDataModule([main, other], 8, validation_limit=limit, **SPECS)
        assert data.faces("train").names[6:] == ["other.zip/r.png"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{other}: leaving out 2 validation images of {main}: p.png, …"
    copy = write_set(tmp_path / "copy.zip", {"p.png": noise(9)})
    with pytest.raises(HscError, match=r"copy\.zip: contains only validation images of .*main\.zip: leave it out"):
        split_sets([main, copy], SPECS)
    assert len(split_sets([main, copy], {"train": "*"})["train"]) == 2


def test_a_set_given_twice_is_refused(main: str, more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(main).parent)
    with pytest.raises(HscError, match=r"more\.zip is given twice"):
        split_sets([main, more, "./more.zip"], SPECS)
    with pytest.raises(HscError, match=r"main\.zip is given twice"):
        split_sets(["main.zip", main], SPECS)


def test_broken_images_are_named_with_their_set(main: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_set(tmp_path / "other.zip", {"bad.png": b"?", "cut.png": noise(1)[:40], "good.png": noise(80)})
    with pytest.raises(HscError, match=r"other\.zip: bad\.png"):
        FaceDataModule([main, other], 8, **SPECS).dataset("train")
    data = FaceDataModule([main, other], 8, skip_broken=True, **SPECS)
    assert data.faces("train").names[6:] == ["other.zip/good.png"]
    assert f"{other}: leaving out 2 broken images: bad.png, cut.png" in capsys.readouterr().err


@pytest.fixture
def generated(tmp_path: Path) -> Callable[[str, int, int], str]:
    """`generated(name, count, w_dim)` → the path of a set of generated faces."""

    def write(name: str, count: int, w_dim: int = 3) -> str:
        styles = BytesIO()
        np.save(styles, np.random.default_rng(count).standard_normal((count, 2, w_dim)).astype(np.float16))
        images = {f"{n:05d}.png": noise(1000 + 10 * count + n) for n in range(count)}
        return write_set(tmp_path / name, {GENERATED_MARKER: "", STYLES: styles.getvalue()} | images)

    return write


def test_styles_are_those_of_each_set(generated: Callable[..., str], main: str) -> None:
    sets = [generated("one.zip", 4), generated("two.zip", 3)]
    data = FaceDataModule(sets, 8, train="1-2", validation="3-3", flips=False, styles=(2, 3))
    held = data.faces("train").styles()
    expected = [open_faces(path).styles() for path in sets]
    assert np.array_equal(held, np.concatenate([expected[0][1:3], expected[1]]))
    assert data.faces("train").generated
    batch = data.dataset("train")[[4, 0]]
    assert np.array_equal(batch["styles"].numpy(), held[[4, 0]].astype(np.float32))
    mixed = joined(split_sets([sets[0], main], {"train": "*"})["train"])
    assert not mixed.generated
    with pytest.raises(HscError, match=r"main\.zip: holds no W\+"):
        mixed.styles()
    with pytest.raises(HscError, match=r"wide\.zip: the W\+ of its images has 2 × 5 numbers"):
        joined(split_sets([sets[0], generated("wide.zip", 2, 5)], {"train": "*"})["train"]).styles((2, 3))


def test_a_joined_set_is_selected_from_and_sent_to_worker_processes(main: str, more: str) -> None:
    faces = joined(split_sets([main, more], SPECS)["train"])
    chosen = faces.select(["more.zip/a/2.png", "main.zip/4.png"])
    assert isinstance(chosen, JoinedFaces)
    assert chosen.names == ["main.zip/4.png", "more.zip/a/2.png"]
    again = pickle.loads(pickle.dumps(faces))
    assert again.pictures_key == faces.pictures_key
    assert again.load("more.zip/a/2.png").tobytes() == faces.load("more.zip/a/2.png").tobytes()
    assert again.where("more.zip/a/2.png") == f"{more}: a/2.png"
    with pytest.raises(HscError, match="no such image"):
        faces.load("2.png")
