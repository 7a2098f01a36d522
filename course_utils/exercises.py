"""Answers to "am I right?": statements of the text and the reader's exercises."""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch


class UnmetExpectationError(AssertionError):
    """A result is not what the text around it says."""


def expect(condition: Any, what_is_true: str) -> None:
    """Print `what_is_true` if the condition holds, and stop the notebook otherwise.

    >>> expect(1 + 1 == 2, "one and one are two")
    ✓ one and one are two
    """
    if not _as_bool(condition):
        raise UnmetExpectationError(
            f"the text says {what_is_true!r}, but here it is not so. Run the notebook "
            "from the top; if you changed a cell above, this is where it shows."
        )
    print(f"✓ {what_is_true}")


def _as_bool(condition: Any) -> bool:
    """The condition as True or False: a bool, NumPy's bool, or a tensor of one bool."""
    if isinstance(condition, bool):
        return condition
    if "bool" in str(getattr(condition, "dtype", "")):
        shape = tuple(condition.shape)
        if shape in ((), (1,)):
            return bool(condition)
        raise TypeError(
            f"expect wants one True or False and got {shape} of them: "
            "add .all() or .any()"
        )
    raise TypeError(
        f"expect wants True or False, not {type(condition).__name__}: compare it "
        "with something"
    )


def _the_answer_itself(answer: Any) -> Any:
    return answer


@dataclass(frozen=True)
class Exercise:
    """An exercise as data: an answer that is right and the usual ones that are not.

    `wrong` pairs each usual wrong answer with its hint. `look_at` turns an answer
    into what is compared: itself, unless the answer is a function, which is called
    with inputs of the exercise's choice.
    """

    right: Any
    wrong: Sequence[tuple[Any, str]]
    look_at: Callable[[Any], Any] = _the_answer_itself
    tolerance: float = 1e-4

    def verdict(self, answer: Any) -> str:
        """What to tell a learner who answers `answer`: one or two sentences."""
        if _has_dots(answer):
            return "not yet. Put your answer in place of the three dots."
        if callable(self.right) and not callable(answer):
            return f"not quite. The answer is a function, not {_a(answer)}."
        try:
            seen = self.look_at(answer)
        except Exception as error:  # whatever a learner's code may raise
            return f"not quite. Your answer stops with {_in_one_line(error)}"
        if _is_open(seen):
            what = "Your function returns" if callable(self.right) else "Your answer is"
            return f"not yet. {what} nothing so far."
        right = self.look_at(self.right)
        if same(seen, right, self.tolerance):
            return "correct."
        hint = self._hint(seen) or difference(seen, right, self.tolerance)
        return f"not quite. {hint}"

    def _hint(self, seen: Any) -> str | None:
        """The hint of the usual mistake that leads to what is `seen`, if it is one."""
        for mistake, hint in self.wrong:
            if same(seen, self.look_at(mistake), self.tolerance):
                return hint
        return None


def check(name: str, answer: Any) -> None:
    """Say whether `answer` solves the exercise `name`, and give a hint if not.

    >>> check("1.1", ...)
    Exercise 1.1: not yet. Put your answer in place of the three dots.
    """
    print(line_of(name, verdict_of(name, answer)))


def verdict_of(name: str, answer: Any) -> str:
    """What to tell a learner who answers the exercise `name` with `answer`."""
    return find_exercise(name).verdict(answer)


def line_of(name: str, verdict: str) -> str:
    """The line that `check` prints for a verdict."""
    sign = "✓ " if verdict.startswith("correct") else ""
    return f"{sign}Exercise {name}: {verdict}"


def find_exercise(name: str) -> Exercise:
    """The exercise called `name`, such as "3.2": the second of chapter 3."""
    chapter = re.fullmatch(r"(\d+)\.\d+", str(name))
    exercises = exercises_of(int(chapter[1])) if chapter else {}
    if name not in exercises:
        known = f"; this chapter has {', '.join(exercises)}" if exercises else ""
        raise ValueError(f"there is no exercise {name!r}{known}")
    return exercises[name]


