"""The strict build passes, and stops at everything that would be broken."""

import json
import re
from pathlib import Path

from test_book.builds import (
    PROMISES,
    all_pages,
    build_book,
    chapters,
    said,
    small_copy,
    small_notebook,
)

ANSI = re.compile(r"\x1b\[[\d;]*m")
BROKEN = {
    "link to a page": ("[gone](no_such_page.md)", "no_such_page"),
    "picture": ("![A cat](no_such_picture.png)", "no_such_picture"),
    "link to a heading": ("[gone](#no-such-heading)", "no-such-heading"),
    "reference": ("{ref}`no-such-label`", "no-such-label"),
    "link to a heading of a chapter": (
        f"[gone](../{chapters()[0]}.ipynb#no-such-part)",
        "no-such-part",
    ),
    "number": ("{measured}`fit_overhead > no such key`", "no such key"),
    "row of a table": (
        "```{measured-bars} fit_overhead > ratios\nno such row = a row\n```",
        "no such row",
    ),
    "picture of a chapter": (
        f"```{{gallery}}\n{Path(chapters()[0]).name} = No such words\n```",
        "No such words",
    ),
}


def test_every_page_is_built(book_html: Path) -> None:
    missing = [
        page for page in all_pages() if not (book_html / f"{page}.html").exists()
    ]
    assert not missing


def test_the_site_is_light_enough_to_carry(book_html: Path) -> None:
    # Some 9 MB are the theme, MathJax and icons; a chapter may have 1 MB.
    size = sum(path.stat().st_size for path in book_html.rglob("*") if path.is_file())
    assert size < (10 + 3 * len(chapters())) * 1e6


# How Sphinx, docutils and MyST begin the lines in which they complain.
COMPLAINT = re.compile(r"^.*\b(?:WARNING|ERROR|CRITICAL|SEVERE): .*$", re.MULTILINE)


def test_the_build_stops_and_names_everything_that_is_broken(tmp_path: Path) -> None:
    source = small_copy(tmp_path / "book-source")
    with (source / "book" / "intro.md").open("a", encoding="utf-8") as page:
        for text, _ in BROKEN.values():
            page.write(f"\n\n{text}\n")
    warning = {"output_type": "stream", "name": "stderr", "text": "UserWarning: old\n"}
    chapter = source / f"{chapters()[1]}.ipynb"
    text = f"{PROMISES}\n\nA warning is stored."
    chapter.write_text(json.dumps(small_notebook(text, warning)))
    build = build_book(source, tmp_path / "out")
    assert build.returncode != 0
    complaints = COMPLAINT.findall(ANSI.sub("", said(build)))
    culprits = [*(culprit for _, culprit in BROKEN.values()), chapter.stem]
    for culprit in culprits:
        assert [line for line in complaints if culprit in line], complaints
    # Nothing else is wrong with the small copy, so it would build without the damage.
    others = [x for x in complaints if not any(culprit in x for culprit in culprits)]
    assert others == []
