"""Figures to play with: drawn beforehand, so that they move without a kernel."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FRAMES = 200
COLOURS = 128


class Player:
    """A figure with one frame for every combination of its choices.

    In a notebook, on Colab and in the book it shows itself with a slider or a list
    for each choice; it needs neither a kernel nor the network for that.
    """

    def __init__(
        self,
        description: str,
        choices: Mapping[str, Sequence[Any]],
        frames: Sequence[bytes],
    ) -> None:
        self.description = description
        self.choices = choices
        self.frames = frames

    def __repr__(self) -> str:
        names = ", ".join(self.choices)
        return f"<figure to play with: {len(self.frames)} frames, choose {names}>"

    def _repr_html_(self) -> str:
        """The player as one piece of HTML, equal for equal frames."""
        template = resources.files("course_utils") / "explore_player.html"
        pictures = [_as_address(frame) for frame in self.frames]
        kept, places = _without_repeats(pictures)
        key = hashlib.sha256("".join(pictures).encode()).hexdigest()[:12]
        return string.Template(template.read_text(encoding="utf-8")).substitute(
            key=key,
            first=kept[0],
            description=html.escape(self.description),
            controls="\n".join(itertools.starmap(_control, self.choices.items())),
            data=json.dumps({"pictures": kept[1:], "places": places}),
        )


def explore(draw: Callable[..., Figure], /, **choices: Iterable[Any]) -> Player:
    """A figure that the reader moves: `draw` is called with every choice.

    `draw` takes the choices by name and returns a matplotlib figure; the first line
    of its docstring tells readers who cannot see the figure what it shows.

    >>> def wave(pitch):
    ...     "A sine wave."
    ...     figure, ax = plt.subplots()
    ...     ax.plot(torch.sin(pitch * torch.linspace(0, 6, 100)))
    ...     return figure
    >>> player = explore(wave, pitch=[1, 2, 3])
    """
    values = {name: list(options) for name, options in choices.items()}
    combinations = list(itertools.product(*values.values()))
    if not values or not combinations:
        raise ValueError("explore needs at least one choice with at least one value")
    if len(combinations) > MOST_FRAMES:
        raise ValueError(
            f"these choices make {len(combinations)} frames, and a page should carry "
            f"at most {MOST_FRAMES}: offer fewer values"
        )
    frames = [
        _frame(draw, dict(zip(values, combo, strict=True))) for combo in combinations
    ]
    return Player(_description(draw), values, frames)


def _description(draw: Callable[..., Any]) -> str:
    """What the figure shows: the first line of the docstring, or else the name."""
    lines = (draw.__doc__ or draw.__name__.replace("_", " ")).strip().splitlines()
    return lines[0].rstrip(".")


def _frame(draw: Callable[..., Figure], choice: dict[str, Any]) -> bytes:
    """One frame as a PNG of few colours, the same bytes on every run."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
    from PIL import Image

    figure = draw(**choice)
    if not isinstance(figure, Figure):
        raise TypeError(
            f"the function given to explore should return a matplotlib figure; "
            f"{draw.__name__} returned {type(figure).__name__}"
        )
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    picture = (
        Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    )
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


def _as_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _without_repeats(pictures: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different pictures, and for each frame the number of its picture."""
    kept = list(dict.fromkeys(pictures))
    return kept, [kept.index(picture) for picture in pictures]


def _control(name: str, values: Sequence[Any]) -> str:
    """A slider for numbers, a list to choose from for everything else."""
    label = html.escape(name.replace("_", " "))
    texts = [html.escape(_as_text(value)) for value in values]
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        shown = html.escape(json.dumps(texts))
        return (
            f'<label><span>{label}</span> <input type="range" min="0" '
            f'max="{len(values) - 1}" value="0" aria-valuetext="{texts[0]}" '
            f'data-texts="{shown}"> <output>{texts[0]}</output></label>'
        )
    options = "".join(f"<option>{text}</option>" for text in texts)
    return f"<label><span>{label}</span> <select>{options}</select></label>"


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
