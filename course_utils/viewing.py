"""Draw images, and what a network makes of them.

Each function draws a figure and returns its axes: one where it draws one, a list where
it draws several. A notebook shows the figure at the end of the cell by itself. As a
cell's last line, end the call with a semicolon, so that the axes are not printed too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from PIL.Image import Image
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from course_utils import History

ImageLike: TypeAlias = ArrayLike | Image  # a tensor is like an array
# A batch, a list of images, a data set, or a loader, of which the first batch is drawn.
Images: TypeAlias = ArrayLike | Iterable[Any] | Dataset[Any]

PAGE = 8.0  # inches from side to side
CURVES = {"train": ("training", "-"), "val": ("validation", "--")}
# Right and wrong answers differ in more than colour, and so do the classes of masks.
RIGHT = {"color": "#0072B2", "linewidth": 1.5}
WRONG = {"color": "#D55E00", "linewidth": 3, "linestyle": (0, (2, 2.5))}
LINES = (("#E69F00", "-"), ("#56B4E9", "--"), ("#009E73", ":"), ("#CC79A7", "-."))


def imshow(
    picture: ImageLike,
    title: str = "",
    *,
    mean: ArrayLike = 0,
    std: ArrayLike = 1,
    ax: Axes | None = None,
) -> Axes:
    """Draw one image: any tensor, array or PIL image, channels first, last or absent.

    Whole numbers are read as 0 to 255 and fractions as 0 to 1. Values beyond are
    stretched between the image's own darkest and brightest. Fractions that were
    normalised with `mean` and `std` get their colours back when you pass them again.

    >>> ax = imshow(torch.rand(3, 32, 32), "noise")
    """
    pixels = _channels_last(picture)
    if pixels.dtype.kind in "iu":
        pixels = pixels / 255
    else:
        pixels = pixels * _as_array(std).ravel() + _as_array(mean).ravel()
    low, high = pixels.min(), pixels.max()
    # Rounding may leave fractions a little beyond 0 and 1: those are only clipped.
    if low < -0.01 or high > 1.01:
        pixels = (pixels - low) / ((high - low) or 1)
    ax = ax or _grid(1, columns=3)[0]
    ax.imshow(pixels.clip(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def show_batch(
    pictures: Images,
    labels: ArrayLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 16,
    columns: int = 8,
    **options: ArrayLike,
) -> list[Axes]:
    """Draw the first `count` images, each under the name of its class.

    The fewer `columns`, the larger the images. Options (`mean`, `std`) go to `imshow`.

    >>> axes = show_batch(torch.rand(2, 3, 32, 32), [1, 0], classes=["ant", "bee"])
    """
    classes = classes or getattr(pictures, "classes", None)
    items = _first(count, pictures, labels)
    panels = _grid(len(items), columns)
    for ax, (picture, label) in zip(panels, items, strict=True):
        imshow(picture, _name(label, classes), ax=ax, **options)
    return panels


def show_predictions(
    pictures: Images,
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 10,
    columns: int = 5,
    **options: ArrayLike,
) -> list[Axes]:
    """Draw images with the class a network gave them, and how sure it was.

    A right answer has a tick and a thin frame, a wrong one a cross, a thick dashed
    frame and the true class. `scores` are those of the network, or probabilities.

    >>> axes = show_predictions(torch.rand(2, 28, 28), [[2.5, 0], [0, 1]], [0, 0])
    """
    classes = classes or getattr(pictures, "classes", None)
    rows = torch.as_tensor(scores).detach().float().cpu()
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(f"scores need a column for each class, not {rows.shape}")
    if rows.isnan().any():
        raise ValueError("some scores are NaN, so no class has the highest score")
    are_probabilities = (rows >= 0).all() and ((rows.sum(1) - 1).abs() < 1e-3).all()
    probabilities = rows if are_probabilities else rows.softmax(dim=1)
    items = _first(min(count, len(rows)), pictures, labels)
    panels = _grid(len(items), columns, lines=2)
    for ax, (picture, label), row in zip(panels, items, probabilities, strict=False):
        guess = int(row.argmax())
        title = f"{_name(guess, classes)} {row[guess]:.0%}"
        imshow(picture, title, ax=ax, **options)
        if label is not None:
            truth = _name(label, classes)
            right = guess == int(label)
            ax.set_title(f"✓ {title}\n" if right else f"✗ {title}\ntrue: {truth}")
            ax.set_axis_on()
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, **(RIGHT if right else WRONG))
    return panels


def show_kernels(
    layer: torch.nn.Module | ArrayLike, *, count: int = 16, ax: Axes | None = None
) -> Axes:
    """Draw the kernels of a convolution: a column each, a row for each input channel.

    White is 0, orange above and purple below it, on one scale for all. `layer` is a
    `Conv2d` or its weights. At most `count` kernels and 8 channels are drawn.

    >>> ax = show_kernels(torch.nn.Conv2d(3, 6, kernel_size=5))
    """
    weights = _as_array(getattr(layer, "weight", layer))
    if weights.ndim != 4:
        raise ValueError(f"a Conv2d's weights have 4 axes, not shape {weights.shape}")
    drawn = weights[:count, :8]
    kernels, channels, height, width = drawn.shape
    # A gap of NaN, which is not painted, keeps neighbouring kernels apart.
    gaps = np.pad(drawn, [(0, 0), (0, 0), (0, 1), (0, 1)], constant_values=np.nan)
    mosaic = np.block([list(row) for row in gaps.swapaxes(0, 1)])[:-1, :-1]
    limit = np.abs(drawn).max() or 1
    ax = ax or plt.subplots(figsize=(PAGE, 3), layout="constrained")[1]
    image = ax.imshow(mosaic, cmap="PuOr_r", vmin=-limit, vmax=limit)
    numbers = [str(number) for number in range(max(kernels, channels))]
    ax.set_xticks((np.arange(kernels) + 0.5) * (width + 1) - 1, numbers[:kernels])
    ax.set_yticks((np.arange(channels) + 0.5) * (height + 1) - 1, numbers[:channels])
    ax.set(xlabel="kernel", ylabel="input channel")
    if drawn.size < weights.size:
        title = "{} of {} kernels, {} of {} channels"
        ax.set_title(title.format(kernels, len(weights), channels, weights.shape[1]))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label="weight")
    return ax


def show_masks(
    picture: ImageLike,
    mask: ArrayLike,
    prediction: ArrayLike | None = None,
    *,
    classes: Sequence[str] | None = None,
    **options: ArrayLike,
) -> list[Axes]:
    """Draw an image, its mask over it, and on demand a predicted mask.

    Masks hold class numbers, or True and False. Class 0 stays bare. Each other class
    is tinted and outlined, with a line style of its own.

    >>> mask = torch.eye(32, dtype=torch.bool)
    >>> axes = show_masks(torch.rand(3, 32, 32), mask, prediction=mask.flip(0))
    """
    masks = {"mask": _channels_last(mask)}
    if prediction is not None:
        masks["prediction"] = _channels_last(prediction)
    shape = _channels_last(picture).shape[:2]
    for name, numbers in masks.items():
        if numbers.shape != shape or numbers.dtype.kind == "f":
            raise ValueError(
                f"the {name} should hold a class number for each pixel of the image, "
                f"in the shape {shape}"
            )
    # Room for every class, whichever of them this image happens to show.
    named = classes or np.unique(np.stack([*masks.values()]))
    panels = _grid(1 + len(masks), 3, lines=len(named))
    imshow(picture, "picture", ax=panels[0], **options)
    for ax, (name, numbers) in zip(panels[1:], masks.items(), strict=True):
        right = np.mean(numbers == masks["mask"])
        title = name if name == "mask" else f"{name}, {right:.1%} right"
        imshow(picture, title, ax=ax, **options)
        legend = []
        for number in np.unique(numbers[numbers > 0]):
            color, style = LINES[(int(number) - 1) % len(LINES)]
            area = numbers == number
            ax.imshow(area[..., None] * np.array(to_rgba(color, 0.25)))
            if not area.all():
                ax.contour(area, [0.9], colors=color, linestyles=style, linewidths=0.9)
            legend += ax.plot([], [], style, color=color, label=_name(number, classes))
        ax.legend(handles=legend, loc="upper center", bbox_to_anchor=(0.5, 0))
    return panels


def plot_history(history: History | Mapping[str, Any]) -> list[Axes]:
    """Draw how training went: a panel for the loss, and one for each other measure.

    Takes the `History` that `fit` returns, or a dictionary of lists with one number an
    epoch. The best epoch of the validation is marked: of least loss, or most of others.

    >>> axes = plot_history({"train_loss": [0.9, 0.5], "val_accuracy": [0.6, 0.8]})
    """
    records = history if isinstance(history, Mapping) else vars(history)
    curves: dict[str, dict[str, np.ndarray]] = {}
    for name, numbers in records.items():
        part, _, measure = name.partition("_")
        if part in CURVES and np.isfinite(values := np.array(numbers, float)).any():
            curves.setdefault(measure, {})[part] = values
    if not curves:
        raise ValueError("the history holds no epoch: no train_loss, val_loss ...")
    figure = plt.figure(figsize=(PAGE, 2.8), layout="constrained")
    panels = list(figure.subplots(1, len(curves), squeeze=False).flat)
    for ax, (measure, parts) in zip(panels, curves.items(), strict=True):
        name = measure.replace("score", records.get("score_name", "score"))
        for part, values in parts.items():
            label, style = CURVES[part]
            epochs = range(1, len(values) + 1)
            ax.plot(epochs, values, style, marker=".", label=label)
        if "val" in parts:
            best = int((np.nanargmin if name == "loss" else np.nanargmax)(parts["val"]))
            ax.plot(best + 1, parts["val"][best], "ko", label=f"best: epoch {best + 1}")
        ax.set(xlabel="epoch", title=name.replace("_", " "))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if name.endswith("accuracy"):
            ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.legend()
    return panels


def plot_confusion(
    matrix: ArrayLike, classes: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw a confusion matrix: its numbers, shaded by their share of the true class.

    >>> ax = plot_confusion([[8, 2], [1, 9]], classes=["ant", "bee"])
    """
    numbers = _as_array(matrix)
    names = classes or [str(number) for number in range(len(numbers))]
    count = len(names)
    if numbers.shape != (count, count):
        raise ValueError(f"{count} classes, but a matrix of the shape {numbers.shape}")
    totals = numbers.sum(axis=1, keepdims=True)
    shares = numbers / np.where(totals == 0, 1, totals)
    size = 0.4 * count + 2.1, 0.4 * count + 1.1
    ax = ax or plt.subplots(figsize=size, layout="constrained")[1]
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    form = "{:,.0f}" if (numbers == numbers.round()).all() else "{:.2f}"
    for (row, column), share in np.ndenumerate(shares):
        text = ax.text(column, row, form.format(numbers[row, column]), size=8)
        text.set(ha="center", va="center", color="white" if share > 0.5 else "black")
    ax.set_yticks(range(count), names)
    ax.set_xticks(range(count), names)
    if max(map(len, names)) > 4:
        plt.setp(ax.get_xticklabels(), rotation=45, ha="right")
    ax.tick_params(length=0)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.figure.colorbar(image, ax=ax, label="share of the row", format="{x:.0%}")
    return ax


