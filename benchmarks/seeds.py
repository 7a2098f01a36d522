"""Whether what a chapter says it learns is learned from other seeds too.

    python benchmarks/seeds.py [NUMBER ...] [--seeds 0 1 2 3 4] [--data real stand-ins]

Every chapter (or those whose numbers are given) runs from the top with all its seeds
moved (0 leaves them as they are), on the real data that COURSE_DATA names and on
stand-ins. A limit in `expect` that does not hold stops the run and is reported. What
the cells tagged `headline` print as `name: number` is given with its mean and spread.
The results go to benchmarks/results/seeds.json, where other chapters' results stay;
the exit code is 1 if a run failed.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from records import keep, stored

from notebooks import (
    CELL_TIMEOUT,
    ROOT,
    NotebookError,
    environment,
    execute,
    load,
    parse,
    without_data,
)

SEEDS = [0, 1, 2, 3, 4]
FILE = "seeds.json"
HEADLINE = re.compile(r"(?P<what>.+): (?P<number>-?\d+(?:\.\d+)?)%?")
# Python runs this when it starts, in the kernel and in all processes that a chapter
# starts. Without a seed of its own, a BatchLoader shuffles by 0, whatever was set.
MOVE_SEEDS = """import torch
from course_utils import BatchLoader
own = torch.manual_seed
torch.manual_seed = lambda seed: own(seed + 1000 * {seed})
BatchLoader.__init__.__kwdefaults__["seed"] = {seed}
"""


def run_with(path: Path, seed: int) -> dict[str, Any]:
    """Run a chapter with this seed; its headlines, and what failed if something did."""
    notebook = parse(load(path))
    result: dict[str, Any] = {}
    # A folder of its own: what another run has kept is not gone on with here.
    with tempfile.TemporaryDirectory() as folder:
        start_up = Path(folder, "start_up", "sitecustomize.py")
        start_up.parent.mkdir()
        start_up.write_text(MOVE_SEEDS.format(seed=seed), encoding="utf-8")
        paths = [str(start_up.parent), os.environ.get("PYTHONPATH", "")]
        with environment(PYTHONPATH=os.pathsep.join(paths)):
            try:
                execute(notebook, Path(folder), CELL_TIMEOUT)
            except NotebookError as error:
                result["failed"] = str(error)
    return {"headlines": list(headlines(notebook.cells)), **result}


def headlines(cells: list[Any]) -> list[str]:
    """The lines that cells tagged `headline` have printed, if they end in a result."""
    return [
        line
        for cell in cells
        if "headline" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", [])
        for line in output.get("text", "").splitlines()
        if HEADLINE.fullmatch(line)
    ]


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, spread and extremes of each headline's number, over the seeds."""
    numbers: dict[str, list[float]] = {}
    for result in results:
        for found in map(HEADLINE.fullmatch, result["headlines"]):
            assert found is not None
            numbers.setdefault(found["what"], []).append(float(found["number"]))
    return {
        what: {
            "mean": round(statistics.mean(values), 4),
            "spread": round(statistics.stdev(values), 4) if len(values) > 1 else None,
            "least": min(values),
            "most": max(values),
        }
        for what, values in numbers.items()
    }


def measure(path: Path, seeds: list[int], data: str) -> dict[str, Any]:
    """Run a chapter with all seeds and print a line for each."""
    results = {}
    for seed in seeds:
        results[str(seed)] = result = run_with(path, seed)
        outcome = result.get("failed") or "; ".join(result["headlines"]) or "in order"
        print(f"{path.stem}, {data}, seed {seed}: {outcome}", flush=True)
    return {"seeds": results, "summary": summary(list(results.values()))}


def keep_chapter(chapter: str, kind: str, results: dict[str, Any]) -> None:
    """Write the results of a chapter; those of others stay, whoever wrote them."""
    chapters: dict[str, Any] = stored(FILE).get("chapters", {})
    chapters.setdefault(chapter, {})[kind] = results
    keep(FILE, {"chapters": dict(sorted(chapters.items()))})


def main() -> int:
    """Run, write the results, and give the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", metavar="NUMBER")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    kinds = ["real", "stand-ins"]
    parser.add_argument("--data", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args()
    wanted = [number.zfill(2) for number in options.chapters]
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    paths = [path for path in paths if not wanted or path.name[:2] in wanted]
    failed = False
    if not os.environ.get("COURSE_DATA"):
        options.data = [kind for kind in options.data if kind != "real"]
    for path in paths:
        for kind in options.data:
            with nullcontext() if kind == "real" else without_data():
                results = measure(path, options.seeds, kind)
            keep_chapter(path.stem, kind, results)
            failed |= any("failed" in run for run in results["seeds"].values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
