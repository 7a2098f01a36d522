"""What all stand-ins share: random numbers, textures, ovals and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[Any]


def generator(number: int) -> Generator:
    """The random numbers of one stand-in, the same on every machine."""
    return Generator(np.random.PCG64(20_260_000 + number))


def between(rng: Generator, low: Any, high: Any, *shape: int) -> Any:
    """A random number, or an array of them, from `low` to `high`."""
    low, high = np.asarray(low), np.asarray(high)
    return low + (high - low) * rng.random(shape)


def as_bytes(values: Array) -> Array:
    """Values as bytes, rounded; what lies outside 0 to 255 becomes 0 or 255."""
    pixels: Array = np.rint(values).clip(0, 255).astype(np.uint8)
    return pixels


def balanced_labels(rng: Generator, *counts: int) -> Array:
    """Labels 0 to 9 in a random order, all equally often in each part."""
    parts = [rng.permutation(np.arange(count) % 10) for count in counts]
    return np.concatenate(parts).astype(np.uint8)


def train_and_test(images: Array, labels: Array, train: int) -> dict[str, Array]:
    """The arrays under the names that the prepared files use."""
    return {
        "train_images": images[:train],
        "train_labels": labels[:train],
        "test_images": images[train:],
        "test_labels": labels[train:],
    }


def grain_texture(rng: Generator, side: int) -> Array:
    """A square texture with coarse and fine structure, 0 to 255."""
    layers = [smooth_noise(rng, cell, side, side) for cell in (24, 9, 3)]
    return as_bytes((layers[0] * 3 + layers[1] * 2 + layers[2]) / 6 * 255)


def smooth_noise(rng: Generator, cell: int | Sequence[int], *shape: int) -> Array:
    """Random numbers from 0 to 1 that change gently, over some `cell` pixels."""
    cells = [cell] * len(shape) if isinstance(cell, int) else cell
    coarse = [n // c + 2 for n, c in zip(shape, cells, strict=True)]
    values = rng.random(coarse, np.float32)
    for axis, (length, size) in enumerate(zip(shape, cells, strict=True)):
        place = np.arange(length) / size
        left = place.astype(int)
        t = (place - left).astype(np.float32)
        t = (t * t * (3 - 2 * t)).reshape(-1, *[1] * (len(shape) - 1 - axis))
        values = values.take(left, axis) * (1 - t) + values.take(left + 1, axis) * t
    return values


def coverage(
    x: Array,
    y: Array,
    centre: tuple[Any, Any],
    axes: tuple[Any, Any],
    degrees: Any,
    soft: float = 1.0,
    box: bool = False,
) -> Array:
    """How much of each pixel an oval or a box covers, from 0 to 1."""
    turn = np.deg2rad(degrees)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    (left, top), (a, b) = (np.asarray(pair, np.float32) for pair in (centre, axes))
    right, down = x - left, y - top
    u = ((right * cos + down * sin) / a) ** 2
    v = ((down * cos - right * sin) / b) ** 2
    if box:
        u, v = u * u, v * v
        radius = np.sqrt(np.sqrt(np.sqrt(u * u + v * v)))
    else:
        radius = np.sqrt(u + v)
    cover: Array = ((1 - radius) * np.minimum(a, b) / np.float32(soft) + 0.5).clip(0, 1)
    return cover


def paint(
    canvas: Array,
    place: Any,
    axes: Any,
    degrees: float,
    colour: Any,
    opacity: float = 1,
) -> None:
    """Paint an oval onto a canvas (height, width, ...); only its box is touched."""
    (x, y), (a, b) = place, axes
    reach = max(a, b) + 2
    left, top = max(int(x - reach), 0), max(int(y - reach), 0)
    box = canvas[top : max(int(y + reach) + 2, 0), left : max(int(x + reach) + 2, 0)]
    if not box.size:
        return
    across = np.arange(left, left + box.shape[1], dtype=np.float32)
    down = np.arange(top, top + box.shape[0], dtype=np.float32)[:, None]
    cover = coverage(across, down, place, (a, max(b, 0.7)), degrees) * np.float32(
        opacity
    )
    cover = cover.reshape(*cover.shape, *[1] * (box.ndim - 2))
    box += (np.asarray(colour, np.float32) - box) * cover
