"""What a chapter defines in its cells, for benchmarks that measure just that."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def defined_in(chapter: str, names: Sequence[str], **given: Any) -> dict[str, Any]:
    """Run the chapter's imports and its definitions of these names.

    What is given under a name that the chapter defines, too, takes its place. The
    chapter's own functions call it, because they look names up where they were defined.
    """
    space = dict(given)
    exec(_source_of(chapter, tuple(names)), space)
    space.update(given)
    return space


@functools.cache
def _source_of(chapter: str, names: Sequence[str]) -> str:
    """Return the chapter's imports, then what defines these names, in their order."""
    imports: dict[str, str] = {}
    found: dict[str, str] = {}
    for node, text in _statements(chapter):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports |= {alias.asname or alias.name: text for alias in node.names}
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = "\n".join([found.get(node.target.id, ""), text])
        else:
            # A function may come twice: the solution follows the exercise's stub.
            found |= dict.fromkeys(_defined_by(node), text)
    missing = set(names) - set(found) - set(imports)
    if missing:
        raise SystemExit(f"{chapter} does not define {', '.join(sorted(missing))}")
    wanted = [found[name] for name in names if name in found]
    return "\n\n".join(dict.fromkeys([*imports.values(), *wanted]))


def _statements(chapter: str) -> Iterator[tuple[ast.stmt, str]]:
    """Yield all statements of the chapter's cells and their source."""
    notebook = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        try:
            tree = ast.parse(source if cell["cell_type"] == "code" else "")
        except SyntaxError:  # a magic command, or a mistake that the chapter shows
            continue
        for node in tree.body:
            yield node, ast.get_source_segment(source, node) or ""


def _defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        targets = [
            leaf for each in node.targets for leaf in getattr(each, "elts", [each])
        ]
        return [leaf.id for leaf in targets if isinstance(leaf, ast.Name)]
    return []
