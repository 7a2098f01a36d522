"""Figures that the reader moves, and a board to draw on.

`explore` draws a figure for every choice beforehand. The figure then moves wherever
HTML is shown: in a notebook, on Colab and in the book, without a kernel.
"""

import base64
import hashlib
import html
import io
import itertools
import json
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from numbers import Real
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

MOST_FRAMES = 200
COLOURS = 128


@dataclass
class Player:
    """A figure to play with, as one piece of HTML."""

    frames: int
    page: str = field(repr=False)

    def _repr_html_(self) -> str:
        return self.page


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
    Player(frames=3)
    """
    values = {name: list(options) for name, options in choices.items()}
    combinations = list(itertools.product(*values.values()))
    if not 1 <= len(combinations) <= MOST_FRAMES:
        raise ValueError(f"{len(combinations)} frames: offer 1 to {MOST_FRAMES}")
    frames = [_frame(draw(**dict(zip(values, c, strict=True)))) for c in combinations]
    images, titles = zip(*frames, strict=True)
    different = list(dict.fromkeys(images))  # each image is stored once
    places = [different.index(image) for image in images]
    data = json.dumps({"pictures": different, "places": places, "titles": titles})
    middle = tuple(options[(len(options) - 1) // 2] for options in values.values())
    words = (draw.__doc__ or draw.__name__).strip().splitlines()[0].rstrip(".")
    page = _fill_in(
        "explore_player.html",
        key=hashlib.sha256(data.encode()).hexdigest()[:12],  # one for each figure
        first=images[combinations.index(middle)],
        description=html.escape(words),
        controls="\n".join(itertools.starmap(_control, values.items())),
        # Within a script, only this could end it early.
        data=data.replace("</", "<\\/"),
    )
    return Player(len(frames), page)


def drawing_board(model: nn.Sequential) -> Player:
    """A board to draw a digit on; the page itself computes what `model` reads.

    `model` is an MLP from 784 pixels to ten digits: linear layers with ReLU between
    them. Its weights go into the page, rounded to whole numbers from -127 to 127 times
    a step of each row, so the board works in the book too, without a kernel.

    >>> board = drawing_board(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    """
    known = nn.Sequential, nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout
    linear = [part for part in model.modules() if isinstance(part, nn.Linear)]
    sizes = [linear[0].in_features, linear[-1].out_features] if linear else []
    if sizes != [784, 10] or not all(isinstance(m, known) for m in model.modules()):
        raise ValueError("the board needs an MLP from 784 pixels to 10 digits")
    layers = json.dumps([_rounded(layer) for layer in linear])
    key = hashlib.sha256(layers.encode()).hexdigest()[:12]
    return Player(1, _fill_in("drawing_board.html", key=key, layers=layers))


def _rounded(layer: nn.Linear) -> dict[str, Any]:
    """What the page has to know of a layer, its weights in a byte each."""
    weight = layer.weight.detach().cpu()
    step = weight.abs().amax(dim=1).clamp(min=1e-9) / 127
    whole = (weight / step[:, None]).round().to(torch.int8).numpy()
    return {
        "inputs": layer.in_features,
        "weight": base64.b64encode(whole.tobytes()).decode(),
        "step": [float(f"{number:.5g}") for number in step.tolist()],
        "bias": [float(f"{number:.5g}") for number in layer.bias.tolist()],
    }


def _frame(figure: Figure) -> tuple[str, str]:
    """A PNG of few colours, the same bytes on every run, and the figure's title."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    plt.close(figure)
    image = Image.open(drawn).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    address = "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()
    return address, figure.axes[0].get_title() if figure.axes else ""


def _control(name: str, values: Sequence[Any]) -> str:
    """A slider for numbers, a list to choose from for everything else."""
    label = html.escape(name.replace("_", " "))
    texts = [f"{v:g}" if isinstance(v, float) else html.escape(str(v)) for v in values]
    first = (len(values) - 1) // 2
    if all(isinstance(value, Real) for value in values):
        shown = html.escape(json.dumps(texts))
        return (
            f'<label><span>{label}</span> <input type="range" min="0" '
            f'max="{len(values) - 1}" value="{first}" aria-valuetext="{texts[first]}" '
            f'data-texts="{shown}"> <output>{texts[first]}</output></label>'
        )
    options = [f"<option>{text}</option>" for text in texts]
    options[first] = options[first].replace("<option>", "<option selected>")
    return f"<label><span>{label}</span> <select>{''.join(options)}</select></label>"


def _fill_in(template: str, **values: object) -> str:
    page = (resources.files("course_utils") / template).read_text(encoding="utf-8")
    return string.Template(page).substitute(values)
