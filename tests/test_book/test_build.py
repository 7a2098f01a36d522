"""The strict build passes, and stops at everything that would be broken."""

import json
from pathlib import Path

import pytest

from test_book.builds import (
    all_pages,
    build_book,
    chapters,
    html_of,
    said,
    small_copy,
    small_notebook,
)

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


def test_a_small_copy_builds(tmp_path: Path) -> None:
    # Without this, the tests below could fail for another reason than the damage.
    build = build_book(small_copy(tmp_path / "book-source"), tmp_path / "out")
    assert build.returncode == 0, said(build)
    assert (html_of(tmp_path / "out") / f"{chapters()[0]}.html").exists()


@pytest.mark.parametrize("what", BROKEN)
def test_broken(what: str, tmp_path: Path) -> None:
    source = small_copy(tmp_path / "book-source")
    text, culprit = BROKEN[what]
    with (source / "book" / "intro.md").open("a", encoding="utf-8") as page:
        page.write(f"\n\n{text}\n")
    build = build_book(source, tmp_path / "out")
    assert build.returncode != 0, f"A broken {what} was not noticed"
    assert culprit in said(build)


def test_stored_warning_stops_the_build(tmp_path: Path) -> None:
    source = small_copy(tmp_path / "book-source")
    warning = {"output_type": "stream", "name": "stderr", "text": "UserWarning: old\n"}
    chapter = source / f"{chapters()[0]}.ipynb"
    chapter.write_text(json.dumps(small_notebook("A warning is stored.", warning)))
    build = build_book(source, tmp_path / "out")
    assert build.returncode != 0, "A stored warning was not noticed"
    assert "stderr" in said(build)
    assert chapter.stem in said(build)
