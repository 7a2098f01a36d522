"""Terms of the glossary, linked where a chapter first uses them.

The links are made while the book is built, so that notebooks hold none of them. An
entry of book/glossary.md may end in lines that only this file reads:

    % links: mask; has the [shape]   these phrases link, or the part in brackets
    % links: none                    nothing links: the word is too common
    % not: scanner unit              here the word means something else
    % not in: 1; 4                   in these chapters the word means something else
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxRole

GLOSSARY = "book/glossary"
CHAPTER = re.compile(r"notebooks/(\d\d)_")
CHINESE = re.compile(r"[\u4e00-\u9fff]")

NO_PROSE = (
    nodes.title,
    nodes.literal,
    nodes.FixedTextElement,
    nodes.reference,
    pending_xref,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.caption,
    nodes.table,
    nodes.comment,
)
NO_PROSE_SECTIONS = {"Exercises", "Quick quiz", "References"}


@dataclass
class Entry:
    """A term: its names, its Chinese name, what it means and where it is explained."""

    names: list[str]
    chinese: list[str]
    meaning: str = ""
    chapter: int = 0
    links: list[str] | None = None
    others: list[str] = field(default_factory=list)
    not_in: set[int] = field(default_factory=set)

    @property
    def phrases(self) -> list[str]:
        """What links to the entry."""
        return self.names if self.links is None else self.links


def read_entries(text: str) -> list[Entry]:
    """Read the entries from the text of the glossary."""
    blocks = [
        block
        for part in re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.M | re.S)
        for block in re.split(r"\n\s*\n", part.strip("\n"))
    ]
    return [read_entry(block.splitlines()) for block in blocks]


def read_entry(lines: list[str]) -> Entry:
    """Read names at the margin, then the meaning, the chapter and the notes."""
    names = [line.strip() for line in lines if not line.startswith(" ")]
    entry = Entry(
        [name for name in names if not CHINESE.search(name)],
        [name for name in names if CHINESE.search(name)],
    )
    inner = [line.strip() for line in lines if line.startswith(" ")]
    for note in (line for line in inner if line.startswith("%")):
        key, _, value = note[1:].partition(":")
        values = [part.strip() for part in value.split(";")]
        if key.strip() == "links":
            entry.links = [] if values == ["none"] else values
        elif key.strip() == "not":
            entry.others = values
        elif key.strip() == "not in":
            entry.not_in = {int(number) for number in values}
        else:
            raise ValueError(f"{GLOSSARY} has a note of no known kind: {note}")
    said = " ".join(line for line in inner if not line.startswith("%"))
    meaning, role, number = said.partition("{chapter}`")
    entry.meaning = meaning.strip()
    entry.chapter = int(number.rstrip("`")) if role else 0
    return entry


def pattern(phrase: str) -> str:
    """Match a phrase and its plural, over line ends, with a hyphen or a space.

    A phrase of small letters may begin a sentence; others are taken as they are. The
    one group is what links.
    """
    before, _, core = phrase.rpartition("[")
    core, _, after = core.partition("]")
    parts = [spaced(before), f"({plural(spaced(core))})", spaced(after)]
    whole = "".join(parts)
    if phrase.islower():
        first = next(letter for letter in phrase if letter != "[")
        whole = whole.replace(first, f"[{first}{first.upper()}]", 1)
    return whole


def spaced(words: str) -> str:
    """Let a hyphen or the end of a line stand for a space, and the other way round."""
    words = re.sub(r"(?:\\?[ -])+", lambda _: r"[\s-]+", re.escape(words))
    return words.replace("'", "['’]")


def plural(words: str) -> str:
    """Match the last word with and without the ending of the plural."""
    if re.search(r"(s|x|z|ch|sh)$", words):
        return words + "(?:es)?"
    if re.search(r"[^aeiou]y$", words):
        return words[:-1] + "(?:y|ies)"
    return words + "s?"


class Finder:
    """Finds the terms in the prose of one chapter."""

    def __init__(self, entries: list[Entry], chapter: int) -> None:
        known: dict[str, Entry | None] = {}
        for entry in entries:
            here = None if chapter in entry.not_in else entry
            known |= dict.fromkeys(entry.others)
            known |= dict.fromkeys(entry.phrases, here)
        # The longest phrase wins: in "batch size", no word means a batch.
        ordered = sorted(known, key=len, reverse=True)
        self.meant = [known[phrase] for phrase in ordered]
        choices = "|".join(map(pattern, ordered))
        self.search = re.compile(rf"(?<![\w-])(?<!\w\.)(?:{choices})(?![\w-])")

    def find(self, text: str) -> Iterator[tuple[int, int, Entry]]:
        """Give the place of every term in a text."""
        for match in self.search.finditer(text):
            group = match.lastindex or 1
            entry = self.meant[group - 1]
            if entry is not None:
                yield *match.span(group), entry


def prose(node: nodes.Element) -> Iterator[nodes.Text]:
    """Give the texts that are read as prose, each as long as it can be."""
    merge_texts(node)
    for child in list(node.children):
        if isinstance(child, nodes.Text):
            yield child
        elif isinstance(child, nodes.Element) and not is_apart(child):
            yield from prose(child)


def merge_texts(node: nodes.Element) -> None:
    """Make one text of neighbouring ones: MyST begins a new one on every line."""
    for place in range(len(node.children) - 1, 0, -1):
        before, here = node.children[place - 1 : place + 1]
        if isinstance(before, nodes.Text) and isinstance(here, nodes.Text):
            node[place - 1 : place + 1] = [nodes.Text(before.astext() + here.astext())]


def is_apart(node: nodes.Element) -> bool:
    """Tell whether a part of a page is no running prose."""
    if isinstance(node, nodes.section):
        titles = [child for child in node.children if isinstance(child, nodes.title)]
        return bool(titles) and titles[0].astext() in NO_PROSE_SECTIONS
    if isinstance(node, nodes.strong):  # what a trap begins with is its title
        return node.astext().startswith("Trap")
    is_cell = isinstance(node, nodes.container) and "cell" in node["classes"]
    return is_cell or isinstance(node, NO_PROSE)


class LinkFirstUses(SphinxPostTransform):
    """Link each term where a chapter first uses it."""

    default_priority = 700
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Look at one page."""
        page = self.env.docname
        if page == GLOSSARY:
            mark_chinese(self.document)
        chapter = CHAPTER.match(page)
        if chapter is None or GLOSSARY not in self.env.found_docs:
            return
        finder = Finder(entries_of(self.env.doc2path(GLOSSARY)), int(chapter[1]))
        seen: set[str] = set()
        for text in list(prose(self.document)):
            self.link(text, finder, seen)

    def link(self, text: nodes.Text, finder: Finder, seen: set[str]) -> None:
        """Put links into a text for the terms that the page has not used before."""
        source, done = text.astext(), 0
        parts: list[nodes.Node] = []
        for start, end, entry in finder.find(source):
            name = entry.names[0]
            if name not in seen:
                seen.add(name)
                parts += [nodes.Text(source[done:start])] if start > done else []
                parts.append(self.reference(source[start:end], entry))
                done = end
        if parts:
            parts += [nodes.Text(source[done:])] if done < len(source) else []
            text.parent.replace(text, parts)

    def reference(self, shown: str, entry: Entry) -> nodes.reference:
        """Make a link to an entry, which says what it means under the pointer."""
        domain: Any = self.env.get_domain("std")
        _page, anchor = domain.objects["term", entry.names[0]]
        address = self.app.builder.get_relative_uri(self.env.docname, GLOSSARY)
        return nodes.reference(
            "",
            shown,
            internal=True,
            refuri=f"{address}#{anchor}",
            reftitle=entry.meaning.replace("`", ""),
            classes=["glossary-link"],
        )


