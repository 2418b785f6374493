"""A sweep's page as a reader uses it, in headless Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import NEEDS_CHROMIUM, watched
from PIL import Image
from programs import run_hsc

from hsc.sweeps.report import report

pytestmark = NEEDS_CHROMIUM


PICTURE = Path("trials/001/only/samples/0000000004.png")


@pytest.fixture
def open_page(browser, write_sweep, folder) -> Iterator:
    """`open_page(view="")`: the page of a sweep of three trials, one of which left a picture."""
    file = write_sweep({"x": {"values": [0.9, 0.2, 0.5]}, "steps": {"value": 4}})
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    (folder.path / PICTURE.parent).mkdir()
    Image.new("RGB", (64, 32), (90, 140, 60)).save(folder.path / PICTURE)
    assert report(folder)
    with watched(browser, (folder.path / PICTURE,)) as opened:
        yield lambda view="": opened(folder.path / "index.html", view)


def test_trials_come_best_first_sort_and_lead_to_their_folders_and_pictures(open_page):
    page = open_page()
    names = lambda: page.locator('[data-table="trials"] tbody td:first-child').all_inner_texts()  # noqa: E731
    assert names() == ["001", "002", "000"]
    first = page.locator('[data-table="trials"] tbody a').first
    assert first.get_attribute("href") == "trials/001/"
    see = page.locator('[data-table="trials"] tbody a', has_text="see")
    assert see.count() == 1
    assert Path(see.get_attribute("href")) == PICTURE
    page.locator(".grids img").scroll_into_view_if_needed()
    assert page.locator(".grids img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
    page.locator('[data-table="trials"] thead button', has_text="trial").first.click()
    assert names() == ["000", "001", "002"]
    assert "sort.trials=0up" in page.url
    again = open_page(page.url.partition("#")[2])
    assert again.locator('[data-table="trials"] tbody td:first-child').first.inner_text() == "000"


def test_learning_curves_and_rates_are_drawn(open_page):
    page = open_page()
    learning = page.locator('[data-chart="learning"]')
    assert learning.locator("g[data-curve]").count() == 3
    assert learning.locator('g[data-curve="0"] .mark').count() == 4
    learning.locator(".plot").focus()
    page.keyboard.press("ArrowRight")
    said = learning.locator(".tip span").all_inner_texts()
    assert said[:3] == ["001", "x=0.2", "8 images"]
    assert "Images seen in training" in learning.locator(".plot svg").text_content()
    rates = page.locator('[data-chart="rates"]')
    assert rates.locator("g[data-curve] .mark").count() == 3
    page.locator('[data-table="trials"] tbody tr').nth(1).hover()
    assert page.locator(".here[data-trial]").count() >= 2
    assert page.locator('[data-chart="learning"] [data-curve="1"].here').count() == 1


def test_parallel_coordinates_are_drawn_and_saved(open_page):
    page = open_page()
    part = page.locator('[data-figure="parallel"]')
    assert part.locator("polyline").count() == 3
    best = part.locator('polyline[data-trial="001"]')
    assert best.get_attribute("stroke") == "#0072B2"
    best.dispatch_event("pointerover", {"bubbles": True})
    assert page.locator('[data-table="trials"] tr.here td').first.inner_text() == "001"
    with page.expect_download() as waiting:
        part.locator('[data-save="svg"]').click()
    assert waiting.value.suggested_filename == "parallel_coordinates.svg"
    text = Path(waiting.value.path()).read_text()
    assert text.count("<polyline") == 3
    assert "val/only/lpips" in text
    assert "var(" not in text


CUT = """() => [...document.querySelectorAll("section .scroll, .plot, .controls, h1, h2")]
    .filter((part) => part.offsetParent && part.scrollWidth > part.clientWidth + 1)
    .map((part) => part.className || part.tagName)"""
OVERLAPPING = """() => [...document.querySelectorAll("thead tr")].flatMap((row) => {
    const words = [...row.cells].map((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return range.getBoundingClientRect();
    });
    return words.filter((one, place) => words.some((other, second) => second > place
        && Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
        && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1));
}).length"""


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1400, "dark")])
def test_nothing_is_cut_and_nothing_overlaps(browser, write_sweep, folder, width, scheme):
    long = ("stages.joint.learning_rate", "defaults.losses.enhanced.landmarks", "model.entropy.width")
    searched = {"x": [0.9, 0.2], **{name: [256] for name in long}}
    file = write_sweep({name: {"values": values} for name, values in searched.items()} | {"steps": {"value": 2}})
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    with watched(browser) as open_page:
        page = open_page(folder.path / "index.html", viewport={"width": width, "height": 844}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        assert page.evaluate(OVERLAPPING) == 0
