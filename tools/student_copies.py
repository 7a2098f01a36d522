"""Make the copies of the chapters that students work in: no solutions, no outputs.

`python tools/student_copies.py FOLDER` writes a copy of every chapter into FOLDER,
or of the notebooks that are named after it. Stubs and explanations stay. If a
solution would remain in any of them, nothing is written at all.
"""

from __future__ import annotations

import argparse
import ast
import copy
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode

from normal_form import NotebookError, load, name_cell, parse, save, serialise

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
EXERCISE = re.compile(r"^#+ Exercise (\d{1,2}\.\d{1,2})\b", re.MULTILINE)
SOLUTION = re.compile(r"\bSolution \d+\.\d+", re.IGNORECASE)
# The links at the top open the published chapter, with its solutions.
LINKS = re.compile(r"^\[Open in Colab\].*\n\n?", re.MULTILINE)


def student_copy(notebook: NotebookNode, with_outputs: bool = False) -> NotebookNode:
    """The notebook without its solutions and, unless wanted, without its outputs."""
    made = copy.deepcopy(notebook)
    made.cells = [cell for cell in made.cells if "solution" not in tags(cell)]
    made.cells[0].source = LINKS.sub("", made.cells[0].source)
    for cell in made.cells:
        if cell.cell_type == "code" and not with_outputs:
            cell.outputs, cell.execution_count = [], None
    return made


def remains(notebook: NotebookNode) -> list[str]:
    """What is left of solutions in a copy, and which stubs are lost: sentences."""
    problems = [
        f"{name_cell(notebook, place)} {why}"
        for place, cell in enumerate(notebook.cells)
        for why in gives_away(cell)
    ]
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    open_stubs = {name for cell in notebook.cells for name, gap in checked(cell) if gap}
    return problems + [
        f"Exercise {name} has no stub with `...` left for its answer."
        for name in EXERCISE.findall(text)
        if name not in open_stubs
    ]


def gives_away(cell: NotebookNode) -> Iterator[str]:
    """Why a cell must not be in a student's copy."""
    if "solution" in tags(cell):
        yield "is tagged `solution`."
    if found := SOLUTION.search(cell.source):
        yield f"says `{found[0]}`."
    if cell.cell_type == "code" and any(not gap for _, gap in checked(cell)):
        yield "checks an answer that is not a gap: tag it `solution`, or put `...`."
    if "correct." in "".join(
        str(output.get("text", "")) for output in cell.get("outputs", [])
    ):
        yield "shows the verdict `correct.` in its stored output."


def checked(cell: NotebookNode) -> Iterator[tuple[str, bool]]:
    """The exercises that a code cell checks, and whether it has a gap to fill."""
    if cell.cell_type != "code":
        return
    try:
        tree = ast.parse(re.sub(r"(?m)^\s*[%!].*$", "", cell.source))
    except SyntaxError:
        return
    nodes = list(ast.walk(tree))
    gap = any(isinstance(node, ast.Constant) and node.value is ... for node in nodes)
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "check":
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant):
                yield str(name.value), gap


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    found: list[str] = cell.metadata.get("tags", [])
    return found


def make_copies(
    paths: Sequence[Path], folder: Path, with_outputs: bool, replace: bool
) -> list[Path]:
    """Write the copies, or none of them and say why."""
    copies, problems = {}, []
    for path in paths:
        try:
            made = student_copy(parse(load(path)), with_outputs)
        except NotebookError as error:
            problems.append(f"{path.name} {error}")
            continue
        problems += [f"{path.name}: {problem}" for problem in remains(made)]
        copies[folder / path.name] = serialise(made)
        if (folder / path.name).exists() and not replace:
            problems.append(
                f"{folder / path.name} is there already, maybe with a student's work: "
                "choose another folder, or say --replace."
            )
    if problems:
        raise NotebookError("\n".join(problems))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in copies.items():
        save(path, text)
    return list(copies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the copies go")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument(
        "--with-outputs", action="store_true", help="keep what the cells print"
    )
    parser.add_argument("--replace", action="store_true", help="overwrite old copies")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    try:
        made = make_copies(paths, options.folder, options.with_outputs, options.replace)
    except NotebookError as error:
        print(f"{error}\nNothing was written.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.folder}: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(f"{len(made)} copies without solutions are in {options.folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
