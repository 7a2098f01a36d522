"""Run the cells of one submitted notebook in this process and report what they do.

`tools/run_submissions.py` starts it, with the cells as JSON on stdin; nothing else
should. What it writes to stdout are lines of JSON: {"ready": true} when everything is
imported, {"cell": 3} when a cell begins, {"check": "1.2", "verdict": "..."},
{"error": "..."} when the cell raised, and {"done": true} at the end.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from course_utils import exercises
from sandbox import limit

Report = Callable[[dict[str, Any]], None]


def reporter() -> Report:
    """A function that reports one line; what the notebook prints goes nowhere."""
    stdout = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def report(line: dict[str, Any]) -> None:
        # In one piece, whatever threads do at the same time.
        os.write(stdout, (json.dumps(line) + "\n").encode())

    return report


def watch_verdicts(report: Report) -> None:
    """Report every verdict, by whatever name a notebook calls `check`."""
    verdict_of = exercises.verdict_of

    def watched(name: str, answer: Any) -> str:
        verdict = verdict_of(name, answer)
        report({"check": str(name), "verdict": verdict})
        return verdict

    exercises.verdict_of = watched


def run_cells(sources: list[str], shell: Any, report: Report) -> None:
    """Run all cells in order; one that fails does not keep the next from running."""
    for number, source in enumerate(sources, start=1):
        report({"cell": number})
        try:
            outcome = shell.run_cell(source, store_history=False)
            error = outcome.error_before_exec or outcome.error_in_exec
        except BaseException as raised:  # some errors are too odd even for IPython
            error = raised
        if error is not None:
            report({"error": describe(error)})


def describe(error: BaseException) -> str:
    """The error in one line, even if its message cannot be had."""
    try:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    except BaseException:
        return "an error that has no message"


def main() -> None:
    """Read the cells, run them and report."""
    report = reporter()
    sources = json.load(sys.stdin)
    settings = Config({"HistoryManager": {"enabled": False}})
    shell: Any = InteractiveShell.instance(config=settings)
    shell.enable_gui = lambda gui=None: None  # for %matplotlib
    shell.system = shell.system_raw  # for !commands: no terminal in between
    # Whoever replaces the first stub as a whole loses the line that imports it.
    shell.user_ns["check"] = exercises.check
    watch_verdicts(report)
    limit(gigabytes=float(sys.argv[1]))
    report({"ready": True})
    run_cells(sources, shell, report)
    report({"done": True})


if __name__ == "__main__":
    main()