def _grid(count: int, columns: int, lines: int = 1) -> list[Axes]:
    """Axes for `count` images with `lines` of text; `columns` of them fill a page."""
    if count < 1 or columns < 1:
        raise ValueError(f"there is nothing to draw: {count} images, {columns} columns")
    side, columns = PAGE / columns, min(columns, count)
    rows = -(-count // columns)
    size = side * columns, (side + 0.2 * lines) * rows
    figure = plt.figure(figsize=size, layout="compressed")
    return [figure.add_subplot(rows, columns, place + 1) for place in range(count)]


def _first(count: int, pictures: Any, labels: Any) -> list[tuple[Any, Any]]:
    """The first images, each with its label or None."""
    if isinstance(pictures, Dataset):
        items = list(islice(iter(pictures), count))
    elif hasattr(pictures, "__getitem__"):
        items = [(image, None) for image in pictures[:count]]
    else:  # a loader
        items = list(zip(*next(iter(pictures), ()), strict=True))[:count]
    if labels is not None:
        pairs = zip(items, labels[:count], strict=True)
        items = [(image, label) for (image, _), label in pairs]
    return items


def _name(label: Any, classes: Sequence[str] | None) -> str:
    if label is None or np.ndim(label):  # a mask is no name: show_masks draws those
        return ""
    number = int(label)
    if number != label or (classes and not 0 <= number < len(classes)):
        raise ValueError(f"label {label} is not the number of a class")
    return classes[number] if classes else str(number)


def _channels_last(picture: ImageLike) -> np.ndarray:
    """The image as an array of shape (height, width) or (height, width, 3 or 4)."""
    pixels = _as_array(picture)
    pixels = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    first, last = (pixels.ndim == 3 and pixels.shape[i] in (1, 3, 4) for i in (0, -1))
    if not pixels.size or not (pixels.ndim == 2 or first or last):
        raise ValueError(
            "one image has the shape (height, width), or a third axis with 1, 3 or 4 "
            f"channels; this has the shape {pixels.shape}"
        )
    # Where both could be meant, tensors come channels first and arrays last.
    if first and (isinstance(picture, torch.Tensor) or not last):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels


def _as_array(values: object) -> np.ndarray:
    """Any tensor, array, PIL image or nested list as an array of real numbers."""
    if isinstance(values, torch.Tensor):
        floats = values.is_floating_point()  # NumPy lacks some of torch's types
        values = (values.cpu().double() if floats else values).numpy(force=True)
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"cannot draw {array.dtype}: numbers are needed")
    if broken := array.size - np.isfinite(array).sum():
        raise ValueError(f"{broken} of {array.size} values are NaN or infinite")
    return array.astype(np.float64) if array.dtype.kind == "f" else array