@cache
def entries_of(path: str) -> list[Entry]:
    """Read the file of the glossary, once in a build."""
    return read_entries(Path(path).read_text(encoding="utf-8"))


def mark_chinese(document: nodes.document) -> None:
    """Say which names are Chinese, for fonts and for those who listen to the page."""
    for term in document.findall(nodes.term):
        if CHINESE.search(term.astext()):
            term["classes"].append("language-zh-Hans")


class ChapterRole(SphinxRole):
    """A link to a chapter by its number; plain words while there is no such chapter."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Look the chapter up among the pages of the book."""
        words = nodes.inline("", f"Chapter {int(self.text)}", classes=["chapter"])
        start = f"notebooks/{int(self.text):02}_"
        pages = [page for page in self.env.found_docs if page.startswith(start)]
        if not pages:
            return [words], []
        target = {"refdomain": "std", "reftype": "doc", "refexplicit": True}
        link = pending_xref("", words, reftarget=f"/{pages[0]}", **target)
        link["refdoc"] = self.env.docname
        return [link], []


def read_chapters_again(
    app: Sphinx,
    env: BuildEnvironment,
    added: set[str],
    changed: set[str],
    removed: set[str],
) -> list[str]:
    """Make the links anew in all chapters when the glossary has changed."""
    entries_of.cache_clear()
    is_new = GLOSSARY in added | changed | removed
    return [page for page in env.found_docs if is_new and CHAPTER.match(page)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_role("chapter", ChapterRole())
    app.add_post_transform(LinkFirstUses)
    app.connect("env-get-outdated", read_chapters_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
