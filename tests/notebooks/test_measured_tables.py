"""Tables of measured numbers in the text say what the benchmarks have written down."""

import json
from typing import Any

from normal_form import load
from notebooks.chapters import ROOT, Chapter

MEASURED = ROOT / "benchmarks" / "results" / "unet_ingredients.json"
CHAPTER = ROOT / "notebooks" / "08_from_fcn_to_unet.ipynb"
COLUMNS = (
    *("val, one look", "val, eight looks"),
    *("val, eight looks, at one half", "test, eight looks"),
)


def measured() -> dict[str, Any]:
    """For each variant the number of seeds, and mean and spread of each figure."""
    found: dict[str, Any] = json.loads(load(MEASURED))["mean and spread"]
    return found


def table(text: str) -> dict[str, list[str]]:
    """The rows of a Markdown table with numbers, by what stands first in each."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 1 and " ± " in row[-1]}


def test_the_unets_ingredients() -> None:
    text = "\n".join(cell.text for cell in Chapter.read(CHAPTER).prose_cells)
    wanted = {
        variant: ["{:.3f} ± {:.3f}".format(*numbers[name]) for name in COLUMNS]
        for variant, numbers in measured().items()
    }
    assert table(text) == wanted


def test_all_variants_were_trained_from_as_many_seeds() -> None:
    seeds = {numbers["seeds"] for numbers in measured().values()}
    assert len(seeds) == 1
    assert seeds.pop() >= 3
