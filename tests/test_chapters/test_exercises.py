"""Statements of the text and exercises: what they say to each kind of answer."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_utils import check, exercises, expect
from course_utils.answers.compare import difference
from course_utils.exercises import (
    Exercise,
    Mistakes,
    exercises_of,
    find_exercise,
    line_of,
    verdict_of,
)

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHAPTERS = sorted(int(path.name[:2]) for path in NOTEBOOKS.glob("[0-9]*_*.ipynb"))
EXERCISES = {
    name: exercise for n in CHAPTERS for name, exercise in exercises_of(n).items()
}
every_exercise = pytest.mark.parametrize("name", EXERCISES)


def fail_at_length(*_: Any) -> None:
    raise ValueError("one line\nand another")


def leave(*_: Any) -> None:
    sys.exit(1)


class BrokenError(Exception):
    def __str__(self) -> str:
        raise ValueError("no message")


def fail_without_words(*_: Any) -> None:
    raise BrokenError


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)
NONSENSE: dict[str, Any] = {
    "None": None,
    "an object": object(),
    "text": "text",
    "bytes": b"bytes",
    "an empty dict": {},
    "an empty list": [],
    "a ragged list": [[1], [2, 3]],
    "a list that holds itself": ENDLESS,
    "an empty tensor": torch.empty(0),
    "a complex number": torch.tensor(2 + 3j),
    "a sparse tensor": torch.eye(2).to_sparse(),
    "a huge number": 10**400,
    "an array of text": np.array(["a"]),
    "a function that fails": lambda: 1 / 0,
    "a function that fails at length": fail_at_length,
    "a function that fails without words": fail_without_words,
    "a function that leaves": leave,
    "a function that returns nonsense": lambda *_: [None, object()],
    "a function that returns a list that holds itself": lambda *_: ENDLESS,
    "a type": int,
}


@pytest.mark.parametrize(
    "truth", [True, np.bool_(True), torch.tensor(True), torch.tensor([True])]
)
def test_expect_prints_what_is_true(
    truth: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    expect(truth, "all is well")
    assert capsys.readouterr().out == "✓ all is well\n"


@pytest.mark.parametrize("falsehood", [False, np.bool_(False), torch.tensor(False)])
def test_expect_stops_where_it_is_not(falsehood: Any) -> None:
    with pytest.raises(AssertionError, match=r"the text says 'all is well', but here"):
        expect(falsehood, "all is well")


@pytest.mark.parametrize(
    "condition", [torch.tensor([True, False]), 0.98, torch.tensor(0.98), None]
)
def test_expect_wants_one_truth(condition: Any) -> None:
    with pytest.raises(TypeError, match=r"one True or False: compare, or add \.all"):
        expect(condition, "all is well")


def test_every_chapter_with_exercises_has_their_checks() -> None:
    for notebook in NOTEBOOKS.glob("[0-9]*.ipynb"):
        text = notebook.read_text(encoding="utf-8")
        asked = set(re.findall(r"### Exercise (\d+\.\d+)", text))
        assert asked == set(exercises_of(int(notebook.name[:2]))), notebook.name


@every_exercise
def test_right_is_right_and_each_usual_mistake_gets_its_hint(name: str) -> None:
    exercise = EXERCISES[name]
    assert exercise.verdict(exercise.right) == "correct."
    assert len(exercise.wrong) >= 2
    for hint, mistake in exercise.wrong.items():
        for wrong in mistake if isinstance(mistake, Mistakes) else [mistake]:
            assert exercise.verdict(wrong) == f"not quite. {hint}"


@every_exercise
def test_an_open_stub_or_a_forgotten_return_is_not_yet_solved(name: str) -> None:
    exercise = EXERCISES[name]
    dots = "not yet. Put your answer in place of the three dots."
    assert exercise.verdict(...) == dots
    if callable(exercise.right):
        nothing = "not yet. Your function returns nothing so far."
        assert exercise.verdict(lambda *_: ...) == nothing
        assert exercise.verdict(lambda *_: None) == nothing


@every_exercise
def test_nonsense_gets_a_sentence(name: str) -> None:
    is_a_sentence(EXERCISES[name].verdict(lambda *_: [None, object()]))


@pytest.mark.parametrize("kind", NONSENSE)
def test_no_answer_is_so_wrong_that_check_fails(kind: str) -> None:
    """A number, a tuple, a tensor, text, and functions with and without a `look_at`."""
    for name in ("1.1", "1.5", "4.3", "5.2", "2.5", "5.4", "7.6", "15.5"):
        is_a_sentence(EXERCISES[name].verdict(NONSENSE[kind]))
    is_a_sentence(Exercise(right="text of ours", wrong={}).verdict(NONSENSE[kind]))


def is_a_sentence(verdict: str) -> None:
    assert re.match(r"not (yet|quite)\. \S", verdict)
    assert "\n" not in verdict


def test_an_answer_that_stops_is_quoted() -> None:
    said = {kind: verdict_of("1.2", answer) for kind, answer in NONSENSE.items()}
    stops = "not quite. Your answer stops with "
    assert said["a function that leaves"] == f"{stops}SystemExit: 1"
    assert said["a function that fails without words"] == f"{stops}BrokenError."
    assert said["a function that fails at length"] == f"{stops}ValueError: one line"
    endless = "not quite. Your answer calls or holds itself without end."
    assert said["a list that holds itself"] == endless
    assert said["a function that returns a list that holds itself"] == endless


def test_check_prints_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    check("1.1", ...)
    check("1.1", EXERCISES["1.1"].right)
    assert capsys.readouterr().out == (
        "Exercise 1.1: not yet. Put your answer in place of the three dots.\n"
        "✓ Exercise 1.1: correct.\n"
    )


def test_check_examines_an_answer_once(capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def grey(photo: torch.Tensor) -> Any:
        calls.append(photo)
        return EXERCISES["1.3"].right(photo)

    exercises.check("1.3", grey)
    assert len(calls) == 1
    verdict = verdict_of("1.3", grey)
    assert len(calls) == 2
    assert capsys.readouterr().out == line_of("1.3", verdict) + "\n"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("1.99", "no exercise '1.99'; this chapter has 1.1, 1.2"),
        ("77.1", "no exercise '77.1'$"),
        ("9" * 5000 + ".1", "no exercise '9+.1'$"),
        ("first", "no exercise 'first'$"),
        (1.1, "this chapter has"),
    ],
)
def test_an_exercise_that_does_not_exist_is_named(name: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_exercise(name)


def test_an_answer_may_be_any_kind_of_number() -> None:
    exercise = Exercise(right=torch.tensor([1.0, 2.0]), wrong={})
    for answer in ([1, 2], (1.0, 2.0), np.array([1, 2]), torch.tensor([1, 2])):
        assert exercise.verdict(answer) == "correct."
    watched = torch.tensor([1.0, 2.0], requires_grad=True)
    assert exercise.verdict(watched) == "correct."
    assert exercise.verdict(tuple(watched)) == "correct."


@pytest.mark.parametrize(
    ("seen", "right", "sentence"),
    [
        (torch.ones(2, 3), torch.ones(3, 2), r"The shape is \(2, 3\); it should be"),
        (torch.ones(2), torch.zeros(2), "The shape is right; the worst .* off by 1"),
        (torch.tensor([torch.inf]), torch.ones(1), "Some numbers are NaN or infinite"),
        ("four", 4.0, "You give a str where a number is wanted"),
        (4, (4, 5), "You give a number where a tuple is wanted"),
        ((4,), (4, 5), "You give 1 values where 2"),
        ((7, 8, 6), (8, 7, 6), "2 of the 3 values are wrong"),
        ((torch.ones(2), 1), (torch.ones(3), 1), r"The shape is \(2,\); it should"),
        (3, 4.0, "Look at the question once more"),
        (10**400, 4.0, "That number is too large"),
    ],
)
def test_a_wrong_answer_is_described_without_giving_the_right_one_away(
    seen: Any, right: Any, sentence: str
) -> None:
    assert re.match(sentence, str(difference(seen, right)))


def test_a_count_that_is_nearly_right_is_wrong() -> None:
    exercise = Exercise(right=296_130, wrong={})
    assert exercise.verdict(296_130.0) == "correct."
    assert exercise.verdict(296_131).startswith("not quite.")
    assert Exercise(right=296_130.0, wrong={}).verdict(296_131) == "correct."


def test_a_hint_may_belong_to_several_mistakes() -> None:
    exercise = Exercise(right=3, wrong={"Count again.": Mistakes([2, 4])})
    assert exercise.verdict(2) == exercise.verdict(4) == "not quite. Count again."
