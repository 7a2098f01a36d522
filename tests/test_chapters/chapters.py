"""Chapters and cells, with the questions that the rules of anatomy.py ask them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from canonical_form import load, name_cell, parse

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`+[^`]*`+")
LINK_TARGET = re.compile(r"\]\([^)]*\)")
HTML_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
MATH = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
WORD = re.compile(r"[^\W\d_][\w'’-]*")
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
LIST_LINE = re.compile(r"^(?:[-*]|\d+\.) ", re.MULTILINE)
MAGIC = re.compile(r"^( *)[%!].*$", re.MULTILINE)
DATA_ADDRESS = re.compile(r"base64,[A-Za-z0-9+/=]+")
STATED = re.compile(r"^\*([\w-]+(?: an)?) (minutes?|hour)\b[^*]*\.\*", re.MULTILINE)
IN_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "twenty-five": 25,
    "thirty": 30,
    "an": 60,
    "half an": 30,
}
UNSEEN_HTML = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)


def weight(node: ast.AST) -> int:
    """How many statements a node of the syntax tree stands for."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
        targets = [target for target in node.targets if isinstance(target, ast.Tuple)]
        return max([1, *(len(target.elts) for target in targets)])
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    is_import = isinstance(node, ast.Import | ast.ImportFrom)
    return int(isinstance(node, ast.stmt) and not is_text and not is_import)


@dataclass(frozen=True)
class Cell:
    """One cell and what the rules ask about it."""

    chapter: Chapter
    place: int

    @property
    def node(self) -> NotebookNode:
        node: NotebookNode = self.chapter.notebook.cells[self.place]
        return node

    @property
    def where(self) -> str:
        return name_cell(self.chapter.notebook, self.place)

    @property
    def source(self) -> str:
        return str(self.node.source)

    @property
    def is_code(self) -> bool:
        return bool(self.node.cell_type == "code")

    @property
    def tags(self) -> set[str]:
        return set(self.node.metadata.get("tags", []))

    @property
    def outputs(self) -> list[NotebookNode]:
        return list(self.node.get("outputs", []))

    @property
    def is_ignored(self) -> bool:
        """Whether nbval does not compare it, for its tag or for a comment."""
        tags = {"nbval-ignore-output", "nbval-skip"}
        comments = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP")
        return bool(tags & self.tags) or any(note in self.source for note in comments)

    @property
    def is_compared(self) -> bool:
        return bool(self.outputs) and not self.is_ignored

    @cached_property
    def tree(self) -> ast.AST:
        """The code's syntax; of a cell that shows a syntax error, nothing."""
        try:
            return ast.parse(MAGIC.sub(r"\1pass", self.source))
        except SyntaxError:
            return ast.Module([], [])

    @property
    def statements(self) -> int:
        """How many statements there are to understand.

        Imports and docstrings do not count. `a, b = 1, 2` counts as two.
        """
        return sum(map(weight, ast.walk(self.tree)))

    def calls(self, function: str) -> list[ast.Call]:
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == function
        ]

    def checks(self, exercise: str) -> bool:
        """Whether the cell calls `check` for this exercise."""
        return any(
            isinstance(call.args[0], ast.Constant) and call.args[0].value == exercise
            for call in self.calls("check")
            if call.args
        )

    @property
    def is_checkpoint(self) -> bool:
        return self.is_code and bool(self.calls("expect"))

    @property
    def text(self) -> str:
        """The Markdown without fenced code."""
        return "" if self.is_code else FENCE.sub("", self.source)

    @property
    def headings(self) -> list[tuple[int, str]]:
        return [(len(marks), title) for marks, title in HEADING.findall(self.text)]

    @property
    def text_before_heading(self) -> str:
        """What still belongs to the section before, if the cell begins a new one."""
        return HEADING.split(self.text, maxsplit=1)[0]

    @property
    def prose(self) -> str:
        """What is read as words: no code, formulas, tags, targets or headings."""
        text = self.text
        for pattern in (HEADING, INLINE_CODE, MATH, HTML_TAG):
            text = pattern.sub(" ", text)
        return LINK_TARGET.sub("]", text)

    @property
    def stored(self) -> str:
        """All text in the outputs, without the pictures in it."""
        parts = []
        for output in self.outputs:
            parts += [output.get("text", ""), output.get("evalue", "")]
            parts += output.get("traceback", [])
            data = output.get("data", {})
            parts += [part for kind, part in data.items() if kind.startswith("text/")]
        return DATA_ADDRESS.sub("base64,", "\n".join(parts))

    @property
    def shown(self) -> str:
        """The text in the outputs as a reader sees it, without checkpoints' lines.

        A checkpoint prints what stands in its own source, so it may speak of devices
        and times.
        """
        seen = UNSEEN_HTML.sub(" ", self.stored)
        return "\n".join(x for x in seen.splitlines() if not x.startswith("✓ "))

    @property
    def has_picture(self) -> bool:
        kinds = {kind for output in self.outputs for kind in output.get("data", {})}
        return any(kind.startswith("image/") for kind in kinds)

    @property
    def alt(self) -> str:
        image = self.node.metadata.get("mystnb", {}).get("image", {})
        return str(image.get("alt", ""))


