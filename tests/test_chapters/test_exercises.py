"""Checkpoints and exercises: what they say to right, wrong and missing answers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from course_utils import check, expect
from course_utils.exercises import Exercise, difference, exercises_of, find_exercise

CHAPTERS = range(1, 14)
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXERCISES = {
    name: exercise for n in CHAPTERS for name, exercise in exercises_of(n).items()
}
every_exercise = pytest.mark.parametrize("name", EXERCISES)
MISTAKES = [
    pytest.param(name, place, id=f"{name}-{place}")
    for name, exercise in EXERCISES.items()
    for place in range(len(exercise.wrong))
]


def _fail_at_length(*_: Any) -> None:
    raise ValueError("one line\nand another")


NONSENSE: dict[str, Any] = {
    "None": None,
    "an object": object(),
    "text": "text",
    "bytes": b"bytes",
    "an empty dict": {},
    "an empty list": [],
    "a ragged list": [[1], [2, 3]],
    "an empty tensor": torch.empty(0),
    "a complex number": torch.tensor(2 + 3j),
    "a sparse tensor": torch.eye(2).to_sparse(),
    "a huge number": 10**400,
    "an array of text": np.array(["a"]),
    "a function that fails": lambda: 1 / 0,
    "a function that fails at length": _fail_at_length,
    "a function that returns nonsense": lambda *_: [None, object()],
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
    ("condition", "sentence"),
    [
        (torch.tensor([True, False]), r"got \(2,\) of them: add \.all\(\)"),
        (0.98, "True or False, not float"),
        (torch.tensor(0.98), "True or False, not Tensor"),
        (None, "True or False, not NoneType"),
    ],
)
def test_expect_wants_one_truth(condition: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        expect(condition, "all is well")


def test_every_chapter_with_exercises_has_their_checks() -> None:
    for notebook in NOTEBOOKS.glob("[0-9]*.ipynb"):
        text = notebook.read_text(encoding="utf-8")
        asked = set(re.findall(r"### Exercise (\d+\.\d+)", text))
        assert asked == set(exercises_of(int(notebook.name[:2]))), notebook.name


@every_exercise
def test_the_right_answer_is_correct(name: str) -> None:
    assert EXERCISES[name].verdict(EXERCISES[name].right) == "correct."


@every_exercise
def test_the_open_stub_is_not_yet_solved(name: str) -> None:
    right = EXERCISES[name].right
    stub = (lambda *_, **__: ...) if callable(right) else ...
    assert EXERCISES[name].verdict(stub).startswith("not yet.")


@every_exercise
def test_at_least_two_usual_mistakes_have_their_own_hint(name: str) -> None:
    assert len({hint for _, hint in EXERCISES[name].wrong}) >= 2


@pytest.mark.parametrize(("name", "place"), MISTAKES)
def test_each_usual_mistake_gets_its_hint(name: str, place: int) -> None:
    mistake, hint = EXERCISES[name].wrong[place]
    assert EXERCISES[name].verdict(mistake) == f"not quite. {hint}"


@every_exercise
@pytest.mark.parametrize("kind", NONSENSE)
def test_no_answer_is_so_wrong_that_check_fails(name: str, kind: str) -> None:
    verdict = EXERCISES[name].verdict(NONSENSE[kind])
    assert re.match(r"not (yet|quite)\. \S", verdict)
    assert "\n" not in verdict


@every_exercise
def test_a_forgotten_return_is_named(name: str) -> None:
    if callable(EXERCISES[name].right):
        verdict = EXERCISES[name].verdict(lambda *_: None)
        assert verdict == "not yet. Your function returns nothing so far."


def test_check_prints_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    check("1.1", ...)
    check("1.1", EXERCISES["1.1"].right)
    assert capsys.readouterr().out == (
        "Exercise 1.1: not yet. Put your answer in place of the three dots.\n"
        "✓ Exercise 1.1: correct.\n"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("1.99", "no exercise '1.99'; this chapter has 1.1, 1.2"),
        ("77.1", "no exercise '77.1'$"),
        ("first", "no exercise 'first'$"),
        (1.1, "this chapter has"),
    ],
)
def test_an_exercise_that_does_not_exist_is_named(name: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        find_exercise(name)


def test_an_answer_may_be_any_kind_of_number() -> None:
    exercise = Exercise(right=torch.tensor([1.0, 2.0]), wrong=[])
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
    ],
)
def test_a_wrong_answer_is_described_without_giving_the_right_one_away(
    seen: Any, right: Any, sentence: str
) -> None:
    assert re.match(sentence, difference(seen, right))


def test_a_count_that_is_nearly_right_is_wrong() -> None:
    exercise = Exercise(right=296_130, wrong=[])
    assert exercise.verdict(296_130.0) == "correct."
    assert exercise.verdict(296_131).startswith("not quite.")
    assert Exercise(right=296_130.0, wrong=[]).verdict(296_131) == "correct."
