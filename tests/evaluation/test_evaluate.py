"""`evaluate`: the tables are computed from real files, survive interruptions, and state what was measured."""

import csv
import json
import re
import shutil
import sys
import zipfile
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from doubles import JUDGES, SIZE, JpegLayers, Pixels, Psnr, use_judges, write_smooth_pictures
from PIL import Image

from hsc.data.faces import open_faces
from hsc.errors import HscError
from hsc.evaluation.anchors import pillow
from hsc.evaluation.compare import compare
from hsc.evaluation.evaluate import evaluate
from hsc.evaluation.face_pictures import faces_data, read_face_pictures
from hsc.evaluation.results import read_results
from hsc.evaluation.selection import validation_split
from hsc.images import to_tensor
from hsc.metrics.cache import remembered

DOCUMENTATION = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
COUNT = 20  # of 24 pictures: two batches, and a gallery larger than the coded set


def read_rows(out) -> list[dict]:
    with open(out / "per_image.csv", newline="") as file:
        return list(csv.DictReader(file))


def rows_of(out, *place: str) -> list[dict]:
    """The rows of one codec, layer and quality."""
    return [row for row in read_rows(out) if (row["codec"], row["layer"], row["quality"]) == place]


def without_times(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The results of one evaluation; tests only read them."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSC_CACHE", str(folder / "cache"))
        use_judges(patch)
        pictures = write_smooth_pictures(folder / "pictures.zip", 24)
        evaluate(JpegLayers(), pictures, folder / "out", anchors=("jpeg",), limit=COUNT, judges=JUDGES)
    return folder / "out"


def test_every_image_layer_and_quality_has_a_row(finished):
    rows = read_rows(finished)
    places = [(row["codec"], row["quality"], row["layer"], row["image"]) for row in rows]
    assert len(set(places)) == len(places) == COUNT * (3 * 3 + 7)
    own = [place for place in places if place[0] == "jpeg-layers"]
    assert own[:2] == [("jpeg-layers", "0", "basic", "000.png"), ("jpeg-layers", "0", "basic", "001.png")]
    assert {place[2] for place in places if place[0] == "jpeg"} == {"all"}


def test_bytes_are_those_of_files_that_decode_to_what_was_judged(finished, codec, pictures):
    faces, judge = open_faces(pictures), Psnr()
    rows = [row for row in read_rows(finished) if row["codec"] == "jpeg-layers"]
    for row in rows[:: len(rows) // 7]:
        folder = finished / "files" / "jpeg-layers" / f"quality-{row['quality']}" / row["layer"]
        (file,) = folder.glob(f"{row['image']}*")
        assert file.stat().st_size == int(row["bytes"])
        assert float(row["bpp"]) == pytest.approx(8 * int(row["bytes"]) / SIZE**2)
        layers = codec.layers.index(row["layer"]) + 1
        assert float(row["bpp_estimated"]) == pytest.approx(8 * (int(row["bytes"]) - 2 * layers) / SIZE**2)
        decoded = codec.decompress([file.read_bytes()])[0].add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)
        expected = judge(to_tensor(faces.load(row["image"]))[None], decoded[None])
        assert float(row["psnr"]) == pytest.approx(expected.item(), rel=1e-5)


def test_parquet_holds_what_the_csv_holds(finished):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(finished / "per_image.parquet")
    rows = read_rows(finished)
    assert table.column_names == list(rows[0])
    assert str(table.schema.field("bytes").type) == "int64"
    for name in ("image", "layer", "quality", "bytes", "psnr", "bpp_estimated"):
        for value, text in zip(table[name].to_pylist(), (row[name] for row in rows), strict=True):
            assert ("" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)) == text


def test_gallery_is_every_original_not_the_limited_ones(finished, codec, pictures):
    faces = open_faces(pictures)
    originals = torch.stack([to_tensor(faces.load(name)) for name in faces.names])
    small = lambda images: torch.nn.functional.interpolate(  # noqa: E731
        images, size=(4, 4), mode="bicubic", antialias=True, align_corners=False
    ).flatten(1)
    decoded = torch.stack(codec.decompress(codec.compress(originals[:COUNT], 0, layers=1)))
    nearest = torch.cdist(small(decoded), small(originals)).argmin(1)
    answers = [float(row["identity_accuracy.pixels@24"]) for row in rows_of(finished, "jpeg-layers", "basic", "0")]
    assert answers == (nearest == torch.arange(COUNT)).double().tolist()
    assert 0 < np.mean(answers) <= 1


