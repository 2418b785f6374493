"""The page in headless Chromium: clicks and drags have the intended effect, and it makes no network requests."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import NEEDS_CHROMIUM, watched
from doubles import JUDGES, JpegLayers, leave_undrawn, use_judges, write_smooth_pictures
from PIL import Image

from hsc.evaluation.compare import compare
from hsc.evaluation.evaluate import evaluate
from hsc.evaluation.results import Curve, write_results
from hsc.evaluation.rows import Row, per_image_table
from hsc.evaluation.summary import summarise
from hsc.evaluation.table import write_columns
from hsc.metrics.info import quality_info

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def comparison(tmp_path_factory) -> Path:
    """A page that compares a layered codec before and after a change, WebP and JPEG, with pictures of three faces."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSC_CACHE", str(folder / "cache"))
        use_judges(patch)
        leave_undrawn(patch)
        pictures = write_smooth_pictures(folder / "pictures.zip", 4)
        settings = {"judges": JUDGES, "pictures": 3}
        evaluate(JpegLayers(), pictures, folder / "before", anchors=("webp", "jpeg"), **settings)
        evaluate(JpegLayers(2), pictures, folder / "after", **settings)
        return compare([folder / "before", folder / "after"], folder / "comparison")


@pytest.fixture(scope="module")
def switched(tmp_path_factory) -> Path:
    """A page of two codecs that both report coded data and headers separately."""
    folder = tmp_path_factory.mktemp("switched")
    curves = []
    for name, headers in (("vvc", 83), ("other", 10)):
        sizes = np.array([100.0, 200, 400, 800])
        values = {"bpp": (sizes + headers) / 2048, "slice_bytes": sizes, "psnr": 20 + 3 * np.log2(sizes)}
        curves.append(Curve(name, values, codec=name, images=10, pixels=128 * 128))
    write_results(folder / "results.json", curves, curves[0], {})
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        return compare([folder], folder / "page")


DEFAULT_METRICS = (
    "lpips", "lpips_vgg", "dists", "ms_ssim", "psnr", "identity_accuracy.dlib@500", "identity_distance.dlib",
    "landmark_nme.dlib68", "detection_rate.dlib68",
)  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """A page with all default metrics of `hsc evaluate`, with intervals."""
    folder, noise = tmp_path_factory.mktemp("full"), np.random.default_rng(1)
    rows = []
    for codec, saving in (("ffhq128", 0.5), ("av1", 0.0)):
        for layer in ("basic", "middle", "enhanced") if codec == "ffhq128" else ("all",):
            for quality in range(5):
                for image in range(6):
                    quality_of = {
                        name: (1 if quality_info(name).higher_is_better else -1) * quality / 10
                        + noise.normal(0, 0.2)
                        + 0.6
                        for name in DEFAULT_METRICS
                    }
                    size = int((1 - saving) * 100 * 1.5**quality) + image
                    rows.append(Row(f"{image}.png", codec, layer, quality, size, None, None, 0.1, 0.1, quality_of))
    curves = summarise(rows, 128 * 128, "faces", False, ["lpips"], {})
    write_results(folder / "results.json", curves, curves[2], {})
    write_columns(folder / "per_image.csv", per_image_table(rows, (128, 128)))
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        return compare([folder], folder / "page")


@pytest.fixture
def opened(browser, comparison) -> Iterator:
    """`opened(view="", page=comparison, **context)` → the page."""
    with watched(browser) as open_page:
        yield lambda view="", page=comparison, **settings: open_page(page, view, **settings)


@pytest.fixture
def page(opened):
    """The comparison as it opens in a desktop browser."""
    return opened()


