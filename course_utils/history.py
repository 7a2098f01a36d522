"""What a training was like, epoch by epoch, and how it is shown as it grows."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Result(NamedTuple):
    """How good a model is on a data set: means over all samples (or pixels)."""

    loss: float
    accuracy: float

    def __repr__(self) -> str:
        return f"loss {self.loss:.4f}, accuracy {self.accuracy:.4f}"


@dataclass(repr=False)
class History:
    """What a training was like: lists with one number an epoch.

    A list is empty where there was nothing to measure. `note` says how the training
    ended. In a notebook, a history is drawn as a table with the curves of the losses.

    >>> history = History(train_loss=[0.9, 0.7], val_loss=[0.8, 0.9])
    >>> len(history), history.best_epoch
    (2, 1)
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    note: str = field(default="", compare=False)

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the least validation loss (or else training loss)."""
        losses = self.val_loss or self.train_loss
        return losses.index(min(losses)) + 1 if losses else 0

    def lines(self) -> list[str]:
        """The table as lines of text, the names of the columns first.

        >>> print(history.lines()[-1])
        """
        columns = self._columns()
        widths = [max(len(name), 7) for name in columns]
        rows = [tuple(columns), *zip(*columns.values(), strict=True)]
        return ["  ".join(map(str.rjust, row, widths)) for row in rows if len(self)]

    def _columns(self) -> dict[str, list[str]]:
        """The table's cells, column by column; those that are empty are left out."""
        columns = {
            name.replace("_", " "): [f"{number:.4f}" for number in numbers]
            for name, numbers in vars(self).items()
            if name != "note"
        }
        columns["learning rate"] = [f"{rate:.3g}" for rate in self.learning_rate]
        columns["seconds"] = [f"{passed:.1f}" for passed in self.seconds]
        columns = {"epoch": [str(n + 1) for n in range(len(self))], **columns}
        return {name: cells for name, cells in columns.items() if cells}

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), self.note]).strip("\n") or "no epoch yet"

    def _repr_html_(self) -> str:
        columns = self._columns()
        rows = [
            "".join(f"<td>{cell}</td>" for cell in row)
            for row in zip(*columns.values(), strict=True)
        ]
        head = "".join(f"<th>{name}</th>" for name in columns or ["no epoch yet"])
        body = "\n".join(f"<tr>{row}</tr>" for row in rows)
        return (
            f"<div><table>\n<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>\n"
            f"</table>\n{_curves(self)}<p>{html.escape(self.note)}</p></div>"
        )


def _curves(history: History) -> str:
    """The losses as a small SVG: training drawn through, validation dashed."""
    losses = history.train_loss + history.val_loss
    if len(history) < 2:
        return ""
    low, high = min(losses), max(losses)
    across, down = 240 / (len(history) - 1), 80 / ((high - low) or 1)

    def curve(losses: Sequence[float], style: str) -> str:
        places = (
            f"{n * across + 5:.1f},{(high - loss) * down + 18:.1f}"
            for n, loss in enumerate(losses)
        )
        return f'<polyline points="{" ".join(places)}" {style}/>\n'

    what = "loss: training" + (", validation dashed" if history.val_loss else "")
    return (
        f'<svg role="img" aria-label="{what}" width="320" height="105" fill="none" '
        'stroke-width="2">\n'
        + curve(history.train_loss, 'stroke="#0072B2"')
        + curve(history.val_loss, 'stroke="#D55E00" stroke-dasharray="5 3"')
        + '<g fill="currentColor" stroke="none" font-size="11">'
        f'<text x="5" y="11">{what}</text><text x="252" y="22">{high:.3g}</text>'
        f'<text x="252" y="102">{low:.3g}</text></g></svg>\n'
    )


def write_scalars(writer: Any, history: History) -> None:
    """The last epoch's numbers, for TensorBoard."""
    for name, values in vars(history).items():
        part, _, what = name.partition("_")
        if values and name not in ("seconds", "note"):
            tag = f"{what}/{part}" if part in ("train", "val") else name
            writer.add_scalar(tag, values[-1], len(history))


def display_as_it_grows(quiet: bool) -> Callable[[History], None]:
    """How the table is shown as it grows."""
    if quiet:
        return lambda history: None
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return _Lines()
    from IPython.display import display

    handle = display(History(), display_id=True)  # type: ignore[no-untyped-call]
    return handle.update  # type: ignore[no-any-return]


class _Lines:
    """The table in a terminal: each row is printed when there is one."""

    def __init__(self) -> None:
        self.printed = 0

    def __call__(self, history: History) -> None:
        lines = history.lines() if len(history) else []
        for line in lines[self.printed :] + [history.note] * bool(history.note):
            print(line, flush=True)
        self.printed = len(lines)
