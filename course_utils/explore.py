"""Figures to play with: drawn beforehand, so that they move without a kernel.

Where a reader runs the cell, a live figure stands in front, which is drawn anew for
every choice. The player comes after it all the same, and hides itself as long as the
live figure is there: a saved notebook, an exported page or a restarted kernel, none
of which can bring the live figure back, still have a figure that moves.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import itertools
import json
import math
import secrets
import string
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from importlib import resources
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

MOST_FRAMES = 200
COLOURS = 128
NO_BOARD = "To draw here with a mouse or a finger, run this cell in a notebook."
ZOOM = 4  # pixels of the board for one of the drawing, so that its edges are soft
WIDGET = "application/vnd.jupyter.widget-view+json"


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

    @property
    def key(self) -> str:
        """A short word for what the figure shows, to tell several on a page apart."""
        return hashlib.sha256(self._data.encode()).hexdigest()[:12]

    @cached_property
    def _data(self) -> str:
        """The frames for the player's script, each picture once."""
        pictures, places = _without_repeats(self.frames)
        titles = [frame.title for frame in self.frames]
        return json.dumps({"pictures": pictures, "places": places, "titles": titles})

    def _repr_html_(self) -> str:
        """The player as one piece of HTML, equal for equal frames."""
        template = resources.files("course_utils") / "explore_player.html"
        return string.Template(template.read_text(encoding="utf-8")).substitute(
            key=self.key,
            first=_as_address(self.frames[_middle(self.choices)].png),
            description=html.escape(self.description),
            controls="\n".join(itertools.starmap(_control, self.choices.items())),
            # Within a script, only this could end it early.
            data=self._data.replace("</", "<\\/"),
        )