def drag(page, box: dict, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag from one position in a box to another, in pixels."""
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0], box["y"] + end[1], steps=4)
    page.mouse.up()


def press(page, place, *keys: str) -> None:
    place.focus()
    for key in keys:
        page.keyboard.press(key)


def places(page) -> list[str | None]:
    """Positions of the points in the chart."""
    return [mark.get_attribute("transform") for mark in page.locator(".plot .mark").all()]


def saved(page, button) -> tuple[str, bytes]:
    with page.expect_download() as waiting:
        button.click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def colours_of_saved(page, part) -> set[tuple[int, int, int]]:
    """Colours of the PNG of a saved figure, which is three times as wide as the SVG."""
    name, png = saved(page, part.locator('[data-save="png"]'))
    assert name.endswith(".png")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.width == 3 * 760
        return {colour for _, colour in picture.convert("RGB").getcolors(1 << 22)}


def assert_ticks(page) -> None:
    """Check that each axis has at least three numbers."""
    for axis in ("x", "y", "bytes"):
        texts = page.locator(f'.plot text[data-axis="{axis}"]').all_text_contents()
        assert len([float(text) for text in texts]) >= 3


def test_opens_on_what_trained_nothing_without_overlays(page):
    chosen = page.locator(".metric option:checked").inner_text()
    assert "†" not in chosen
    marked = [text for text in page.locator(".metric option").all_inner_texts() if "†" in text]
    assert "PSNR (dB) ↑ †" in marked
    assert "†" not in page.locator("#judge option:checked").inner_text()
    assert page.locator(".frame line").count() == page.locator(".frame dl").count() == 0
    page.select_option(".metric", label="PSNR (dB) ↑ †")
    assert page.locator(".chip.trained").count() == 6  # the layers of both codecs
    assert page.locator(".chip.trained", has_text="webp").count() == 0


def test_choosing_a_metric_and_hiding_a_codec_redraw_the_chart(page):
    drawn = page.locator(".plot g[data-curve]")
    assert drawn.count() == 8  # three layers twice, two anchors
    before = page.locator(".plot svg").get_attribute("aria-label")
    page.select_option(".metric", label="PSNR (dB) ↑ †")
    assert page.locator(".plot svg").get_attribute("aria-label") != before
    page.locator(".chip", has_text="jpeg-layers basic (before)").click()
    assert drawn.count() == 7
    while (ticked := page.locator(".chip input:checked")).count():
        ticked.first.uncheck()
    assert page.locator(".plot").inner_text() == "Nothing is chosen."
    page.locator(".chip", has_text="webp").click()
    assert drawn.count() == 1


@pytest.mark.parametrize("width", [390, 1400])
def test_axes_have_at_least_three_numbers_for_every_metric_and_curve(opened, width):
    page = opened(viewport={"width": width, "height": 900})
    for logarithmic in (True, False):
        page.get_by_label("Logarithmic rate").set_checked(logarithmic)
        for metric in page.locator(".metric option").all():
            page.select_option(".metric", value=metric.get_attribute("value"))
            assert_ticks(page)
    while (ticked := page.locator(".chip input:checked")).count() > 1:
        ticked.first.uncheck()
    assert_ticks(page)


def test_linear_axis_moves_the_points(page):
    before = places(page)
    page.get_by_label("Logarithmic rate").uncheck()
    after = places(page)
    assert len(before) == len(after)
    assert before != after


def test_pointing_and_arrow_keys_tell_numbers_beside_the_chart(page):
    tip = page.locator(".tip")
    assert "Point at a marker" in tip.inner_text()
    page.locator(".plot").scroll_into_view_if_needed()
    page.locator('.plot g[data-curve="2"] .mark').nth(1).hover()
    said = tip.locator("span").all_inner_texts()
    assert said[:2] == ["jpeg-layers enhanced (before)", "quality 1"]
    assert re.fullmatch(r"[\d.]+ bpp, [\d.]+ bytes", said[2])
    chart, beside = page.locator(".plot svg").bounding_box(), tip.bounding_box()
    assert beside["y"] >= chart["y"] + chart["height"]  # the curves are not covered
    page.mouse.move(0, 0)  # the margin: wherever the page scrolls to, the mouse is not over the chart
    assert "Point at a marker" in tip.inner_text()
    press(page, page.locator(".plot"), "ArrowRight")
    first = tip.locator("span").all_inner_texts()
    page.keyboard.press("ArrowRight")
    assert tip.locator("span").all_inner_texts()[1] == "quality 1"
    page.keyboard.press("ArrowDown")
    assert tip.locator("span").first.inner_text() != first[0]
    page.keyboard.press("Escape")
    assert "Point at a marker" in tip.inner_text()


def test_what_keys_show_stays_where_scrolling_moves_the_chart_under_the_mouse(page):
    tip = page.locator(".tip")
    page.locator(".plot").scroll_into_view_if_needed()
    page.locator('.plot g[data-curve="2"] .mark').nth(1).hover()
    press(page, page.locator(".plot"), "ArrowRight")
    said = tip.inner_text()
    page.evaluate("window.scrollBy(0, -40)")
    page.wait_for_timeout(300)
    assert tip.inner_text() == said
    page.mouse.move(0, 0)
    assert tip.inner_text() != said


def test_whole_files_or_coded_pictures_alone(opened, switched):
    page = opened(view="", page=switched)
    assert "whole files" in page.locator(".lead span:visible").inner_text()
    before = places(page)
    page.select_option("#count", "pictures")
    assert "coded pictures alone" in page.locator(".lead span:visible").inner_text()
    assert page.locator('[data-count="files"]:visible').count() == 0
    assert page.locator('[data-table="pictures-bd_rate"]').is_visible()
    assert page.get_by_text("Bits per pixel, coded pictures alone").count() == 1
    assert places(page) != before
    assert page.url.endswith("#count=pictures")
    again = opened("count=pictures", page=switched)
    assert again.get_by_text("Bits per pixel, coded pictures alone").count() == 1


def test_tables_sort_best_first_and_keep_what_has_no_value_last(page):
    table = page.locator("#headline ~ div [data-table]:visible").first
    before = table.locator("tbody tr td:first-child").all_inner_texts()
    button = table.locator("thead button").nth(2)
    column = lambda: [cell.get_attribute("data-value") for cell in table.locator("tbody tr td:nth-child(3)").all()]  # noqa: E731
    button.click()
    numbers = [float(value) for value in column() if value is not None]
    assert numbers == sorted(numbers)
    assert column()[len(numbers) :] == [None] * (len(before) - len(numbers))
    assert button.locator("..").get_attribute("aria-sort") == "ascending"
    button.click()
    assert [float(value) for value in column() if value is not None] == numbers[::-1]
    button.click()
    assert table.locator("tbody tr td:first-child").all_inner_texts() == before
    assert "sort" not in page.url


def test_the_address_holds_the_view_and_gives_it_back(page, opened):
    page.select_option(".metric", label="PSNR (dB) ↑ †")
    page.get_by_label("Logarithmic rate").uncheck()
    page.locator(".chip", has_text="webp").click()
    page.locator("#headline ~ div [data-table]:visible thead button").nth(1).click()
    page.select_option("#left", label="jpeg")
    page.select_option("#right", label="the original")
    page.select_option("#left-rate", index=3)
    page.select_option("#mode", "wipe")
    page.select_option("#zoom", "4")
    page.get_by_label("Numbers").check()
    page.locator("#strip button").nth(2).click()
    view = page.url.partition("#")[2]
    again = opened(view)
    for what in (".metric", "#left", "#right", "#left-rate", "#mode", "#zoom", "#order"):
        assert again.locator(what).input_value() == page.locator(what).input_value()
    assert not again.get_by_label("Logarithmic rate").is_checked()
    assert again.get_by_label("Numbers").is_checked()
    assert again.locator(".chip input:not(:checked)").count() == 1
    assert again.locator('th[aria-sort="ascending"], th[aria-sort="descending"]').count() == 1
    chosen = '#strip button[aria-pressed="true"]'
    assert again.locator(chosen).get_attribute("title") == page.locator(chosen).get_attribute("title")
    assert again.url == page.url


def test_links_of_the_contents_leave_the_view_in_the_address(opened):
    page = opened("curves.log=0")
    page.locator("nav a", has_text="More tables").click()
    page.wait_for_timeout(200)
    assert page.url.endswith("#curves.log=0")
    assert not page.get_by_label("Logarithmic rate").is_checked()


def test_figures_are_saved_as_they_are_shown(page):
    page.select_option(".metric", label="PSNR (dB) ↑ †")
    page.locator(".chip", has_text="webp").click()
    part = page.locator("[data-chart]")
    name, svg = saved(page, part.locator('[data-save="svg"]'))
    assert name == "psnr.svg"
    drawn = svg.decode()
    assert drawn.count("<g data-curve=") == 7
    assert "jpeg-layers enhanced (after)†" in drawn
    assert "webp" not in drawn
    assert "var(" not in drawn
    assert len(colours_of_saved(page, part)) > 50
    name, text = saved(page, part.locator('[data-save="csv"]'))
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert {row["curve"] for row in rows} >= {"jpeg", "jpeg-layers basic (before)"}
    assert "webp" not in {row["curve"] for row in rows}
    name, plot = saved(page, part.locator('[data-save="tex"]'))
    assert (name, plot.count(rb"\addplot"), plot.count(b"xmode=log")) == ("psnr.tex", 7, 1)
    page.get_by_label("Logarithmic rate").uncheck()
    assert b"xmode=linear" in saved(page, part.locator('[data-save="tex"]'))[1]


def test_the_bars_of_the_layers_are_drawn_and_saved(page):
    part = page.locator("[data-figure]").first
    assert part.locator("figure rect.layer").count() == 9  # three layers at three qualities
    table = page.locator('[data-table="layers_jpeg-layers (before)"] tbody tr').first.locator("td")
    sizes = [float(text) for text in table.all_inner_texts()[1:4]]
    drawn = [piece.bounding_box()["width"] for piece in part.locator("figure rect.layer").all()[:3]]
    pixels_a_byte = [width / size for width, size in zip(drawn, sizes, strict=True)]
    assert pixels_a_byte == pytest.approx([pixels_a_byte[2]] * 3, rel=0.1)
    assert part.locator("title").first.text_content() == f"basic: {sizes[0]:.1f} bytes"

    name, svg = saved(page, part.locator('[data-save="svg"]'))
    assert name == "layers_jpeg-layers--before-.svg"
    text = svg.decode()
    assert text.count("<title>") == 9
    assert all(word in text for word in (">enhanced<", ">quality 2<", 'width="760"', "#ffffff"))
    assert "var(" not in text
    layers, white = {(0, 0x72, 0xB2), (0, 0x9E, 0x73), (0xD5, 0x5E, 0)}, (255, 255, 255)
    assert layers | {white} <= colours_of_saved(page, part)
    name, plot = saved(page, part.locator('[data-save="tex"]'))
    assert plot.count(b"\\addplot") == plot.count(b"\\addlegendentry") == 3
    assert b"xbar stacked" in plot


def test_tables_are_saved(page, comparison):
    table = page.locator('[data-table="files-bd_rate"]')
    name, text = saved(page, table.locator('[data-save="csv"]'))
    assert name == "bd_rate.csv"
    assert text == (comparison.parent / "table-bd_rate.csv").read_bytes()
    name, latex = saved(page, table.locator('[data-save="tex"]'))
    assert name == "bd_rate.tex"
    assert latex.decode() in (comparison.parent / "tables.tex").read_text()


def test_before_and_after_stand_side_by_side(page):
    assert page.locator("#left").input_value() == "jpeg-layers (before)"
    assert page.locator("#right").input_value() == "jpeg-layers (after)"
    assert "What changes" in page.locator("nav").inner_text()
    captions = page.locator("#shown-left figcaption, #shown-right figcaption").all_inner_texts()
    assert captions[0].startswith("jpeg-layers (before)")
    assert captions[1].startswith("jpeg-layers (after)")


def test_dragging_spends_bytes_over_all_qualities_and_layers(page):
    slider, words, left = page.locator("#bytes"), page.locator("#budget"), page.locator("#shown-left")
    assert page.locator('#stops [data-side="left"]').count() == 9
    assert page.locator("#stops .here").count() == 2
    press(page, slider, "Home")
    smallest = int(re.search(r"\d+", words.inner_text())[0])
    few = left.locator("img").get_attribute("src")
    page.keyboard.press("End")
    largest = int(re.search(r"\d+", words.inner_text())[0])
    assert largest > 2 * smallest
    assert left.locator("img").get_attribute("src") != few
    box = slider.bounding_box()
    drag(page, box, (box["width"] - 8, box["height"] / 2), (box["width"] / 2, box["height"] / 2))
    spent = int(re.search(r"\d+", words.inner_text())[0])
    assert smallest < spent < largest
    shown = int(re.search(r"(\d+) bytes", left.locator("figcaption").inner_text())[1])
    assert shown <= spent
    assert f"faces.bytes={spent}" in page.url


def test_the_bytes_of_one_file_arrive_layer_by_layer(page):
    page.select_option("#left-rate", label="file of quality 2")
    slider, left = page.locator("#bytes"), page.locator("#shown-left")
    press(page, slider, "Home")
    assert "has not arrived" in left.locator("figcaption").inner_text()
    assert left.locator("img").count() == 0
    page.keyboard.press("End")
    assert "quality 2, up to enhanced" in left.locator("figcaption").inner_text()
    page.select_option("#left-rate", label="quality 1, up to middle")
    page.select_option("#right", label="the original")
    assert slider.is_disabled()
    assert "quality 1, up to middle" in left.locator("figcaption").inner_text()


def test_playing_ends_with_all_bytes(page):
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    page.wait_for_function("document.getElementById('play').textContent === 'Play'", timeout=60000)
    assert page.locator("#bytes").input_value() == "1000"


def test_a_wipe_shows_both_pictures(page):
    beside = [page.locator(f"#shown-{side} figcaption").inner_text() for side in ("left", "right")]
    page.select_option("#mode", "wipe")
    assert page.locator("#shown-both figcaption").inner_text() == " | ".join(beside)
    assert all("bytes" in caption for caption in beside)
    frame = page.locator("#shown-both .frame")
    frame.scroll_into_view_if_needed()
    assert frame.locator("img").count() == 2
    assert page.locator("#shown-left").is_hidden()
    box = frame.bounding_box()
    drag(page, box, (box["width"] / 2, 20), (box["width"] / 4, 20))
    assert int(page.locator("#wipe").input_value()) == pytest.approx(25, abs=2)
    press(page, page.locator("#wipe"), "End")
    clip = page.locator(".over-other").evaluate("part => getComputedStyle(part).clipPath")
    assert clip.startswith("inset(0px calc(0%") or clip in ("inset(0px)", "inset(0px 0% 0px 0px)")


def test_the_difference_is_black_where_pictures_are_equal(page):
    page.select_option("#mode", "difference")
    brightest = """() => { const canvas = document.querySelector("#shown-both canvas");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return Math.max(...data.filter((_, place) => place % 4 !== 3)); }"""
    page.wait_for_selector("#shown-both canvas[data-drawn]")
    assert page.evaluate(brightest) > 0
    page.select_option("#right", label="jpeg-layers (before)")
    page.wait_for_selector("#shown-both canvas[data-drawn]")
    assert page.evaluate(brightest) == 0


def test_zooming_enlarges_all_pictures_and_dragging_moves_them(page):
    page.select_option("#zoom", "4")
    right = page.locator("#shown-right .content")

    def transformed(which: str) -> float:
        return right.evaluate(f"part => new DOMMatrix(getComputedStyle(part).transform).{which}")

    assert transformed("a") == 4
    before = transformed("e")
    frame = page.locator("#shown-left .frame")
    frame.scroll_into_view_if_needed()
    drag(page, frame.bounding_box(), (60, 60), (100, 60))
    assert transformed("e") == pytest.approx(before + 40, abs=12)  # the other side moves too
    assert "faces.pan=" in page.url


def test_faces_come_worst_first(page, comparison):
    names = lambda: [button.get_attribute("title") for button in page.locator("#strip button").all()]  # noqa: E731
    values = []
    for place in range(3):
        page.locator("#strip button").nth(place).click()
        caption = page.locator("#shown-left figcaption").inner_text()
        values.append(float(re.findall(r"-?[\d.]+", caption)[-1]))
    lower_is_better = "↓" in page.locator(".metric option:checked").inner_text()
    assert values == sorted(values, reverse=lower_is_better)
    page.select_option("#order", "data")
    assert names() == ["000.png", "001.png", "002.png"]
    page.select_option("#order", "lost")
    assert sorted(names()) == ["000.png", "001.png", "002.png"]


def test_landmarks_and_numbers_are_drawn_when_asked_for(page):
    page.get_by_label("Landmark errors").check()
    assert page.locator("#shown-left line").count() == 3  # the landmarks of this judge
    page.get_by_label("Numbers").check()
    shown = page.locator("#shown-left dl").inner_text()
    assert "PSNR †" in shown
    assert "Landmark error" in shown
    page.get_by_label("Numbers").uncheck()
    assert page.locator("dl:not(.said)").count() == 0


@pytest.mark.parametrize(
    ("which", "width", "scheme"),
    [("comparison", 390, "dark"), ("comparison", 1400, "light"), ("full", 390, "light"), ("full", 1400, "dark")],
)
def test_nothing_is_cut_on_a_phone_or_a_wide_screen(opened, request, which, width, scheme):
    chosen = request.getfixturevalue(which)
    page = opened(page=chosen, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = """() => [...document.querySelectorAll("section .scroll, .plot, .panels, .controls, h1, h2, h3, .said")]
        .filter((part) => part.offsetParent && part.scrollWidth > part.clientWidth + 1)
        .map((part) => part.className || part.tagName)"""
    assert page.evaluate(cut) == []
    beyond = """() => [...document.querySelectorAll("figure svg text")].filter((text) => {
        const [own, all] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
        return own.left < all.left - 1 || own.right > all.right + 1; }).map((text) => text.textContent)"""
    assert page.evaluate(beyond) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(17, 19, 23)") == (scheme == "dark")


def test_a_phone_is_tapped(opened):
    page = opened(**PHONE)
    page.locator(".chip", has_text="webp").tap()
    assert page.locator(".plot g[data-curve]").count() == 7
