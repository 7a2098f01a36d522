"""Start a chapter: a notebook with every required part and a word on what goes in.

`python tools/new_chapter.py 14 "Seeing in the dark"` writes the file
notebooks/14_seeing_in_the_dark.ipynb and says what to do next.
"""

import argparse
import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

from normal_form import normalise, parse, save, serialise
from publish_as import badges, repository_slug, setup_cell

ROOT = Path(__file__).resolve().parents[1]
EXERCISES = 4

# What stands below is read by authors, and filled by the tests with sentences and
# outputs to make the chapter that every rule must let pass.
OPENING = """\
# {title}

{badges}

TODO: say in two or three sentences what we build and why it matters.

After this chapter you can:

- TODO: name three to five things, each beginning with a verb,
- TODO: each of them something a reader can do,
- TODO: and each of them practised in an exercise.

**Time**: 30 minutes to read, 2 minutes to run. **Builds on**: TODO: name a chapter.
"""
QUESTION = """\
## How many channels has a picture?

TODO: make the heading a question. Show one idea, say what to look for in the next
result, and ask for a guess before it is shown.
"""
FIRST_RESULT = """\
import torch

picture = torch.zeros(3, 4, 4)
picture.shape
"""
MEANING = """\
TODO: say what was seen and what it means. A result the text relies on is tested
where it is said; nothing else may carry a number.
"""
FIRST_CHECKPOINT = """\
from course_utils import expect

expect(picture.shape[0] == 3, "a colour picture has three channels")
"""
FIGURE = """\
## What does it look like?

TODO: draw. What depends on training, data, device or time carries the tag
nbval-ignore-output, and a checkpoint follows before the next heading. A cell that
draws says in its metadata what is to be seen.
"""
DRAWING = """\
import matplotlib.pyplot as plt

losses = torch.rand(20).sort(descending=True).values
figure, ax = plt.subplots(figsize=(4, 2.5))
ax.plot(losses)
plt.show()
"""
DRAWING_ALT = "A loss that falls over twenty steps, from near one to near zero."
CHECKPOINT = 'expect(losses[-1] < losses[0], "the loss falls")'
TRAP = """\
## What goes wrong?

> **Trap: adding along the wrong axis.** TODO: a mistake people really make.

TODO: run it in the next cell, which carries the tag raises-exception.
"""
MISTAKE = "picture + torch.zeros(3)"
EXPLANATION = "TODO: explain the message, then show the repair in the next cell."
REPAIR = """\
brighter = picture + torch.zeros(3, 1, 1)
brighter.shape
"""
REPAIRED = 'expect(brighter.shape == picture.shape, "one number a channel fits")'
PLAY = """\
## What happens if you change it?

TODO: a figure to play with. Say what to move and what to watch.

> **Trap: believing one run.** TODO: two to four traps a chapter.
"""
PLAYER = '''\
from course_utils import explore


def ramp(points):
    """A line that rises from zero to one."""
    figure, ax = plt.subplots(figsize=(4, 2.5))
    ax.plot(torch.linspace(0, 1, points), "o-")
    return figure


explore(ramp, points=[2, 3, 5])
'''
PLAYER_ALT = "A line that rises from zero to one, with two, three or five points."
AFTER_PLAY = "TODO: say what the reader has seen, and what follows from it."
EXERCISES_HEADING = """\
## Exercises

TODO: four to six, from a line to a small project. Each says at once whether the
answer is right; the folded cell below it holds a solution.
"""
EXERCISE = """\
### Exercise {name}: a short title

TODO: the question, with everything needed to answer it.
"""
LEARNED = """\
## What you learned

- TODO: three to six lines,
- TODO: the ideas in the order they came,
- TODO: in words a friend would understand.
"""
QUIZ = """\
## Quick quiz

TODO: a question that needs no computer?

<details>
<summary>Answer</summary>

TODO: the answer, with its reason.

</details>
"""
NEXT = """\
## Where to go next

TODO: what the next chapter does with this, and one or two good things to read.
"""


