"""What every chapter has in common, as rules that a program can check.

A rule takes a chapter and returns its problems: sentences that say which cell and
what to do. Rules about all chapters together take the whole book.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median

from canonical_form import NotebookError, faults
from publish_as import badges, repository_slug, setup_cell
from test_chapters.chapters import (
    FENCE,
    INLINE_CODE,
    LIST_LINE,
    ROOT,
    WORD,
    Book,
    Cell,
    Chapter,
)

SLUG = repository_slug(ROOT)

Rule = Callable[[Chapter], list[str]]
BookRule = Callable[[Book], list[str]]
RULES: dict[str, Rule] = {}
BOOK_RULES: dict[str, BookRule] = {}


def rule(function: Rule) -> Rule:
    RULES[function.__name__] = function
    return function


def book_rule(function: BookRule) -> BookRule:
    BOOK_RULES[function.__name__] = function
    return function


def when(wrong: bool, problem: str) -> list[str]:
    return [problem] if wrong else []


# The file.


@rule
def file_name(chapter: Chapter) -> list[str]:
    """The file is called NN_lower_case.ipynb."""
    fits = re.fullmatch(r"\d\d(_[a-z0-9]+)+\.ipynb", chapter.path.name)
    return when(not fits, "Name the file with two digits and words_in_lower_case.")


@rule
def file_size(chapter: Chapter) -> list[str]:
    """A notebook is at most 1 MB."""
    size = len(chapter.text.encode()) / 1e6
    return when(
        size > 1, f"The file has {size:.1f} MB; draw smaller figures to stay below 1."
    )


@rule
def normal_form(chapter: Chapter) -> list[str]:
    """The file is as tools/run_notebooks.py writes it: run from the top, no stderr."""
    try:
        return faults(chapter.text)
    except NotebookError as error:
        return [str(error)]


@rule
def finished(chapter: Chapter) -> list[str]:
    """Nothing is left of the guidance for authors."""
    return [
        f"In {cell.where}, write what the TODO asks for."
        for cell in chapter.cells
        if "TODO" in cell.source
    ]


# Size and shape.


@rule
def cell_count(chapter: Chapter) -> list[str]:
    """The main path has 20 to 65 cells: all but the side paths and the exercises.

    One text cell prepares one code cell, so about 25 code cells make twice as many.
    """
    aside = chapter.section("Exercises") + chapter.section("Going further")
    count = len(chapter.cells) - len(aside)
    return when(
        not 20 <= count <= 65,
        f"The main path has {count} cells; 20 to 65 read well.",
    )


@rule
def main_path(chapter: Chapter) -> list[str]:
    """A chapter with side paths keeps its main path to 2,800 words."""
    if not chapter.section("Going further"):
        return []
    side = chapter.section("Going further")[0].place
    words = sum(len(WORD.findall(cell.prose)) for cell in chapter.cells[:side])
    return when(
        words > 2800,
        f"The main path has {words} words; cut it, or move parts to `Going further`.",
    )


@rule
def result_first(chapter: Chapter) -> list[str]:
    """A chapter with side paths shows its result right after the set-up cell."""
    begins = chapter.cells[2:5]
    return when(
        bool(chapter.section("Going further"))
        and not any(cell.has_picture for cell in begins),
        "After the set-up cell, show the result of the chapter as a figure.",
    )


# Drawing code is folded away, and does not count.
def read_code(chapter: Chapter) -> list[Cell]:
    return [cell for cell in chapter.taught_code if "hide-input" not in cell.tags]


@rule
def short_code(chapter: Chapter) -> list[str]:
    """Half of all code cells have at most eight statements.

    Statements are counted and not lines, so that nobody gains by packing them.
    """
    counts = [cell.statements for cell in read_code(chapter)]
    middle = median(counts) if counts else 0
    return when(
        middle > 8,
        f"The median code cell has {middle:g} statements; split cells to reach 8.",
    )


@rule
def one_long_cell(chapter: Chapter) -> list[str]:
    """At most one cell has more than 30 statements, such as a whole program."""
    long = [cell for cell in read_code(chapter) if cell.statements > 30]
    return [
        f"Split {cell.where}: it is not the only cell with more than 30 statements."
        for cell in long[1:]
    ]


@rule
def line_length(chapter: Chapter) -> list[str]:
    """Lines of code have at most 88 characters; the set-up cell is as stamped."""
    return [
        f"In {cell.where}, break the line `{line[:40]}...` to fit 88 characters."
        for cell in chapter.code
        for line in cell.source.splitlines()
        if len(line) > 88 and cell.place != 1
    ]


@rule
def enough_prose(chapter: Chapter) -> list[str]:
    """There are 60 to 150 words of prose a code cell; solutions do not count."""
    words = sum(len(WORD.findall(cell.prose)) for cell in chapter.cells)
    code = sum("solution" not in cell.tags for cell in chapter.code)
    rate = words / max(1, code)
    return when(
        not 60 <= rate <= 150,
        f"There are {rate:.0f} words of prose a code cell; aim for 60 to 150.",
    )


# The opening.


def opening(chapter: Chapter) -> str:
    first = chapter.cells[0] if chapter.cells else None
    return "" if first is None or first.is_code else first.source


@rule
def title_and_badges(chapter: Chapter) -> list[str]:
    """The title comes first, then the line of links, exactly as stamped."""
    lines = [line for line in opening(chapter).splitlines() if line.strip()]
    titled = bool(lines) and lines[0].startswith("# ")
    stamped = len(lines) > 1 and lines[1] == badges(chapter.name, SLUG)
    return [
        *when(not titled, "Begin the first cell with `# ` and the title."),
        *when(
            not stamped,
            "Under the title, put the line that `badges` of tools/publish_as.py makes.",
        ),
    ]


@rule
def promises(chapter: Chapter) -> list[str]:
    """The opening says what the reader can do afterwards, in 3 to 5 lines."""
    _, found, rest = opening(chapter).partition("After this chapter you can")
    promised = re.match(r"[^\n]*\n\s*((?:(?:[-*] |  ).*\n?)+)", rest)
    count = len(LIST_LINE.findall(promised[1])) if promised else 0
    return when(
        not found or not 3 <= count <= 5,
        "In the first cell, list 3 to 5 things under `After this chapter you can:`.",
    )


@rule
def stated_times(chapter: Chapter) -> list[str]:
    """The opening says how many minutes it takes, as counted from what there is."""
    # Rounded, and one step of five is not worth a complaint.
    counted = {
        part: 5 * max(1, round(minutes / 5))
        for part, minutes in chapter.minutes.items()
        if minutes
    }
    found = re.search(r"^\*\*Time:\*\* (.+)$", opening(chapter), re.MULTILINE)
    stated = dict(map(reversed, TIME.findall(found[1]))) if found else {}
    fits = stated.keys() == counted.keys() and all(
        abs(int(stated[part]) - counted[part]) <= 5 for part in counted
    )
    return when(not fits, f"In the first cell, write `{time_sentence(counted)}`")


TIME = re.compile(r"(\d+)(?: minutes)? (?:to read and run|for) the ([a-z ]+?)(?=[,.])")


def time_sentence(minutes: dict[str, int]) -> str:
    first, *others = (
        f"{count} minutes to read and run the {part}"
        if part == "main path"
        else f"{count} for the {part}"
        for part, count in minutes.items()
    )
    return f"**Time:** {', '.join([first, *others])}."


@rule
def foundations(chapter: Chapter) -> list[str]:
    """The opening says what the chapter builds on, and how long the notebook runs."""
    text = opening(chapter)
    return [
        *when("**Builds on:**" not in text, "In the first cell, say `**Builds on:**`."),
        *when(
            "The notebook runs in " not in text,
            "In the first cell, say `The notebook runs in ...` after the minutes.",
        ),
    ]


@rule
def set_up(chapter: Chapter) -> list[str]:
    """The second cell is the set-up cell, exactly as stamped."""
    second = chapter.cells[1].source if len(chapter.cells) > 1 else ""
    return when(
        second != setup_cell(SLUG),
        "Make the second cell what `setup_cell` of tools/publish_as.py returns.",
    )


# Code.


@rule
def imports_where_needed(chapter: Chapter) -> list[str]:
    """A cell imports what it uses itself; only the set-up cell is free."""
    return [
        f"In {cell.where}, move the import of `{name}` to the cell that first uses it."
        for cell in chapter.code
        if cell.place != 1
        for name in imported(cell.tree)
        if name not in used(cell.tree)
    ]


def imported(tree: ast.AST) -> list[str]:
    aliases = [
        alias
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    return [alias.asname or alias.name.partition(".")[0] for alias in aliases]


def used(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@rule
def public_names(chapter: Chapter) -> list[str]:
    """Of course_utils, a chapter uses the public names and nothing behind them."""
    return [
        f"In {cell.where}, write `from course_utils import ...` with public names "
        f"instead of `{reached}`."
        for cell in chapter.code
        for reached in reaches_past(cell.tree)
    ]


def reaches_past(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, inner = node.module.partition(".")
            names = {alias.name for alias in node.names}
            private = inner or names - exported()
            if package == "course_utils" and private:
                yield ast.unparse(node)
        if isinstance(node, ast.Import):
            modules = {alias.name.partition(".")[0] for alias in node.names}
            if "course_utils" in modules:
                yield ast.unparse(node)


def exported() -> set[str]:
    """The public names of course_utils, read without importing torch."""
    source = (ROOT / "course_utils" / "__init__.py").read_text(encoding="utf-8")
    imports = [
        node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)
    ]
    return {alias.asname for node in imports for alias in node.names if alias.asname}


# Prose around the code.


@rule
def a_word_before_code(chapter: Chapter) -> list[str]:
    """Prose stands before every code cell.

    Only a checkpoint may follow its result at once, and a solution its stub.
    """
    problems = []
    for before, cell in pairwise(chapter.cells):
        follows = cell.is_checkpoint or "solution" in cell.tags
        spoken = WORD.search(before.prose) if not before.is_code else follows
        if cell.is_code and not spoken:
            problems.append(f"Before {cell.where}, say what to look for.")
    return problems


@rule
def a_word_after_results(chapter: Chapter) -> list[str]:
    """A result is followed, in its section, by what it means or by a checkpoint."""
    problems = []
    for cell in chapter.code:
        own_word = cell.is_checkpoint or cell.tags & {"exercise", "solution"}
        if cell.place == 1 or own_word or not cell.outputs:
            continue
        after = chapter.after(cell)
        spoken = after and (
            after.is_checkpoint or WORD.search(after.text_before_heading)
        )
        if not spoken:
            problems.append(f"After {cell.where}, say what was seen.")
    return problems


@rule
def traps(chapter: Chapter) -> list[str]:
    """Two to four block quotes begin with a bold `Trap`."""
    count = sum(
        len(re.findall(r"^> \*\*Trap\b", cell.text, re.MULTILINE))
        for cell in chapter.prose_cells
    )
    return when(
        not 2 <= count <= 4,
        f"There are {count} traps; write 2 to 4, beginning with `> **Trap: `.",
    )


@rule
def headings(chapter: Chapter) -> list[str]:
    """There is one title, and no heading skips a level."""
    found = [(cell, *each) for cell in chapter.cells for each in cell.headings]
    problems = when(
        sum(level == 1 for _, level, _ in found) != 1,
        "Use `# ` for the title and for nothing else.",
    )
    for (_, upper, _), (cell, level, title) in pairwise(found):
        if level > upper + 1:
            problems.append(f"In {cell.where}, `{title}` skips a level of headings.")
    return problems


@rule
def no_filler(chapter: Chapter) -> list[str]:
    """The prose has no words that make a stuck reader feel slow."""
    filler = re.compile(r"\b(simply|just|obviously|of course|trivially)\b", re.I)
    return [
        f"In {cell.where}, do without `{word}`."
        for cell in chapter.prose_cells
        for word in filler.findall(cell.prose)
    ]


@rule
def plain_markdown(chapter: Chapter) -> list[str]:
    """Text is CommonMark, math and <details>: Colab shows MyST as it is written."""
    return [
        f"In {cell.where}, write {what} in plain Markdown: `{found.strip()}`."
        for cell in chapter.prose_cells
        for what, found in unplain(cell.source)
    ]


def unplain(source: str) -> Iterator[tuple[str, str]]:
    for match in re.finditer(r"^ *(?:```+|~~~+|:::+) *\{.*|^:::.*", source, re.M):
        yield "the directive", match[0]
    for match in re.finditer(r"^\([\w-]+\)=$|^\+\+\+", source, re.M):
        yield "the MyST mark", match[0]
    text = FENCE.sub("", source)
    # Inline code is matched too, so that a role shown inside it does not count.
    for match in re.finditer(r"(\{[a-z][\w:-]*\}`[^`]+`)|`+[^`]*`+", text, re.I):
        if match[1]:
            yield "the role", match[1]
    for match in re.finditer(r"<img\b[^>]*", INLINE_CODE.sub("", text), re.I):
        yield "the picture", match[0]


# Exercises and the end.

CLOSING = ["Exercises", "What you learned", "Quick quiz", "Where to go next"]


@rule
def closing_sections(chapter: Chapter) -> list[str]:
    """The chapter ends with its four closing sections, and maybe references."""
    found = [t for cell in chapter.cells for level, t in cell.headings if level == 2]
    if found[-1:] == ["References"]:
        found.pop()
    return when(
        found[-4:] != CLOSING,
        f"End with the sections {', '.join(CLOSING)}, in this order.",
    )


@rule
def learned(chapter: Chapter) -> list[str]:
    """What you learned is a list of 3 to 6 lines."""
    text = chapter.section_text("What you learned")
    count = len(LIST_LINE.findall(text))
    return when(
        not 3 <= count <= 6,
        f"`What you learned` has {count} list lines; write 3 to 6.",
    )


@rule
def quiz(chapter: Chapter) -> list[str]:
    """The quick quiz folds its answers away, in <details> that are closed again."""
    text = chapter.section_text("Quick quiz")
    opened, closed = text.count("<details"), text.count("</details>")
    return when(
        opened == 0 or opened != closed,
        "In `Quick quiz`, put each answer between `<details>` and `</details>`.",
    )


@rule
def exercise_numbers(chapter: Chapter) -> list[str]:
    """There are 4 to 6 exercises, headed `### Exercise N.k`, numbered in order."""
    names = [exercise_name(title) for title, _ in chapter.exercises]
    right = [f"{chapter.number}.{k}" for k in range(1, len(names) + 1)]
    return [
        *when(
            not 4 <= len(names) <= 6,
            f"There are {len(names)} headings `### Exercise N.k`; write 4 to 6.",
        ),
        *when(
            names != right,
            f"Number the exercises {', '.join(right)} instead of {', '.join(names)}.",
        ),
    ]


def exercise_name(title: str) -> str:
    found = re.match(r"Exercise ([\d.]*\d)", title)
    return found[1] if found else title


@rule
def stub_and_solution(chapter: Chapter) -> list[str]:
    """Each exercise has a stub and, right after it, a solution; both are checked."""
    problems = []
    for title, cells in chapter.exercises:
        name = exercise_name(title)
        stubs = [cell for cell in cells if "exercise" in cell.tags]
        solutions = [cell for cell in cells if "solution" in cell.tags]
        if not stubs or not all(stub.checks(name) for stub in stubs[-1:]):
            problems.append(
                f'Exercise {name} needs a stub tagged `exercise` with check("{name}", '
                "...)."
            )
        if not solutions or not solutions[-1].checks(name):
            problems.append(
                f'Exercise {name} needs a cell tagged `solution` with check("{name}", '
                "...)."
            )
        elif stubs and solutions[0].place != stubs[-1].place + 1:
            problems.append(f"Put the solution of exercise {name} after its stub.")
    return problems


@rule
def folded_solutions(chapter: Chapter) -> list[str]:
    """Solutions are folded in the book, in JupyterLab and on Colab."""
    problems = []
    for title, cells in chapter.exercises:
        first_line = f"# @title Solution {exercise_name(title)}"
        for cell in (cell for cell in cells if "solution" in cell.tags):
            metadata = cell.node.metadata
            folded = (
                "hide-cell" in cell.tags
                and metadata.get("jupyter", {}).get("source_hidden") is True
                and metadata.get("cellView") == "form"
                and cell.source.partition("\n")[0] == first_line
            )
            if not folded:
                problems.append(
                    f"Fold {cell.where}: tags `solution` and `hide-cell`, metadata "
                    '`"jupyter": {"source_hidden": true}, "cellView": "form"`, first '
                    f"line `{first_line}`."
                )
    return problems


@rule
def exercise_verdicts(chapter: Chapter) -> list[str]:
    """The stored outputs say `not yet` for a stub and `correct` for a solution."""
    wanted = {"exercise": "not yet", "solution": "correct."}
    return [
        f"{cell.where} should print `Exercise {exercise_name(title)}: {verdict}`."
        for title, cells in chapter.exercises
        for cell in cells
        for tag, verdict in wanted.items()
        if tag in cell.tags and cell.calls("check")
        if f"Exercise {exercise_name(title)}: {verdict}" not in cell.stored
    ]


# Outputs.


@rule
def ignored_but_checked(chapter: Chapter) -> list[str]:
    """What nbval ignores is followed, before the next heading, by a checkpoint."""
    return [
        f"After {cell.where}, call `expect` in a cell of its own: nbval ignores this."
        for cell in chapter.code
        if cell.is_ignored
        and not any(
            later.is_checkpoint and not later.is_ignored
            for later in chapter.before_next_heading(cell)
        )
    ]


@rule
def mostly_compared(chapter: Chapter) -> list[str]:
    """At least half of all cells with outputs are compared by nbval."""
    outputs = [cell for cell in chapter.code if cell.outputs]
    compared = [cell for cell in outputs if cell.is_compared]
    return when(
        2 * len(compared) < len(outputs),
        f"Only {len(compared)} of {len(outputs)} cells with outputs are compared; "
        "print what stays the same in cells of their own.",
    )


@rule
def alternative_text(chapter: Chapter) -> list[str]:
    """Every picture has words that say what is to be seen."""
    problems = []
    label = re.compile(r"an? plot\b|figure\b|images? of|plot of", re.I)
    for cell in chapter.code:
        drawn = cell.has_picture or cell.calls("explore")
        if drawn and (len(cell.alt) < 25 or label.match(cell.alt)):
            problems.append(
                f"In the metadata of {cell.where}, mystnb.image.alt should say in a "
                "sentence what is to be seen."
            )
    for cell in chapter.prose_cells:
        if "![](" in INLINE_CODE.sub("", cell.text):
            problems.append(f"In {cell.where}, say in `![...](` what is to be seen.")
    return problems


@rule
def no_warnings(chapter: Chapter) -> list[str]:
    """No output holds a warning of Python's."""
    warning = re.compile(r":\d+: \w*Warning: .*")
    return [
        f"{cell.where} stores a warning; remove its cause: `{found}`."
        for cell in chapter.code
        for found in warning.findall(cell.stored)
    ]


