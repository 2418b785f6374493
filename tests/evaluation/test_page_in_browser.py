"""The page as a reader uses it, in headless Chromium: clicks and drags change what they should, no request leaves."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import JUDGES, JpegLayers, use_judges, write_pictures

from hsc.evaluation.compare import compare
from hsc.evaluation.evaluate import evaluate

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'hsc[dev]'")
CHROMIUM = os.environ.get("HSC_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or HSC_CHROMIUM"),
]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory) -> Path:
    """A page of a layered codec and JPEG, with pictures of three faces."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSC_CACHE", str(folder / "cache"))
        use_judges(patch)
        pictures = write_pictures(folder / "pictures.zip", 4)
        settings = {"anchors": ("webp", "jpeg"), "judges": JUDGES, "pictures": 3}
        evaluate(JpegLayers(), pictures, folder / "results", **settings)
    return compare([folder / "results"], folder / "comparison")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser, comparison) -> Iterator:
    """`opened(**context)` → the page; afterwards nothing was requested, and nothing complained."""
    contexts, requests, complaints = [], [], []

    def open_page(**settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(comparison.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith("data:")] == [comparison.as_uri()] * len(contexts)
    assert not complaints


def test_choosing_a_metric_and_hiding_a_codec_redraw_the_chart(opened):
    page = opened()
    drawn = page.locator("#chart g[data-curve]")
    assert drawn.count() == 5  # three layers, two anchors
    before = page.locator("#chart svg").get_attribute("aria-label")
    page.select_option("#metric", index=1)
    assert page.locator("#chart svg").get_attribute("aria-label") != before
    page.locator(".chip", has_text="jpeg-layers basic").click()
    assert drawn.count() == 4
    while (ticked := page.locator(".chip input:checked")).count():
        ticked.first.uncheck()
    assert page.locator("#chart").inner_text() == "No codec is chosen."
    page.locator(".chip", has_text="webp").click()
    assert drawn.count() == 1


def test_linear_axis_moves_the_points(opened):
    page = opened()
    places = lambda: [mark.get_attribute("transform") for mark in page.locator("#chart .mark").all()]  # noqa: E731
    before = places()
    page.get_by_label("Logarithmic rate").uncheck()
    after = places()
    assert len(before) == len(after)
    assert before != after


def test_pointing_and_arrow_keys_tell_numbers(opened):
    page = opened()
    tip = page.locator("#tip")
    assert tip.is_hidden()
    page.locator("#chart").scroll_into_view_if_needed()
    page.locator('#chart g[data-curve="2"] .mark').nth(1).hover()
    said = tip.inner_text()
    assert re.match(r"jpeg-layers enhanced\nquality 1\n[\d.]+ bpp, [\d.]+ bytes\n", said)
    page.mouse.move(0, 0)  # the margin: wherever the page scrolls to, the mouse is not over the chart
    assert tip.is_hidden()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    first = tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert "quality 1" in tip.inner_text()
    page.keyboard.press("ArrowDown")
    assert tip.inner_text().splitlines()[0] != first.splitlines()[0]
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_what_keys_show_stays_where_scrolling_moves_the_chart_under_the_mouse(opened):
    page = opened()
    tip = page.locator("#tip")
    page.locator("#chart").scroll_into_view_if_needed()
    page.locator('#chart g[data-curve="2"] .mark').nth(1).hover()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    said = tip.inner_text()
    above = tip.bounding_box()["y"]
    page.evaluate("window.scrollBy(0, -40)")
    page.wait_for_timeout(300)
    assert tip.is_visible()
    assert tip.inner_text() == said
    assert tip.bounding_box()["y"] == pytest.approx(above + 40, abs=2)
    page.mouse.move(0, 0)
    assert tip.is_hidden()


def test_dragging_lets_layers_arrive(opened):
    page = opened()
    slider, words = page.locator("#arrived"), page.locator("#arrival")
    caption = page.locator("#decoded figcaption")
    picture = page.locator("#decoded img")
    total = int(slider.get_attribute("max"))
    assert words.inner_text() == f"{total} of {total} bytes: basic + middle + enhanced"
    whole = picture.get_attribute("src")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    page.mouse.up()
    assert 0.4 * total < int(slider.input_value()) < 0.6 * total
    assert picture.get_attribute("src") != whole
    assert not caption.inner_text().startswith("jpeg-layers, enhanced")
    slider.focus()
    page.keyboard.press("Home")
    assert "nothing to decode yet" in words.inner_text()
    assert picture.count() == 0
    page.keyboard.press("End")
    assert picture.get_attribute("src") == whole


def test_playing_ends_with_the_whole_file(opened):
    page = opened()
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    page.wait_for_function("document.getElementById('play').textContent === 'Play'", timeout=20000)
    assert page.locator("#arrived").input_value() == page.locator("#arrived").get_attribute("max")


def test_faces_anchors_landmarks_and_numbers_can_be_chosen(opened):
    page = opened()
    original = page.locator("#original img")
    before = original.get_attribute("src")
    page.locator("#strip button").nth(2).click()
    assert original.get_attribute("src") != before
    assert page.locator('#strip button[aria-pressed="true"]').count() == 1
    assert "jpeg" in page.locator("#beside figcaption").inner_text()  # named last, but what BD-rates are against
    page.select_option("#anchor", label="webp")
    assert "webp" in page.locator("#beside figcaption").inner_text()
    assert page.locator("#decoded line").count() == 3  # the landmarks of this judge
    page.get_by_label("Landmark errors").uncheck()
    assert page.locator("#decoded line").count() == 0
    shown = page.locator("#decoded dl").inner_text()
    assert "Identity distance" in shown
    assert "Landmark error" in shown
    page.get_by_label("Numbers").uncheck()
    assert page.locator("#decoded dl").count() == 0


def test_fits_a_phone_in_the_dark(opened):
    page = opened(**PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 19, 23)"
    assert page.locator("#chart svg").bounding_box()["width"] <= 390
    page.locator(".chip", has_text="webp").tap()
    assert page.locator("#chart g[data-curve]").count() == 4
