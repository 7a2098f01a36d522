"""Run a folder of students' notebooks and gather what `check` says to their answers.

`python tools/run_submissions.py FOLDER` runs every notebook below FOLDER in a process
and a temporary folder of its own, with limits of time and memory and without a
network. Whatever a notebook does, the next one runs, and no file of FOLDER changes.
The verdicts go to marks.csv and, to be read, to marks.md in the folder of --to.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pooch  # type: ignore[import-untyped]
from nbformat import NotebookNode

import walls
from canonical_form import NotebookError, load, parse
from student_copies import EXERCISE

TOOLS = Path(__file__).resolve().parent
MOST_REPORTED = 1_000_000  # bytes; who reports more is not answering exercises
SIGNS = {"correct": "✓", "not quite": "✗", "not yet": "–"}


@dataclass
class Marks:
    """What came of one notebook."""

    name: str
    exercises: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    state: str = "ran to the end"
    seconds: float = 0.0

    @property
    def score(self) -> int:
        """The number of exercises that are right."""
        return sum(said.startswith("correct") for said in self.verdicts.values())

    def read(self, reported: bytes) -> bool:
        """Take in the lines that the process reported; whether it came to its end."""
        cell, done = 0, False
        for line in _lines(reported):
            cell = line.get("cell", cell)
            done |= "done" in line
            if "check" in line:
                self.verdicts[str(line["check"])] = str(line.get("verdict"))
            if "error" in line:
                self.errors.append(f"cell {cell}: {line['error']}")
        if not done:
            self.errors.append(f"cell {cell}: did not end")
        return done


def _lines(reported: bytes) -> Iterator[dict[str, Any]]:
    for text in reported.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                yield line


def run_submission(
    path: Path, root: Path, seconds: float, gigabytes: float, wall: list[str]
) -> Marks:
    """Run one notebook; never raises for anything that the notebook is or does."""
    marks = Marks(str(path.relative_to(root)))
    start = time.monotonic()
    try:
        notebook = parse(load(path))
    except NotebookError as error:
        marks.state = f"is no notebook: it {error}"
        return marks
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    marks.exercises = EXERCISE.findall(prose)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        reported, ended = _run(notebook, Path(folder), seconds, gigabytes, wall)
        if not marks.read(reported):
            marks.state = ended or "ended its own process"
    marks.seconds = round(time.monotonic() - start, 1)
    return marks


def _run(
    notebook: NotebookNode,
    folder: Path,
    seconds: float,
    gigabytes: float,
    wall: list[str],
) -> tuple[bytes, str]:
    """What the process reported, and how it was ended if it did not end itself."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    reading, writing = os.pipe()
    one = str(TOOLS / "one_submission.py")
    process = subprocess.Popen(
        [*wall, sys.executable, one, str(writing), str(gigabytes), str(seconds)],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[writing],
        start_new_session=True,
    )
    os.close(writing)
    report = _Reader(reading)
    report.start()
    ended = ""
    with contextlib.suppress(BrokenPipeError):
        assert process.stdin is not None
        process.stdin.write(json.dumps(cells).encode())
        process.stdin.close()
    try:
        code = process.wait(seconds)
        if code:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            ended = f"its process died ({name})"
    except subprocess.TimeoutExpired:
        ended = f"stopped after {seconds:g} s"
    finally:
        # The session, so that nothing it has started is left behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    report.join(timeout=2)
    return bytes(report.received), ended


