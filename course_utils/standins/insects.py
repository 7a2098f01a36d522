"""In place of the photographs of ants and bees: drawn animals on a ground."""

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

# Darkest and brightest colour of what the animals sit on; ants favour the first
# three, bees the last three.
GROUNDS = [
    [(120, 95, 70), (225, 205, 175)],  # sand
    [(60, 45, 30), (150, 115, 85)],  # bark
    [(90, 90, 90), (215, 215, 215)],  # stone
    [(25, 60, 15), (130, 180, 70)],  # leaves
    [(150, 40, 70), (255, 190, 220)],  # petals
    [(170, 130, 10), (255, 235, 120)],  # more petals
]
ANTS = [(22, 18, 18), (60, 30, 20), (120, 48, 22), (165, 90, 38)]
BEES = [(225, 165, 45), (190, 125, 40), (150, 105, 60), (80, 65, 50)]


def standin_ants_bees() -> dict[str, tuple[list[Array], list[int]]]:
    """Drawn ants (0) and bees (1): 244 images to learn from and 153 to test with."""
    rng = generator(3)
    parts = {}
    for name, ants, bees in (("train", 123, 121), ("test", 70, 83)):
        labels = [0] * ants + [1] * bees
        parts[name] = [_insect_image(rng, bool(bee)) for bee in labels], labels
    return parts


def _insect_image(rng: Generator, bee: bool) -> Array:
    """One image: a ground, things that lie about, one or two animals, and light."""
    height, width = rng.integers(200, 320, 2) * (8, 10) // 8
    ground = rng.integers(6) if rng.random() < 0.4 else rng.integers(3) + 3 * bee
    canvas = _ground(rng, GROUNDS[ground], height, width)
    for _ in range(rng.integers(5, 30)):
        _drop_something(rng, canvas)
    for _ in range(1 + (rng.random() < 0.2)):
        _draw_insect(rng, canvas, bee)
    for _ in range(rng.integers(0, 5)):
        _drop_something(rng, canvas)
    light = 0.55 + 0.8 * smooth_noise(rng, 150, height, width)[..., None]
    noise = rng.integers(-12, 13, canvas.shape)
    return as_bytes(canvas * light + noise)


def _ground(rng: Generator, colours: Any, height: int, width: int) -> Array:
    """A ground of two colours, mixed by coarse and fine structure."""
    cells = rng.integers([40, 10, 2], [90, 30, 5])
    rough = [smooth_noise(rng, int(cell), height, width) for cell in cells]
    mix = ((rough[0] * 4 + rough[1] * 3 + rough[2] * 3) / 10)[..., None]
    dark, bright = np.asarray(colours, np.float32)
    tint = rng.integers(-25, 26, 3).astype(np.float32)
    ground: Array = dark + (bright - dark) * mix + tint
    return ground


def _drop_something(rng: Generator, canvas: Array) -> None:
    """A pebble, a petal, a blade or a twig, anywhere."""
    height, width, _ = canvas.shape
    ground = GROUNDS[rng.integers(len(GROUNDS))]
    place = between(rng, 0, 1, 2) * (width, height)
    long, slim = between(rng, 4, 55), between(rng, 0.08, 0.9)
    near = canvas[rng.integers(height), rng.integers(width)]
    colour = (near + rng.integers(*np.array(ground))) / 2
    paint(canvas, place, (long, long * slim), between(rng, 0, 180), colour, 0.8)


def _draw_insect(rng: Generator, canvas: Array, bee: bool) -> None:
    """Draw one animal somewhere, in some pose, with its shadow."""
    height, width, _ = canvas.shape
    length = between(rng, 0.065, 0.255) * width
    centre = between(rng, 0.3, 0.7, 2) * (width, height)
    angle, flat = between(rng, 0, 360), between(rng, 0.65, 1.05)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    shadow = length * between(rng, -0.15, 0.15, 2)
    pieces = list(_bee(rng) if bee else _ant(rng))
    for passing in ("shadow", "animal"):
        for x, y, a, b, degrees, colour, opacity in pieces:
            turn = np.deg2rad(degrees)
            y, tip = y * flat, a * np.array([np.cos(turn), flat * np.sin(turn)])
            place = centre + length * np.array([x * cos - y * sin, x * sin + y * cos])
            a, turn = np.sqrt(tip @ tip), np.rad2deg(np.arctan2(tip[1], tip[0]))
            axes = length * a, length * b * (flat if b > 0.1 else 1)
            if passing == "shadow":
                place, colour, opacity = place + shadow, (25, 20, 20), opacity * 0.3
            paint(canvas, place, axes, turn + angle, colour, opacity)