def exercises_of(chapter: int) -> Mapping[str, Exercise]:
    """All exercises of a chapter by name; none if it has no module of its own."""
    module = f"course_utils.answers.chapter_{chapter:02d}"
    try:
        exercises: Mapping[str, Exercise] = importlib.import_module(module).EXERCISES
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise
        return {}
    return exercises


def same(seen: Any, right: Any, tolerance: float) -> bool:
    """Whether answers are alike: fractions within `tolerance`, all else exactly."""
    if isinstance(seen, str) or isinstance(right, str):
        return bool(type(seen) is type(right) and seen == right)
    if _is_sequence(seen) and _is_sequence(right):
        return len(seen) == len(right) and all(
            same(one, other, tolerance) for one, other in zip(seen, right, strict=True)
        )
    counted = isinstance(right, int)
    seen, right = _as_tensor(seen), _as_tensor(right)
    if seen is None or right is None or seen.shape != right.shape:
        return False
    if counted:
        return torch.equal(seen, right)
    # A hint may be meant for numbers that exploded.
    return torch.allclose(seen, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def difference(seen: Any, right: Any, tolerance: float = 1e-4) -> str:
    """How `seen` differs from `right`, without giving the right answer away."""
    if _is_sequence(right) and _is_sequence(seen):
        if len(seen) != len(right):
            return f"You give {len(seen)} values where {len(right)} are wanted."
        pairs = zip(seen, right, strict=True)
        wrong = [pair for pair in pairs if not same(*pair, tolerance)]
        if all(_is_plain(part) for pair in wrong for part in pair):
            return f"{len(wrong)} of the {len(right)} values are wrong."
        return difference(*wrong[0], tolerance)
    return _difference_of_numbers(seen, right)


def _difference_of_numbers(seen: Any, right: Any) -> str:
    mine, wanted = _as_tensor(seen), _as_tensor(right)
    if mine is None and isinstance(seen, (int, float)):
        return "That number is too large to be right."
    if mine is None or (_is_sequence(right) and not _is_sequence(seen)):
        return f"You give {_a(seen)} where {_a(right)} is wanted."
    if wanted is None or wanted.ndim == mine.ndim == 0:
        return "Look at the question once more."
    if mine.shape != wanted.shape:
        return f"The shape is {tuple(mine.shape)}; it should be {tuple(wanted.shape)}."
    if not mine.isfinite().all():
        return "Some numbers are NaN or infinite: something grew without limit."
    off = (mine - wanted).abs().max().item()
    return f"The shape is right; the worst of the numbers is off by {off:.2g}."


def _has_dots(answer: Any) -> bool:
    """Whether the three dots of the stub still stand, alone or among other values."""
    return answer is ... or (_is_sequence(answer) and any(map(_has_dots, answer)))


def _is_open(seen: Any) -> bool:
    """Whether there is nothing to compare: dots, or None from a missing `return`."""
    nothing = seen is None or seen is ...
    return nothing or (_is_sequence(seen) and any(map(_is_open, seen)))


def _is_sequence(answer: Any) -> bool:
    return isinstance(answer, (tuple, list))


def _is_plain(answer: Any) -> bool:
    """Whether it is one number or another thing without a shape of its own."""
    return not _is_sequence(answer) and getattr(answer, "ndim", 0) == 0


def _as_tensor(answer: Any) -> torch.Tensor | None:
    """Numbers of any kind as a tensor to compare; None for what has no numbers."""
    try:
        if _is_sequence(answer):
            return torch.stack([_numbers(part) for part in answer])
        return _numbers(answer)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _numbers(answer: Any) -> torch.Tensor:
    numbers = torch.as_tensor(answer).detach().cpu().to_dense()
    if numbers.is_complex():
        raise TypeError("complex numbers have no order")
    return numbers.to(torch.float64)


def _a(thing: Any) -> str:
    """What kind of thing it is, in a word a learner knows."""
    if isinstance(thing, (int, float)) and not isinstance(thing, bool):
        return "a number"
    kind = type(thing).__name__
    return f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"


def _in_one_line(error: Exception) -> str:
    """The error as Python would name it, without what follows the first line."""
    message = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    return f"{name}: {message}" if message else f"{name}."
