"""The canonical form in which a notebook is committed, and what keeps a file from it.

Two runs of a chapter on two machines should give the same file. So the canonical form
leaves out what differs from run to run: times, versions, widgets, places of files.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import os
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from PIL import Image

METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
# Colab reads both: they ask for a GPU.
KEPT_IN_NOTEBOOK = ("accelerator", "colab")
KEPT_IN_CELL = ("cellView", "jupyter", "mystnb", "tags")
WIDGET = "application/vnd.jupyter.widget-view+json"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
# The same as nbval does to both sides before it compares them.
OVERWRITTEN = re.compile(r"^.*\r(?=[^\n])", re.MULTILINE)
PACKAGE = re.compile(r"(?:.*site-packages/|.*python3\.\d+/|.*(?=course_utils/))(\w+)")


class NotebookError(Exception):
    """One sentence that says why a notebook cannot be read, run or stored."""


def load(path: Path) -> str:
    """Read a file's text as it is, line ends included."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NotebookError(f"cannot be read: {reason}.") from None
    except UnicodeDecodeError:
        raise NotebookError("is not a text file in UTF-8.") from None


def parse(text: str) -> NotebookNode:
    """Make a notebook of a file's text; a cell without an id gets a lasting one."""
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.get("nbformat") != 4:
            raise NotebookError(
                "is not a notebook of format 4; save it again in JupyterLab."
            )
        raw["nbformat_minor"] = max(5, raw.get("nbformat_minor", 0))
        give_ids(raw.get("cells", []))
        notebook: NotebookNode = nbformat.reads(json.dumps(raw), as_version=4)
        nbformat.validate(notebook)
        return notebook
    except json.JSONDecodeError as error:
        raise NotebookError(
            f"is not JSON (line {error.lineno}: {error.msg})."
        ) from None
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError) as error:
        reason = one_line(str(error).splitlines()[0])
        raise NotebookError(f"is not a valid notebook: {reason}.") from None


def give_ids(cells: list[dict[str, Any]]) -> None:
    """Give every cell without an id of its own one made from place and source."""
    seen: set[str] = set()
    for place, cell in enumerate(cells):
        if not cell.get("id") or cell["id"] in seen:
            origin = f"{place} {cell.get('source')}"
            cell["id"] = hashlib.sha256(origin.encode()).hexdigest()[:8]
        seen.add(cell["id"])


def serialise(notebook: NotebookNode) -> str:
    """Return the text of a notebook's file: the same text for the same notebook."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"


def save(path: Path, text: str) -> None:
    """Replace the file in one step, so that a stop in between leaves the old one."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(text.encode("utf-8"))
    if path.exists():
        beside.chmod(path.stat().st_mode)
    os.replace(beside, path)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook in canonical form."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata = chosen(notebook.metadata, KEPT_IN_NOTEBOOK) | METADATA
    for cell in notebook.cells:
        cell.source = cell.source.replace("\r\n", "\n").rstrip()
        cell.metadata = chosen(cell.metadata, KEPT_IN_CELL)
        if cell.cell_type == "code":
            cell.outputs = list(tidy_outputs(cell.outputs))
    return notebook


def chosen(metadata: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Choose metadata by name, without what says nothing: empty, false or null."""
    return {name: metadata[name] for name in names if metadata.get(name)}


def tidy_outputs(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Drop widgets, join what was printed in pieces, shorten tracebacks."""
    outputs = [output for output in outputs if not drop_widget(output)]
    # Only neighbours are joined: text before a figure stays before it.
    for stream, group in groupby(outputs, key=lambda output: output.get("name")):
        members = list(group)
        if stream:
            text = "".join(member.text for member in members)
            members[0].text = OVERWRITTEN.sub("", text)
            members = members[:1]
        for member in members:
            if member.output_type == "error":
                member.traceback = tidy_traceback(member.traceback)
            if "image/png" in member.get("data", {}):
                member.data["image/png"] = shrink(member.data["image/png"])
        yield from members


def drop_widget(output: NotebookNode) -> bool:
    """Remove a live widget from an output; true when nothing but its name is left."""
    data = output.get("data", {})
    return data.pop(WIDGET, None) is not None and not set(data) - {"text/plain"}


def shrink(png: str) -> str:
    """Reduce an image to the 256 colours that suit it best: a third of the size."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    opaque = Image.new("RGBA", image.size, "white")
    opaque.alpha_composite(image.convert("RGBA"))
    reduced = opaque.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small = io.BytesIO()
    reduced.save(small, format="png", optimize=True, dpi=image.info.get("dpi"))
    return base64.b64encode(small.getvalue()).decode()


def tidy_traceback(frames: list[str]) -> list[str]:
    """Keep the notebook's own frames; of a library's frames keep only its name."""
    frames = [ANSI.sub("", frame) for frame in frames]
    shortened = [
        f"    ... inside {library(frame)} ...\n" if frame.startswith("File ") else frame
        for frame in frames
    ]
    return [frame for frame, _ in groupby(shortened)]


def library(frame: str) -> str:
    """Name the package that a traceback's frame `File PATH:LINE, in ...` is from."""
    path = frame.removeprefix("File ").splitlines()[0].partition(", in ")[0]
    path = path.replace("\\", "/")
    package = PACKAGE.match(path)
    return package[1] if package else path.rpartition("/")[2].partition(":")[0]


def faults(text: str) -> list[str]:
    """Say what keeps a file's text from being a chapter as this tool writes it."""
    notebook = parse(text)
    found = output_faults(notebook)
    if serialise(normalise(notebook)) != text:
        found.append("is not in canonical form; run tools/run_notebooks.py on it.")
    return found


def output_faults(notebook: NotebookNode) -> list[str]:
    """Say which cells were not run, ran out of order or wrote to stderr."""
    found = []
    count = 0
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        count += 1
        where = name_cell(notebook, place)
        if cell.execution_count is None:
            found.append(f"{where} has not been run.")
        elif cell.execution_count != count:
            found.append(
                f"{where} has the count [{cell.execution_count}] "
                f"instead of [{count}]; run the whole notebook from the top."
            )
        for output in cell.outputs:
            if output.get("name") == "stderr":
                found.append(
                    f"{where} writes to stderr, which may not be "
                    f"stored; remove the cause: {one_line(output.text)}"
                )
    return found


def name_cell(notebook: NotebookNode, place: int) -> str:
    """Name a cell so that an author finds it: its number and its first line."""
    lines = notebook.cells[place].source.strip().splitlines() or ["empty"]
    return f"cell {place + 1} (`{textwrap.shorten(lines[0], 60, placeholder=' ...')}`)"


def one_line(text: str) -> str:
    """Make a message fit on one line of a report."""
    return textwrap.shorten(ANSI.sub("", text), 300, placeholder=" ...")