def test_results_hold_means_and_intervals_of_the_rows(finished):
    content = json.loads((finished / "results.json").read_text())
    layers = [f"jpeg-layers {layer}" for layer in ("basic", "middle", "enhanced")]
    assert [entry["name"] for entry in content["entries"]] == [*layers, "jpeg"]
    for entry in content["entries"]:
        for metric in ("bpp", "psnr", "identity_distance.pixels", "landmark_nme.brightest"):
            for place, quality in enumerate(entry["qualities"]):
                rows = rows_of(finished, entry["codec"], entry["layer"] or "all", str(quality))
                own = [float(row[metric]) for row in rows]
                mean = entry["results"][metric][place]
                assert mean == pytest.approx(np.mean(own), rel=1e-6)
                low, high = (entry["confidence"][bound][metric][place] for bound in ("low", "high"))
                assert low <= mean <= high
                assert high - low == pytest.approx(2 * 1.96 * np.std(own) / COUNT**0.5, rel=0.25)


def test_curves_know_the_images_they_are_means_of(finished, tmp_path):
    for curve in read_results(finished):
        assert curve.images_of.names == [f"{number:03}.png" for number in range(COUNT)]
        for metric in ("bpp", *curve.metrics):
            np.testing.assert_allclose(curve.images_of.values[metric].mean(axis=1), curve.values[metric], rtol=1e-6)
        means = curve.images_of.resampled["psnr"]
        assert means.std(axis=0) == pytest.approx(curve.images_of.values["psnr"].std(axis=1) / COUNT**0.5, rel=0.1)


