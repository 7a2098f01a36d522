"""What the tests of the book share: one strict build."""

import os
from pathlib import Path

import pytest

from book.builds import ROOT, build_book, html_of, said


@pytest.fixture(scope="session")
def book_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the book once, or use the one in the folder that COURSE_BOOK names."""
    if ready := os.environ.get("COURSE_BOOK"):
        return Path(ready).resolve()
    output = tmp_path_factory.mktemp("book")
    build = build_book(ROOT, output)
    assert build.returncode == 0, f"The book does not build:\n{said(build)}"
    return html_of(output)
