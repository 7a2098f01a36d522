"""Run a folder of students' notebooks and gather what `check` says to their answers.

`python tools/run_submissions.py FOLDER` reads every notebook below FOLDER and runs
each in a process and a sandbox of its own, with limits of time and memory. Whatever a
notebook is or does, the next one runs, and nothing is written into FOLDER. The
verdicts go to marks.csv and, to be read, to marks.md in the folder of --to.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import signal
import site
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pooch  # type: ignore[import-untyped]
import psutil  # type: ignore[import-untyped]

from canonical_form import NotebookError, save
from sandbox import sandboxed
from student_copies import EXERCISE

TOOLS = Path(__file__).resolve().parent
# The slowest chapter, 11, took 506 s on two slow and busy cores.
SECONDS = 900
SECONDS_TO_START = 300  # PyTorch from a slow disk, beside other notebooks
MOST_BYTES = 100_000_000
MOST_PROCESSES = 100
MOST_ERRORS = 50
NUMBER = re.compile(r"\d{1,2}\.\d{1,2}")
SIGNS = {"correct": "✓", "not quite": "✗", "not yet": "–"}
LEGEND = "✓ right · ✗ not right · – not answered · blank: not reached"
# Variables that a notebook's process inherits: no passwords, no tokens.
KEPT = {
    *("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "COURSE_DEVICE"),
    *("CUDA_VISIBLE_DEVICES", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "USERNAME"),
}
WAITING = "not finished"
WELL = "ran to the end"
SANDBOX = (
    "Each notebook runs in a sandbox: it can change none of your files, and it reaches "
    "no other process and no network."
)
NO_SANDBOX = (
    "This system offers no sandbox: a notebook can change your files, end your "
    "processes and use the network as you can. If you do not trust the notebooks, run "
    "this in a container."
)


@dataclass
class Marks:
    """One notebook: what is to be run, and what came of it."""

    name: str
    cells: list[str] = field(default_factory=list)
    exercises: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    state: str = WAITING
    cell: int = 0
    ready: float = 0.0
    done: threading.Event = field(default_factory=threading.Event)
    seconds: float = 0.0

    @property
    def score(self) -> int:
        """The number of exercises that are right."""
        return sum(said.startswith("correct") for said in self.verdicts.values())

    def listen(self, pipe: IO[bytes]) -> None:
        """Take in what the process reports, until nobody is left who could write."""
        for line in iter(lambda: pipe.readline(100_000), b""):
            with contextlib.suppress(ValueError, AttributeError, RecursionError):
                self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        self.cell = line.get("cell", self.cell)
        if "ready" in line:
            self.ready = time.monotonic()
        if "done" in line:
            self.done.set()
        if "error" in line and len(self.errors) < MOST_ERRORS:
            self.errors.append(plain(f"cell {self.cell}: {line['error']}"))
        name, verdict = str(line.get("check")), plain(line.get("verdict"))
        # A stub that still stands below an answer does not undo it.
        open_again = name in self.verdicts and verdict.startswith("not yet")
        if NUMBER.fullmatch(name) and not open_again:
            self.verdicts[name] = verdict


def plain(text: Any) -> str:
    """A text in one line that can be printed and stored, odd characters escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in str(text)[:500]
    )


def find_notebooks(folder: Path) -> list[Path]:
    """Everything below the folder that is called a notebook, or cannot be opened."""
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        found.append(Path(error.filename))

    for place, folders, files in os.walk(folder, onerror=unreadable):
        names = [n for n in folders + files if n.lower().endswith(".ipynb")]
        found += [Path(place, name) for name in names]
        folders[:] = [name for name in folders if name != ".ipynb_checkpoints"]
    return sorted(found)


def read_notebook(path: Path, folder: Path) -> Marks:
    """The marks of a notebook before it runs; never raises, whatever the file is."""
    marks = Marks(plain(path.relative_to(folder)))
    try:
        cells = cells_of(path)
        prose = "\n".join(source for kind, source in cells if kind == "markdown")
        marks.exercises = EXERCISE.findall(prose)
        marks.cells = [source for kind, source in cells if kind == "code"]
    except Exception as error:
        why = getattr(error, "strerror", None) or error
        marks.state = f"cannot be read: {plain(why)}"
    return marks


def cells_of(path: Path) -> list[tuple[str, str]]:
    """The kind and the source of each cell. Reads what JupyterLab would refuse, too."""
    file = path.stat()
    if stat.S_ISDIR(file.st_mode):
        os.scandir(path).close()  # or an error that says why it cannot be opened
        raise NotebookError("it is a folder")
    if not stat.S_ISREG(file.st_mode):
        raise NotebookError("it is a pipe or a device")
    if file.st_size > MOST_BYTES:
        raise NotebookError(f"it is larger than {MOST_BYTES / 1e6:.0f} MB")
    try:
        cells = json.loads(path.read_bytes())["cells"]
        return [(str(cell["cell_type"]), "".join(cell["source"])) for cell in cells]
    except ValueError as error:
        raise NotebookError(f"it is not JSON: {error}") from None
    except (KeyError, TypeError):
        reason = "it is not a notebook of format 4; save it anew in JupyterLab"
        raise NotebookError(reason) from None


