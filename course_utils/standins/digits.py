"""In place of MNIST: digits written with a pen of varying width."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from course_utils.standins.drawing import (
    Array,
    as_bytes,
    balanced_labels,
    between,
    generator,
    train_and_test,
)

# Every digit in one or more ways of writing it; a way is one or more strokes, and a
# stroke a curve through points of a grid: "61" lies 6 to the right and 1 down.
DIGITS = [
    ["40 11 04 17 39 58 65 62 40 20", "30 12 05 18 39 58 65 51 30"],
    ["40 34 29", "40 39", "12 30 / 30 34 39 / 19 59", "12 40 / 40 34 29"],
    ["02 11 30 51 53 36 09 / 09 39 69", "12 20 41 53 35 17 19 28 49 68"],
    ["11 30 51 53 34 24 / 24 34 55 57 39 19 08", "01 60 / 60 34 / 34 55 58 39 08"],
    ["20 12 05 / 05 35 65 / 51 45 39", "50 05 / 05 65 / 50 54 49"],
    ["60 20 / 20 14 / 14 33 54 66 58 39 19 08", "51 21 / 21 15 / 15 44 56 48 29 18"],
    ["50 23 06 18 39 58 56 35 15 07", "30 13 06 08 29 49 57 46 25 07"],
    ["01 30 60 / 60 44 29", "10 60 / 60 35 29 / 24 54", "03 11 / 11 60 / 60 43 39"],
    ["52 30 12 23 35 56 48 29 17 26 35 53 52", "41 20 12 34 57 49 28 17 35 52 41"],
    ["52 30 12 13 25 44 52 / 52 54 49", "50 21 13 34 53 50 / 50 55 48 29 18"],
]


def standin_mnist() -> dict[str, Array]:
    """Handwritten digits, 60,000 to learn from and 10,000 to test with."""
    rng = generator(1)
    labels = balanced_labels(rng, 60_000, 10_000)
    images = np.zeros((70_000, 28, 28), np.uint8)
    for digit, ways in enumerate(DIGITS):
        places = np.flatnonzero(labels == digit)
        way = rng.integers(len(ways), size=len(places))
        for index, strokes in enumerate(ways):
            chosen = places[way == index]
            for some in np.array_split(chosen, 4):
                images[some] = _written(rng, strokes, len(some))
    return train_and_test(images, labels, 60_000)


def _written(rng: Generator, strokes: str, count: int) -> Array:
    """One way of writing a digit, written `count` times by different hands."""
    corners, blend = _pen_path(strokes)
    care = between(rng, 0.4, 1.26, count, 1, 1)
    jitter = care * between(rng, -1, 1, count, len(corners), 2)
    places = blend @ (corners - [3.0, 4.5] + jitter)
    places = places @ _hand(rng, count) + between(rng, 11.8, 15.2, count, 1, 2)
    ink = _drops_of_ink(np.rint(places * 16).astype(np.int64).clip(16, 26 * 16))
    for axis in (1, 2):  # a round nib, about three pixels wide
        ink = np.roll(ink, 1, axis) + 2 * ink + np.roll(ink, -1, axis)
    pressure = rng.integers(6, 16, (count, 1, 1))
    speed = rng.integers(10, 110, (count, 1, 1))  # a hasty pen leaves a thinner line
    return as_bytes(ink * pressure // 60 - speed)


def _pen_path(strokes: str) -> tuple[Array, Array]:
    """The corners of all strokes, and how each point of the curve blends them."""
    corners, blends = [], []
    for stroke in strokes.split(" / "):
        points = np.array([[int(n) for n in point] for point in stroke.split()], float)
        reach = np.abs(np.diff(points, axis=0)).max(axis=1).sum()
        corners.append(points)
        blends.append(_spline(len(points), int(5 * reach)))
    blend = np.zeros((sum(map(len, blends)), sum(map(len, corners))))
    row = column = 0
    for part in blends:
        blend[row : row + len(part), column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    return np.concatenate(corners), blend


def _spline(corners: int, points: int) -> Array:
    """Weights (points, corners) of a smooth curve that passes through its corners."""
    place = np.linspace(0, corners - 1 - 1e-9, points)
    left = place.astype(int)
    t = place - left
    weights = np.zeros((points, corners))
    for shift, share in (
        (-1, (-t + 2 * t**2 - t**3) / 2),
        (0, (2 - 5 * t**2 + 3 * t**3) / 2),
        (1, (t + 4 * t**2 - 3 * t**3) / 2),
        (2, (t**3 - t**2) / 2),
    ):
        nearest = (left + shift).clip(0, corners - 1)
        np.add.at(weights, (np.arange(points), nearest), share)
    return weights


def _hand(rng: Generator, count: int) -> Array:
    """How each hand stretches, slants and turns what it writes: (count, 2, 2)."""
    wide, tall = between(rng, 1.35, 2.3, count), between(rng, 1.75, 2.15, count)
    slant, turn = between(rng, -0.55, 0.25, count), between(rng, -0.2, 0.2, count)
    rows = [np.stack([wide, wide * turn], -1), np.stack([tall * slant, tall], -1)]
    return np.stack(rows, 1)


def _drops_of_ink(places: Array) -> Array:
    """Drops of ink on a 28x28 grid; places (count, points, 2) in sixteenths."""
    count = len(places)
    (x, y), (right, down) = (np.moveaxis(n, -1, 0) for n in (places >> 4, places & 15))
    base = (np.arange(count)[:, None] * 28 + y) * 28 + x
    drops = [
        (base, (16 - right) * (16 - down)),
        (base + 1, right * (16 - down)),
        (base + 28, (16 - right) * down),
        (base + 29, right * down),
    ]
    where, amount = (
        np.concatenate(part, axis=None) for part in zip(*drops, strict=True)
    )
    ink = np.bincount(where, amount, count * 784)
    return ink.reshape(count, 28, 28).astype(np.int64)