def _ant(rng: Generator) -> Iterator[tuple[Any, ...]]:
    """An ant as ovals (x, y, a, b, degrees, colour, opacity), its head to the left."""
    coat = np.array(ANTS[rng.integers(len(ANTS))]) + rng.integers(-12, 13, 3)
    yield from _limbs(rng, coat, reach=0.75, thick=0.03)
    for side in (-1, 1):
        elbow = -0.9, side * between(rng, 0.12, 0.35)
        tip = between(rng, -1.25, -0.85), elbow[1] + side * between(rng, -0.15, 0.2)
        yield _limb((-0.6, side * 0.06), elbow, 0.025, coat)
        yield _limb(elbow, tip, 0.025, coat)
    gaster = between(rng, 0.28, 0.4)
    for x, a, b in ((0.22, 0.07, 0.06), (-0.08, 0.25, 0.11), (-0.55, 0.2, 0.16)):
        yield x, 0, a, b, 0, coat, 1
        yield x - 0.04, -0.03, a / 2, b / 2.5, 0, coat + 60, 0.5
    yield 0.26 + gaster, 0, gaster, gaster * 0.62, 0, coat * 0.7, 1
    yield 0.2 + gaster, -0.06, gaster / 2, gaster / 5, 0, coat + 70, 0.4


def _bee(rng: Generator) -> Iterator[tuple[Any, ...]]:
    """A bee as ovals, its head to the left: stripes, wings, a furry thorax."""
    coat = np.array(BEES[rng.integers(len(BEES))]) + rng.integers(-15, 16, 3)
    dark = np.array([35, 26, 20]) + rng.integers(0, 15, 3)
    yield from _limbs(rng, dark, reach=0.5, thick=0.045)
    for side in (-1, 1):
        yield _limb((-0.6, side * 0.05), (-0.85, side * 0.2), 0.03, dark)
    yield 0.48, 0, 0.52, 0.29, 0, coat, 1
    boldness = between(rng, 0.25, 0.95)
    for x in np.arange(0.2, 0.95, between(rng, 0.15, 0.24)):
        across = 0.29 * np.sqrt(1 - ((x - 0.48) / 0.52) ** 2)
        yield x, 0, 0.055, across, 0, dark, boldness
    yield -0.5, 0, 0.15, 0.19, 0, dark, 1
    for x, y in between(rng, -0.19, 0.19, 40, 2):
        hair = coat * between(rng, 0.6, 1.1)
        yield x - 0.16, y, 0.11, 0.05, between(rng, 0, 180), hair, 0.8
    lift = between(rng, 15, 50)
    for side in (-1, 1):
        yield -0.54, side * 0.13, 0.1, 0.06, 0, dark * 0.6, 1
        for long, turn in ((0.5, lift), (0.36, lift - 14)):
            x, y = long * np.cos(np.deg2rad(turn)), long * np.sin(np.deg2rad(turn))
            wing = (x - 0.1, side * (y + 0.1), long, long * 0.3, side * turn)
            yield (*wing, (225, 225, 220), between(rng, 0.1, 0.6))


def _limbs(
    rng: Generator, colour: Array, reach: float, thick: float
) -> Iterator[tuple[Any, ...]]:
    """Six legs, each with a knee."""
    for side in (-1, 1):
        for x, forward in ((-0.22, -0.5), (-0.08, 0.1), (0.06, 0.6)):
            sway = between(rng, -0.15, 0.15, 2)
            hip = x, side * 0.05
            knee = x + forward * reach * 0.5 + sway[0], side * (0.05 + reach * 0.55)
            foot = knee[0] + forward * reach * 0.6, knee[1] + side * reach * 0.45
            yield _limb(hip, knee, thick * 1.3, colour)
            yield _limb(knee, foot, thick, colour)


def _limb(start: Any, end: Any, thick: float, colour: Any) -> tuple[Any, ...]:
    """A thin oval from one point to another."""
    (x, y), (to_x, to_y) = start, end
    across, down = to_x - x, to_y - y
    long = np.sqrt(across**2 + down**2) / 2
    turn = np.rad2deg(np.arctan2(down, across))
    return (x + to_x) / 2, (y + to_y) / 2, long * 1.05, thick, turn, colour, 1
