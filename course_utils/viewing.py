"""Draw images, and what a network makes of them.

Each function returns the axes that it drew on. As a cell's last line, end the call with
a semicolon, so that the axes are not printed below the figure.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from torch.utils.data import Dataset

from course_utils.training import History

PAGE = 8.0  # inches from side to side
LINES = (("#E69F00", "-"), ("#56B4E9", "--"), ("#009E73", ":"), ("#CC79A7", "-."))


def imshow(
    image: Any, title: str = "", *, mean: Any = 0, std: Any = 1, ax: Axes | None = None
) -> Axes:
    """Draw one image: any tensor, array or PIL image, channels first, last or absent.

    Whole numbers are read as 0 to 255 and fractions as 0 to 1. Values beyond are
    stretched between the image's own darkest and brightest. Fractions that were
    normalised with `mean` and `std` get their colours back when you pass them again.

    >>> ax = imshow(torch.rand(3, 32, 32), "noise")
    """
    pixels = _pixels(image)
    if pixels.dtype.kind in "iu":
        pixels = pixels / 255
    else:
        pixels = pixels * np.ravel(std) + np.ravel(mean)
    low, high = pixels.min(), pixels.max()
    # Rounding may leave fractions a little beyond 0 and 1: those are only clipped.
    if low < -0.01 or high > 1.01:
        pixels = (pixels - low) / ((high - low) or 1)
    ax = ax or plt.subplots(figsize=(3, 3), layout="compressed")[1]
    ax.imshow(pixels.clip(0, 1), cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def show_batch(
    images: Any,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 16,
    columns: int = 8,
    **options: Any,
) -> list[Axes]:
    """Draw the first `count` images, each under the name of its class.

    `images` are a batch, a list, a data set, or a loader, which gives its first batch.
    The fewer `columns`, the larger the images. Options (`mean`, `std`) go to `imshow`.

    >>> axes = show_batch(torch.rand(2, 3, 32, 32), [1, 0], classes=["ant", "bee"])
    """
    classes = classes or getattr(images, "classes", None)
    if labels is None and isinstance(images, Dataset):
        items = list(islice(iter(images), count))
        images, labels = [image for image, _ in items], [label for _, label in items]
    elif labels is None and not hasattr(images, "__getitem__"):  # a loader
        images, labels = next(iter(images))
    panels = _draw(images[:count], columns, options)
    if labels is not None:
        for ax, label in zip(panels, labels[:count], strict=True):
            ax.set_title(_name(label, classes))
    return panels


def show_predictions(
    images: Any,
    scores: ArrayLike,
    labels: Any = None,
    *,
    classes: Sequence[str] | None = None,
    count: int = 10,
    columns: int = 5,
    **options: Any,
) -> list[Axes]:
    """Draw images with the class a network gave them, and how sure it was.

    A tick marks a right answer and a cross a wrong one, above the true class. `images`
    are a batch, and `scores` what the network gave for it, before the softmax.

    >>> axes = show_predictions(torch.rand(2, 28, 28), [[2.5, 0], [0, 1]], [0, 0])
    """
    probabilities = torch.as_tensor(scores)[:count].float().softmax(dim=1)
    if probabilities.isnan().any():
        raise ValueError("some scores are NaN, so no class has the highest score")
    panels = _draw(images[:count], columns, options, lines=2)
    for number, (ax, row) in enumerate(zip(panels, probabilities, strict=True)):
        guess = int(row.argmax())
        title = f"{_name(guess, classes)} {row[guess]:.0%}"
        if labels is not None:
            sign = "✓" if guess == labels[number] else "✗"
            title = f"{sign} {title}\ntrue: {_name(labels[number], classes)}"
        ax.set_title(title)
    return panels


def show_masks(
    image: Any, mask: Any, *, classes: Sequence[str] | None = None, **options: Any
) -> list[Axes]:
    """Draw an image, and beside it the same image under its mask.

    A mask holds class numbers, or True and False. Class 0 stays bare. Each other class
    is tinted and outlined, with a line style of its own.

    >>> axes = show_masks(torch.rand(3, 32, 32), torch.eye(32, dtype=torch.bool))
    """
    numbers, shape = _pixels(mask), _pixels(image).shape[:2]
    if numbers.shape != shape or numbers.dtype.kind == "f":
        raise ValueError(
            f"a mask needs a whole number for each pixel, in shape {shape}"
        )
    panels = _draw([image, image], 3, options, lines=3)
    for number in np.unique(numbers[numbers > 0]):
        color, style = LINES[(int(number) - 1) % len(LINES)]
        area = panels[1].contourf(numbers == number, [0.5, 1], colors=[(color, 0.25)])
        area.set(edgecolor=color, linestyle=style, linewidth=0.9)
        panels[1].plot([], [], style, color=color, label=_name(number, classes))
    panels[1].legend(
        handles=panels[1].lines, loc="upper center", bbox_to_anchor=(0.5, 0)
    )
    return panels


def plot_history(history: History) -> list[Axes]:
    """Draw how training went: the loss and the score of each epoch, a panel each.

    The best epoch, of the least loss in validation, is marked in both.

    >>> axes = plot_history(History(train_loss=[0.9, 0.5], val_score=[0.6, 0.8]))
    """
    panels = plt.subplots(1, 2, figsize=(PAGE, 2.8), layout="constrained")[1]
    best, names = history.best_epoch, {"loss": "loss", "score": history.score_name}
    for ax, (measure, name) in zip(panels, names.items(), strict=True):
        for part, style in (("train", "-"), ("val", "--")):
            curve = getattr(history, f"{part}_{measure}")
            if not np.isnan(curve).all():  # something was measured
                ax.plot(range(1, len(curve) + 1), curve, style, marker=".", label=part)
        ax.axvline(best, color="gray", linestyle=":", label=f"best: epoch {best}")
        ax.set(xlabel="epoch", title=name)
        ax.locator_params("x", integer=True)
        ax.legend()
    return list(panels)


def plot_confusion(matrix: ArrayLike, classes: Sequence[str] | None = None) -> Axes:
    """Draw a confusion matrix: its numbers, shaded by their share of the true class.

    >>> ax = plot_confusion([[8, 2], [1, 9]], classes=["ant", "bee"])
    """
    numbers = torch.as_tensor(matrix).cpu()
    shares = torch.nn.functional.normalize(numbers.double(), p=1, dim=1).numpy()
    size = 0.4 * len(numbers) + 2.1, 0.4 * len(numbers) + 1.1
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    drawn = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        text = f"{round(numbers[row, column].item(), 2):,}"
        ax.text(column, row, text, color=color, size=8, ha="center", va="center")
    ax.set_xticks(range(len(numbers)), classes)
    ax.set_yticks(range(len(numbers)), classes)
    ax.tick_params("x", rotation=90 if classes else 0)
    ax.set(xlabel="predicted class", ylabel="true class")
    figure.colorbar(drawn, label="share of the row", format="{x:.0%}")
    return ax


def _draw(images: Any, columns: int, options: Any, lines: int = 1) -> list[Axes]:
    """Draw images with `lines` of text each; `columns` of them fill a page."""
    if len(images) == 0:
        raise ValueError("there is no image to draw")
    side, columns = PAGE / columns, min(columns, len(images))
    rows = -(-len(images) // columns)
    size = side * columns, (side + 0.2 * lines) * rows
    figure = plt.figure(figsize=size, layout="compressed")
    return [
        imshow(image, ax=figure.add_subplot(rows, columns, place), **options)
        for place, image in enumerate(images, start=1)
    ]


def _name(label: Any, classes: Sequence[str] | None) -> str:
    if np.ndim(label):  # a mask, which show_masks draws
        return ""
    if classes and label not in range(len(classes)):
        raise ValueError(f"label {label} is not the number of a class")
    return classes[int(label)] if classes else f"{label:g}"


def _pixels(image: Any) -> np.ndarray:
    """Any tensor, array or PIL image as an array, with channels last or absent."""
    is_tensor = isinstance(image, torch.Tensor)
    pixels = image.numpy(force=True) if is_tensor else np.asarray(image)
    if broken := pixels.size - np.isfinite(pixels).sum():
        raise ValueError(f"{broken} of {pixels.size} values are NaN or infinite")
    # Where both could be meant, tensors come channels first and arrays last.
    first, last = (pixels.ndim == 3 and pixels.shape[i] in (1, 3, 4) for i in (0, -1))
    if first and (is_tensor or not last):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
