"""Checkpoints: what the text relies on, tested where it is said."""

from typing import Any


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
