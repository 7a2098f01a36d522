"""Make the copies of the chapters that students work in: no solutions, no outputs.

`python tools/student_copies.py FOLDER` writes a copy of every chapter into FOLDER,
or of the notebooks that are named after it. Stubs and explanations stay. If a
solution would remain in any of them, nothing is written at all.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbformat import NotebookNode

from canonical_form import NotebookError, load, name_cell, parse, save, serialise

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
EXERCISE = re.compile(r"^#+ Exercise (\d{1,2}\.\d{1,2})\b", re.MULTILINE)
SOLUTION = re.compile(r"\bSolution \d+\.\d+", re.IGNORECASE)
# The links at the top open the published chapter, with its solutions.
LINKS = re.compile(r"^\[Open in Colab\].*\n\n?", re.MULTILINE)
MAGICS = re.compile(r"^([ \t]*)[%!].*$", re.MULTILINE)
ALIAS = re.compile(r"(\w+) = (?:\w+\.)*check\b(?!\()")
# All other metadata goes: nobody sees it, and a solution may be in it.
KEPT_IN_CELL = {"cellView", "jupyter", "tags"}
KEPT_IN_NOTEBOOK = {"accelerator", "colab", "kernelspec", "language_info"}


def student_copy(notebook: NotebookNode, with_outputs: bool = False) -> NotebookNode:
    """The notebook without its solutions and, unless wanted, without its outputs."""
    made = copy.deepcopy(notebook)
    made.cells = [cell for cell in made.cells if not is_solution(cell)]
    keep_only(made.metadata, KEPT_IN_NOTEBOOK)
    for cell in made.cells:
        keep_only(cell.metadata, KEPT_IN_CELL)
        if cell.cell_type == "markdown":
            cell.source = LINKS.sub("", cell.source)
        if cell.cell_type == "code" and not with_outputs:
            cell.outputs, cell.execution_count = [], None
    return made


def is_solution(cell: NotebookNode) -> bool:
    """Whether a cell is tagged as a solution."""
    return any(tag.lower() == "solution" for tag in cell.metadata.get("tags", []))


def keep_only(metadata: NotebookNode, names: set[str]) -> None:
    """Remove everything but these names from the metadata."""
    for name in set(metadata) - names:
        del metadata[name]


def remains(notebook: NotebookNode) -> list[str]:
    """What is left of solutions in a copy, and which stubs are lost: sentences."""
    names = names_of_check(notebook)
    problems, stubs = [], set()
    for place, cell in enumerate(notebook.cells):
        exercises, has_gap = checked(cell, names)
        if has_gap:
            stubs |= exercises
        whys = gives_away(cell, solved=bool(exercises) and not has_gap)
        problems += [f"{name_cell(notebook, place)} {why}" for why in whys]
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    return problems + [
        f"Exercise {name} has no stub with `...` left for its answer."
        for name in EXERCISE.findall(text)
        if name not in stubs
    ]


def gives_away(cell: NotebookNode, solved: bool) -> Iterator[str]:
    """Why a cell must not be in a student's copy."""
    # In metadata, outputs and attachments, too.
    if found := SOLUTION.search(json.dumps(cell)):
        yield f"says `{found[0]}`."
    if solved:
        yield "checks an answer that is not a gap: tag it `solution`, or put `...`."
    if "correct." in json.dumps(cell.get("outputs", [])):
        yield "shows the verdict `correct.` in its stored output."


def names_of_check(notebook: NotebookNode) -> set[str]:
    """What a notebook calls `check`, such as `c` after `import check as c`."""
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    return {"check", *re.findall(r"\bcheck as (\w+)", code), *ALIAS.findall(code)}


def checked(cell: NotebookNode, names: set[str]) -> tuple[set[str], bool]:
    """The exercises that a cell checks, and whether it has a gap to fill in."""
    if cell.cell_type != "code":
        return set(), False
    try:
        tree = ast.parse(MAGICS.sub(r"\1pass", cell.source))
    except SyntaxError:  # nobody knows, so it is taken for a solution
        return set(re.findall(r"\bcheck\b", cell.source)), False
    exercises = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and last_name(node.func) in names:
            given = [*node.args, *(word.value for word in node.keywords)]
            if len(given) > 1:
                values = [getattr(part, "value", None) for part in given]
                exercises.add(next((v for v in values if isinstance(v, str)), "?"))
    return exercises, is_open(tree)


def last_name(function: ast.expr) -> str:
    """What a function is called, without the modules that it comes from."""
    return ast.unparse(function).rpartition(".")[2]


def is_open(node: ast.AST) -> bool:
    """Whether code has a `...` to fill in; that of `x[..., 0]` is none."""
    if isinstance(node, ast.Subscript):
        return is_open(node.value)
    if isinstance(node, ast.Constant):
        return node.value is ...
    return any(map(is_open, ast.iter_child_nodes(node)))


def make_copies(
    paths: Sequence[Path], folder: Path, with_outputs: bool, replace: bool
) -> list[Path]:
    """Write the copies, or none of them and say why."""
    copies: dict[Path, str] = {}
    problems = list(bad_targets(paths, folder, replace))
    for path in paths:
        try:
            made = student_copy(parse(load(path)), with_outputs)
        except NotebookError as error:
            problems.append(f"{path.name} {error}")
            continue
        problems += [f"{path.name}: {problem}" for problem in remains(made)]
        copies[folder / path.name] = serialise(made)
    if problems:
        raise NotebookError("\n".join(problems))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in copies.items():
        save(path, text)
    return list(copies)


def bad_targets(paths: Sequence[Path], folder: Path, replace: bool) -> Iterator[str]:
    """Why copies in this folder would overwrite something: sentences."""
    originals = {path.resolve().parent for path in paths} | {NOTEBOOKS}
    if folder.resolve() in originals:
        yield f"{folder} holds the originals: choose another folder."
    # Windows and macOS do not tell A from a in names.
    for name, number in Counter(path.name.casefold() for path in paths).items():
        if number > 1:
            yield f"{number} notebooks are called {name}: copy them to two folders."
    for target in (folder / path.name for path in paths):
        if not target.exists():
            continue
        if any(path.exists() and path.samefile(target) for path in paths):
            yield f"{target} is an original: choose another folder."
        elif not replace:
            yield (
                f"{target} is there already, maybe with a student's work: choose "
                "another folder, or say --replace."
            )


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