def explore(draw: Callable[..., Figure], /, **choices: Iterable[Any]) -> Player:
    """A figure that the reader moves: `draw` is called with every choice.

    `draw` takes the choices by name and returns a matplotlib figure. The first line
    of its docstring and the title of its first axes tell readers who cannot see the
    figure what it shows. The figure first stands at the middle of every choice.

    When you run the cell yourself, `draw` is called anew at every move, and between
    two fractions that are offered there are nine more.

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
    # Before the frames are drawn, so that the reader need not wait for them.
    live = _show_live(draw, values) if _somebody_is_there() else None
    frames = [
        _frame(draw, dict(zip(values, combo, strict=True))) for combo in combinations
    ]
    player = Player(_description(draw), values, frames)
    if live is not None:
        live.add_class(f"explore-live-{player.key}")
    return player


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


def _without_repeats(frames: Sequence[Frame]) -> tuple[list[str], list[int]]:
    """The different pictures, and for each frame the number of its picture."""
    pictures = [_as_address(frame.png) for frame in frames]
    kept = list(dict.fromkeys(pictures))
    return kept, [kept.index(picture) for picture in pictures]


def _middle(choices: Mapping[str, Sequence[Any]]) -> int:
    """The number of the frame in the middle of every choice."""
    number = 0
    for values in choices.values():
        number = number * len(values) + _first(values)
    return number


def _first(values: Sequence[Any]) -> int:
    """Where a choice stands at first: in the middle, the lower one of two."""
    return (len(values) - 1) // 2


def _control(name: str, values: Sequence[Any]) -> str:
    """A slider for numbers, a list to choose from for everything else."""
    label = html.escape(name.replace("_", " "))
    texts = [html.escape(_as_text(value)) for value in values]
    first = _first(values)
    if _are_numbers(values):
        shown = html.escape(json.dumps(texts))
        return (
            f'<label><span>{label}</span> <input type="range" min="0" '
            f'max="{len(values) - 1}" value="{first}" aria-valuetext="{texts[first]}" '
            f'data-texts="{shown}"> <output>{texts[first]}</output></label>'
        )
    options = [f"<option>{text}</option>" for text in texts]
    options[first] = options[first].replace("<option>", "<option selected>")
    return f"<label><span>{label}</span> <select>{''.join(options)}</select></label>"


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, Real) and not isinstance(v, bool) for v in values)


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _somebody_is_there() -> bool:
    """Whether a reader ran this cell, and not a program that stores what it gives.

    With each cell, a notebook says whether there is somebody to answer a question.
    nbclient, and with it nbconvert and `make notebooks`, and nbval say no.
    """
    notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    request: Any = getattr(notebook, "get_parent", dict)()
    return bool(request and request["content"].get("allow_stdin"))


def _show_live(draw: Callable[..., Figure], choices: Mapping[str, list[Any]]) -> Any:
    """Show sliders and lists that call `draw`; None where ipywidgets is missing."""
    try:
        import ipywidgets  # type: ignore[import-untyped]
        from IPython.display import display
    except ImportError:
        return None
    choice = {name: values[_first(values)] for name, values in choices.items()}
    # A mistake stops this first picture with a traceback, as in any cell.
    picture = ipywidgets.HTML(_live_picture(draw, choice))

    def control(name: str, values: Sequence[Any]) -> Any:
        def choose(change: Any) -> None:
            choice[name] = values[change["new"]]
            picture.value = _live_picture_or_reason(draw, choice)

        made = _live_control(ipywidgets, name, values, choice[name])
        made.observe(choose, "value")
        return made

    controls = [control(n, _with_values_between(v)) for n, v in choices.items()]
    figure = ipywidgets.VBox([picture, *controls])
    view = {"version_major": 2, "version_minor": 0, "model_id": figure.model_id}
    # Where widgets cannot be shown, nothing is to stand in front of the player.
    display({WIDGET: view, "text/plain": ""}, raw=True)  # type: ignore[no-untyped-call]
    return figure


def _with_values_between(values: list[Any]) -> list[Any]:
    """The same values; if they are fractions, with nine between each and the next."""
    if not _are_numbers(values) or all(isinstance(v, int) for v in values):
        return values
    finer = values[:1]
    for here, there in itertools.pairwise(values):
        tenths = range(1, 10) if math.isfinite(there - here) else ()
        between = [here + (there - here) * tenth / 10 for tenth in tenths]
        finer += [*(float(_as_text(value)) for value in between), there]
    return finer


def _live_control(ipywidgets: Any, name: str, values: Sequence[Any], now: Any) -> Any:
    """A slider or a list, as in the player, that gives the number of a value."""
    kind = ipywidgets.SelectionSlider if _are_numbers(values) else ipywidgets.Dropdown
    return kind(
        options=[(_as_text(value), number) for number, value in enumerate(values)],
        value=next(n for n, value in enumerate(values) if value is now),
        description=name.replace("_", " "),
        style={"description_width": "7rem"},
        layout={"width": "32rem", "max_width": "100%"},
    )


def _live_picture(draw: Callable[..., Figure], choice: dict[str, Any]) -> str:
    """One frame as HTML, in the words of the player."""
    png, title = _frame(draw, choice)
    words = f"{_description(draw)} ({_in_words(choice)})" + (title and f": {title}")
    return (
        f'<img src="{_as_address(png)}" alt="{html.escape(words)}" '
        'style="max-width: 100%; background: #fff; border-radius: 4px">'
    )


def _live_picture_or_reason(draw: Callable[..., Figure], choice: dict[str, Any]) -> str:
    """The same, or one sentence on what keeps `draw` from it."""
    try:
        return _live_picture(draw, choice)
    except Exception as error:  # whatever the reader's function raises
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        sentence = f"{draw.__name__} cannot draw {_in_words(choice)}: {reason}"
        return f'<p role="alert">{html.escape(sentence)}</p>'


def _in_words(choice: dict[str, Any]) -> str:
    named = ((name.replace("_", " "), _as_text(v)) for name, v in choice.items())
    return ", ".join(f"{name} {text}" for name, text in named)


def drawing_board(answer: Callable[[Tensor], Any], size: int = 28) -> None:
    """A board to draw on, and below it what `answer` says to the drawing.

    After every stroke `answer` is called with the drawing as a tensor of the shape
    (1, 1, size, size), from 0 for the board to 1 for chalk, and returns a text. Where
    nobody is there to draw, a line says so instead.

    >>> drawing_board(lambda picture: f"{picture.mean():.0%} of it is chalk")
    To draw here with a mouse or a finger, run this cell in a notebook.
    """
    if not _somebody_is_there():
        print(NO_BOARD)
        return
    import ipywidgets
    from IPython.display import HTML, display

    key = secrets.token_hex(4)
    field, said = ipywidgets.Text(), ipywidgets.HTML("Draw something.")
    field.add_class(f"drawing-board-{key}")
    field.layout.display = "none"

    def look(change: Any) -> None:
        said.value = html.escape(_answer_or_reason(answer, change["new"], size))

    field.observe(look, "value")
    template = resources.files("course_utils") / "drawing_board.html"
    page = string.Template(template.read_text(encoding="utf-8")).substitute(
        key=key, side=size * ZOOM, width=2.2 * ZOOM
    )
    display(HTML(page), ipywidgets.VBox([field, said]))  # type: ignore[no-untyped-call]


def _answer_or_reason(answer: Callable[[Tensor], Any], text: str, size: int) -> str:
    """What `answer` says to the pixels in a text, or one sentence on what stops it."""
    import torch

    pixels = torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
    board = pixels.reshape(1, 1, size * ZOOM, size * ZOOM) / 255
    try:
        return str(answer(torch.nn.functional.avg_pool2d(board, ZOOM)))
    except Exception as error:  # whatever the reader's function raises
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return f"{getattr(answer, '__name__', 'answer')} cannot answer: {reason}"