def test_a_table_of_other_images_gives_no_intervals_and_a_damaged_one_is_named(finished, tmp_path):
    shutil.copy(finished / "results.json", tmp_path)
    assert all(curve.images_of is None for curve in read_results(tmp_path))
    table = (finished / "per_image.csv").read_text()
    header, *rows = table.splitlines()
    (tmp_path / "per_image.csv").write_text("\n".join([header, *rows[: len(rows) // 2]]))
    assert any(curve.images_of is None for curve in read_results(tmp_path))
    (tmp_path / "per_image.csv").write_text("\n".join([header, *rows[:2], rows[-1]]).replace("jpeg-layers", "j"))
    assert all(curve.images_of is None for curve in read_results(tmp_path))
    (tmp_path / "per_image.csv").write_text("\n".join([header, *rows[:-1]]))
    with pytest.raises(HscError, match=r"per_image\.csv is damaged: run hsc evaluate again, or delete it"):
        read_results(tmp_path)


def test_top_of_results_is_what_compressai_plots(finished):
    content = json.loads((finished / "results.json").read_text())
    assert content["name"] == "jpeg-layers enhanced"
    assert content["results"] == content["entries"][2]["results"]
    assert len(content["results"]["bpp"]) == len(content["results"]["psnr"]) == 3
    assert content["results"]["bpp"] == sorted(content["results"]["bpp"])


def test_metrics_of_the_family_that_trained_the_codec_are_marked(finished):
    family = ["psnr", "identity_accuracy.pixels@24", "identity_distance.pixels"]
    assert [curve.trained_on for curve in read_results(finished)] == [family] * 3 + [[]]


class Interrupted(JpegLayers):
    """Is interrupted midway, as by Ctrl-C."""

    def compress(self, images, quality=None, layers=None):
        if self.compressed > 7:  # probes at three qualities, one timing probe, first batch at three
            raise KeyboardInterrupt
        return super().compress(images, quality, layers)


def test_interrupted_evaluation_ends_with_the_same_tables(finished, pictures, judges, tmp_path, monkeypatch):
    monkeypatch.setattr("hsc.images.PIXELS_AT_ONCE", 16 * SIZE**2)
    out = tmp_path / "again"
    settings = {"anchors": ("jpeg",), "limit": COUNT, "judges": judges}
    with pytest.raises(KeyboardInterrupt):
        evaluate(Interrupted(), pictures, out, **settings)
    journal = out / "journal.jsonl"
    before = journal.read_text().splitlines()
    assert 0 < len(before) < COUNT * (9 + 7)
    journal.write_text("\n".join(before)[:-20])  # the last line truncated, as by a crash

    again = JpegLayers()
    evaluate(again, pictures, out, **settings)
    assert without_times(read_rows(out)) == without_times(read_rows(finished))
    kept = [json.loads(line) for line in before[:-1]]
    rows = {(row["codec"], row["layer"], row["quality"], row["image"]): row for row in read_rows(out)}
    whole_batches = [row for row in kept if row["image"] < "016.png"][:32]
    for row in whole_batches:  # not computed again: even the times are from the first attempt
        found = rows[row["codec"], row["layer"], str(row["quality"]), row["image"]]
        assert float(found["encode_seconds"]) == pytest.approx(row["encode_seconds"], rel=1e-8)

    compressed = again.compressed
    evaluate(again, pictures, out, **settings)
    assert again.compressed == compressed + 3  # only the probe that identifies the codec


def test_batches_follow_from_pixels_and_latents_are_computed_once(finished, pictures, judges, tmp_path, monkeypatch):
    """Three pictures at a time, at every quality of both codecs, give the same tables as one batch."""
    monkeypatch.setattr("hsc.images.PIXELS_AT_ONCE", 3 * SIZE**2 + 100)
    most, look = [], Psnr.forward

    def counted(judge, reference, image):
        most.append(len(image))
        return look(judge, reference, image)

    monkeypatch.setattr(Psnr, "forward", counted)
    codec = JpegLayers()
    evaluate(codec, pictures, tmp_path / "out", anchors=("jpeg",), limit=COUNT, judges=judges, pictures=4)
    assert max(most) == 3
    # One probe identifies the codec, one measures its speed; saving pictures takes no further analysis.
    assert codec.analysed == 1 + 1 + COUNT
    assert without_times(read_rows(tmp_path / "out")) == without_times(read_rows(finished))
    assert len(json.loads((tmp_path / "out" / "faces" / "faces.json").read_text())["faces"]) == 4


def test_other_codec_of_the_same_name_is_measured_anew(finished, pictures, judges, tmp_path):
    out = shutil.copytree(finished, tmp_path / "out")
    evaluate(JpegLayers(subsampling=2), pictures, out, anchors=("jpeg",), limit=COUNT, judges=judges)
    before, after = without_times(read_rows(finished)), without_times(read_rows(out))
    changed = [one["bytes"] != other["bytes"] for one, other in zip(before, after, strict=True)]
    assert any(changed)
    assert not any(change for change, row in zip(changed, after, strict=True) if row["codec"] == "jpeg")


def test_a_missing_judge_or_anchor_is_left_out_with_a_line(codec, pictures, tmp_path, judges, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    pillow._import_plugin.cache_clear()
    evaluate(codec, pictures, tmp_path / "out", anchors=("jxl",), limit=2, judges=("psnr", "dlib"), qualities=[1])
    said = capsys.readouterr().err
    assert "leaving out dlib: dlib is not available: put" in said
    assert "leaving out jxl" in said
    assert "hsc[anchors]" in said
    (row, *_) = read_rows(tmp_path / "out")
    assert [name for name in row if name.startswith(("psnr", "identity"))] == ["psnr"]


OWN_JUDGE = """
from hsc.judges import Judge

class Sameness(Judge):
    name, family, kind, higher_is_better = "sameness", "none", "perceptual", True

    def forward(self, reference, image):
        return 1 / (1 + (reference - image).abs().mean((1, 2, 3)))
"""


def test_a_judge_of_ones_own_is_measured_and_drawn_the_right_way_up(codec, pictures, tmp_path, monkeypatch):
    (tmp_path / "own_sameness.py").write_text(OWN_JUDGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    out, page = tmp_path / "out", tmp_path / "page"
    settings = {"limit": 2, "qualities": [0, 2], "pictures": 1}
    evaluate(codec, pictures, out, judges=("own_sameness:Sameness", "psnr"), anchors=("jpeg",), **settings)
    curves = read_results(out)
    assert all(curve.metrics == ["psnr", "sameness"] for curve in curves)
    assert curves[0].info("sameness").higher_is_better
    assert curves[0].images_of.values["sameness"].shape == (2, 2)
    published = {"name": "published", "results": {"bpp": [2.0, 3.0], "sameness": [0.5, 0.6]}}
    (tmp_path / "published.json").write_text(json.dumps(published))
    compare([out, tmp_path / "published.json"], page)
    tables = (page / "tables.md").read_text()
    assert "| sameness ↑ |" in tables
    best = max(curves, key=lambda curve: curve.values["sameness"][-1])
    assert f"{best.values['sameness'][-1]:.3f}" in tables
    assert (page / "sameness.svg").is_file()
    kept = faces_data([read_face_pictures(out)], "", curves[0].described)
    assert ("sameness", True) in [(said["name"], said["higher"]) for said in kept["metrics"]]


def test_validation_and_evaluation_remember_the_same_answers(codec, pictures, tmp_path, judges):
    """Results of a judge for the originals in one are reused in the other."""
    evaluate(codec, pictures, tmp_path / "out", judges=("pixels",), qualities=[1])
    faces, asked = open_faces(pictures), []
    originals = torch.stack([to_tensor(faces.load(name)) for name in faces.names])

    class Counting(Pixels):
        def forward(self, image):
            asked.append(len(image))
            return super().forward(image)

    assert torch.equal(remembered(Counting())(originals), Pixels()(originals))
    assert asked == [1]  # one image, to check that it is the same judge


def test_anchors_alone(pictures, tmp_path, judges):
    evaluate(None, pictures, tmp_path / "out", anchors=("jpeg", "webp"), limit=2, judges=("psnr",))
    curves = read_results(tmp_path / "out")
    assert [curve.name for curve in curves] == ["jpeg", "webp"]
    assert curves[0].images == 2
    with pytest.raises(HscError, match="nothing to evaluate"):
        evaluate(None, pictures, tmp_path / "none", judges=judges)


class Colours(torch.nn.Module):
    """Feature extractor: the mean colour of each quadrant."""

    name, family, kind = "colours", "light", "features"

    def forward(self, image):
        return torch.nn.functional.adaptive_avg_pool2d(image, 2).flatten(1)


def test_distances_of_sets_need_many_images(codec, pictures, tmp_path, judges, monkeypatch, capsys):
    from hsc import judges as judges_room
    from hsc.metrics import distribution

    monkeypatch.setattr(judges_room, "load_judge", lambda name, device="cpu": Colours())
    settings = {"anchors": ("jpeg",), "judges": ("colours",)}
    evaluate(codec, pictures, tmp_path / "few", **settings)
    assert "leaving out colours: distances between sets need at least 500 images, not 24" in capsys.readouterr().err

    monkeypatch.setattr(distribution, "MINIMUM_IMAGES", 24)
    out = tmp_path / "out"
    evaluate(codec, pictures, out, **settings)
    faces = open_faces(pictures)
    originals = torch.stack([to_tensor(faces.load(name)) for name in faces.names])
    decoded = torch.stack(codec.decompress(codec.compress(originals, 1, layers=2)))
    moments = [(x.mean(0), torch.cov(x.T)) for x in map(Colours(), (originals.double(), decoded.double()))]
    (mean, cov), (other_mean, other_cov) = moments
    root = torch.linalg.eigvals(cov @ other_cov).real.clamp(min=0).sqrt().sum()
    expected = (mean - other_mean).square().sum() + (cov + other_cov).trace() - 2 * root
    first = json.loads((out / "results.json").read_text())
    assert first["entries"][1]["results"]["frechet_colours"][1] == pytest.approx(expected.item(), rel=0.02)
    assert set(first["about"]["floor"]) == {"frechet_colours", "kid_colours"}

    for file in sorted((out / "features").rglob("*.npy"))[::2]:
        file.unlink()  # as if interrupted before these were written
    evaluate(codec, pictures, out, **settings)
    again = json.loads((out / "results.json").read_text())
    for before, after in zip(first["entries"], again["entries"], strict=True):
        assert after["results"]["kid_colours"] == before["results"]["kid_colours"]


def test_the_expected_time_counts_judges_of_sets(pictures, tmp_path, judges, monkeypatch, capsys):
    from hsc import judges as judges_room
    from hsc.evaluation import measuring
    from hsc.metrics import distribution

    clock = [0.0]

    class Slow(Colours):
        """Takes ten seconds per picture."""

        def forward(self, image):
            clock[0] += 10 * len(image)
            return super().forward(image)

    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(judges_room, "load_judge", lambda name, device="cpu": Slow())
    monkeypatch.setattr(distribution, "MINIMUM_IMAGES", 24)
    evaluate(None, pictures, tmp_path / "out", anchors=("jpeg",), judges=("colours",))
    assert "measuring 24 faces with jpeg at 7 qualities: about 28 min" in capsys.readouterr().err


def test_the_documented_anchor_is_found_and_measured(pictures, tmp_path, judges, monkeypatch):
    (code,) = re.findall(r"```python\n# my_anchors.py\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_anchors.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    evaluate(None, pictures, tmp_path / "out", anchors=("my_anchors:FewColours",), limit=2, judges=("psnr",))
    (curve,) = read_results(tmp_path / "out")
    assert curve.name == "png-palette"
    assert (np.diff(curve.values["bytes"]) > 0).all()
    assert (np.diff(curve.values["psnr"]) > 0).all()


def test_generated_faces_are_said_to_flatter(codec, tmp_path, judges):
    pictures = write_smooth_pictures(tmp_path / "generated.zip", 3)
    with zipfile.ZipFile(pictures, "a") as archive:
        archive.writestr(".generated-faces", b"")
    evaluate(codec, pictures, tmp_path / "out", judges=("psnr",), qualities=[0])
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert "generated faces: biased, not comparable" in content["description"]
    assert all(curve.generated for curve in read_results(tmp_path / "out"))


def test_a_folder_as_people_have_them_is_measured(codec, pictures, tmp_path, judges, capsys):
    """Broken images and other files are reported in one line each; images of any name get separate files."""
    folder = tmp_path / "caf\udce9"
    with zipfile.ZipFile(pictures) as archive:
        archive.extractall(folder)
    for number, name in enumerate(("a_b.png", "a/b.png", "caf\udce9.png", f"{'x' * 251}.png")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{number:03}.png").rename(folder / name)
    (folder / "004.png").write_bytes(b"?")
    (folder / "LICENSE.txt").touch()
    evaluate(codec, folder, tmp_path / "out", judges=("psnr",), qualities=[0])
    assert len({row["image"] for row in read_rows(tmp_path / "out")}) == 23
    assert len(list((tmp_path / "out" / "files").rglob("*.hsc"))) == 23 * 3
    said = capsys.readouterr().err
    assert "leaving out 1 broken images: 004.png" in said
    assert "skipped: LICENSE.txt" in said


def test_images_of_different_sizes_are_refused(codec, pictures, tmp_path, judges):
    with zipfile.ZipFile(pictures, "a") as archive, archive.open("003b.png", "w") as file:
        Image.new("RGB", (SIZE, SIZE * 2)).save(file, "PNG")
    with pytest.raises(HscError, match=r"003b\.png has another size than 000\.png"):
        evaluate(codec, pictures, tmp_path / "out", judges=judges)


def test_a_picture_that_is_not_square_is_named(codec, tmp_path, judges):
    Image.new("RGB", (SIZE, SIZE * 2)).save(tmp_path / "tall.png")
    with pytest.raises(HscError, match=rf"tall\.png is {SIZE}×{2 * SIZE}, not square: crop and align faces"):
        evaluate(codec, tmp_path, tmp_path / "out", judges=judges)


def test_damaged_lines_of_the_journal_are_measured_again(codec, pictures, tmp_path, judges):
    settings = {"limit": 2, "judges": judges, "qualities": [0]}
    evaluate(codec, pictures, tmp_path / "out", **settings)
    rows, journal = read_rows(tmp_path / "out"), tmp_path / "out" / "journal.jsonl"
    whole = journal.read_text().splitlines()
    journal.write_text("\n".join(["not json", '{"key": "of another version"}', *whole[2:]]) + "\n")
    evaluate(codec, pictures, tmp_path / "out", **settings)
    assert without_times(read_rows(tmp_path / "out")) == without_times(rows)
    assert len(journal.read_text().splitlines()) > len(whole)


def test_anchors_keep_to_sizes(codec, pictures, tmp_path, judges, capsys):
    sizes = {"at_bytes": (100, 900), "at_bpp": (5.5,)}  # 5.5 bpp of 32×32 pixels are 704 bytes
    evaluate(
        codec, pictures, tmp_path / "out", anchors=("jpeg", "jpeg"), limit=3, judges=("psnr",), qualities=[0], **sizes
    )
    rows = [row for row in read_rows(tmp_path / "out") if row["codec"] == "jpeg at bytes"]
    assert [row["target_bytes"] for row in rows] == ["704"] * 3 + ["900"] * 3
    faces = open_faces(pictures)
    for row in rows:
        assert int(row["bytes"]) <= int(row["target_bytes"])
        next_quality = int(row["quality"]) + 1
        more = pillow.JPEG().encode(np.array(faces.load(row["image"])), next_quality)
        assert next_quality > 95 or len(more) > int(row["target_bytes"])
    assert "leaving out jpeg at bytes, 100: its smallest files are larger" in capsys.readouterr().err
    curve = next(curve for curve in read_results(tmp_path / "out") if curve.name == "jpeg at bytes")
    assert (curve.targets, curve.qualities) == ([704, 900], [])
    assert curve.point_name(0) == "704 bytes asked for"


def test_what_is_to_be_measured_and_how_long_it_takes_is_said_before(codec, pictures, tmp_path, judges, capsys):
    settings = {"anchors": ("jpeg",), "limit": 3, "judges": judges, "qualities": [0, 1]}
    evaluate(codec, pictures, tmp_path / "out", **settings)
    said = capsys.readouterr().err
    before, announced, _ = said.partition("measuring 3 faces with jpeg-layers at 2 qualities of 3 layers, jpeg at 7 q")
    assert announced
    assert "quality" not in before
    evaluate(codec, pictures, tmp_path / "out", **settings)
    assert "about" not in capsys.readouterr().err  # nothing remains to be measured


def test_pictures_show_every_quality_and_layer_of_every_codec(codec, pictures, tmp_path, judges):
    """Also if they are requested after an evaluation has finished without them."""
    out = tmp_path / "out"
    settings = {"anchors": ("jpeg",), "limit": 3, "judges": judges, "qualities": [0, 2]}
    evaluate(codec, pictures, out, **settings)
    assert not (out / "faces").exists()
    measured = without_times(read_rows(out))
    evaluate(codec, pictures, out, **settings, pictures=2)
    assert without_times(read_rows(out)) == measured
    kept = json.loads((out / "faces" / "faces.json").read_text())
    assert [face["name"] for face in kept["faces"]] == ["000.png", "001.png"]
    assert "psnr" in kept["trained_on"]
    rows = {(row["image"], row["codec"], row["layer"], row["quality"]): row for row in read_rows(out)}
    for face in kept["faces"]:
        own, beside = face["shots"]["jpeg-layers"], face["shots"]["jpeg"]
        assert [(shot["quality"], shot["layer"]) for shot in own] == list(product((0, 2), codec.layers))
        assert [shot["quality"] for shot in beside] == list(pillow.JPEG.qualities)
        for shot, name in [(shot, "jpeg-layers") for shot in own] + [(shot, "jpeg") for shot in beside]:
            row = rows[face["name"], name, shot["layer"] or "all", str(shot["quality"])]
            assert shot["bytes"] == int(row["bytes"])
            for metric, value in shot["metrics"].items():
                assert value == pytest.approx(float(row[metric]), abs=1e-5)
            assert np.array(shot["landmarks"]).shape == (3, 2)
            with Image.open(out / "faces" / shot["picture"]) as picture:
                assert picture.size == (SIZE, SIZE)
    before = (out / "faces" / "faces.json").stat().st_mtime_ns
    compressed = codec.compressed
    evaluate(codec, pictures, out, **settings, pictures=2)
    assert (out / "faces" / "faces.json").stat().st_mtime_ns == before
    assert codec.compressed == compressed + 2  # only the probe, at two qualities


def test_faces_of_two_evaluations_stand_side_by_side(pictures, tmp_path, judges):
    """Two codecs with the same name are told apart by their folders; the anchor measured with both appears once."""
    galleries = []
    for place, subsampling in (("before", 0), ("after", 2)):
        settings = {"anchors": ("jpeg",), "limit": 2, "judges": judges, "qualities": [1], "pictures": 2}
        evaluate(JpegLayers(subsampling), pictures, tmp_path / place, **settings)
        galleries.append(read_face_pictures(tmp_path / place))
    data = faces_data(galleries, "jpeg")
    assert [one["name"] for one in data["codecs"]] == ["jpeg-layers (before)", "jpeg", "jpeg-layers (after)"]
    assert data["sides"] == ["jpeg-layers (before)", "jpeg-layers (after)"]
    assert "psnr" in data["codecs"][0]["trained_on"]
    assert data["codecs"][1]["trained_on"] == []
    assert [face["name"] for face in data["faces"]] == ["000.png", "001.png"]
    for face in data["faces"]:
        assert set(face["shots"]) == {one["name"] for one in data["codecs"]}
    assert len(data["pictures"]) == len(set(data["pictures"]))
    assert faces_data(galleries[:1], "jpeg")["sides"] == ["jpeg-layers", "jpeg"]
    assert faces_data([], "jpeg") is None


def test_a_picture_without_any_error_has_no_psnr_on_the_page(pictures, tmp_path, judges, monkeypatch):
    """JSON has no infinity."""
    monkeypatch.setattr(Psnr, "forward", lambda judge, reference, image: torch.full((len(image),), torch.inf))
    evaluate(JpegLayers(), pictures, tmp_path / "out", limit=1, judges=judges, qualities=[1], pictures=1)
    data = faces_data([read_face_pictures(tmp_path / "out")], "")
    assert "psnr" not in {metric["name"] for metric in data["metrics"]}
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize("content", ["", "{}", '{"trained_on": [], "faces": [{"name": "a", "original": {}}]}', "[1]"])
def test_a_damaged_list_of_faces_is_named(content, tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "faces.json").write_text(content)
    with pytest.raises(HscError, match=r"faces\.json cannot be read .* run hsc evaluate again"):
        read_face_pictures(tmp_path)


@pytest.mark.parametrize("recorded", ["card", "run", "run of several sets"])
def test_without_a_split_the_codecs_own_validation_images_are_measured(recorded, pictures, tmp_path, judges, capsys):
    codec, run = JpegLayers(), tmp_path / "run"
    run.mkdir()
    said = {"data": "elsewhere/pictures.zip", "validation": "020-023"}
    if recorded == "card":
        codec.card = said
    else:
        path = said["data"] if recorded == "run" else f"[{said['data']}, more.zip]"
        data = f"{{path: {path}, train: 000-019, validation: {said['validation']}}}"
        (run / "config.yaml").write_text(f"run: [joint]\nstages: {{joint: {{data: {data}}}}}\n")
    assert validation_split(codec, run, pictures) == "020-023"
    assert validation_split(codec, run, tmp_path / "others.zip") is None
    if recorded == "card":
        evaluate(codec, pictures, tmp_path / "out", judges=("psnr",), qualities=[0])
        assert {row["image"] for row in read_rows(tmp_path / "out")} == {f"{n:03}.png" for n in range(20, 24)}
        assert "measuring the images the codec was validated on: 020-023" in capsys.readouterr().err


def test_other_faces_under_the_name_of_the_codecs_own_are_measured_all(codec, pictures, tmp_path, judges, capsys):
    codec.card = {"data": "pictures.zip", "validation": "04000-04499"}
    evaluate(codec, pictures, tmp_path / "out", judges=("psnr",), qualities=[0])
    assert len({row["image"] for row in read_rows(tmp_path / "out")}) == 24
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "04000" in line]
    assert line.startswith("measuring all of pictures.zip: it does not contain the images the codec was validated on")
    with pytest.raises(HscError, match="selects none of the 24 images"):  # a split given by the user is not replaced
        evaluate(codec, pictures, tmp_path / "out", judges=("psnr",), qualities=[0], split="04000-04499")


def test_a_codec_that_does_not_say_what_it_was_validated_on_is_reported(codec, pictures, tmp_path, judges, capsys):
    codec.card = {"data": "pictures.zip"}
    evaluate(codec, pictures, tmp_path / "out", judges=("psnr",), qualities=[0], limit=1)
    assert "images the codec was trained on among them: name the others with --split" in capsys.readouterr().err