@rule
def no_live_widgets(chapter: Chapter) -> list[str]:
    """No widget is stored: it is dead in the book, and GitHub refuses its state."""
    kinds = [
        (cell, kind)
        for cell in chapter.code
        for output in cell.outputs
        for kind in output.get("data", {})
    ]
    return [
        *when(
            "widgets" in chapter.notebook.metadata,
            "Run tools/run_notebooks.py to drop the widgets' state from the metadata.",
        ),
        *(
            f"{cell.where} stores a live widget; show it with `explore` instead."
            for cell, kind in kinds
            if "jupyter.widget" in kind
        ),
    ]


@rule
def no_absolute_paths(chapter: Chapter) -> list[str]:
    """No output names a place on the author's machine."""
    path = re.compile(
        r"(?<![\w.:/~-])/(?:home|tmp|root|usr|opt|var|mnt|work|private|Users|content)/"
        r"[^\s'\"<>]*|\b[A-Z]:\\\w[^\s'\"<>]*"
        # Only from the start of a word, or a long line takes quadratic time.
        r"|(?<!\S)\S*site-packages\S*"
    )
    return [
        f"{cell.where} shows a place on one machine, `{found}`; print a name instead."
        for cell in chapter.code
        for found in path.findall(cell.stored)
    ]


@rule
def no_addresses(chapter: Chapter) -> list[str]:
    """No compared output holds an object's place in memory."""
    address = re.compile(r"0x[0-9a-fA-F]{6,16}")
    return [
        f"{cell.where} shows the address {found}, which changes from run to run; end "
        "the cell's last line with `;` or print something else."
        for cell in chapter.code
        if cell.is_compared
        for found in address.findall(cell.stored)
    ]


