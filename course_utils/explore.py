"""Figures that the reader moves, and a board to draw on.

`explore` draws a figure for every choice beforehand. The figure then moves wherever
HTML is shown: in a notebook, on Colab and in the book, without a kernel.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import secrets
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from numbers import Real
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image

MOST_FRAMES = 200
COLOURS = 128
ZOOM = 4  # pixels of the board for one of the drawing, so that its edges are soft


@dataclass(repr=False)
class Player:
    """A figure with one frame for every combination of its choices."""

    description: str
    choices: Mapping[str, Sequence[object]]
    frames: Sequence[tuple[str, str]]  # an image as text, and its title

    def __repr__(self) -> str:
        names = ", ".join(self.choices)
        return f"<figure to play with: {len(self.frames)} frames, choose {names}>"

    def _repr_html_(self) -> str:
        """The player as one piece of HTML, equal for equal frames."""
        images = [image for image, _ in self.frames]
        titles = [title for _, title in self.frames]
        different = list(dict.fromkeys(images))  # each image is stored once
        places = [different.index(image) for image in images]
        data = json.dumps({"pictures": different, "places": places, "titles": titles})
        first = 0
        for values in self.choices.values():
            first = first * len(values) + _first(values)
        return _fill_in(
            "explore_player.html",
            # Tells several figures on a page apart.
            key=hashlib.sha256(data.encode()).hexdigest()[:12],
            first=images[first],
            description=html.escape(self.description),
            controls="\n".join(itertools.starmap(_control, self.choices.items())),
            # Within a script, only this could end it early.
            data=data.replace("</", "<\\/"),
        )


def explore(draw: Callable[..., Figure], /, **choices: Iterable[object]) -> Player:
    """A figure that the reader moves: `draw` is called with every choice.

    `draw` takes the choices by name and returns a matplotlib figure. The first line
    of its docstring and the title of its first axes tell readers who cannot see the
    figure what it shows. The figure first stands at the middle of every choice.

    >>> def wave(pitch):
    ...     "A sine wave."
    ...     figure, ax = plt.subplots()
    ...     ax.plot(torch.sin(pitch * torch.linspace(0, 6, 100)))
    ...     return figure
    >>> explore(wave, pitch=[1, 2, 3])
    <figure to play with: 3 frames, choose pitch>
    """
    values = {name: [_plain(v) for v in options] for name, options in choices.items()}
    combinations = list(itertools.product(*values.values()))
    if not 1 <= len(combinations) <= MOST_FRAMES:
        count = len(combinations)
        raise ValueError(f"{count} frames to draw; offer values for 1 to {MOST_FRAMES}")
    frames = [_frame(draw, dict(zip(values, c, strict=True))) for c in combinations]
    words = (draw.__doc__ or draw.__name__.replace("_", " ")).strip()
    return Player(words.splitlines()[0].rstrip("."), values, frames)


def drawing_board(answer: Callable[[torch.Tensor], object], size: int = 28) -> None:
    """A board to draw on, and below it what `answer` says to the drawing.

    After every stroke `answer` is called with the drawing as a tensor of the shape
    (1, 1, size, size), from 0 for the board to 1 for chalk, and returns a text. Where
    nobody is there to draw, a line says so instead.

    >>> drawing_board(lambda image: f"{image.mean():.0%} of it is chalk")
    To draw here with a mouse or a finger, run this cell in a notebook.
    """
    if not _somebody_is_there():
        print("To draw here with a mouse or a finger, run this cell in a notebook.")
        return
    import ipywidgets  # type: ignore[import-untyped]
    from IPython.display import HTML, display

    key = secrets.token_hex(4)
    # The board's script writes the pixels into this field, which nobody sees.
    field, said = ipywidgets.Text(), ipywidgets.HTML("Draw something.")
    field.add_class(f"drawing-board-{key}")
    field.layout.display = "none"

    def look(change: Mapping[str, Any]) -> None:
        pixels = torch.tensor(list(bytes.fromhex(change["new"]))) / 255
        board = pixels.reshape(1, 1, size * ZOOM, size * ZOOM)
        try:
            words = str(answer(torch.nn.functional.avg_pool2d(board, ZOOM)))
        except Exception as error:  # whatever the reader's function raises
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            words = f"{getattr(answer, '__name__', 'answer')} cannot answer: {reason}"
        said.value = html.escape(words)

    field.observe(look, "value")
    page = _fill_in("drawing_board.html", key=key, side=size * ZOOM, width=2.2 * ZOOM)
    display(HTML(page), ipywidgets.VBox([field, said]))  # type: ignore[no-untyped-call]


def _frame(draw: Callable[..., Figure], choice: dict[str, object]) -> tuple[str, str]:
    """A PNG of few colours, the same bytes on every run, and the figure's title."""
    figure = draw(**choice)
    if not isinstance(figure, Figure):
        kind = type(figure).__name__
        raise TypeError(f"{draw.__name__} should return a figure, but returned {kind}")
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    image = Image.open(drawn).convert("RGB")
    few_colours = image.quantize(COLOURS, dither=Image.Dither.NONE)
    few_colours.save(small, format="png", optimize=True)
    address = "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
    return address, figure.axes[0].get_title() if figure.axes else ""


def _control(name: str, values: Sequence[object]) -> str:
    """A slider for numbers, a list to choose from for everything else."""
    label = html.escape(name.replace("_", " "))
    texts = [html.escape(_as_text(value)) for value in values]
    first = _first(values)
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


def _first(values: Sequence[object]) -> int:
    """Where a choice stands at first: in the middle, the lower one of two."""
    return (len(values) - 1) // 2


def _plain(value: Any) -> Any:
    """A number of NumPy's or a tensor of one number as Python's own; else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _as_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fill_in(template: str, **values: object) -> str:
    page = (resources.files("course_utils") / template).read_text(encoding="utf-8")
    return string.Template(page).substitute(values)


def _somebody_is_there() -> bool:
    """Whether a reader ran this cell, and not a program that stores what it gives.

    With each cell, a notebook says whether there is somebody to answer a question.
    nbclient, and with it nbconvert and `make notebooks`, and nbval say no.
    """
    from IPython import get_ipython

    request: dict[str, Any] = getattr(get_ipython(), "get_parent", dict)()
    return bool(request) and bool(request["content"].get("allow_stdin"))
