"""Run one submitted notebook in this process and report the verdicts of its checks.

`tools/run_submissions.py` starts it; nothing else should. Each line that it writes to
the file descriptor given to it is a JSON object: {"cell": 3} when a cell begins,
{"check": "1.2", "verdict": "..."}, {"error": "..."} when the cell raised, and
{"done": true} at the end.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from canonical_form import one_line
from walls import limit, write_only_below

Report = Callable[[dict[str, Any]], None]


def reporter(descriptor: int) -> Report:
    """A function that writes one line in one piece, whatever threads do beside it."""

    def report(line: dict[str, Any]) -> None:
        os.write(descriptor, (json.dumps(line) + "\n").encode())

    return report


def watch_checks(report: Report) -> None:
    """Report what each `check` says, not what a notebook prints."""
    import course_utils
    from course_utils.exercises import find_exercise

    check = course_utils.check

    @functools.wraps(check)
    def watched(name: str, answer: Any) -> None:
        report({"check": str(name), "verdict": find_exercise(name).verdict(answer)})
        check(name, answer)

    course_utils.check = watched


def run_cells(sources: list[str], report: Report) -> None:
    """Run all cells in order; one that fails does not keep the next from running."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config({"HistoryManager": {"enabled": False}})
    shell: Any = InteractiveShell.instance(config=settings)
    shell.enable_gui = lambda gui=None: None  # for %matplotlib
    shell.system = shell.system_raw  # for !commands: no terminal in between
    for number, source in enumerate(sources, start=1):
        report({"cell": number})
        outcome = shell.run_cell(source, store_history=False)
        error = outcome.error_before_exec or outcome.error_in_exec
        if error is not None:
            said = one_line(f"{type(error).__name__}: {error}")[:200]
            report({"error": said})


def main() -> None:
    """Read the cells, put up the walls, run, report."""
    descriptor, gigabytes, seconds = sys.argv[1:]
    report = reporter(int(descriptor))
    sources = json.load(sys.stdin)
    home = Path.cwd()
    # Before the walls: what is loaded here need not write anything later.
    watch_checks(report)
    limit(float(gigabytes), float(seconds))
    write_only_below([home, Path("/dev/null"), Path("/dev/shm")])
    run_cells(sources, report)
    report({"done": True})


if __name__ == "__main__":
    main()
