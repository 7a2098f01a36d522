"""The references: the works that chapters link to, no fewer and no more."""

import html
import json
import re
from pathlib import Path

import pytest

from test_book.builds import ROOT

BIB = ROOT / "book" / "references.bib"
LINK = re.compile(r"\]\((https?://[^)\s]+)\)")
# Documentation is linked where it is needed, and is no work of somebody's.
DOCUMENTATION = "https://docs.pytorch.org/docs/"
# Outside the section of references, links to these hosts are links to works.
PAPERS = re.compile(
    r"https?://(?:www\.)?"
    r"(?:arxiv\.org/|doi\.org/|jmlr\.org/|proceedings\.mlr\.press/|papers\.nips\.cc/)"
)

Works = dict[str, dict[str, str]]


def read_works(text: str) -> Works:
    """Read fields of each work, by its key."""
    works = {}
    for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", text, re.M | re.S):
        fields = re.findall(r"^ *(\w+) *= *\{(.*)\},?$", body, re.MULTILINE)
        works[key] = {
            name.lower(): value.strip("{}").replace("\\%", "%")
            for name, value in fields
        }
    return works


def identity(address: str) -> str:
    """What two links to one work have in common: arXiv number, DOI or address."""
    if found := re.search(
        r"arxiv\.org/(?:abs|pdf)/([\w.-]+?)(?:v\d+)?(?:\.pdf)?$", address
    ):
        return f"arXiv:{found[1]}"
    if found := re.search(r"doi\.org/(10\..+)$", address):
        return f"doi:{found[1].lower()}"
    return re.sub(r"^https?://(?:www\.)?|/$", "", address)


def identities(work: dict[str, str]) -> set[str]:
    """All that a link to this work may be known by."""
    return {
        *(f"arXiv:{work[name]}" for name in ("eprint",) if name in work),
        *(f"doi:{work[name].lower()}" for name in ("doi",) if name in work),
        *(identity(work[name]) for name in ("url",) if name in work),
    }


def linked_works(text: str) -> list[str]:
    """The addresses of works in the text of a chapter."""
    _, _, references = text.partition("\n## References\n")
    in_section = LINK.findall(references)
    return [
        address
        for address in LINK.findall(text)
        if not address.startswith(DOCUMENTATION)
        and (address in in_section or PAPERS.match(address))
    ]


def chapter_texts() -> dict[str, str]:
    return {
        path.stem: "\n\n".join(
            "".join(cell["source"])
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if cell["cell_type"] == "markdown"
        )
        for path in sorted(ROOT.glob("notebooks/*.ipynb"))
    }


def missing(works: Works, texts: dict[str, str]) -> list[str]:
    """Say for each work that a chapter links to and the file lacks what to add."""
    known = set().union(*map(identities, works.values()))
    return [
        f"{name} links to {address}. Add the work to book/references.bib, with all its "
        "authors or `and others`, checked:\n"
        f"{suggestion(address)}"
        for name, text in texts.items()
        for address in dict.fromkeys(linked_works(text))
        if identity(address) not in known
    ]


def suggestion(address: str) -> str:
    kind, _, number = identity(address).partition(":")
    name = {"arXiv": "eprint", "doi": "doi"}.get(kind, "url") if number else "url"
    value = number if name != "url" else address
    lines = ["author = {Family, Given and Family, Given}", "title = {{The Title}}"]
    lines += ["howpublished = {The conference or journal}", "year = {2026}"]
    lines += [f"{name} = {{{value}}}"]
    return "\n".join(["@misc{family2026,", *(f"  {line}," for line in lines), "}"])


def unused(works: Works, texts: dict[str, str]) -> list[str]:
    """Say which works no chapter links to."""
    linked = {identity(a) for text in texts.values() for a in linked_works(text)}
    return [
        f"No chapter links to {key} ({work.get('title')}): link to it under "
        "`## References` in a chapter, or take it out of book/references.bib"
        for key, work in works.items()
        if not identities(work) & linked
    ]


WORKS = read_works(BIB.read_text(encoding="utf-8"))


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_every_linked_work_is_in_the_file() -> None:
    report(missing(WORKS, chapter_texts()))


def test_every_work_in_the_file_is_linked() -> None:
    report(unused(WORKS, chapter_texts()))


def test_every_work_is_complete() -> None:
    report(
        [
            f"{key} lacks {field} in book/references.bib"
            for key, work in WORKS.items()
            for field in ("author", "title", "year")
            if not work.get(field)
        ]
        + [
            f"{key} has neither doi, eprint nor url in book/references.bib"
            for key, work in WORKS.items()
            if not identities(work)
        ]
    )


def test_no_work_stands_twice() -> None:
    text = BIB.read_text(encoding="utf-8")
    assert len(re.findall(r"^@\w+\{", text, re.MULTILINE)) == len(WORKS)
    seen: dict[str, str] = {}
    for key, work in WORKS.items():
        for known in identities(work) | {work["title"].lower()}:
            assert seen.setdefault(known, key) == key


def test_the_page_shows_every_work(book_html: Path) -> None:
    page = (book_html / "book" / "references.html").read_text(encoding="utf-8")
    shown = html.unescape(page)
    report(
        [f"{key} is not shown" for key, w in WORKS.items() if w["title"] not in shown]
    )


# Proof that the comparison notices.

TEXT = """\
A [design](https://arxiv.org/abs/1912.01703) and [a page](https://example.org/page).

## References

- [One](https://doi.org/10.1000/ABC), [two](https://example.org/two/)
- [documentation](https://docs.pytorch.org/docs/stable/notes/ddp.html)
"""
COMPLETE: Works = {
    "design": {"eprint": "1912.01703"},
    "one": {"doi": "10.1000/abc"},
    "two": {"url": "https://www.example.org/two"},
}


def test_links_and_works_agree() -> None:
    assert missing(COMPLETE, {"01_x": TEXT}) == []
    assert unused(COMPLETE, {"01_x": TEXT}) == []


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("design", "eprint = {1912.01703}"),
        ("one", "doi = {10.1000/abc}"),
        ("two", "url = {https://example.org/two/}"),
    ],
)
def test_a_missing_work_is_named_with_what_to_add(key: str, line: str) -> None:
    works = {name: work for name, work in COMPLETE.items() if name != key}
    (problem,) = missing(works, {"01_x": TEXT})
    assert problem.startswith("01_x links to")
    assert line in problem


def test_a_work_without_a_link_is_named() -> None:
    (problem,) = unused(COMPLETE | {"three": {"doi": "10.1000/x"}}, {"01_x": TEXT})
    assert problem.startswith("No chapter links to three")
