"""The page of the helpers: every public name, once, with its text and an example."""

import re
from pathlib import Path

import course_utils
from test_book.builds import ROOT

PAGE = ROOT / "book" / "api.md"
NAMED = re.compile(r"^\.\. auto(?:function|class|exception):: (\w+)$", re.MULTILINE)


def test_the_page_has_every_public_name_once() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(course_utils.__all__)


def test_every_public_name_has_an_example() -> None:
    public = {name: getattr(course_utils, name) for name in course_utils.__all__}
    silent = [name for name, it in public.items() if ">>> " not in (it.__doc__ or "")]
    assert silent == []


def test_the_finished_page_has_texts_and_no_stand_ins(book_html: Path) -> None:
    page = (book_html / "book" / "api.html").read_text(encoding="utf-8")
    for name in course_utils.__all__:
        assert page.count(f'id="course_utils.{name}"') == 1
    assert "*args" not in re.sub(r"<[^>]*>", "", page)
