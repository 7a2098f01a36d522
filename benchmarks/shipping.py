"""Size, latency and accuracy of all variants that chapter 14 makes of one network.

    python benchmarks/shipping.py [--rounds 200]

The chapter's own cells run from the top until its variants are there, in an
empty folder: the network is trained, exported, quantised and pruned anew. Then each
variant answers one, 16 and 256 test pictures, with one thread. They take turns, in an
order that changes from round to round, so that a busy machine slows all of them
alike; the first round does not count. The medians, the sizes of the files and the
accuracies on all 10,000 test pictures go to benchmarks/results/shipping.json, and so
does how long each variant takes beside the chapter's first one: the median of the
ratios within the rounds.

Was pruning worth it? Under `pruning` stand accuracies on the validation part: of the
whole network, of the whole one and the pruned ones after an epoch more, and of a
network that was built with half the channels and trained for as many epochs.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import matplotlib
import torch
from IPython.core.inputtransformer2 import TransformerManager
from records import arguments, write
from torch import Tensor

from notebooks import ROOT, load, parse

CHAPTER = ROOT / "notebooks" / "14_shipping_a_model.ipynb"
COUNTS = (1, 16, 256)
Answer = Callable[[Tensor], Tensor]


def made_by_the_chapter() -> dict[str, Any]:
    """All names that the chapter's cells leave, up to the one that prints the table."""
    names: dict[str, Any] = {"__name__": "__main__"}
    transform = TransformerManager().transform_cell
    for cell in parse(load(CHAPTER)).cells:
        if "headline" in cell.metadata.get("tags", []):
            return names
        if cell.cell_type == "code":
            exec(compile(transform(cell.source), cell.id, "exec"), names)
            print(".", end="", flush=True)
    raise SystemExit(f"{CHAPTER.name} has no cell tagged `headline`")


def one_round(
    variants: dict[str, Answer], pictures: Tensor, number: int
) -> dict[str, float]:
    """The milliseconds that each variant takes, in an order of this round's own."""
    taken = {}
    order = random.Random(number).sample(list(variants), len(variants))
    for name in order:
        start = time.perf_counter()
        variants[name](pictures)
        taken[name] = 1000 * (time.perf_counter() - start)
    return taken


def latencies(variants: dict[str, Answer], pictures: Tensor, rounds: int) -> Any:
    """For each variant the median milliseconds, and the median ratio to the first."""
    taken = [one_round(variants, pictures, number) for number in range(rounds + 1)][1:]
    first = next(iter(variants))
    return {
        name: {
            "milliseconds": round(statistics.median(t[name] for t in taken), 4),
            f"times {first}": round(
                statistics.median(t[name] / t[first] for t in taken), 3
            ),
        }
        for name in variants
    }


def share_right(answer: Answer, pictures: Tensor, labels: Tensor) -> float:
    """The accuracy on all pictures."""
    answers = torch.cat([answer(some) for some in pictures.split(1000)])
    return (answers.argmax(1) == labels).float().mean().item()


def measure(made: dict[str, Any], rounds: int) -> dict[str, Any]:
    """The table: a row for each variant."""
    variants, test = made["variants"], made["test"]
    torch.set_num_threads(1)
    table: dict[str, dict[str, Any]] = {
        name: {
            "kilobytes": (made["folder"] / made["files"][name]).stat().st_size / 1000,
            "accuracy": round(share_right(answer, test.images, test.labels), 4),
        }
        for name, answer in variants.items()
    }
    for count in COUNTS:
        few = rounds if count == 1 else max(10, rounds // count)
        for name, taken in latencies(variants, test.images[:count], few).items():
            table[name][f"pictures at once: {count}"] = taken
    return table


def after_pruning(made: dict[str, Any]) -> dict[str, Any]:
    """Accuracies on the validation part, with the same number of epochs for all."""
    small = made["small_cnn"](channels=16)
    made["learn"](small.to(made["device"]), epochs=5, peak=0.05)
    at_random = [made["more"][1], *map(made["one_more_epoch"], made["drawn"][1:3])]
    accuracies = {
        "whole, 4 epochs": made["best"],
        "whole, an epoch more": made["more"][0],
        "80 % zeros, an epoch more": made["score"](made["zeros"]),
        "16 largest channels, an epoch more": made["healed"],
        "built with 16 channels, 5 epochs": made["score"](small.cpu()),
    }
    return {
        **{name: round(value, 4) for name, value in accuracies.items()},
        "16 channels at random, an epoch more": [round(v, 4) for v in at_random],
    }


def main() -> None:
    """Make all variants, measure them side by side and write the results."""
    options = arguments(
        ("rounds", 200, "rounds of which the median counts"),
        text=__doc__ or "",
    )
    matplotlib.use("Agg")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        made = made_by_the_chapter()
        pruning = after_pruning(made)
        table = measure(made, options.rounds)
    print()
    for name, row in table.items():
        once = row["pictures at once: 1"]["milliseconds"]
        print(
            f"{name:26}{row['kilobytes']:6.0f} kB{once:8.3f} ms{row['accuracy']:8.2%}"
        )
    versions = {
        name: importlib.metadata.version(name) for name in ("onnx", "onnxruntime")
    }
    about = {"data": made["test"].source, **versions, "rounds": options.rounds}
    write("shipping.json", {**about, "variants": table, "pruning": pruning})


if __name__ == "__main__":
    main()
