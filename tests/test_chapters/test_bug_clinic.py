"""The broken program of chapter 13: each of its seven bugs alone is found by `check`.

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
from course_utils.exercises import exercises_of

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "13_bug_clinic.ipynb"
EXERCISE = exercises_of(13)["13.6"]

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
HINTS = {mistake.bug: hint for mistake, hint in EXERCISE.wrong}
SEVERAL = [
    bugs for count in range(2, len(BUGS) + 1) for bugs in combinations(BUGS, count)
]


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


def planted(bugs: Iterable[str]) -> str:
    """The repaired program with some of its bugs put back."""
    source = REPAIRED
    for healthy, sick in (change for bug in bugs for change in BUGS[bug]):
        assert source.count(healthy) == 1, healthy
        source = source.replace(healthy, sick)
    return source


def compiled(source: str) -> Callable[..., Any]:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "deepcopy": deepcopy}
    exec(source, names)
    program: Callable[..., Any] = names["train_model"]
    return program


def test_the_repaired_program_is_correct() -> None:
    assert EXERCISE.verdict(compiled(REPAIRED)) == "correct."


def test_the_broken_program_has_these_seven_bugs_and_no_other() -> None:
    assert len(BUGS) == 7
    assert planted(BUGS) == BROKEN


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_alone_is_found_and_named(bug: str) -> None:
    verdict = EXERCISE.verdict(compiled(planted([bug])))
    assert verdict == f"not quite. {HINTS[bug]}"


def test_every_bug_has_a_hint_of_its_own() -> None:
    assert len({HINTS[bug] for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bugs", SEVERAL, ids=" and ".join)
def test_of_several_bugs_one_is_named_and_the_others_are_counted(
    bugs: tuple[str, ...],
) -> None:
    """So a repair is answered, whichever of the bugs a reader takes first."""
    verdict = EXERCISE.verdict(compiled(planted(bugs)))
    if "channels" in bugs:  # it stops there, and nothing else can be seen
        assert verdict == f"not quite. {HINTS['channels']}"
        return
    others = len(bugs) - 1
    more = "one more bug" if others == 1 else f"{others} more bugs"
    assert verdict in {
        f"not quite. {HINTS[bug]} (Besides, {more} to find.)" for bug in bugs
    }


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("bug", ["", *BUGS])
def test_no_verdict_hangs_on_the_seed(bug: str, seed: int) -> None:
    seed_line = "    torch.manual_seed(0)\n"
    source = planted([bug] if bug else [])
    assert source.count(seed_line) == 1
    program = compiled(source.replace(seed_line, ""))

    def with_another_seed(*parts: Any) -> Any:
        torch.manual_seed(seed)
        return program(*parts)

    verdict = EXERCISE.verdict(with_another_seed)
    assert verdict == (f"not quite. {HINTS[bug]}" if bug else "correct.")


OTHER_REPAIRS = {
    "a copy of each tensor": (
        "deepcopy(model.state_dict())",
        "{name: t.clone() for name, t in model.state_dict().items()}",
    ),
    "a float": ("loss.item() * len", "float(loss.detach()) * len"),
    "detached": ("loss.item() * len", "loss.detach() * len"),
    "inference mode": ("torch.no_grad()", "torch.inference_mode()"),
    "pictures and labels shuffled first": (
        "images, truth = (pictures[places] / 255, labels[places])",
        "truth, images = (labels[places], pictures[places] / 255)",
    ),
    "train and eval by one word": ("model.eval()", "model.train(False)"),
    "labels shuffled with the pictures": (
        "labels[places]",
        "labels[order][start:start + 32]",
    ),
    "a model in place of its weights": (
        "deepcopy(model.state_dict())",
        "deepcopy(model).state_dict()",
    ),
    "the first of equals, or the last": (
        "accuracy > best_accuracy",
        "accuracy >= best_accuracy",
    ),
}


@pytest.mark.parametrize("repair", OTHER_REPAIRS)
def test_other_good_repairs_are_correct(repair: str) -> None:
    ours, theirs = OTHER_REPAIRS[repair]
    assert REPAIRED.count(ours) == 1
    assert EXERCISE.verdict(compiled(REPAIRED.replace(ours, theirs))) == "correct."


def test_a_look_in_batches_is_heard_too() -> None:
    whole = "model(images / 255).argmax(dim=1)"
    parts = "torch.cat([model(x / 255) for x in images.split(16)]).argmax(dim=1)"
    assert REPAIRED.count(whole) == 1
    repaired = REPAIRED.replace(whole, parts)
    assert EXERCISE.verdict(compiled(repaired)) == "correct."
    without_eval = repaired.replace("        model.eval()\n", "")
    verdict = EXERCISE.verdict(compiled(without_eval))
    assert verdict == f"not quite. {HINTS['no eval']}"
    chooses = repaired.replace("measure(val)", "measure(test)")
    assert EXERCISE.verdict(compiled(chooses)) == f"not quite. {HINTS['test']}"


def test_check_leaves_no_trace() -> None:
    state, before = torch.get_rng_state(), nn.Module.load_state_dict
    EXERCISE.verdict(compiled(planted(["channels"])))
    EXERCISE.verdict(compiled(REPAIRED))
    assert torch.equal(state, torch.get_rng_state())
    assert not nn.modules.module._global_forward_pre_hooks
    assert not nn.modules.module._global_forward_hooks
    assert nn.Module.load_state_dict is before
