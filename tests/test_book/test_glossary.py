"""The glossary: well made entries, and links to them from the finished chapters."""

import importlib.util
import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from bs4.element import Tag

from test_book.builds import ROOT, chapters
from test_chapters.chapters import DATA_ADDRESS, Chapter

PAGE = ROOT / "book" / "glossary.md"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
CODE_BLOCK = re.compile(r"<pre\b.*?</pre>", re.DOTALL)
NO_PROSE = "h1, h2, h3, h4, code, table, figcaption, details, .cell"
NO_PROSE_SECTIONS = "#exercises, #quick-quiz, #references"


def load_extension() -> Any:
    path = ROOT / "book" / "_ext" / "glossary_links.py"
    spec = importlib.util.spec_from_file_location("glossary_links", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXTENSION = load_extension()
nodes = EXTENSION.nodes
TEXT = PAGE.read_text(encoding="utf-8")
ENTRIES = EXTENSION.read_entries(TEXT)


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


# The entries.


def test_the_glossary_is_no_shadow_of_itself() -> None:
    assert len(ENTRIES) > 130


def test_every_entry_is_one_plain_sentence() -> None:
    filler = r"\b(?:simply|just|obviously|of course|trivially)\b|—"
    report(
        [
            f"`{entry.names[0]}`: write one plain sentence, not `{entry.meaning}`"
            for entry in ENTRIES
            if not re.fullmatch(r"[A-Z][^\n]{10,}[^.!?]\.", entry.meaning)
            or re.search(r"[.!?] +[A-Z]", entry.meaning)
            or re.search(filler, entry.meaning, re.IGNORECASE)
        ]
    )


def test_every_entry_has_one_chinese_name_below_the_others() -> None:
    blocks = re.findall(r"(?:^\S[^\n]*\n)+(?=  )", TEXT, re.MULTILINE)
    assert len(blocks) == len(ENTRIES)
    report(
        [
            f"`{names[0]}`: give one Chinese name, below the English ones"
            for names in (block.splitlines() for block in blocks)
            if [bool(CHINESE.search(name)) for name in names]
            != [False] * (len(names) - 1) + [True]
        ]
    )


def test_no_name_stands_twice() -> None:
    names = [name for entry in ENTRIES for name in entry.names + entry.chinese]
    counted = Counter(name.lower() for name in names)
    report([f"`{name}` stands {n} times" for name, n in counted.items() if n > 1])


def test_the_entries_are_in_the_order_of_the_alphabet() -> None:
    names = [re.sub(r"[^a-z0-9]+", " ", e.names[0].lower()) for e in ENTRIES]
    assert names == sorted(names)


def test_the_entries_stand_under_their_letters() -> None:
    parts = re.split(r"^## ", TEXT, flags=re.MULTILINE)
    letters = [part[0] for part in parts[1:]]
    for part in parts[1:]:
        firsts = {entry.names[0][0].upper() for entry in EXTENSION.read_entries(part)}
        assert firsts == {part[0]}
    assert re.findall(r"\[(.)\]\(#(.)\)", parts[0]) == [(x, x.lower()) for x in letters]


def words_of(number: int) -> str | None:
    """The text of a chapter without its marks; None while there is no such chapter."""
    for path in ROOT.glob(f"notebooks/{number:02}_*.ipynb"):
        cells = Chapter.read(path).prose_cells
        return re.sub(r"[`*]", "", "\n\n".join(cell.source for cell in cells))
    return None


def test_the_named_chapter_uses_the_term() -> None:
    texts = {number: words_of(number) for number in range(1, 100)}
    report(
        [
            f"book/glossary.md says that chapter {entry.chapter} explains "
            f"`{entry.names[0]}`, but the text of the chapter has no such word: name "
            "another chapter, take the entry out, or give the chapter's words for it "
            "in a line `% links: ...` below the entry"
            for entry in ENTRIES
            if (text := texts.get(entry.chapter, "")) is not None
            and not any(
                re.search(EXTENSION.pattern(phrase), text)
                for phrase in entry.names + entry.phrases
            )
        ]
    )


# How terms are found.


def find(text: str, chapter: int = 2, **notes: Any) -> list[str]:
    """Find three terms in a text, and one more that has notes."""
    entries = [
        EXTENSION.Entry(["batch", "mini-batch"], []),
        EXTENSION.Entry(["batch size"], []),
        EXTENSION.Entry(["IoU"], []),
        EXTENSION.Entry(["view"], [], **notes),
    ]
    finder = EXTENSION.Finder(entries, chapter)
    return [text[start:end] for start, end, _ in finder.find(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a batch of two", ["batch"]),
        ("Batches are stacked", ["Batches"]),
        ("the batch’s mean", ["batch"]),
        ("the batch size", ["batch size"]),
        ("the batch\nsize", ["batch\nsize"]),
        ("a batch-size finder", ["batch-size"]),
        ("mini-batches", ["mini-batches"]),
        ("micro-batch, batched, torch.batch, batch-wise", []),
        ("IoU and IOU", ["IoU"]),
    ],
)
def test_found(text: str, found: list[str]) -> None:
    assert find(text) == found


def test_notes_of_an_entry_are_followed() -> None:
    text = "A view is given. We viewed it. Many views, a fine view. "
    assert find(text) == ["view", "views", "view"]
    assert find(text, links=[]) == []
    assert find(text, links=["[view] is"]) == ["view"]
    assert find(text, others=["fine view"]) == ["view", "views"]
    assert find(text, chapter=1, not_in={1}) == []


def test_an_entry_is_read_with_its_notes() -> None:
    block = (
        "view\n视图\n  One\n  memory. {chapter}`1`\n  % not: fine view\n  % not in: 3"
    )
    (entry,) = EXTENSION.read_entries(f"```{{glossary}}\n{block}\n```\n")
    assert entry.names == ["view"]
    assert entry.chinese == ["视图"]
    assert entry.meaning == "One memory."
    assert entry.chapter == 1
    assert entry.others == ["fine view"]
    assert entry.not_in == {3}


def test_an_unknown_note_is_refused() -> None:
    with pytest.raises(ValueError, match="% knot: x"):
        EXTENSION.read_entry(["view", "  One memory.", "  % knot: x"])


def test_headings_code_and_trap_titles_are_no_prose() -> None:
    page = nodes.section()
    page += nodes.title("", "A batch")
    page += nodes.literal_block("", "a batch")
    trap = nodes.paragraph()
    trap += [nodes.strong("", "Trap: a batch."), nodes.Text("Two "), nodes.Text("rows")]
    trap += [nodes.literal("", "batch"), nodes.emphasis("", "here")]
    page += nodes.block_quote("", trap)
    quiz = nodes.section(
        "", nodes.title("", "Quick quiz"), nodes.paragraph("", "batch")
    )
    page += quiz
    assert [text.astext() for text in EXTENSION.prose(page)] == ["Two rows", "here"]


# The finished book.


@cache
def article_of(book: Path, name: str) -> BeautifulSoup:
    """What a page says, without its code blocks, which take long to parse."""
    page = (book / f"{name}.html").read_text(encoding="utf-8")
    _, found, rest = page.partition("<article")
    article, _, _ = rest.partition("</article>")
    assert found
    assert not any("glossary-link" in code for code in CODE_BLOCK.findall(article))
    text = DATA_ADDRESS.sub("base64,", CODE_BLOCK.sub("", article))
    return BeautifulSoup("<article" + text, "html.parser")


def term_of(link: Tag) -> str:
    page, _, anchor = str(link["href"]).partition("#")
    assert page == "../book/glossary.html"
    return anchor


@pytest.mark.parametrize("name", chapters())
def test_a_chapter_links_its_terms(book_html: Path, name: str) -> None:
    page = article_of(book_html, name)
    links = page.select("a.glossary-link")
    assert len(links) > 10
    anchors = Counter(term_of(link) for link in links)
    report([f"{a} is linked {n} times" for a, n in anchors.items() if n > 1])
    glossary = article_of(book_html, "book/glossary")
    known = {str(term["id"]) for term in glossary.select("dl.glossary dt")}
    assert set(anchors) <= known


@pytest.mark.parametrize("name", chapters())
def test_only_prose_is_linked(book_html: Path, name: str) -> None:
    page = article_of(book_html, name)
    for place in (NO_PROSE, NO_PROSE_SECTIONS, "a"):
        inside = ", ".join(f"{part} a.glossary-link" for part in place.split(", "))
        assert [str(link) for link in page.select(inside)] == []


def test_the_links_say_what_the_term_means(book_html: Path) -> None:
    meanings = {entry.meaning.replace("`", "") for entry in ENTRIES}
    for name in chapters():
        links = article_of(book_html, name).select("a.glossary-link")
        assert {str(link["title"]) for link in links} <= meanings


def test_the_page_shows_every_entry(book_html: Path) -> None:
    page = article_of(book_html, "book/glossary")
    terms = page.select("dl.glossary dt")
    assert len(terms) == sum(len(e.names + e.chinese) for e in ENTRIES)
    for term in terms:
        is_chinese = bool(CHINESE.search(term.get_text()))
        assert (term.get("lang") == "zh-Hans") == is_chinese
    shown = page.select("dl.glossary dd")
    assert len(shown) == len(ENTRIES)
    for entry, box in zip(ENTRIES, shown, strict=True):
        (link,) = box.select("a") or [None]
        start = f"notebooks/{entry.chapter:02}_"
        exists = any(name.startswith(start) for name in chapters())
        assert f"Chapter {entry.chapter}" in box.get_text()
        assert (link is not None) == exists, entry.names[0]
        assert "%" not in box.get_text()