def reading_minutes(cells: list[Cell]) -> float:
    words = sum(len(WORD.findall(cell.prose)) for cell in cells)
    read = [cell for cell in cells if cell.place != 1 and "hide-input" not in cell.tags]
    statements = sum(cell.statements for cell in read if cell.is_code)
    figures = sum(cell.has_picture for cell in cells)
    return words / 100 + statements / 4 + figures / 2


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book."""

    path: Path
    notebook: NotebookNode
    text: str

    @classmethod
    def read(cls, path: Path) -> Chapter:
        text = load(path)
        return cls(path, parse(text), text)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        digits = re.match(r"\d+", self.name)
        return int(digits[0]) if digits else 0

    @cached_property
    def cells(self) -> list[Cell]:
        return [Cell(self, place) for place in range(len(self.notebook.cells))]

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.is_code]

    @property
    def prose_cells(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.is_code]

    @property
    def taught_code(self) -> list[Cell]:
        """The code that is the author's style: no set-up cell, no solutions."""
        return [c for c in self.code if c.place != 1 and "solution" not in c.tags]

    @property
    def exercises(self) -> list[tuple[str, list[Cell]]]:
        """The heading of each exercise, and its cells up to the next heading."""
        found: list[tuple[str, list[Cell]]] = []
        inside = False
        for cell in self.cells:
            for level, title in cell.headings:
                inside = level == 3 and title.startswith("Exercise ")
                if inside:
                    found.append((title, []))
            if inside:
                found[-1][1].append(cell)
        return found

    def section(self, title: str) -> list[Cell]:
        """The cells from a second-level heading to the next one."""
        found: list[Cell] = []
        inside = False
        for cell in self.cells:
            for level, heading in cell.headings:
                if level <= 2:
                    inside = heading == title
            if inside:
                found.append(cell)
        return found

    def section_text(self, title: str) -> str:
        """The Markdown under a second-level heading, wherever cells begin and end."""
        text = "\n\n".join(cell.text for cell in self.cells)
        for part in re.split(r"^##? +", text, flags=re.MULTILINE):
            heading, _, body = part.partition("\n")
            if heading.strip() == title:
                return body
        return ""

    @property
    def minutes(self) -> dict[str, float]:
        """How long an honest reader needs: main path, side paths and exercises.

        Strangers who read chapters and wrote down their minutes needed about a minute
        for 100 words, a quarter for a statement and half a one for a figure. An
        exercise takes as long as it says.
        """
        aside = self.section("Going further")
        exercises = self.section("Exercises")
        elsewhere = {cell.place for cell in aside + exercises}
        main = [cell for cell in self.cells if cell.place not in elsewhere]
        stated = STATED.findall("\n".join(cell.text for cell in exercises))
        return {
            "main path": reading_minutes(main),
            "side paths": reading_minutes(aside),
            "exercises": sum(IN_WORDS[words.lower()] for words, _ in stated),
        }

    def after(self, cell: Cell) -> Cell | None:
        return self.cells[cell.place + 1] if cell.place + 1 < len(self.cells) else None

    def before_next_heading(self, cell: Cell) -> Iterator[Cell]:
        for later in self.cells[cell.place + 1 :]:
            if later.headings:
                return
            yield later


@dataclass(frozen=True)
class Book:
    """All chapters, and the table of contents."""

    chapters: list[Chapter]
    contents: str
