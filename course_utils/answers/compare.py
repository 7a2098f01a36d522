"""How an answer differs from the right one, without giving the right one away."""

from __future__ import annotations

from typing import Any

import torch

SEQUENCE = (list, tuple)


def difference(seen: Any, right: Any, tolerance: float = 1e-4) -> str | None:
    """How `seen` differs from `right`, without giving it away; None if it does not."""
    if isinstance(seen, SEQUENCE) and isinstance(right, SEQUENCE):
        if len(seen) != len(right):
            return f"You give {len(seen)} values where {len(right)} are wanted."
        pairs = zip(seen, right, strict=True)
        wrong = [pair for pair in pairs if difference(*pair, tolerance)]
        parts = [part for pair in wrong for part in pair]
        if any(isinstance(p, SEQUENCE) or getattr(p, "ndim", 0) for p in parts):
            return difference(*wrong[0], tolerance)
        return f"{len(wrong)} of the {len(right)} values are wrong." if wrong else None
    if isinstance(right, str) and type(seen) is type(right) and seen == right:
        return None
    mine, wanted = _as_tensor(seen), _as_tensor(right)
    if mine is None and isinstance(seen, (int, float)):
        return "That number is too large to be right."
    if mine is not None and wanted is not None and mine.shape == wanted.shape:
        limit = 0 if isinstance(right, int) else tolerance
        # A hint may be meant for numbers that exploded: NaN is like NaN.
        if torch.allclose(mine, wanted, rtol=limit, atol=limit, equal_nan=True):
            return None
    if mine is None or (isinstance(right, SEQUENCE) and not isinstance(seen, SEQUENCE)):
        return f"You give {in_a_word(seen)} where {in_a_word(right)} is wanted."
    if wanted is None or wanted.ndim == mine.ndim == 0:
        return "Look at the question once more."
    if mine.shape != wanted.shape:
        return f"The shape is {tuple(mine.shape)}; it should be {tuple(wanted.shape)}."
    if not mine.isfinite().all():
        return "Some numbers are NaN or infinite: something grew without limit."
    off = (mine - wanted).abs().max().item()
    return f"The shape is right; the worst of the numbers is off by {off:.2g}."


def _as_tensor(answer: Any) -> torch.Tensor | None:
    """Numbers of any kind as a tensor to compare; None for what has no numbers."""
    try:
        if isinstance(answer, SEQUENCE):
            return torch.stack([torch.as_tensor(_as_tensor(part)) for part in answer])
        numbers = torch.as_tensor(answer).detach().cpu().to_dense()
        return None if numbers.is_complex() else numbers.double()
    except Exception:  # what other libraries' objects raise
        return None


def in_a_word(thing: Any) -> str:
    """What kind of thing it is, in a word a learner knows."""
    if isinstance(thing, (int, float)) and not isinstance(thing, bool):
        return "a number"
    kind = type(thing).__name__
    return f"an {kind}" if kind[0].lower() in "aeiou" else f"a {kind}"
