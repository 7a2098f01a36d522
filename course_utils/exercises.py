"""Checks in the notebooks: statements of the text and the reader's exercises."""

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from course_utils.answers.compare import SEQUENCE, difference, in_a_word


class Mistakes(tuple[Any, ...]):
    """Several wrong answers that get the same hint."""


def expect(condition: Any, what_is_true: str) -> None:
    """Print `what_is_true` if the condition holds, and stop the notebook otherwise.

    >>> expect(1 + 1 == 2, "one and one are two")
    ✓ one and one are two
    """
    kind = str(getattr(condition, "dtype", type(condition)))
    if "bool" not in kind or getattr(condition, "shape", ()) not in ((), (1,)):
        raise TypeError("expect wants one True or False: compare, or add .all()")
    if not condition:
        raise AssertionError(
            f"the text says {what_is_true!r}, but here it is not so. Run the notebook "
            "from the top; if you changed a cell above, this is where it shows."
        )
    print(f"✓ {what_is_true}")


@dataclass(frozen=True)
class Exercise:
    """The right answer to an exercise, and the usual wrong answers by their hints.

    `look_at` turns an answer into what is compared. It calls an answer that is a
    function with inputs of the exercise's choice.
    """

    right: Any
    wrong: Mapping[str, Any]
    look_at: Callable[[Any], Any] = lambda answer: answer
    tolerance: float = 1e-4

    def verdict(self, answer: Any) -> str:
        """What to tell a learner who answers `answer`: one or two sentences."""
        try:
            if _has(answer, ...):
                return "not yet. Put your answer in place of the three dots."
            if callable(self.right) and not callable(answer):
                return f"not quite. The answer is a function, not {in_a_word(answer)}."
            seen = self.look_at(answer)
            nothing = _has(seen, None, ...)
        except RecursionError:
            return "not quite. Your answer calls or holds itself without end."
        except (Exception, SystemExit) as error:  # whatever a learner's code may raise
            return f"not quite. Your answer stops with {_in_one_line(error)}"
        if nothing:
            what = "Your function returns" if callable(self.right) else "Your answer is"
            return f"not yet. {what} nothing so far."
        differs = difference(seen, self._wanted, self.tolerance)
        return f"not quite. {self.hint(seen) or differs}" if differs else "correct."

    @cached_property
    def _wanted(self) -> Any:
        return self.look_at(self.right)

    def hint(self, seen: Any) -> str | None:
        """The hint of the usual mistake that leads to what is `seen`, if it is one."""
        for hint, mistake in self.wrong.items():
            for one in mistake if isinstance(mistake, Mistakes) else [mistake]:
                if difference(seen, self.look_at(one), self.tolerance) is None:
                    return hint
        return None


def check(name: str, answer: Any) -> None:
    """Say whether `answer` solves the exercise `name`, and give a hint if not.

    >>> check("1.1", ...)
    Exercise 1.1: not yet. Put your answer in place of the three dots.
    """
    print(line_of(name, verdict_of(name, answer)))


def verdict_of(name: str, answer: Any) -> str:
    """What `check` says about an answer, which is examined once."""
    return find_exercise(name).verdict(answer)


def line_of(name: str, verdict: str) -> str:
    """The line that `check` prints."""
    sign = "✓ " if verdict.startswith("correct") else ""
    return f"{sign}Exercise {name}: {verdict}"


def find_exercise(name: str) -> Exercise:
    """The exercise called `name`, such as "4.2": the second of chapter 4."""
    chapter = re.match(r"(\d{1,2})\.", str(name))
    exercises = exercises_of(int(chapter[1])) if chapter else {}
    if name not in exercises:
        known = f"; this chapter has {', '.join(exercises)}" if exercises else ""
        raise ValueError(f"there is no exercise {name!r}{known}")
    return exercises[name]


def exercises_of(chapter: int) -> Mapping[str, Exercise]:
    """All exercises of a chapter by name; none if it has no module of its own."""
    module = f"course_utils.answers.chapter_{chapter:02d}"
    if importlib.util.find_spec(module) is None:
        return {}
    exercises: Mapping[str, Exercise] = importlib.import_module(module).EXERCISES
    return exercises


def _has(answer: Any, *gaps: Any) -> bool:
    """Whether one of the gaps is the answer, or lies in it at whatever depth."""
    if isinstance(answer, SEQUENCE):
        return any(_has(part, *gaps) for part in answer)
    return any(answer is gap for gap in gaps)


def _in_one_line(error: BaseException) -> str:
    """The error as Python would name it, without what follows the first line."""
    try:
        message = str(error).strip().partition("\n")[0]
    except Exception:  # the learner's own error may be broken
        message = ""
    return type(error).__name__ + (f": {message}" if message else ".")
