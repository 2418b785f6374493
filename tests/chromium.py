"""A headless Chromium for tests of pages: `NEEDS_CHROMIUM` marks them, `launched` starts it, `watched` opens pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("HSC_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


WITHOUT = (
    "needs playwright: pip install 'hsc[dev]'"
    if find_spec("playwright") is None
    else "needs Chromium: apt-get install chromium, or HSC_CHROMIUM"
    if CHROMIUM is None
    else ""
)
NEEDS_CHROMIUM = [pytest.mark.slow, pytest.mark.skipif(bool(WITHOUT), reason=WITHOUT)]


@contextmanager
def launched() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser, beside: tuple[Path, ...] = ()) -> Iterator:
    """`open_page(file, view="", **context)` → the page. At the end, nothing but these files may have been requested,
    and there may be no console messages or errors."""
    contexts, requests, complaints, files = [], [], [], {path.as_uri() for path in beside}

    def open_page(file: Path, view: str = "", **settings):
        files.add(file.as_uri())
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{file.as_uri()}#{view}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    outside = {url.partition("#")[0] for url in requests if not url.startswith(("data:", "blob:"))}
    assert outside <= files
    assert not complaints
