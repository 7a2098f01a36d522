"""Looking at pictures, whatever form they come in, and at what a network makes of them.

Each function draws a figure and returns its axes: one where it draws one, a list where
it draws several; where it draws one, you can pass the axes to draw on. A notebook shows
the figure at the end of the cell by itself; as a cell's last line, end the call with a
semicolon, so that the axes are not printed too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = 8.0  # inches from side to side
# Right and wrong answers differ in more than colour, and so do the classes of masks.
RIGHT = {"color": "#0072B2", "linewidth": 1.5}
WRONG = {"color": "#D55E00", "linewidth": 3, "linestyle": (0, (2, 2.5))}
LINES = (("#E69F00", "-"), ("#56B4E9", "--"), ("#009E73", ":"), ("#CC79A7", "-."))


@contextmanager
def _course_style() -> Iterator[None]:
    """Draw in the course's style, and leave other figures alone."""
    import matplotlib
    import matplotlib.pyplot as plt

    with plt.style.context("course_utils.course"):
        yield
        shows_by_itself = plt.isinteractive()
    # A notebook's first figure switches this on, and the end of the style off.
    matplotlib.interactive(shows_by_itself)


@_course_style()
def imshow(
    picture: Any,
    title: str = "",
    *,
    mean: float | Sequence[float] = 0,
    std: float | Sequence[float] = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw one picture: any tensor or array, channels first, last or absent.

    Whole numbers are read as 0 to 255 and fractions as 0 to 1; values beyond are
    stretched between the picture's own darkest and brightest. Fractions that were
    normalised with `mean` and `std` get their colours back when you pass them again.

    >>> ax = imshow(torch.rand(3, 32, 32), "noise")
    """
    pixels = _channels_last(picture)
    if pixels.dtype.kind == "f":
        pixels = pixels * _as_array(std).ravel() + _as_array(mean).ravel()
    ax = ax or _grid(1, columns=3)[0]
    ax.imshow(_between_0_and_1(pixels), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


@_course_style()
def show_batch(
    pictures: Any,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 16,
    columns: int = 8,
    **options: Any,
) -> list[Axes]:
    """Draw the first `count` pictures, each under the name of its class.

    Takes a batch, a list of pictures of various sizes, or a data set. The fewer
    `columns`, the larger the pictures; further options (`mean`, `std`) go to `imshow`.

    >>> axes = show_batch(train)
    >>> axes = show_batch(torch.rand(2, 3, 32, 32), [1, 0], classes=["ant", "bee"])
    """
    classes = classes or getattr(pictures, "classes", None)
    items = _first(count, pictures, labels)
    panels = _grid(len(items), columns)
    for ax, (picture, label) in zip(panels, items, strict=True):
        imshow(picture, _name(label, classes), ax=ax, **options)
    return panels


@_course_style()
def show_predictions(
    pictures: Any,
    scores: torch.Tensor,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 10,
    columns: int = 5,
    **options: Any,
) -> list[Axes]:
    """Draw pictures with the class a network gave them, and how sure it was.

    A right answer has a tick and a thin frame, a wrong one a cross, a thick dashed
    frame and the true class. `scores` are those of the network, or probabilities.

    >>> axes = show_predictions(test, model(test.images[:12] / 255))
    """
    classes = classes or getattr(pictures, "classes", None)
    chances = _probabilities(scores)
    items = _first(min(count, len(chances)), pictures, labels)
    panels = _grid(len(items), columns, lines=2)
    for ax, (picture, label), row in zip(panels, items, chances, strict=False):
        guess = int(row.argmax())
        title = f"{_name(guess, classes)} {row[guess]:.0%}"
        imshow(picture, title, ax=ax, **options)
        if label is not None:
            right = guess == int(label)
            truth = "" if right else f"true: {_name(label, classes)}"
            ax.set_title(f"{'✓' if right else '✗'} {title}\n{truth}")
            ax.set_axis_on()
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, **(RIGHT if right else WRONG))
    return panels


@_course_style()
def show_kernels(
    layer: torch.nn.Module | torch.Tensor, *, count: int = 16, ax: Axes | None = None
) -> Axes:
    """Draw the kernels of a convolution: a column each, a row for each input channel.

    White is 0, orange above and purple below it, on one scale for all; where there is
    room, the weights stand in their cells. `layer` is a `Conv2d` or its weights; at
    most the first `count` kernels and 8 channels are drawn.

    >>> ax = show_kernels(torch.nn.Conv2d(3, 6, kernel_size=5))
    """
    import matplotlib.pyplot as plt

    weights = _as_array(getattr(layer, "weight", layer))
    if weights.ndim != 4:
        raise ValueError(f"a Conv2d's weights have 4 axes, not shape {weights.shape}")
    shown = weights[:count, :8]
    # A gap of NaN, which is not painted, keeps neighbouring kernels apart.
    gaps = np.pad(shown, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
    mosaic = np.block([list(row) for row in gaps.swapaxes(0, 1)])[:-1, :-1]
    limit = np.abs(shown).max() or 1
    rows, columns = mosaic.shape
    cell = min(0.3, (PAGE - 1.6) / columns)
    ax = ax or plt.subplots(figsize=(1.6 + cell * columns, 0.6 + cell * rows))[1]
    drawn = ax.imshow(mosaic, cmap="PuOr_r", vmin=-limit, vmax=limit)
    if mosaic.size <= 300:
        _write_cells(ax, mosaic, "{:.2g}", np.abs(mosaic) > 0.6 * limit)
    _number_kernels(ax, shown.shape, weights.shape)
    ax.figure.colorbar(drawn, ax=ax, label="weight")
    return ax


@_course_style()
def show_masks(
    picture: Any,
    mask: Any,
    prediction: Any = None,
    *,
    classes: Sequence[str] | None = None,
    **options: Any,
) -> list[Axes]:
    """Draw a picture, its mask over it, and on demand a predicted mask.

    Masks hold class numbers, or True and False. Class 0 stays bare; each other class
    is tinted and outlined, with a line style of its own.

    >>> axes = show_masks(image, mask, prediction=scores[0].argmax(dim=0))
    """
    masks = {"mask": _mask_array(mask)}
    if prediction is not None:
        guess = _mask_array(prediction)
        right = np.mean(guess == masks["mask"])
        masks[f"prediction, {right:.1%} right"] = guess
    # Room for every class, whichever of them this picture happens to show.
    named = classes or np.unique(np.stack([*masks.values()]))
    panels = _grid(1 + len(masks), 3, lines=len(named))
    imshow(picture, "picture", ax=panels[0], **options)
    for ax, (title, numbers) in zip(panels[1:], masks.items(), strict=True):
        imshow(picture, title, ax=ax, **options)
        _outline(ax, numbers, classes)
    return panels


@_course_style()
def plot_history(history: Any) -> list[Axes]:
    """Draw how training went: the loss, the accuracy and what else was recorded.

    `history` has lists of one number an epoch, as attributes or in a dictionary,
    called `train_loss`, `val_loss`, `train_accuracy` ... Training is a solid line,
    validation a dashed one. Its best epoch is marked: of least loss, or most of others.

    >>> axes = plot_history({"train_loss": [0.9, 0.5], "val_loss": [0.8, 0.7]})
    """
    import matplotlib.pyplot as plt

    records = history if isinstance(history, Mapping) else vars(history)
    curves = {
        name: np.array(values, dtype=float)  # None becomes NaN
        for name, values in records.items()
        if name.startswith(("train_", "val_")) and len(values)
    }
    if not curves:
        raise ValueError("the history holds no epoch: no train_loss, val_loss ...")
    metrics = list(dict.fromkeys(name.partition("_")[2] for name in curves))
    _, panels = plt.subplots(1, len(metrics), figsize=(PAGE, 2.8), squeeze=False)
    for ax, metric in zip(panels.flat, metrics, strict=True):
        _plot_metric(ax, metric, curves)
    return list(panels.flat)


@_course_style()
def plot_confusion(
    matrix: Any, classes: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw a confusion matrix: the counts, shaded by their share of the true class.

    >>> ax = plot_confusion(confusion(predictions, labels), ["ant", "bee"])
    """
    import matplotlib.pyplot as plt

    counts = _as_array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 0.4 * len(counts)
    ax = ax or plt.subplots(figsize=(side + 2.1, side + 1.1))[1]
    drawn = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    _write_cells(ax, counts, "{:,.0f}", shares > 0.5)
    names = classes or [str(number) for number in range(len(counts))]
    ax.set_yticks(range(len(counts)), names)
    ax.set_xticks(range(len(counts)), names)
    if max(map(len, names)) > 4:
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right")
    ax.tick_params(length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.figure.colorbar(drawn, ax=ax, label="share of the row", format="{x:.0%}")
    return ax


def _grid(count: int, columns: int, lines: int = 1) -> list[Axes]:
    """Axes for `count` pictures with `lines` of text; `columns` of them fill a page."""
    import matplotlib.pyplot as plt

    if count == 0:
        raise ValueError("there is nothing to draw")
    side, columns = PAGE / columns, min(columns, count)
    rows = -(-count // columns)
    size = side * columns, (side + 0.2 * lines) * rows
    figure = plt.figure(figsize=size, layout="compressed")
    return [figure.add_subplot(rows, columns, place + 1) for place in range(count)]


def _first(count: int, pictures: Any, labels: Any) -> list[tuple[Any, Any]]:
    """The first pictures, each with its label or None."""
    if isinstance(pictures, Dataset):
        pictures, own = zip(*islice(iter(pictures), count), strict=True)
        labels = own if labels is None else labels
    pictures = pictures[:count]
    labels = [None] * len(pictures) if labels is None else labels[:count]
    return list(zip(pictures, labels, strict=True))


def _name(label: Any, classes: Sequence[str] | None) -> str:
    if label is None or np.ndim(label):  # a mask is no name: show_masks draws those
        return ""
    return classes[int(label)] if classes else str(int(label))


def _probabilities(scores: torch.Tensor) -> torch.Tensor:
    """Scores as probabilities; those that already sum to 1 stay as they are."""
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(
            "scores have one row a picture and one column a class, at least two; got "
            f"the shape {tuple(scores.shape)}"
        )
    scores = scores.detach().float().cpu()
    off = (scores.sum(dim=1) - 1).abs()
    return scores if (scores >= 0).all() and (off < 1e-3).all() else scores.softmax(1)


def _number_kernels(ax: Axes, shown: Sequence[int], every: Sequence[int]) -> None:
    """Number the columns and rows, and say how many kernels are left out."""
    for i, axis, label in (0, ax.xaxis, "kernel"), (1, ax.yaxis, "input channel"):
        number, all_, side = shown[i], every[i], shown[3 - i]
        middles = np.arange(number) * (side + 1) + (side - 1) / 2
        axis.set_ticks(middles, [str(place) for place in range(number)])
        more = f" (the first {number} of {all_})" if number < all_ else ""
        axis.set_label_text(label + more)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _write_cells(ax: Axes, values: np.ndarray, form: str, dark: np.ndarray) -> None:
    """Write each number into its cell, in white where the cell is dark."""
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            ink = "white" if dark[row, column] else "black"
            text = ax.text(column, row, form.format(value), ha="center", va="center")
            text.set(color=ink, size=8)


def _mask_array(mask: Any) -> np.ndarray:
    numbers = _channels_last(mask)
    if numbers.ndim != 2 or numbers.dtype.kind == "f":
        raise ValueError(
            "a mask has the shape (height, width) and holds class numbers, not "
            f"{numbers.dtype} in the shape {numbers.shape}"
        )
    return numbers


def _outline(ax: Axes, mask: np.ndarray, classes: Sequence[str] | None) -> None:
    """Tint and outline every class but the first, and name them below the picture."""
    from matplotlib.colors import to_rgba

    legend = []
    for number in np.unique(mask[mask > 0]):
        colour, style = LINES[(int(number) - 1) % len(LINES)]
        inside = mask == number
        ax.imshow(inside[..., None] * np.array(to_rgba(colour, 0.25)))
        if not inside.all():
            ax.contour(inside, [0.9], colors=colour, linestyles=style, linewidths=0.9)
        legend += ax.plot([], [], style, color=colour, label=_name(number, classes))
    ax.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, 0))


def _plot_metric(ax: Axes, metric: str, curves: Mapping[str, np.ndarray]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for part, label, style in (("train", "training", "-"), ("val", "validation", "--")):
        values = curves.get(f"{part}_{metric}")
        if values is not None:
            ax.plot(range(1, len(values) + 1), values, style, marker=".", label=label)
    if values is not None and np.isfinite(values).any():
        best = int((np.nanargmin if metric == "loss" else np.nanargmax)(values))
        ax.plot(best + 1, values[best], "ko", label=f"best: epoch {best + 1}")
    ax.set(xlabel="epoch", title=metric.replace("_", " "))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.legend()


def _channels_last(picture: Any) -> np.ndarray:
    """The picture as an array of shape (height, width) or (height, width, 3 or 4)."""
    pixels = _as_array(picture)
    pixels = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    shape = pixels.shape
    ends = [end for end in (0, -1) if len(shape) == 3 and shape[end] in (1, 3, 4)]
    if not pixels.size or not (ends or len(shape) == 2):
        hint = ": pick one, for example with batch[0]" if len(shape) == 4 else ""
        raise ValueError(
            "a picture has the shape (height, width), (channels, height, width) or "
            "(height, width, channels), with 1, 3 or 4 channels and no side of length "
            f"0; got {shape}{hint}"
        )
    if ends:  # where both could be meant, tensors come channels first and arrays last
        end = ends[0 if isinstance(picture, torch.Tensor) else -1]
        pixels = np.moveaxis(pixels, end, -1)
    return pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels


def _as_array(picture: Any) -> np.ndarray:
    """Any tensor, array, PIL picture or nested list as an array of real numbers."""
    kind = type(picture).__name__
    try:
        if isinstance(picture, torch.Tensor):
            floats = picture.is_floating_point()  # NumPy lacks some of torch's types
            picture = (picture.cpu().double() if floats else picture).numpy(force=True)
        pixels = np.asarray(picture)
    except (ValueError, RuntimeError) as error:
        raise TypeError(f"this {kind} cannot be read as a picture: {error}") from None
    if pixels.dtype.kind not in "biuf":
        raise TypeError(f"this draws numbers, not a {kind} of type {pixels.dtype}")
    if broken := pixels.size - np.isfinite(pixels).sum():
        raise ValueError(
            f"{broken} of the picture's {pixels.size} values are NaN or infinite"
        )
    return pixels.astype(np.float64) if pixels.dtype.kind == "f" else pixels


def _between_0_and_1(pixels: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 255 and fractions from 0 to 1; all else is stretched."""
    # Fractions may be a little off, as rounding leaves them: those are only clipped.
    top, slack = (255, 0) if pixels.dtype.kind in "iu" else (1, 0.01)
    shades: np.ndarray = pixels / top
    low, high = shades.min(), shades.max()
    if low < -slack or high > 1 + slack:
        # Halves, because the whole distance between two huge numbers can be infinite.
        shades = (shades / 2 - low / 2) / ((high / 2 - low / 2) or 1)
    return shades.clip(0, 1)
