"""What a chapter defines in its cells, for benchmarks that measure just that."""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@functools.cache
def _source_of(chapter: str, names: Sequence[str]) -> str:
    """What defines these names in the chapter, in their order."""
    found: dict[str, str] = {}
    notebook = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and any(name in source for name in names):
            for node in ast.parse(source).body:
                text = ast.get_source_segment(source, node) or ""
                # A function may come twice: the solution follows the exercise's stub.
                for name in _defined_by(node):
                    found[name] = text
                for name in found.keys() & _added_to_by(node):
                    found[name] = "\n".join([found[name], text])
    missing = set(names) - set(found)
    assert not missing, f"the chapter does not define {missing}"
    return "\n\n".join(dict.fromkeys(found[name] for name in names))


def _defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        parts = [
            part for each in node.targets for part in getattr(each, "elts", [each])
        ]
        return [part.id for part in parts if isinstance(part, ast.Name)]
    return []


def _added_to_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def defined_in(chapter: str, names: Sequence[str], **given: Any) -> dict[str, Any]:
    """The chapter's definitions of these names, run with the names that are given.

    What is given last under a name that the chapter defines, too, takes its place, and
    the chapter's own functions call it: they look names up where they were defined.
    """
    space = dict(given)
    exec(_source_of(chapter, names), space)
    space.update(given)
    return space