@dataclass(frozen=True)
class Runner:
    """How notebooks are run."""

    seconds: float = SECONDS
    gigabytes: float = 6
    sandbox: Sequence[str] = ()
    stop: threading.Event = field(default_factory=threading.Event)

    def run_all(self, all_marks: Sequence[Marks], jobs: int) -> Generator[Marks]:
        """Run the notebooks, so many at a time; each comes back when it is marked."""
        pool = ThreadPoolExecutor(jobs)
        try:
            runs = {pool.submit(self.run, marks) for marks in all_marks}
            while runs:
                # On Windows, Ctrl-C does not end a wait that has no time-out.
                ended, runs = wait(runs, timeout=1, return_when=FIRST_COMPLETED)
                yield from (run.result() for run in ended)
        finally:
            self.stop.set()
            pool.shutdown(cancel_futures=True)

    def run(self, marks: Marks) -> Marks:
        """Run one notebook, unless it is none; never raises."""
        start = time.monotonic()
        if marks.state == WAITING:
            try:
                marks.state = self._run(marks)
            except Exception as error:
                marks.state = f"could not be run: {plain(error)}"
            if not marks.done.is_set():
                marks.errors.append(f"cell {marks.cell}: did not end")
        marks.seconds = round(time.monotonic() - start, 1)
        return marks

    def _run(self, marks: Marks) -> str:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            home = Path(folder, "home").resolve()
            home.mkdir()
            cells = Path(folder, "cells.json")
            cells.write_text(json.dumps(marks.cells))
            one = str(TOOLS / "one_submission.py")
            with cells.open() as stdin:
                family = Family(
                    [*self.sandbox, sys.executable, one, str(self.gigabytes)],
                    home,
                    stdin,
                )
            listener = threading.Thread(
                target=marks.listen, args=[family.process.stdout], daemon=True
            )
            listener.start()
            try:
                ended = self._watch(family, marks)
            finally:
                family.end()
                listener.join(timeout=5)
        return WELL if marks.done.is_set() else ended

    def _watch(self, family: Family, marks: Marks) -> str:
        """Wait for the end of a notebook, or for a reason to end it."""
        start = time.monotonic()
        while not marks.done.wait(0.5):
            now = time.monotonic()
            if self.stop.is_set():
                return "stopped by Ctrl-C"
            if family.process.poll() is not None:
                return how_it_died(family.process.returncode)
            if marks.ready and now - marks.ready > self.seconds:
                return f"stopped after {self.seconds:g} s"
            if not marks.ready and now - start > SECONDS_TO_START:
                return f"did not start within {SECONDS_TO_START} s"
            if problem := family.takes_too_much(self.gigabytes):
                return problem
        return WELL


class Family:
    """A process and everything that it starts, the same way on every system."""

    def __init__(self, command: Sequence[str], home: Path, stdin: IO[str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=home,
            env=environment(home),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A group of its own, so that neither Ctrl-C nor `kill 0` crosses over.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.first = psutil.Process(self.process.pid)
        self.members = {self.first}

    def _look(self) -> None:
        with contextlib.suppress(psutil.Error):
            self.members |= set(self.first.children(recursive=True))
        self.members = {one for one in self.members if one.is_running()}

    def takes_too_much(self, gigabytes: float) -> str:
        """Why this family must be ended; empty if it need not be."""
        self._look()
        if len(self.members) > MOST_PROCESSES:
            return f"stopped: it started more than {MOST_PROCESSES} processes"
        # A single process runs into its own limit first: a MemoryError in its cell.
        used = sum(map(memory_of, self.members)) / 1e9
        if used > gigabytes + 1:
            return f"stopped: its processes together took {used:.1f} GB of memory"
        return ""

    def end(self) -> None:
        """End all of them, also those that have left their parents."""
        self._look()
        for one in self.members:
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.process.wait()


def memory_of(process: psutil.Process) -> int:
    """The bytes that a process takes; what it shares counts by its share."""
    with contextlib.suppress(psutil.Error):
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.uss))  # Windows has no share
    return 0


def how_it_died(code: int) -> str:
    """What an exit code says about a process that ended before its notebook."""
    if code == 0:
        return "ended its own process"
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its process died ({name})"


def environment(home: Path) -> dict[str, str]:
    """The variables for a notebook: a home of its own, the data, no downloads."""
    own = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME")
    python_path = [TOOLS, TOOLS.parent, site.getusersitepackages()]
    return {
        **{name: value for name, value in os.environ.items() if name in KEPT},
        **dict.fromkeys(own, str(home)),
        "IPYTHONDIR": str(home / ".ipython"),
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(home / ".matplotlib"),
        "COURSE_OFFLINE": "1",
        "COURSE_DATA": str(data_folder()),
        "PYTHONPATH": os.pathsep.join(map(str, python_path)),
    }


def data_folder() -> Path:
    """Where the course looks for its data; the home of a notebook is another one."""
    named = os.environ.get("COURSE_DATA") or pooch.os_cache("learning-to-see")
    return Path(named).expanduser().resolve()


