"""Every chapter keeps every rule, and every rule notices when it is broken."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from canonical_form import load, normalise, parse, serialise
from new_chapter import skeleton
from test_chapters.anatomy import BOOK_RULES, RULES
from test_chapters.chapters import ROOT, Book, Chapter

CHAPTERS = [Chapter.read(path) for path in sorted(ROOT.glob("notebooks/*.ipynb"))]
BOOK = Book(CHAPTERS, load(ROOT / "_toc.yml"))


def problems_of(chapter: Chapter) -> list[str]:
    """What every rule says, with its name in front."""
    return [f"{name}: {text}" for name, rule in RULES.items() for text in rule(chapter)]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_chapter(chapter: Chapter) -> None:
    problems = problems_of(chapter)
    assert not problems, "\n".join(["", *problems])


@pytest.mark.parametrize("rule", BOOK_RULES)
def test_book(rule: str) -> None:
    problems = BOOK_RULES[rule](BOOK)
    assert not problems, "\n".join(["", *problems])


# A finished chapter: what tools/new_chapter.py makes, with its gaps filled.

Cells = list[dict[str, Any]]
Edit = Callable[[dict[str, Any]], object]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # noqa: E501
SENTENCE = "Here the author writes on what a reader sees, thinks or tries. "


def printed(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def displayed(**data: str) -> dict[str, Any]:
    kinds = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": kinds}


def outputs_of(source: str) -> Cells:
    """What a cell of the skeleton shows when it is run."""
    if checkpoint := re.search(r'expect\(.*, "(.*)"\)', source):
        return [printed(f"✓ {checkpoint[1]}\n")]
    if exercise := re.search(r'check\("(.*)", ', source):
        verdict = "not yet. Put your answer here." if "= ..." in source else "correct."
        return [printed(f"Exercise {exercise[1]}: {verdict}\n")]
    if "plt.show" in source:
        return [displayed(image_png=PIXEL, text_plain="<Figure size 400x250>")]
    return [] if "seed_everything" in source else [printed("torch.Size([3, 4, 4])\n")]


def finished_chapter() -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(skeleton(14, "Seeing in the dark"))
    count = 0
    for cell in raw["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "code":
            count += 1
            cell |= {"execution_count": count, "outputs": outputs_of(cell["source"])}
        elif "TODO" in cell["source"]:
            cell["source"] = cell["source"].replace("TODO: ", "") + "\n" + 3 * SENTENCE
    return raw


def as_chapter(raw: dict[str, Any], name: str = "14_seeing_in_the_dark") -> Chapter:
    text = serialise(normalise(parse(json.dumps(raw))))
    return Chapter(Path(f"{name}.ipynb"), parse(text), text)


def cell_with(raw: dict[str, Any], text: str) -> dict[str, Any]:
    return next(cell for cell in raw["cells"] if text in cell["source"])


# Ways to break it.


def replacing(old: str, new: str) -> Edit:
    """Replace text in the first cell that has it."""

    def edit(raw: dict[str, Any]) -> None:
        cell = cell_with(raw, old)
        cell["source"] = cell["source"].replace(old, new, 1)

    return edit


def without(text: str) -> Edit:
    """Remove the first cell that has this text."""
    return lambda raw: raw["cells"].remove(cell_with(raw, text))


def showing(text: str, *outputs: dict[str, Any]) -> Edit:
    """Give the first cell that has this text other outputs."""
    return lambda raw: cell_with(raw, text).update(outputs=list(outputs))


def tagging(text: str, *tags: str) -> Edit:
    return lambda raw: cell_with(raw, text)["metadata"].update(tags=list(tags))


def prose(text: str) -> Edit:
    """Add a paragraph to the cell that explains the first result."""
    return replacing("it is said;", f"it is said;\n\n{text}\n\n")


def all_ignored(raw: dict[str, Any]) -> None:
    for cell in raw["cells"]:
        cell["metadata"]["tags"] = ["nbval-ignore-output"]


def with_alt(alt: str) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        cell = cell_with(raw, "plt.show")
        cell["metadata"]["mystnb"]["image"]["alt"] = alt

    return edit


def without_metadata(text: str, key: str) -> Edit:
    return lambda raw: cell_with(raw, text)["metadata"].pop(key)


def in_all_code(lines: str) -> Edit:
    """Append lines to every code cell."""

    def edit(raw: dict[str, Any]) -> None:
        for cell in raw["cells"]:
            if cell["cell_type"] == "code":
                cell["source"] += lines

    return edit


LONG = "picture\n" * 31
SHAPE = "picture = torch.zeros(3, 4, 4)\n"
BROKEN: dict[str, list[Edit]] = {
    "file_size": [showing("plt.show", displayed(text_html=1_000_001 * "A"))],
    "finished": [prose("TODO: write more.")],
    "cell_count": [
        lambda raw: raw["cells"].__delitem__(slice(4, 14)),
        lambda raw: raw["cells"].extend(50 * raw["cells"][-1:]),
    ],
    "main_path": [prose(200 * SENTENCE)],
    "result_first": [showing("plt.show")],
    "short_code": [
        in_all_code(9 * "\npass"),
        in_all_code("\na, b, c, d, e, f, g, h, i = 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
    "one_long_cell": [
        lambda raw: [
            replacing(old, LONG + old)(raw) for old in ("losses =", "brighter =")
        ]
    ],
    "line_length": [replacing("picture = ", f"picture = {40 * '1 + '}0 + ")],
    "enough_prose": [
        lambda raw: [replacing(SENTENCE, "")(raw) for _ in range(30)],
        prose(200 * SENTENCE),
    ],
    "title_and_badges": [
        replacing("# Seeing", "Seeing"),
        replacing("[Open in Colab]", "[Open]"),
    ],
    "promises": [
        replacing("After this chapter you can", "You will know"),
        replacing("- and each", "and each"),
    ],
    "stated_times": [
        replacing("5 for the side", "20 for the side"),
        replacing(", 10 for the exercises", ""),
        replacing("*Five minutes", "*Twenty-five minutes"),
        replacing("**Time:**", "Time:"),
    ],
    "foundations": [
        replacing("The notebook runs in", "It runs for"),
        replacing("Builds on", "Before"),
    ],
    "set_up": [replacing("seed_everything(0)", "seed_everything(1)")],
    "imports_where_needed": [replacing("import torch\n", "import torch, json\n")],
    "public_names": [
        replacing("from course_utils import expect", line)
        for line in (
            "from course_utils.exercises import expect",
            "from course_utils import _secret, expect",
            "import course_utils.exercises",
        )
    ],
    "a_word_before_code": [
        lambda raw: cell_with(raw, "## How many").update(source="## A heading"),
        lambda raw: raw["cells"].insert(4, raw["cells"][3]),
    ],
    "a_word_after_results": [without("seen in the result")],
    "traps": [
        replacing("> **Trap: believing", "> **Note: believing"),
        lambda raw: [prose("> **Trap: one more.**")(raw) for _ in range(3)],
    ],
    "headings": [
        prose("# Another title"),
        replacing("## What does it", "#### What does it"),
    ],
    "no_filler": [prose("This is simply so."), prose("Of course it is.")],
    "plain_markdown": [
        prose("```{note}\nHear!\n```"),
        prose(":::{tip}\nHear!\n:::"),
        prose("See {ref}`there`."),
        prose("(there)="),
        prose('<img src="there.png">'),
    ],
    "closing_sections": [
        without("## Quick quiz"),
        replacing("## What you learned", "## Summary"),
    ],
    "learned": [
        replacing("- the ideas", "  the ideas"),
    ],
    "quiz": [replacing("<details>", ""), replacing("</details>", "")],
    "exercise_numbers": [
        replacing("### Exercise 14.2", "### Exercise 14.3"),
        replacing("### Exercise 14.1", "### Exercise 15.1"),
        replacing("### Exercise 14.4", "### Puzzle"),
    ],
    "stub_and_solution": [
        replacing('answer = ...\ncheck("14.1"', 'answer = ...\ncheck("14.2"'),
        tagging("= ...", "other"),
        tagging("# @title Solution 14.2", "hide-cell"),
        without("# @title Solution 14.3"),
    ],
    "folded_solutions": [
        replacing("# @title Solution 14.1", "# Solution"),
        tagging("# @title Solution", "solution"),
        without_metadata("# @title Solution", "cellView"),
        without_metadata("# @title Solution", "jupyter"),
    ],
    "exercise_verdicts": [
        showing("= ...", printed("Exercise 14.1: correct.\n")),
        showing(
            "# @title Solution", printed("Exercise 14.1: not quite. Think again.\n")
        ),
    ],
    "ignored_but_checked": [
        without("the loss falls"),
        tagging("the loss falls", "nbval-ignore-output"),
    ],
    "mostly_compared": [all_ignored],
    "alternative_text": [
        with_alt(""),
        with_alt("a plot"),
        with_alt("Figure 3: losses of the network over time"),
        prose("![](there.png)"),
    ],
    "no_warnings": [
        showing(SHAPE, printed("cell.py:3: UserWarning: take care\n")),
    ],
    "no_absolute_paths": [
        showing(SHAPE, printed(f"{path}\n"))
        for path in (
            "saved in /home/ada/net.pt",
            "/tmp/x",
            "C:\\Users\\ada",
            "lib/site-packages/torch",
        )
    ],
    "no_addresses": [showing(SHAPE, printed("<Net at 0x7f3a5c0d1e80>\n"))],
    "no_devices_or_times": [
        showing(SHAPE, printed(f"{text}\n"))
        for text in (
            "device='cuda:0'",
            "NVIDIA H200",
            "12.3 s",
            "4 ms",
            "17.25it/s",
            "on a T4",
        )
    ],
}


def broken_examples() -> list[Any]:
    return [
        pytest.param(rule, edit, id=f"{rule}-{number}")
        for rule, edits in BROKEN.items()
        for number, edit in enumerate(edits, start=1)
    ]


def test_a_finished_chapter_keeps_every_rule() -> None:
    assert problems_of(as_chapter(finished_chapter())) == []


def test_rules_are_quick_on_long_lines() -> None:
    raw = finished_chapter()
    showing(SHAPE, printed(200_000 * "A" + "\n"))(raw)
    chapter = as_chapter(raw)
    started = time.process_time()
    problems_of(chapter)
    assert time.process_time() - started < 1  # a quadratic rule takes half a minute


@pytest.mark.parametrize(("rule", "edit"), broken_examples())
def test_notices(rule: str, edit: Edit) -> None:
    raw = finished_chapter()
    edit(raw)
    assert RULES[rule](as_chapter(raw)) != []


# Rules about the file itself need more than an edit of its cells.


@pytest.mark.parametrize("name", ["1_tensors", "01-tensors", "01_Tensors", "tensors"])
def test_notices_file_name(name: str) -> None:
    assert RULES["file_name"](as_chapter(finished_chapter(), name))


def never_run(raw: dict[str, Any]) -> None:
    cell_with(raw, SHAPE)["execution_count"] = None


def out_of_order(raw: dict[str, Any]) -> None:
    cell_with(raw, SHAPE)["execution_count"] = 40


@pytest.mark.parametrize(
    "edit", [never_run, out_of_order, showing(SHAPE, printed("oh\n", "stderr"))]
)
def test_notices_normal_form(edit: Edit) -> None:
    raw = finished_chapter()
    edit(raw)
    assert RULES["normal_form"](as_chapter(raw))


def test_notices_normal_form_of_the_text() -> None:
    good = as_chapter(finished_chapter())
    spaced = good.text.replace("\n  ", "\n   ")
    assert RULES["normal_form"](Chapter(good.path, good.notebook, spaced))
    assert RULES["normal_form"](Chapter(good.path, good.notebook, "{"))


def test_notices_no_live_widgets() -> None:
    chapter = as_chapter(finished_chapter())
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    chapter.code[1].node.outputs[0] = {"output_type": "display_data", "data": view}
    assert RULES["no_live_widgets"](chapter)
    chapter = as_chapter(finished_chapter())
    chapter.notebook.metadata["widgets"] = {}
    assert RULES["no_live_widgets"](chapter)


def test_every_rule_has_a_broken_example() -> None:
    apart = {"file_name", "normal_form", "no_live_widgets"}
    assert set(BROKEN) | apart == set(RULES)


# Rules of the book.


def book_of(raw: dict[str, Any], contents: str = "") -> Book:
    return Book([as_chapter(raw)], contents)


def test_notices_table_of_contents() -> None:
    rule = BOOK_RULES["table_of_contents"]
    assert rule(book_of(finished_chapter(), "- file: notebooks/01_tensors"))
    listed = "- file: notebooks/14_seeing_in_the_dark"
    assert not rule(book_of(finished_chapter(), listed))


def test_notices_book_size() -> None:
    raw = finished_chapter()
    showing(SHAPE, displayed(text_html=8_000_001 * "A"))(raw)
    assert BOOK_RULES["book_size"](book_of(raw))


def in_one_cell(raw: dict[str, Any]) -> None:
    """Put the closing sections into one cell."""
    quiz, further = raw["cells"][-2:]
    raw["cells"][-3]["source"] += "\n" + quiz["source"] + "\n" + further["source"]
    del raw["cells"][-2:]


# What the rules let pass, where a stricter reading would not.


@pytest.mark.parametrize(
    ("rule", "edit"),
    [
        ("no_filler", prose("Write `just` in code.")),
        ("plain_markdown", prose("Write `f{x}` or `{ref}` in code.")),
        ("headings", prose("```python\n# a comment\n```")),
        ("no_devices_or_times", showing("the loss falls", printed("✓ under 60 s\n"))),
        ("no_absolute_paths", prose("A file in /home/ada is only mentioned.")),
        ("learned", in_one_cell),
        ("quiz", in_one_cell),
        ("closing_sections", in_one_cell),
        ("closing_sections", replacing("one or two", "\n\n## References\n\n- one")),
        ("imports_where_needed", replacing("import torch\n", "%time\nimport torch\n")),
    ],
)
def test_lets_pass(rule: str, edit: Edit) -> None:
    raw = finished_chapter()
    edit(raw)
    assert RULES[rule](as_chapter(raw)) == []
