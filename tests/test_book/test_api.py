"""The page of the helpers: every public name, once, with its text and an example."""

import inspect
import re
from pathlib import Path

import course_utils
from test_book.builds import ROOT

PAGE = ROOT / "book" / "api.md"
NAMED = re.compile(r"^\.\. auto(?:function|class|exception):: (\w+)$", re.MULTILINE)
PUBLIC = {
    name: thing
    for name, thing in vars(course_utils).items()
    if inspect.isclass(thing) or inspect.isfunction(thing)
}


def test_the_page_has_every_public_name_once() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(PUBLIC)


def test_every_public_name_that_takes_something_has_an_example() -> None:
    silent = [
        name
        for name, thing in PUBLIC.items()
        if not name.startswith("load_") and ">>> " not in (thing.__doc__ or "")
    ]
    assert silent == []


def test_the_finished_page_has_texts_and_no_stand_ins(book_html: Path) -> None:
    page = (book_html / "book" / "api.html").read_text(encoding="utf-8")
    for name in PUBLIC:
        assert page.count(f'id="course_utils.{name}"') == 1
    assert "*args" not in re.sub(r"<[^>]*>", "", page)
