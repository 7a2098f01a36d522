"""How long each notebook takes, and how much memory its kernel needs.

    python benchmarks/notebooks.py [NOTEBOOK ...] [--also-offline]

Every chapter runs from the top in a fresh kernel, as `make notebooks` runs it, and
nothing is written back. Time counts from the start of the kernel to the last cell;
memory is the highest sum over the kernel and all processes that it starts, looked at
four times a second. Real data is used where COURSE_DATA names a folder of it; with
--also-offline everything runs once more on the stand-ins. The results go to
benchmarks/results/notebooks.json (with a PyTorch that knows no graphics cards, which
is much smaller, to notebooks_small_torch.json), where those of other chapters stay, and
the exit code is 1 if a chapter is over its limit.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch
from records import stored, write

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from canonical_form import NotebookError, load, parse  # noqa: E402
from run_notebooks import execute  # noqa: E402

SECONDS, GIGABYTES = 120, 1.5
SECONDS_OF = {"08": 150, "10": 150}
CELL_TIMEOUT = 600
FILE = "notebooks.json" if torch.version.cuda else "notebooks_small_torch.json"
KINDS = ("real data", "stand-ins")
COLUMNS = "{:<36} {:<10} {:>9} {:>7} {:>9}  {}"


class Memory(threading.Thread):
    """Watches how much memory all processes below this one hold together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = 0, threading.Event()

    def run(self) -> None:
        """Look four times a second until told to end."""
        while not self.ended.wait(0.25):
            below = psutil.Process().children(recursive=True)
            self.peak = max(self.peak, sum(map(held_by, below)))


def held_by(process: psutil.Process) -> int:
    """The bytes that a process holds, with its share of what it shares with others."""
    with contextlib.suppress(psutil.Error):
        held = process.memory_full_info()
        return int(getattr(held, "pss", held.uss))
    return 0


@contextlib.contextmanager
def environment(**settings: str) -> Iterator[None]:
    """Set variables for the kernels that are started inside."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def without_data() -> Iterator[None]:
    """Let the kernels started inside find stand-ins and nothing else."""
    # An empty home, so that data fetched earlier is not found there either.
    with (
        tempfile.TemporaryDirectory() as nowhere,
        environment(COURSE_OFFLINE="1", COURSE_DATA=nowhere, XDG_CACHE_HOME=nowhere),
    ):
        yield


def measure(path: Path) -> dict[str, Any]:
    """Run one notebook, and say how long it took and what it held."""
    notebook = parse(load(path))
    memory = Memory()
    memory.start()
    start = time.perf_counter()
    trouble = {}
    try:
        execute(notebook, path.parent, CELL_TIMEOUT)
    except NotebookError as error:
        trouble = {"failed": str(error)}
    finally:
        memory.ended.set()
        memory.join()
    seconds = round(time.perf_counter() - start, 1)
    return {"seconds": seconds, "gigabytes": round(memory.peak / 1e9, 2), **trouble}


def verdict(name: str, result: dict[str, Any]) -> str:
    """What is wrong with a result, in a word; nothing if all is well."""
    if "failed" in result:
        return "failed"
    limits = {"seconds": limit_of(name), "gigabytes": GIGABYTES}
    return ", ".join(
        f"over {limit} {what}" for what, limit in limits.items() if result[what] > limit
    )


def limit_of(name: str) -> int:
    """The seconds that a chapter may take."""
    return SECONDS_OF.get(name[:2], SECONDS)


def measure_all(paths: list[Path], data: str) -> dict[str, Any]:
    """Measure the notebooks one after another and print a line for each."""
    results = {}
    for path in paths:
        result = results[path.stem] = measure(path)
        limit = limit_of(path.stem)
        row = (path.stem, data, result["seconds"], limit, result["gigabytes"])
        print(COLUMNS.format(*row, verdict(path.stem, result)), flush=True)
    return results


def keep(results: dict[str, dict[str, Any]]) -> None:
    """Write what was measured; what other chapters needed stays written."""
    kept = stored(FILE)
    together = {
        data: dict(sorted((kept.get(data, {}) | results.get(data, {})).items()))
        for data in KINDS
        if data in kept or data in results
    }
    names = sorted({name for measured in together.values() for name in measured})
    limits = {"seconds": {name: limit_of(name) for name in names}}
    write(FILE, {"limits": {**limits, "gigabytes": GIGABYTES}, **together})


def main() -> int:
    """Measure, write the results, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument(
        "--also-offline", action="store_true", help="once more, on stand-ins"
    )
    options = parser.parse_args()
    paths = [path.resolve() for path in options.notebooks]
    paths = paths or sorted((ROOT / "notebooks").glob("*.ipynb"))
    print(COLUMNS.format("notebook", "data", "seconds", "limit", "gigabytes", ""))
    results = {}
    if os.environ.get("COURSE_DATA"):
        results["real data"] = measure_all(paths, "real")
    if options.also_offline or not results:
        with without_data():
            results["stand-ins"] = measure_all(paths, "stand-ins")
    keep(results)
    bad = [verdict(name, r) for part in results.values() for name, r in part.items()]
    return 1 if any(bad) else 0


if __name__ == "__main__":
    sys.exit(main())
