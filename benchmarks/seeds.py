"""Whether what a chapter says it learns is learned from other seeds too.

    python benchmarks/seeds.py [NUMBER ...] [--seeds 0 1 2 3 4] [--data real stand-ins]

Every chapter (or those whose numbers are given) runs from the top with all its seeds
moved (0 leaves them as they are), on the real data that COURSE_DATA names and on
stand-ins. A limit in `expect` that does not hold stops the run and is reported. What
the cells tagged `headline` print is collected, and the numbers in it are given with
their mean and spread. The results go to benchmarks/results/seeds.json, where other
chapters' results stay; the exit code is 1 if a run failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from records import RESULTS, machine, stored

from notebooks import (
    CELL_TIMEOUT,
    ROOT,
    NotebookError,
    Watch,
    execute,
    load,
    parse,
    without_data,
)

SEEDS = [0, 1, 2, 3, 4]
FILE = RESULTS / "seeds.json"
OWN_SEED = "seed_everything(0)"
# All seeds of a chapter are moved, also those that its functions set later on. Without
# one of its own, a BatchLoader shuffles by seed 0, whatever the notebook's is.
OTHER_SEEDS = """import torch as _torch
from course_utils import BatchLoader as _BatchLoader
_manual_seed = _torch.manual_seed
_torch.manual_seed = lambda seed: _manual_seed(seed + 1000 * {seed})
_BatchLoader.__init__.__kwdefaults__["seed"] = {seed}
seed_everything(0)"""


def run_with(path: Path, seed: int) -> dict[str, Any]:
    """Run a chapter with this seed; its headlines, and what failed if something did."""
    notebook = parse(load(path))
    set_up = notebook.cells[1]
    if OWN_SEED not in set_up.source:
        raise SystemExit(f"{path.name}: its second cell has no {OWN_SEED}")
    set_up.source = set_up.source.replace(OWN_SEED, OTHER_SEEDS.format(seed=seed))
    result: dict[str, Any] = {}
    # A folder of its own: what another run has kept is not gone on with here.
    with tempfile.TemporaryDirectory() as folder:
        try:
            execute(notebook, Path(folder), Watch(path.name, 0), CELL_TIMEOUT)
        except NotebookError as error:
            result["failed"] = str(error)
    return {"headlines": list(headlines(notebook.cells)), **result}


def headlines(cells: list[Any]) -> list[str]:
    """The lines that cells tagged `headline` have printed."""
    return [
        line
        for cell in cells
        if "headline" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", [])
        for line in output.get("text", "").splitlines()
        if re.search(r"\d", line)
    ]


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, spread and extremes of the last number in each headline, over the seeds."""
    numbers: dict[str, list[float]] = {}
    for result in results:
        for line in result["headlines"]:
            *_, last = re.finditer(r"-?\d+(?:\.\d+)?", line)
            numbers.setdefault(line[: last.start()].strip(" :"), []).append(
                float(last[0])
            )
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


def keep(chapter: str, kind: str, results: dict[str, Any]) -> None:
    """Write the results of a chapter; those of others stay, whoever wrote them."""
    chapters: dict[str, Any] = stored(FILE.name).get("chapters", {})
    chapters.setdefault(chapter, {})[kind] = results
    written = {"machine": machine(), "chapters": dict(sorted(chapters.items()))}
    FILE.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


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
            keep(path.stem, kind, results)
            failed |= any("failed" in run for run in results["seeds"].values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
