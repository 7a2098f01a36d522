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
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FRAMES = 200
COLOURS = 128


class Frame(NamedTuple):
    """One picture of the figure, and its title for those who cannot see it."""

    png: bytes
    title: str


class Player:
    """A figure with one frame for every combination of its choices.

    In a notebook, on Colab and in the book it shows itself with a slider or a list
    for each choice; it needs neither a kernel nor the network for that.
    """

    def __init__(
        self,
        description: str,
        choices: Mapping[str, Sequence[Any]],
        frames: Sequence[Frame],
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
        pictures = [_as_address(frame.png) for frame in self.frames]
        kept, places = _without_repeats(pictures)
        titles = [frame.title for frame in self.frames]
        data = json.dumps({"pictures": kept, "places": places, "titles": titles})
        return string.Template(template.read_text(encoding="utf-8")).substitute(
            key=hashlib.sha256(data.encode()).hexdigest()[:12],
            first=pictures[_middle(self.choices)],
            description=html.escape(self.description),
            controls="\n".join(itertools.starmap(_control, self.choices.items())),
            # Within a script, only this could end it early.
            data=data.replace("</", "<\\/"),
        )


def explore(draw: Callable[..., Figure], /, **choices: Iterable[Any]) -> Player:
    """A figure that the reader moves: `draw` is called with every choice.

    `draw` takes the choices by name and returns a matplotlib figure. The first line
    of its docstring and the title of its first axes tell readers who cannot see the
    figure what it shows. The figure first stands at the middle of every choice.

    >>> def wave(pitch):
    ...     "A sine wave."
    ...     figure, ax = plt.subplots()
    ...     ax.plot(torch.sin(pitch * torch.linspace(0, 6, 100)))
    ...     return figure
    >>> player = explore(wave, pitch=[1, 2, 3])
    """
    values = {name: [_plain(v) for v in options] for name, options in choices.items()}
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


def _plain(value: Any) -> Any:
    """A number of NumPy's or a tensor of one number as Python's own; else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _description(draw: Callable[..., Any]) -> str:
    """What the figure shows: the first line of the docstring, or else the name."""
    lines = (draw.__doc__ or draw.__name__.replace("_", " ")).strip().splitlines()
    return lines[0].rstrip(".")


def _frame(draw: Callable[..., Figure], choice: dict[str, Any]) -> Frame:
    """One frame as a PNG of few colours, the same bytes on every run."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure
    from PIL import Image

    open_before = set(plt.get_fignums())
    try:
        figure = draw(**choice)
        if not isinstance(figure, Figure):
            raise TypeError(
                "the function given to explore should return a matplotlib figure; "
                f"{draw.__name__} returned {type(figure).__name__}"
            )
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
    finally:
        for number in set(plt.get_fignums()) - open_before:
            plt.close(number)
    picture = (
        Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    )
    picture.save(small, format="png", optimize=True)
    return Frame(small.getvalue(), figure.axes[0].get_title() if figure.axes else "")


def _as_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _without_repeats(pictures: Sequence[str]) -> tuple[list[str], list[int]]:
    """The different pictures, and for each frame the number of its picture."""
    kept = list(dict.fromkeys(pictures))
    return kept, [kept.index(picture) for picture in pictures]


def _middle(choices: Mapping[str, Sequence[Any]]) -> int:
    """The number of the frame in the middle of every choice."""
    number = 0
    for values in choices.values():
        number = number * len(values) + len(values) // 2
    return number


def _control(name: str, values: Sequence[Any]) -> str:
    """A slider for numbers, a list to choose from for everything else."""
    label = html.escape(name.replace("_", " "))
    texts = [html.escape(_as_text(value)) for value in values]
    first = len(values) // 2
    if all(isinstance(v, Real) and not isinstance(v, bool) for v in values):
        shown = html.escape(json.dumps(texts))
        return (
            f'<label><span>{label}</span> <input type="range" min="0" '
            f'max="{len(values) - 1}" value="{first}" aria-valuetext="{texts[first]}" '
            f'data-texts="{shown}"> <output>{texts[first]}</output></label>'
        )
    options = [f"<option>{text}</option>" for text in texts]
    options[first] = options[first].replace("<option>", "<option selected>")
    return f"<label><span>{label}</span> <select>{''.join(options)}</select></label>"


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
