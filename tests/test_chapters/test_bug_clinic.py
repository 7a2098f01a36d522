"""The broken program of chapter 15: each of its seven bugs is found by `check`.

Both programs are read from the notebook itself, so that what is tested here is what
a reader repairs.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from canonical_form import load, parse
from course_utils.answers.chapter_15 import HINTS
from course_utils.exercises import find_exercise

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "15_bug_clinic.ipynb"
EXERCISE = find_exercise("15.6")

# What stands in the repaired program, and what stands there in the broken one.
BUGS = {
    "channels": [("nn.Conv2d(8, 16, 3", "nn.Conv2d(1, 16, 3")],
    "no eval": [("        model.eval()\n", "")],
    "labels": [("labels[places]", "labels[start:start + 32]")],
    "kept": [("loss.item() * len", "loss * len")],
    "schedule": [
        ("        scheduler.step()\n", ""),
        (
            "            optimizer.step()\n",
            "            optimizer.step()\n            scheduler.step()\n",
        ),
    ],
    "test": [("accuracy = measure(val)", "accuracy = measure(test)")],
    "best": [("deepcopy(model.state_dict())", "model.state_dict()")],
}
SEVERAL = [*combinations(BUGS, 2), tuple(BUGS)[1:], tuple(BUGS)]


def program_of(tag: str) -> str:
    """The only `train_model` among the cells with this tag, without its comments."""
    found = [
        ast.unparse(node)
        for cell in parse(load(NOTEBOOK)).cells
        if tag in cell.metadata.get("tags", [])
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.FunctionDef) and node.name == "train_model"
    ]
    assert len(found) == 1
    return found[0] + "\n"


BROKEN, REPAIRED = program_of("exercise"), program_of("solution")


def replaced(source: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def planted(bugs: Iterable[str]) -> str:
    """The repaired program with some of its bugs put back."""
    return replaced(REPAIRED, *(change for bug in bugs for change in BUGS[bug]))


def verdict(source: str) -> str:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "deepcopy": deepcopy}
    exec(source, names)
    program: Callable[..., Any] = names["train_model"]
    return EXERCISE.verdict(program)


def test_the_broken_program_has_these_seven_bugs_and_no_other() -> None:
    assert len(BUGS) == 7
    assert planted(BUGS) == BROKEN


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_alone_is_found_and_named(bug: str) -> None:
    assert verdict(planted([bug])) == f"not quite. {HINTS[bug]}"


@pytest.mark.parametrize("bugs", SEVERAL, ids=" and ".join)
def test_of_several_bugs_one_is_named_and_the_others_are_counted(
    bugs: tuple[str, ...],
) -> None:
    """So a repair is answered, whichever of the bugs a reader takes first."""
    said = verdict(planted(bugs))
    if "channels" in bugs:  # it stops there, and nothing else can be seen
        assert said == f"not quite. {HINTS['channels']}"
        return
    others = len(bugs) - 1
    more = "one more bug" if others == 1 else f"{others} more bugs"
    assert said in {
        f"not quite. {HINTS[bug]} (Besides, {more} to find.)" for bug in bugs
    }


@pytest.mark.parametrize("bug", ["", *BUGS])
def test_no_verdict_depends_on_the_seed(bug: str) -> None:
    source = planted([bug] if bug else [])
    said = verdict(replaced(source, ("manual_seed(0)", "manual_seed(1)")))
    assert said == (f"not quite. {HINTS[bug]}" if bug else "correct.")


OTHER_REPAIRS = {
    "a copy of each tensor": [
        (
            "deepcopy(model.state_dict())",
            "{name: t.clone() for name, t in model.state_dict().items()}",
        )
    ],
    "a model in place of its weights": [
        ("deepcopy(model.state_dict())", "deepcopy(model).state_dict()")
    ],
    "a float": [("loss.item() * len", "float(loss.detach()) * len")],
    "detached": [("loss.item() * len", "loss.detach() * len")],
    "inference mode": [("torch.no_grad()", "torch.inference_mode()")],
    "train and eval by one word": [("model.eval()", "model.train(False)")],
    "labels shuffled with the pictures": [
        ("labels[places]", "labels[order][start:start + 32]")
    ],
    "the last of equals": [("accuracy > best_accuracy", "accuracy >= best_accuracy")],
    "the rate with which the epoch was trained": [
        ("        rate = scheduler.get_last_lr()[0]\n", ""),
        (
            "        scheduler.step()\n",
            "        rate = scheduler.get_last_lr()[0]\n        scheduler.step()\n",
        ),
    ],
}


@pytest.mark.parametrize("repair", OTHER_REPAIRS)
def test_other_good_repairs_are_correct(repair: str) -> None:
    assert verdict(replaced(REPAIRED, *OTHER_REPAIRS[repair])) == "correct."


WHOLE = "model(images / 255).argmax(dim=1)"
BATCHES = "torch.cat([model(x / 255) for x in images.split(16)]).argmax(dim=1)"


@pytest.mark.parametrize("bug", ["", "no eval", "test", "best"])
def test_a_program_that_measures_in_batches_is_marked_alike(bug: str) -> None:
    source = replaced(planted([bug] if bug else []), (WHOLE, BATCHES))
    assert verdict(source) == (f"not quite. {HINTS[bug]}" if bug else "correct.")


def test_check_leaves_the_random_numbers_alone() -> None:
    state = torch.get_rng_state()
    verdict(planted(["channels"]))
    verdict(REPAIRED)
    assert torch.equal(state, torch.get_rng_state())