class _Reader(threading.Thread):
    """Reads what a process reports while it runs, up to a limit."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.descriptor, self.received = descriptor, bytearray()

    def run(self) -> None:
        """Read until nobody is left who could write."""
        with open(self.descriptor, "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                if len(self.received) < MOST_REPORTED:
                    self.received += piece


def _environment(folder: Path) -> dict[str, str]:
    """The surroundings of a notebook: a home of its own, no network, the data."""
    kept = {"PATH", "LANG", "LC_ALL", "COURSE_DEVICE", "SYSTEMROOT"}
    tools = os.pathsep.join([str(TOOLS), str(TOOLS.parent)])
    return {
        **{name: value for name, value in os.environ.items() if name in kept},
        **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), str(folder)),
        "IPYTHONDIR": str(folder / ".ipython"),
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(folder / ".matplotlib"),
        "COURSE_OFFLINE": "1",
        # Where the course looks for it; the home of the notebook is another one.
        "COURSE_DATA": os.environ.get("COURSE_DATA")
        or pooch.os_cache("learning-to-see"),
        "PYTHONPATH": tools,
    }


@contextlib.contextmanager
def kept_as_they_are(paths: Sequence[Path]) -> Iterator[None]:
    """Put back, in the end, what was deleted or changed in spite of all walls."""
    before = {path: path.read_bytes() for path in paths}
    try:
        yield
    finally:
        for path, content in before.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def run_all(
    folder: Path, seconds: float, gigabytes: float, wall: list[str], jobs: int = 1
) -> Iterator[Marks]:
    """Run every notebook below the folder; the marks come in the order of the names."""
    paths = sorted(
        path
        for path in folder.rglob("*.ipynb")
        if ".ipynb_checkpoints" not in path.parts
    )

    def run(path: Path) -> Marks:
        with kept_as_they_are(paths):
            return run_submission(path, folder, seconds, gigabytes, wall)

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(run, paths)


def exercises_of(all_marks: Sequence[Marks]) -> list[str]:
    """All exercises that occur, in order."""
    names = {name for m in all_marks for name in [*m.exercises, *m.verdicts]}
    known = [name for name in names if re.fullmatch(r"\d+\.\d+", name)]
    return sorted(known, key=lambda name: [int(part) for part in name.split(".")])


def sign(marks: Marks, exercise: str) -> str:
    """One character for an exercise: right, wrong, not answered, not reached."""
    said = marks.verdicts.get(exercise, "")
    return next((s for start, s in SIGNS.items() if said.startswith(start)), " ")


def write_csv(path: Path, all_marks: Sequence[Marks]) -> None:
    """One line a notebook, with every verdict in full."""
    exercises = exercises_of(all_marks)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(
            ["notebook", "right", *exercises, "state", "failed cells", "seconds"]
        )
        for marks in all_marks:
            said = [marks.verdicts.get(name, "") for name in exercises]
            row = [marks.name, marks.score, *said]
            row += [marks.state, " | ".join(marks.errors), marks.seconds]
            table.writerow([_harmless(value) for value in row])


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet does not take for a formula."""
    risky = isinstance(value, str) and value[:1] in tuple("=+-@\t\r")
    return f"'{value}" if risky else value


def as_table(all_marks: Sequence[Marks]) -> str:
    """The marks as a Markdown table that also reads well as plain text."""
    exercises = exercises_of(all_marks)
    head = ["notebook", "right", *exercises, "remarks"]
    rows = [
        [
            m.name,
            f"{m.score}/{len(exercises)}",
            *(sign(m, exercise) for exercise in exercises),
            remarks(m),
        ]
        for m in all_marks
    ]
    # A bar in a cell would end it.
    lines = [[str(text).replace("|", "/") for text in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)) + " |"
        for row in lines
    )


def remarks(marks: Marks) -> str:
    """How the run ended, if not well, and the first cell that failed."""
    said = [] if marks.state == Marks.state else [marks.state]
    if marks.errors:
        more = f" (and {len(marks.errors) - 1} more)" if len(marks.errors) > 1 else ""
        said.append(f"{marks.errors[0]}{more}")
    return "; ".join(said)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--to", type=Path, default=Path("marks"), metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=300, help="for one notebook")
    parser.add_argument("--gigabytes", type=float, default=6, help="for one notebook")
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        print(f"{options.folder} is not a folder.", file=sys.stderr)
        return 1
    wall = walls.around_a_process()
    print(walls.standing(wall))
    all_marks = []
    limits = options.seconds, options.gigabytes
    for marks in run_all(options.folder.resolve(), *limits, wall, options.jobs):
        all_marks.append(marks)
        end = remarks(marks) or "in order"
        print(
            f"{marks.name}: {marks.score} right, {marks.seconds} s, {end}", flush=True
        )
        # After every notebook, so that nothing is lost if this is stopped.
        write_csv(options.to / "marks.csv", all_marks)
    if not all_marks:
        print(f"There is no notebook below {options.folder}.", file=sys.stderr)
        return 1
    table = as_table(all_marks)
    legend = "✓ right · ✗ not right · – not answered · blank: not reached"
    (options.to / "marks.md").write_text(f"{table}\n\n{legend}\n", encoding="utf-8")
    print(f"\n{table}\n\n{legend}\n\nThe verdicts in full: {options.to / 'marks.csv'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
