"""Measured numbers in texts and typed cells are those that a run has written down."""

import ast
import json
import re
import subprocess
import sys
from typing import Any

import pytest

from canonical_form import load
from test_chapters.chapters import ROOT, Chapter

# The chapter, the benchmark's results, and which of them are the table's columns.
TABLES = {
    "10_unet_on_membranes": (
        "unet_ingredients.json",
        ("val, one look", "val, eight looks"),
        ("val, eight looks, at one half", "test, eight looks"),
    ),
    "11_unet_in_3d": (
        "third_dimension.json",
        ("val, lesions", "val, mean of tissues"),
        ("test, lesions", "test, mean of tissues"),
    ),
}


def measured(file: str) -> dict[str, Any]:
    """For each variant the number of seeds, and mean and spread of each figure."""
    path = ROOT / "benchmarks" / "results" / file
    found: dict[str, Any] = json.loads(load(path))["mean and spread"]
    return found


def table(text: str) -> dict[str, list[str]]:
    """The rows of a Markdown table with numbers, by what stands first in each."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 1 and " ± " in row[-1]}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_measured_numbers(name: str) -> None:
    file, *columns = TABLES[name]
    chapter = Chapter.read(ROOT / "notebooks" / f"{name}.ipynb")
    text = "\n".join(cell.text for cell in chapter.prose_cells)
    wanted = {
        variant: [
            "{:.3f} ± {:.3f}".format(*numbers[what])
            for half in columns
            for what in half
        ]
        for variant, numbers in measured(file).items()
    }
    assert table(text) == wanted


@pytest.mark.parametrize("name", TABLES)
def test_all_variants_were_trained_from_as_many_seeds(name: str) -> None:
    seeds = {numbers["seeds"] for numbers in measured(TABLES[name][0]).values()}
    assert len(seeds) == 1
    assert seeds.pop() >= 3


def test_the_five_trainings_of_lenet_are_those_of_the_benchmark() -> None:
    name = "07_lenet_on_cifar10"
    kept = json.loads(load(ROOT / "benchmarks" / "results" / "seeds.json"))
    seeds = kept["chapters"][name]["real"]["seeds"].values()
    numbers: dict[str, list[float]] = {}
    for line in [line for seed in seeds for line in seed["headlines"]]:
        what, _, number = line.partition(": ")
        numbers.setdefault(what, []).append(float(number.rstrip("%")))
    code = "\n".join(
        cell.source for cell in Chapter.read(ROOT / f"notebooks/{name}.ipynb").code
    )
    runs = ", ".join(f"{number:.2f}" for number in numbers.pop("test accuracy"))
    assert f"runs = torch.tensor([{runs}])" in code
    assert len(numbers) == 10
    for what, percents in numbers.items():
        assert f"{percents},  # {what.partition(',')[0]}\n" in code


def test_the_trainings_of_two_networks_are_those_of_the_benchmark() -> None:
    kept = json.loads(load(ROOT / "benchmarks" / "results" / "two_networks.json"))
    chapter = Chapter.read(ROOT / "notebooks" / "07_lenet_on_cifar10.ipynb")
    text = "\n".join(cell.text for cell in chapter.prose_cells)
    for name in ("LeNet", "SimpleCNN"):
        runs = [run for run in kept["runs"] if run["variant"] == name]
        row = f"| {name} |"
        for part in ("train", "val"):
            percents = [f"{100 * run[f'accuracy, {part}']:.1f}" for run in runs]
            row += f" {', '.join(percents)} |"
        assert f"{row}\n" in text


def test_the_typed_dots_of_chapter_5_are_those_of_its_run() -> None:
    chapter = Chapter.read(ROOT / "notebooks" / "05_data_and_augmentation.ipynb")
    [typed] = [
        ast.literal_eval(node.value)
        for cell in chapter.code
        for node in ast.walk(cell.tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "measured"
    ]
    # "as they are: 81.9% on average" and in the next line "    runs: [0.83, ...]"
    row = re.compile(r"^(.+): .+ on average\n +runs: (\[.+\])$", re.MULTILINE)
    found = [pair for cell in chapter.code for pair in row.findall(cell.stored)]
    printed = {name: json.loads(values) for name, values in found}
    assert typed
    assert typed == {name: printed.get(name) for name in typed}


def test_the_benchmarks_find_what_they_measure_in_their_chapters() -> None:
    scripts = ("unet_ingredients", "third_dimension", "half_the_time", "two_networks")
    code = "\n".join(f"import {name}; {name}.chapter()" for name in scripts)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