@rule
def no_devices_or_times(chapter: Chapter) -> list[str]:
    """No compared output depends on the device or on how fast it is."""
    device = (
        r"\b(?i:cuda|mps|xpu|nvidia|geforce|radeon|tesla)\b|\b(?:[AHV]\d00|T4|L4)\b"
    )
    time = r"\b\d+(?:\.\d+)? ?(?:[mµun]?s|sec|seconds|it/s)\b"
    return [
        f"{cell.where} shows `{found}`, which differs elsewhere; tag it "
        "nbval-ignore-output and add a checkpoint."
        for cell in chapter.code
        if cell.is_compared
        for found in re.findall(f"{device}|{time}", cell.shown)
    ]


# The book.


@book_rule
def book_size(book: Book) -> list[str]:
    """All notebooks together are at most 8 MB."""
    size = sum(len(chapter.text.encode()) for chapter in book.chapters) / 1e6
    return when(size > 8, f"The notebooks have {size:.1f} MB together; 8 are allowed.")


@book_rule
def table_of_contents(book: Book) -> list[str]:
    """Every notebook is in _toc.yml."""
    listed = re.findall(r"file: *[\"']?notebooks/(\w+)", book.contents)
    return [
        f"Add `- file: notebooks/{chapter.name}` to _toc.yml."
        for chapter in book.chapters
        if chapter.name not in listed
    ]