def markdown(source: str, **blanks: str) -> dict[str, Any]:
    """A cell of text."""
    text = source.format(**blanks) if blanks else source
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(source: str, *tags: str, alt: str = "", **metadata: Any) -> dict[str, Any]:
    """A cell of code, not run yet."""
    if alt:
        metadata["mystnb"] = {"image": {"alt": alt}}
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags), **metadata},
        "source": source,
        "execution_count": None,
        "outputs": [],
    }


def sections() -> list[dict[str, Any]]:
    """The body of the chapter: question, code, result, and what it means."""
    return [
        markdown(QUESTION),
        code(FIRST_RESULT),
        markdown(MEANING),
        code(FIRST_CHECKPOINT),
        markdown(FIGURE),
        code(DRAWING, "nbval-ignore-output", alt=DRAWING_ALT),
        markdown(MEANING),
        code(CHECKPOINT),
        markdown(TRAP),
        code(MISTAKE, "raises-exception"),
        markdown(EXPLANATION),
        code(REPAIR),
        markdown(MEANING),
        code(REPAIRED),
        markdown(PLAY),
        code(PLAYER, alt=PLAYER_ALT),
        markdown(AFTER_PLAY),
    ]


def exercise(name: str, first: bool) -> list[dict[str, Any]]:
    """A question, a stub to fill in, and the folded solution."""
    imports = "from course_utils import check\n\n" if first else ""
    solution = f'# @title Solution {name}\nanswer = 42\ncheck("{name}", answer)'
    folded: dict[str, Any] = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return [
        markdown(EXERCISE, name=name),
        code(f'{imports}answer = ...\ncheck("{name}", answer)', "exercise"),
        code(solution, "solution", "hide-cell", **folded),
    ]


def skeleton(number: int, title: str, slug: str) -> str:
    """The text of a new chapter's file."""
    name = file_name(number, title)
    cells = [
        markdown(OPENING, title=title, badges=badges(name, slug)),
        code(setup_cell(slug)),
        *sections(),
        markdown(EXERCISES_HEADING),
    ]
    for k in range(1, EXERCISES + 1):
        cells += exercise(f"{number}.{k}", first=k == 1)
    cells += [markdown(LEARNED), markdown(QUIZ), markdown(NEXT)]
    # Colab opens the chapter on a machine with a GPU.
    metadata = {"accelerator": "GPU", "colab": {"gpuType": "T4"}}
    raw = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    return serialise(normalise(parse(json.dumps(raw))))


def file_name(number: int, title: str) -> str:
    """Make `14_seeing_in_the_dark` of 14 and "Seeing in the dark"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower().replace("'", ""))
    if not words:
        raise ValueError(f"The title {title!r} has no letters to make a file name of.")
    return f"{number:02d}_{'_'.join(words)}"


def write_chapter(number: int, title: str, root: Path = ROOT) -> Path:
    """Write the new chapter's file, unless the number is taken."""
    if not 1 <= number <= 99:
        raise ValueError(f"A chapter's number is from 1 to 99, not {number}.")
    folder = root / "notebooks"
    path = folder / f"{file_name(number, title)}.ipynb"
    taken = sorted(folder.glob(f"{number:02d}_*.ipynb"))
    if taken:
        raise ValueError(
            f"Chapter {number} exists already: {taken[0].name}. Choose another number."
        )
    folder.mkdir(exist_ok=True)
    save(path, skeleton(number, title, repository_slug(root)))
    return path


def next_steps(path: Path) -> str:
    """Say what else a chapter needs to be part of the book."""
    number = path.name[:2]
    return f"""\
notebooks/{path.name} is there. What comes next:
1. add the line `- file: notebooks/{path.stem}` to _toc.yml;
2. write course_utils/answers/chapter_{number}.py, with EXERCISES as in its neighbours;
3. replace every TODO in the notebook, then run it and store its outputs:
   python tools/run_notebooks.py notebooks/{path.name}
4. see whether everything is in its place: pytest tests/test_chapters -k {path.stem}"""


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("number", type=int, help="the chapter's number, such as 14")
    parser.add_argument("title", help='such as "Seeing in the dark"')
    options = parser.parse_args(arguments)
    try:
        path = write_chapter(options.number, options.title)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(next_steps(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