def sandbox_that_works() -> list[str]:
    """What to put before a command; empty where no sandbox can be had."""
    helpers = TOOLS.parent / "course_utils"
    readable = [TOOLS, helpers, data_folder(), Path(site.getusersitepackages())]
    said = ""
    for sandbox in (sandboxed(readable), []):
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError):
            tried = subprocess.run(
                [*sandbox, sys.executable, "-c", "import course_utils"],
                cwd=folder,
                env=environment(Path(folder)),
                capture_output=True,
                check=False,
            )
            if tried.returncode == 0:
                return sandbox
            said = tried.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    raise SystemExit(f"The course does not start on this machine: {plain(said)}")


def columns(all_marks: Sequence[Marks]) -> list[str]:
    """All exercises that occur, in order."""
    names = {name for m in all_marks for name in [*m.exercises, *m.verdicts]}
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def as_csv(all_marks: Sequence[Marks]) -> str:
    """One line a notebook, with every verdict in full."""
    exercises = columns(all_marks)
    text = io.StringIO(newline="")
    table = csv.writer(text)
    head = ["notebook", "right", *exercises, "state", "failed cells", "seconds"]
    table.writerow(head)
    for m in all_marks:
        row = [m.name, str(m.score), *(m.verdicts.get(name, "") for name in exercises)]
        row += [m.state, " | ".join(m.errors), str(m.seconds)]
        # A spreadsheet takes these for the beginning of a formula.
        table.writerow([f"'{t}" if t.startswith(tuple("=+-@")) else t for t in row])
    return text.getvalue()


def as_table(all_marks: Sequence[Marks]) -> str:
    """The marks as a Markdown table that also reads well as plain text."""
    exercises = columns(all_marks)
    rows = [["notebook", "right", *exercises, "remarks"]]
    for m in all_marks:
        verdicts = [m.verdicts.get(name, "").partition(".")[0] for name in exercises]
        signs = [SIGNS.get(verdict, " ") for verdict in verdicts]
        rows.append([m.name, f"{m.score}/{len(exercises)}", *signs, remarks(m)])
    # A bar in a cell would end it.
    rows = [[text.replace("|", "/") for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(map(str.ljust, row, widths))} |\n" for row in rows)


def remarks(marks: Marks) -> str:
    """How the run ended, if not well, and the first cell that failed."""
    said = [] if marks.state == WELL else [marks.state]
    if marks.errors:
        more = f" (and {len(marks.errors) - 1} more)" if len(marks.errors) > 1 else ""
        said.append(f"{marks.errors[0]}{more}")
    return "; ".join(said)


def save_marks(to: Path, all_marks: Sequence[Marks]) -> bool:
    """Write both tables; whether that worked. An open spreadsheet may prevent it."""
    try:
        save(to / "marks.csv", "\ufeff" + as_csv(all_marks))
        save(to / "marks.md", f"{as_table(all_marks)}\n{LEGEND}\n")
    except OSError as error:
        print(f"The marks cannot be written to {to}: {error.strerror}.", flush=True)
        return False
    return True


def positive(text: str) -> float:
    """A number from the command line that must be above 0."""
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--to", type=Path, default=Path("marks"), metavar="FOLDER")
    parser.add_argument("--seconds", type=positive, default=SECONDS)
    parser.add_argument("--gigabytes", type=positive, default=6)
    parser.add_argument("--jobs", type=positive, default=1, help="so many at a time")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # What a console cannot show must not end the marking.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")
    try:
        options.to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{options.to} cannot be made: {error.strerror}")
    paths = find_notebooks(options.folder)
    # All at once, before a notebook that runs could change another one.
    all_marks = [read_notebook(path, options.folder) for path in paths]
    if not all_marks:
        parser.error(f"there is no notebook below {options.folder}")
    sandbox = sandbox_that_works()
    print(SANDBOX if sandbox else NO_SANDBOX)
    runner = Runner(options.seconds, options.gigabytes, sandbox)
    return mark(runner, all_marks, max(1, int(options.jobs)), options.to)


def mark(runner: Runner, all_marks: Sequence[Marks], jobs: int, to: Path) -> int:
    """Run the notebooks and save the marks after each of them."""
    stopped = False
    runs = runner.run_all(all_marks, jobs)
    try:
        for count, marks in enumerate(runs, start=1):
            save_marks(to, all_marks)
            end = f"{marks.seconds} s, {remarks(marks) or WELL}"
            place = f"[{count} of {len(all_marks)}]"
            print(f"{place} {marks.name}: {marks.score} right, {end}", flush=True)
    except KeyboardInterrupt:
        runs.close()
        stopped = True
        print("\nStopped by Ctrl-C. The marks so far:")
    saved = save_marks(to, all_marks)
    print(f"\n{as_table(all_marks)}\n{LEGEND}\n")
    if saved:
        print(f"The verdicts in full: {to / 'marks.csv'}")
    return 130 if stopped else 0 if saved else 1


if __name__ == "__main__":
    sys.exit(main())
