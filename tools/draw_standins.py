"""Draw a contact sheet of each stand-in set for the book's data page.

    python tools/draw_standins.py

Writes book/_static/standins_mnist.png and its sisters. The pictures are those of every
machine; few colours keep each sheet small enough for a page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from course_utils import standins

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"
GAP = 2  # white pixels between two pictures
Array = NDArray[Any]


def sheet(pictures: Sequence[Array], columns: int) -> Array:
    """Put pictures of one size into rows, with white between them."""
    framed = [
        np.pad(p, [(0, GAP), (0, GAP)] + [(0, 0)] * (p.ndim - 2), constant_values=255)
        for p in pictures
    ]
    rows = [framed[n : n + columns] for n in range(0, len(framed), columns)]
    whole: Array = np.concatenate([np.concatenate(row, 1) for row in rows])
    return whole[:-GAP, :-GAP]


def by_class(images: Array, labels: Array, each: int) -> list[Array]:
    """The first pictures of every class, class by class."""
    return [p for n in np.unique(labels) for p in images[labels == n][:each]]


def enlarged(picture: Array, times: int) -> Array:
    """Every pixel as a square of pixels."""
    return picture.repeat(times, 0).repeat(times, 1)


def mnist() -> Array:
    """Ten rows of digits."""
    data = standins.standin_mnist()
    return sheet(by_class(data["train_images"], data["train_labels"], 20), 20)


def cifar10() -> Array:
    """Six pictures of each kind of thing, two kinds a row."""
    data = standins.standin_cifar10()
    chosen = by_class(data["train_images"], data["train_labels"], 6)
    return sheet([enlarged(picture, 2) for picture in chosen], 12)


def ants_bees() -> Array:
    """A row of ants and a row of bees, all brought to one size."""
    pictures, labels = standins.standin_ants_bees()["train"]
    first_bee = labels.index(1)
    chosen = [*pictures[:5], *pictures[first_bee : first_bee + 5]]
    small = [Image.fromarray(p).resize((132, 99)) for p in chosen]
    return sheet([np.asarray(picture) for picture in small], 5)


def membranes() -> Array:
    """Three neighbouring slices, and the labels below them."""
    data = standins.standin_membranes()
    parts = [data[key][number] for key in ("images", "labels") for number in range(3)]
    return sheet([part[:220, :220] for part in parts], 3)


def phantoms() -> Array:
    """The four sequences of a slice and its tissues, for three volumes."""
    data = standins.make_phantoms(counts=(3, 1, 1))
    rows: list[Array] = []
    for images, labels in zip(data["train_images"], data["train_labels"], strict=True):
        middle = len(labels) // 2
        scans = (images[:, middle] * 170).clip(0, 255).astype(np.uint8)
        rows += [enlarged(scan, 3) for scan in scans]
        rows.append(enlarged(labels[middle] * np.uint8(85), 3))
    return sheet(rows, 5)


SHEETS: dict[str, tuple[Callable[[], Array], int]] = {  # with its number of colours
    "mnist": (mnist, 16),
    "cifar10": (cifar10, 240),
    "ants_bees": (ants_bees, 240),
    "membranes": (membranes, 8),
    "phantoms": (phantoms, 64),
}


def main() -> None:
    """Draw all sheets."""
    for name, (draw, colours) in SHEETS.items():
        picture = Image.fromarray(draw()).convert("RGB")
        # Of the methods that Pillow has, this one keeps the rare bright colours.
        method = Image.Quantize.MAXCOVERAGE
        small = picture.quantize(colours, method=method, dither=Image.Dither.NONE)
        path = STATIC / f"standins_{name}.png"
        small.save(path, optimize=True)
        print(f"{path.name}: {picture.size}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
