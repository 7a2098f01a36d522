"""What the tests of the book share: one strict build, and a browser."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from test_book.browsing import NO_BROWSER, browser_is_required, browser_path, launch
from test_book.builds import ROOT, build_book, html_of, said


@pytest.fixture(scope="session")
def book_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the book once for all processes, or use the one that COURSE_BOOK names."""
    if ready := os.environ.get("COURSE_BOOK"):
        return Path(ready).resolve()
    # The folder that all processes of pytest-xdist share; alone, this process's own.
    base = tmp_path_factory.getbasetemp()
    output = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "book"
    log = output / "log.txt"
    with FileLock(f"{output}.lock"):
        if not log.exists():
            build = build_book(ROOT, output)
            log.write_text(f"{build.returncode}\n{said(build)}", encoding="utf-8")
    code, _, words = log.read_text(encoding="utf-8").partition("\n")
    assert code == "0", f"The book does not build:\n{words}"
    return html_of(output)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of one file; without one they are skipped, or fail."""
    # Not for the whole session: Playwright holds an event loop while it runs, and
    # the notebooks' kernels, which are tested in the same process, need their own.
    if browser_path() is None:
        if browser_is_required():
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
