"""In place of the electron microscopy: slices through drawn cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import Generator

from course_utils.standins.drawing import (
    Array,
    as_bytes,
    between,
    generator,
    paint,
    smooth_noise,
)

CELLS = 900


def standin_membranes() -> dict[str, Array]:
    """Thirty neighbouring slices through drawn cells, as in electron microscopy."""
    rng = generator(4)
    gap, shade = _cells(rng)
    images = 132 + 34 * shade + 44 * (smooth_noise(rng, (9, 60, 60), *gap.shape) - 0.5)
    _fill_cells(rng, images)
    faint = smooth_noise(rng, (3, 45, 45), *gap.shape)
    depth = 35 + 75 * faint
    near = np.square(gap / (2.2 + 1.6 * faint))
    images -= depth / (1 + near * near)
    for cell, strength in ((2, 56), (3, 40), (7, 22)):
        images += strength * (smooth_noise(rng, (1, cell, cell), *gap.shape) - 0.5)
    images += rng.integers(-22, 23, gap.shape)
    labels = np.where(gap < 2.6, 0, 255).astype(np.uint8)
    return {"images": as_bytes(images), "labels": labels}


def _cells(rng: Generator) -> tuple[Array, Array]:
    """For each pixel, how far the nearest border is, and its cell's brightness.

    The cells are Voronoi cells in three dimensions, of various sizes and bent by a
    smooth warp, so that neighbouring slices cut them a little differently.
    """
    places = rng.random((CELLS, 3)) * (680, 680, 440) - (84, 84, 100)
    seeds = places.astype(np.float32)
    large = rng.random(CELLS) < 0.04
    weights = 5500 * large + rng.integers(0, 1500, CELLS)
    shades = rng.random(CELLS, np.float32)
    bend = [
        smooth_noise(rng, (8, 40, 40), 30, 256, 256) * 60
        + smooth_noise(rng, (4, 9, 9), 30, 256, 256) * 14
        - 37
        for _ in "xy"
    ]
    gaps, tints = [], []
    for z in range(30):
        across = np.arange(0, 512, 2, dtype=np.float32) + bend[0][z]
        down = np.arange(0, 512, 2, dtype=np.float32)[:, None] + bend[1][z]
        gap, owner = _nearest_border(across, down, np.float32(8 * z), seeds, weights)
        gaps.append(_doubled(gap))
        tints.append(shades[owner].repeat(2, 0).repeat(2, 1))
    return np.stack(gaps), np.stack(tints)


def _nearest_border(
    x: Array, y: Array, z: Any, seeds: Array, weights: Array
) -> tuple[Array, Array]:
    """How far each pixel is from where the next cell begins, and whose pixel it is.

    A pixel belongs to the nearest seed, and borders on the second nearest. Distances
    are squared, and a seed with a weight counts as nearer: its cell is larger.
    """
    nearest = np.full(x.shape, np.inf, np.float32)
    second = nearest.copy()
    owner = np.zeros(x.shape, int)
    neighbour = np.zeros(x.shape, int)
    for number, (seed, weight) in enumerate(zip(seeds, weights, strict=True)):
        beyond = (z - seed[2]) ** 2 - np.float32(weight)
        if beyond > 130**2:  # too far above or below this slice
            continue
        distance = (x - seed[0]) ** 2 + (y - seed[1]) ** 2 + beyond
        is_second = distance < second
        neighbour[is_second] = number
        second[is_second] = distance[is_second]
        is_nearest = distance < nearest
        neighbour[is_nearest] = owner[is_nearest]
        second[is_nearest] = nearest[is_nearest]
        owner[is_nearest] = number
        nearest[is_nearest] = distance[is_nearest]
    squares = np.square(seeds[owner] - seeds[neighbour])
    apart = np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2]) + 1
    return (second - nearest) / (2 * apart), owner


def _doubled(values: Array) -> Array:
    """Twice the rows and columns, the new ones half way between the old."""
    for axis in (0, 1):
        between_them = (values + np.roll(values, -1, axis)) / 2
        shape = list(values.shape)
        shape[axis] *= 2
        values = np.stack([values, between_them], axis + 1).reshape(shape)
    return values


def _fill_cells(rng: Generator, images: Array) -> None:
    """Dark mitochondria with their folds, and many small vesicles."""
    for _ in range(70):
        x, y, z, turn = between(rng, 0, 1, 4) * (512, 512, 30, 180)
        size = between(rng, (14, 9), (30, 15), 2)
        along = np.array([np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))])
        for number, part in _through(z, between(rng, 2, 5)):
            paint(images[number], (x, y), size * part, turn, 70, 0.8)
            paint(images[number], (x, y), size * part - 3, turn, 112, 0.7)
            for fold in np.arange(-0.6, 0.7, 0.3) * size[0] * part:
                place, fine = (x, y) + fold * along, (1.6, size[1] * part * 0.7)
                paint(images[number], place, fine, turn, 70, 0.6)
    for _ in range(1500):
        x, y, z = between(rng, 0, 1, 3) * (512, 512, 30)
        radius = between(rng, 3, 7)
        for number, part in _through(z, 1.2):
            for size, tone in ((radius * part, 85), (radius * part - 2, 150)):
                paint(images[number], (x, y), (size, size), 0, tone, 0.7)


def _through(z: float, deep: float) -> Iterator[tuple[int, float]]:
    """The slices that a ball around `z` reaches, and its radius in each, 1 at most."""
    for number in range(max(int(z - deep) + 1, 0), min(int(z + deep) + 1, 30)):
        yield number, float(np.sqrt(max(1 - ((number - z) / deep) ** 2, 0.05)))
