"""`compare`: published results can be added, the page is self-contained, and the tables agree with the curves."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from hsc.errors import HscError
from hsc.evaluation.bootstrap import bootstrap_interval
from hsc.evaluation.chart import rate_chart, styles
from hsc.evaluation.compare import (
    changes_between,
    compare,
    equal_rates,
    find_reference,
    show_results,
    telling_tables,
    unique_names,
    warnings_about,
)
from hsc.evaluation.comparison_tables import (
    delta_table,
    difference_table,
    equal_rate_table,
    interval_at,
    layers_table,
    value_at,
)
from hsc.evaluation.figures import draw, png, svg
from hsc.evaluation.results import COUNTS, Curve, counted, read_about, read_results, write_results
from hsc.evaluation.rows import ImageValues
from hsc.evaluation.table import Cell, Column, Table
from hsc.metrics.info import quality_info

RATES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])
ACCURACY = "identity_accuracy.dlib@500"


def curve(name: str, saving: float = 0.0, layer: str = "", **more) -> Curve:
    """A codec that reaches the same values with a rate lower by the fraction `saving`."""
    values = {
        "bpp": (1 - saving) * RATES,
        "psnr": 30 + 3 * np.log2(RATES),
        "lpips": 0.2 - 0.05 * np.log2(RATES),
        ACCURACY: np.array([0.1, 0.5, 0.9, 1.0, 1.0]),
        "encode_seconds": np.full(5, 0.1),
    }
    own = {"codec": name.split()[0], "layer": layer, "images": 100, "pixels": 128 * 128, "data_key": "faces"}
    return Curve(name, values, **(own | more))


def with_band(one: Curve, width: float) -> Curve:
    one.low = {"psnr": one.values["psnr"] - width}
    one.high = {"psnr": one.values["psnr"] + width}
    return one


def four_curves() -> list[Curve]:
    layered = [curve(f"ours {layer}", 0.1 * (n + 1), layer) for n, layer in enumerate(("basic", "middle", "enhanced"))]
    layered[-1].trained_on = ["lpips"]
    layered[-1].qualities = [0, 1, 2, 3, 4]
    return [*layered, with_band(curve("vvc"), 0.5)]


@pytest.fixture
def curves() -> list[Curve]:
    return four_curves()


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> Path:
    """Output of `compare` for a results folder of `hsc evaluate` and a results file of CompressAI (read-only)."""
    curves, tmp_path = four_curves(), tmp_path_factory.mktemp("compared")
    (tmp_path / "ours").mkdir()
    write_results(tmp_path / "ours" / "results.json", curves, curves[2], {})
    published = {
        "name": "mbt2018",
        "description": "Inference on a <data set>",
        "results": {
            "psnr-rgb": (31 + 3 * np.log2(RATES)).tolist(),
            "ms-ssim-rgb": [0.9, 0.92, 0.94, 0.96, 0.98],
            "bpp": RATES.tolist(),
            "encoding_time": [0.1] * 5,
            "decoding_time": [0.1, 0.2, 0.3, 0.4, 0.5],
        },
    }
    (tmp_path / "mbt2018.json").write_text(json.dumps(published))
    page = compare([tmp_path / "ours", tmp_path / "mbt2018.json"], tmp_path / "out")
    assert page == tmp_path / "out" / "index.html"
    return page.parent


def drawn(metric: str, curves: list[Curve]):
    """The figure of one metric against the rate."""
    chart = rate_chart({curves[0].count: curves}, [metric])
    return draw(chart, chart.panels[0], curves[0].count)


METRICS = ("lpips", "ms_ssim", "psnr", ACCURACY)  # in page order


def test_every_metric_has_its_drawings(compared):
    for metric in METRICS:
        root = ET.parse(compared / f"{metric}.svg").getroot()
        lines = [node.get("id") for node in root.iter() if (node.get("id") or "").startswith("curve-")]
        assert len(lines) == {"psnr": 5, "ms_ssim": 1}.get(metric, 4)
        with Image.open(compared / f"{metric}.png") as picture:
            assert picture.size[0] > 1500
    assert not (compared / "encode_seconds.svg").exists()


def test_page_requests_nothing_and_holds_every_metric(compared):
    page = (compared / "index.html").read_text()
    outside = page.replace("http://www.w3.org/2000/svg", "")  # an XML namespace
    assert not re.search(
        r"https?:|//[\w-]+\.\w|@import|<link(?! rel=\"icon\" href=\"data:,\")|<script src|<img", outside
    )
    for metric in METRICS:
        said = quality_info(metric)
        mark = " †" if metric == "lpips" else ""
        assert re.search(rf'<option value="{metric}"[^>]*>{re.escape(f"{said.title}{mark}")}</option>', page)
    assert "<!--" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def script_data(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_page_opens_on_a_metric_that_trained_nothing(compared):
    (first,) = re.findall(r'<option value="([^"]+)" selected>', (compared / "index.html").read_text())
    assert first == "ms_ssim"  # LPIPS comes first but was a loss of one codec
    ours = curve("ours", trained_on=["psnr", "lpips"])
    assert rate_chart({"files": [ours]}, ["psnr", "lpips"]).first == 0


def test_page_has_the_numbers_of_every_point(compared):
    data = script_data((compared / "index.html").read_text())["charts"]["curves"]
    assert [one["name"] for one in data["curves"][:3]] == ["ours basic", "ours middle", "ours enhanced"]
    psnr = data["metrics"][2]["points"]["files"]
    assert [len(points) for points in psnr] == [5] * 5
    first = psnr[2][0]
    assert first["text"] == "quality 0\n0.0350 bpp, 71.7 bytes\nPSNR: 17.03 dB"
    assert (first["x"], first["y"]) == pytest.approx((0.035, 30 + 3 * np.log2(0.05)), rel=1e-4)
    assert "95 %: 16.53 to 17.53" in psnr[3][0]["text"]
    assert psnr[3][0]["high"] - psnr[3][0]["low"] == pytest.approx(1, abs=1e-3)
    assert "low" not in first
    assert not data["metrics"][1]["points"]["files"][0]  # MS-SSIM was measured only for the published curve
    assert "† The codec was trained on this metric" in data["metrics"][0]["points"]["files"][2][0]["text"]
    assert [metric["trained_on"] for metric in data["metrics"]] == [[2], [], [], []]


def test_every_figure_and_table_is_also_text_for_papers(compared):
    rows = list(csv.DictReader((compared / "psnr.csv").read_text().splitlines()))
    assert len(rows) == 25
    assert rows[10]["curve"] == "ours enhanced"
    assert rows[10]["point"] == "quality 0"
    assert float(rows[10]["Bits per pixel, whole files"]) == pytest.approx(0.035)
    assert float(rows[15]["PSNR (dB) ↑"]) == pytest.approx(30 + 3 * np.log2(0.05), rel=1e-5)
    assert (float(rows[15]["high"]) - float(rows[15]["low"]), rows[10]["low"]) == (pytest.approx(1, abs=1e-3), "")
    trained_on = [row["trained_on"] for row in csv.DictReader((compared / "lpips.csv").read_text().splitlines())]
    assert set(trained_on) == {"yes", "no"}
    plot = (compared / "psnr.tex").read_text()
    assert plot.count(r"\addplot[") == plot.count(r"\addlegendentry{") == 5
    assert plot.count("{") == plot.count("}")
    assert r"ylabel={PSNR (dB) $\uparrow$}" in plot
    assert "(0.05,17.0342) += (0,0.5) -= (0,0.5)" in plot
    assert r"\addlegendentry{ours enhanced\textdagger{}}" in (compared / "lpips.tex").read_text()
    table = list(csv.reader((compared / "table-bd_rate.csv").read_text().splitlines()))
    assert table[3] == ["ours enhanced", "−30.0 %†", "", "−30.0 %", "−30.0 %"]


def test_the_best_value_of_a_column_is_bold_and_never_one_that_was_trained_on(compared):
    table = equal_rate_table(four_curves(), ["psnr", "lpips"], 0.1)
    alone = equal_rate_table(four_curves()[2:], ["lpips"], 0.1)
    assert not any(alone.is_best(1, row[1]) for row in alone.rows)  # only one of the two is eligible
    columns = enumerate(zip(*table.rows, strict=True))
    best = [[cell.text for cell in column if table.is_best(n, cell)] for n, column in columns]
    enhanced, middle = table.rows[2], table.rows[1]
    assert best == [[], [enhanced[1].text], [middle[2].text]]
    assert enhanced[2].value < middle[2].value
    text, latex = ((compared / f"tables.{ending}").read_text() for ending in ("md", "tex"))
    assert "| ours enhanced | −30.0 %† |  | **−30.0 %** | **−30.0 %** |" in text
    assert "† The codec was trained on this metric; bold is the best of the others." in text
    assert all(cell in latex for cell in (r"$-$30.0 \%\textdagger{}", r"\textbf{$-$30.0 \%}"))
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 6
    page = (compared / "index.html").read_text()
    assert re.search(r"<td data-value=[^>]*><strong>−30\.0 %</strong></td>", page)


def test_values_at_equal_rate_have_intervals_over_images():
    """For 40 images with PSNR spread evenly over 10 dB, the interval of the mean is the bootstrap interval."""
    one, spread = curve("codec"), np.linspace(-5, 5, 40)
    images = {"bpp": np.repeat(RATES[:, None], 40, 1), "psnr": one.values["psnr"][:, None] + spread}
    one.images_of = ImageValues([0, 1, 2, 3, 4], [f"{n:02}" for n in range(40)], images)
    low, high = interval_at(one, "psnr", 0.1)
    expected = bootstrap_interval(images["psnr"][1])
    assert (low, high) == (pytest.approx(expected.low, abs=0.05), pytest.approx(expected.high, abs=0.05))
    (row,) = equal_rate_table([one], ["psnr", "lpips"], 0.1).rows
    assert row[1].interval == f"[{low:.2f}, {high:.2f}]"
    assert row[2].interval == ""


def test_names_in_result_files_cannot_inject_markup(tmp_path, undrawn):
    evil = curve("<script>alert(1)</script>")
    write_results(tmp_path / "results.json", [evil], evil, {})
    page = compare([tmp_path], tmp_path / "out").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_times_stand_where_they_were_taken(compared):
    text = (compared / "tables.md").read_text()
    (table,) = re.findall(r"### Milliseconds per image\n\n((?:\|.*\n)+)", text)
    assert table.splitlines()[2:] == ["| mbt2018 | 100.0 | 300.0 |"]
    assert "Milliseconds per image" in (compared / "index.html").read_text()


def with_sizes(one: Curve, headers: float) -> Curve:
    one.values["slice_bytes"] = one.bpp * one.pixels / 8 - headers
    return one


def test_tables_page_and_drawings_count_coded_pictures_alone(tmp_path, undrawn):
    """The reference has 83 header bytes per file and otherwise the same size; JPEG does not report its headers."""
    ours, vvc = with_sizes(curve("ours all", layer="all"), 0), with_sizes(curve("vvc"), 83)
    vvc.values["slice_bytes"] = ours.values["slice_bytes"]
    vvc.values["bpp"] = ours.bpp + 8 * 83 / ours.pixels
    write_results(tmp_path / "results.json", [ours, vvc, curve("jpeg")], ours, {})
    texts = {}
    for count in COUNTS:
        page = compare([tmp_path], tmp_path / count, count=count).read_text()
        assert re.findall(r'<div data-count="(\w+)"( hidden)?>', page)[0] == (count, "")
        points = script_data(page)["charts"]["curves"]["metrics"][0]["points"]
        assert (len(points["files"][2]), len(points["pictures"][2])) == (5, 0)
        texts[count] = (tmp_path / count / "tables.md").read_text()
    assert "| ours all | +0.0 % |" in texts["pictures"]
    assert "| ours all | +0.0 % |" not in texts["files"]
    assert "| jpeg | – |" in texts["pictures"]
    assert "– coded pictures alone are not counted for both" in texts["pictures"]
    assert "coded pictures alone" in svg(drawn("lpips", [counted(ours, "pictures")]))


def test_coded_pictures_that_nobody_counted_are_refused(tmp_path, undrawn):
    write_results(tmp_path / "results.json", [curve("a"), curve("b")], curve("a"), {})
    with pytest.raises(HscError, match="no result here counts coded pictures alone"):
        compare([tmp_path], tmp_path / "out", count="pictures")
    assert "pictures" not in script_data(compare([tmp_path], tmp_path / "out").read_text())["charts"]["curves"]["views"]


def test_latex_escapes_what_latex_reads():
    rows = [[Cell("50 %"), Cell("{1}^2~3\\4")]]
    text = Table("name", "a_b", [Column("codec"), Column("x & y")], rows).latex()
    assert r"x \& y \\" in text
    assert r"50 \% & \{1\}\textasciicircum{}2\textasciitilde{}3\textbackslash{}4 \\" in text


def test_value_between_points_but_never_beyond():
    one = curve("codec")
    assert value_at(one, "psnr", 0.1) == pytest.approx(one.values["psnr"][1])
    assert value_at(one, "psnr", (0.1 * 0.2) ** 0.5) == pytest.approx(one.values["psnr"][1:3].mean())
    assert value_at(one, "psnr", 0.049) is None
    assert value_at(one, "psnr", 0.81) is None
    assert value_at(one, "fid", 0.1) is None
    table = equal_rate_table([one, curve("cheap", 0.9)], ["psnr", ACCURACY], 0.1)
    assert table.title == "At 0.1000 bpp (205 bytes per face)"
    assert [str(cell) for cell in table.rows[0]] == ["codec", "20.03", "50.0"]
    assert len(table.rows) == 1
    assert table.notes == ["Not measured around this rate: cheap."]


def test_refused_deltas_are_explained_below_the_table(curves):
    short = curve("short")
    short.values = {name: values[:3] for name, values in short.values.items()}
    table = delta_table([*curves, short], curves[-1], ["psnr", "lpips"], of_rate=True)
    assert [str(cell) for cell in table.rows[-1]] == ["short", "–", "–"]
    assert "– only 3 points improve with rate, 4 needed – PSNR: short; LPIPS (AlexNet): short." in table.details
    overlap = "Range of quality shared with vvc ÷ the shorter range. ours basic: PSNR 100%, LPIPS (AlexNet) 100%."
    assert overlap in table.details


def test_reference_is_vvc_unless_told(curves):
    assert find_reference(curves, None).name == "vvc"
    assert find_reference(curves, "ours basic").name == "ours basic"
    assert find_reference(curves[:3], None).name == "ours enhanced"
    with pytest.raises(HscError, match=r"there is no curve 'h264'.*ours basic"):
        find_reference(curves, "h264")


@pytest.mark.parametrize("name", ["VTM", "VTM-20.0", "VVC (a)", "H.266"])
def test_the_standard_under_another_name_is_the_reference(name):
    others = [curve("AV1"), curve("JPEG2000"), curve("vvc at bytes", targets=[1, 2, 3, 4, 5]), curve("hmm")]
    assert find_reference([*others, curve(name, codec=name)], None).name == name
    assert find_reference(others, None).name == "AV1"
    assert find_reference(others[1:2], None).name == "JPEG2000"


def test_same_anchor_twice_is_one_curve_and_namesakes_are_told_apart(tmp_path):
    file, other = (tmp_path / folder / "results.json" for folder in "ab")
    one = [curve("ours", source=file), curve("vvc", source=file)]
    two = [curve("ours", 0.2, source=other), curve("vvc", source=other)]
    two[1].values["encode_seconds"] = np.full(5, 9.0)
    assert [one.name for one in unique_names(one + two)] == ["ours (a)", "vvc", "ours (b)"]
    thrice = [curve("ours", saving, source=file) for saving in (0, 0.1, 0.2)]
    assert [one.name for one in unique_names(thrice)] == ["ours (a)", "ours (a) #2", "ours (a) #3"]


def measured_on_images(codec: str, better: float, seed: int) -> list[Curve]:
    """Two layers with 30 images that differ a lot from each other and by only `better` between codecs."""
    images = np.random.default_rng(1).normal(0, 3, 30)
    noise = np.random.default_rng(seed).normal(0, 0.05, (5, 30))
    layers = []
    for layer in ("basic", "all"):
        one = curve(f"{codec} {layer}", layer=layer, qualities=[0, 1, 2, 3, 4])
        values = {
            "bpp": np.repeat(RATES[:, None], 30, 1),
            "psnr": one.values["psnr"][:, None] + images + noise + better,
        }
        one.images_of = ImageValues([0, 1, 2, 3, 4], [f"{n:02}" for n in range(30)], values)
        one.values |= {name: of.mean(axis=1) for name, of in values.items()} | {"bytes": RATES * 2048}
        layers.append(one)
    return layers


def test_before_and_after_have_paired_intervals():
    """Images spread over 3 dB, but the change from before to after is the same for each."""
    before, after = measured_on_images("before", 0, 2), measured_on_images("after", 0.2, 3)
    table = difference_table(before, after, ["psnr"])
    assert [str(row[0]) for row in table.rows][:2] == ["basic, quality 0", "basic, quality 1"]
    assert len(table.rows) == 10
    for row in table.rows:
        low, high = (float(text.replace("−", "-")) for text in row[2].interval.strip("[]").split(", "))
        assert low - 0.03 < 0.2 < high + 0.03  # some of the ten intervals miss it
        assert high - low < 0.1
        assert row[1].text == "+0.0 %"
    (saved, _) = layers_table(before, after, ["psnr"]).rows
    low, high = (float(text.replace("−", "-")) for text in saved[1].interval.strip("[]").split(", "))
    assert low < saved[1].value < high < 0
    changes, differences = changes_between([*before, *after, curve("vvc")], ["psnr"])
    assert [table.title.partition(":")[0] for table in changes] == [
        "BD-rate of after against before, layer by layer, whole files"
    ]
    assert len(differences) == 1
    after[1].images_of.names[0] = "another"
    assert changes_between([*before, *after], ["psnr"]) == ([], [])
    assert changes_between(before, ["psnr"]) == ([], [])


def test_no_change_has_no_sign_of_loss_and_nothing_is_the_best_of_a_change():
    before, after = measured_on_images("before", 0, 2), measured_on_images("after", 1e-5, 2)
    after[0].trained_on = ["psnr"]
    table = layers_table(before, after, ["psnr"])
    assert [row[1].text for row in table.rows] == ["+0.0 %", "+0.0 %"], "−0.0 %"
    assert table.rows[0][1].value < 0
    assert table.notes == ["† The codec was trained on this metric."]
    assert table.best == [None, None]


def test_equal_rates_are_those_of_the_last_layer_first_one_that_other_codecs_reach(curves):
    np.testing.assert_allclose(equal_rates(curves, curves[3]), 0.7 * RATES[[2, 0, 4]])
    np.testing.assert_allclose(equal_rates([curves[3], curve("jpeg", 0.5)], curves[3]), RATES[[2, 0, 4]])
    jpeg = curve("jpeg")  # it does not reach low rates
    jpeg.values = {name: values[-1:] / 2 for name, values in jpeg.values.items()}
    np.testing.assert_allclose(equal_rates([*curves, jpeg], curves[3]), 0.7 * RATES[[2, 0, 4]])
    for one in curves[:2]:  # at the lowest rate, all three layers are measured but no other codec
        one.values = {name: values[:1] for name, values in one.values.items()}
    curves[3].values = {name: values[-2:] for name, values in curves[3].values.items()}
    np.testing.assert_allclose(equal_rates(curves, curves[3]), 0.7 * RATES[[4, 0, 2]])


@given(st.integers(40, 200), st.lists(st.text("ab .↑/", min_size=1, max_size=30), min_size=1, max_size=12))
def test_a_table_on_a_terminal_shows_every_value_whole_within_the_width(width, titles):
    rows = [[Cell(f"codec {row}"), *(Cell(f"{row}{place:02}.123") for place in range(len(titles)))] for row in range(3)]
    table = Table("any", "any", [Column("codec"), *map(Column, titles)], rows)
    console = Console(width=width, file=io.StringIO())
    console.print(*table.rich(width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = console.file.getvalue().split()
    assert all(words.count(cell.text) == 1 for row in rows for cell in row[1:])


def test_a_terminal_shows_no_intervals_and_speaks_of_none(capsys):
    curves = [*measured_on_images("ours", 0, 2), curve("vvc")]
    show_results(curves)
    said = " ".join(capsys.readouterr().out.split())
    assert "At " in said
    assert "In brackets" not in said
    assert any("In brackets 95 % intervals" in table.markdown() for table in telling_tables(curves))


def test_the_page_begins_with_a_rate_that_another_codec_reaches(tmp_path, undrawn):
    """Our codec goes down to a rate that JPEG does not reach; its middle rate is not shown first."""
    ours, jpeg = curve("ours all", 0.5, "all"), curve("jpeg")
    jpeg.values = {name: values[-2:] for name, values in jpeg.values.items()}
    write_results(tmp_path / "results.json", [ours, jpeg], ours, {})
    page = compare([tmp_path], tmp_path / "out").read_text()
    headline, *rest = re.findall(r"At [\d.]+ bpp", page.partition("<script")[0])
    assert headline == "At 0.4000 bpp"
    assert sorted(rest) == ["At 0.0250 bpp", "At 0.1000 bpp"]


def test_reader_is_warned_of_generated_faces_and_of_different_images():
    assert warnings_about([curve("a"), curve("b")]) == []
    (warning,) = warnings_about([curve("a", generated=True), curve("b")])
    assert warning == "a: generated faces: biased, not comparable"
    warnings = warnings_about([curve("a"), curve("b", data_key="others", images=50)])
    assert "different images" in warnings[0]
    assert "different numbers of images" in warnings[1]
    assert "Not all curves say" in warnings_about([curve("a"), curve("b", data_key="")])[0]


def test_generated_faces_are_named_in_every_title():
    assert "generated faces: biased, not comparable" in svg(drawn("psnr", [curve("a", generated=True), curve("b")]))
    assert "generated" not in svg(drawn("psnr", [curve("a")]))


def test_drawing_is_reproducible_and_skips_missing_points(curves):
    curves[0].values["psnr"][[1, 3]] = np.nan
    assert svg(drawn("psnr", curves)) == svg(drawn("psnr", curves))
    assert png(drawn("psnr", curves)) == png(drawn("psnr", curves))
    assert curves[0].measured("psnr").tolist() == [0, 2, 4]


def test_layers_share_a_colour_and_differ_by_line(curves):
    chosen = styles(curves)
    assert len({style.colour for style in chosen[:3]}) == 1
    assert len({str(style.line) for style in chosen[:3]}) == 3
    assert chosen[3].colour != chosen[0].colour


def test_results_survive_writing_and_reading(curves, tmp_path):
    curves[0].values["psnr"][1] = np.nan
    curves[0].values["psnr"][2] = np.inf
    write_results(tmp_path / "results.json", curves, curves[2], {"data": "faces"})
    again = read_results(tmp_path)
    for before, after in zip(curves, again, strict=True):
        for name in ("name", "codec", "layer", "trained_on", "pixels"):
            assert getattr(after, name) == getattr(before, name)
        finite = np.where(np.isinf(before.values["psnr"]), np.nan, before.values["psnr"])
        np.testing.assert_allclose(after.values["psnr"], finite, rtol=1e-8)
    np.testing.assert_allclose(again[3].high["psnr"], curves[3].high["psnr"], rtol=1e-8)


@pytest.mark.parametrize(
    "content",
    ["not json", '{"name": "x"}', '{"results": {"psnr": [1]}}', '{"results": {"bpp": [1, 2], "psnr": [1]}}', "[3]"],
)
def test_other_files_are_refused_by_name(content, tmp_path):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(HscError, match=r"other\.json is not a"):
        read_results(file)


def test_a_byte_order_mark_is_no_part_of_a_result_file(tmp_path):
    """Windows editors write one."""
    content = json.dumps({"name": "mine", "about": {"data": "faces"}, "results": {"bpp": [1, 2], "psnr": [30, 31]}})
    (tmp_path / "results.json").write_text(content, encoding="utf-8-sig")
    assert [one.name for one in read_results(tmp_path)] == ["mine"]
    assert read_about(tmp_path) == {"data": "faces"}


def test_missing_results_are_named(tmp_path):
    with pytest.raises(HscError, match="holds no results"):
        read_results(tmp_path)
    with pytest.raises(HscError, match="no such file"):
        read_results(tmp_path / "nothing.json")
    (tmp_path / "rates.json").write_text('{"results": {"bpp": [1, 2], "seconds": [1, 2]}}')
    with pytest.raises(HscError, match="no known metric"):
        compare([tmp_path / "rates.json"], tmp_path / "out")
