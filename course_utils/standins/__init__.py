"""Stand-ins for the data sets: drawn pictures, for when the real ones cannot be had.

They are the same on every machine: the random numbers are NumPy's PCG64, and only
whole numbers, + - * / and square roots (which every processor rounds alike) lie
between them and the pixels. Sines and cosines, the one exception, are computed in
double precision, where a last digit that differs does not reach a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[Any]

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
    """Handwritten digits, 60,000 to learn from and 10,000 to test with.

    >>> standin_mnist()["train_images"].shape
    (60000, 28, 28)
    """
    rng = _random(1)
    labels = _balanced(rng, 60_000, 10_000)
    images = np.zeros((70_000, 28, 28), np.uint8)
    for digit, ways in enumerate(DIGITS):
        places = np.flatnonzero(labels == digit)
        way = rng.integers(len(ways), size=len(places))
        for index, strokes in enumerate(ways):
            chosen = places[way == index]
            for some in np.array_split(chosen, 4):
                images[some] = _written(rng, strokes, len(some))
    return _train_and_test(images, labels, 60_000)


def _written(rng: Generator, strokes: str, count: int) -> Array:
    """One way of writing a digit, written `count` times by different hands."""
    corners, blend = _pen_path(strokes)
    care = _between(rng, 0.4, 1.26, count, 1, 1)
    jitter = care * _between(rng, -1, 1, count, len(corners), 2)
    places = blend @ (corners - [3.0, 4.5] + jitter)
    places = places @ _hand(rng, count) + _between(rng, 11.8, 15.2, count, 1, 2)
    ink = _splat(np.rint(places * 16).astype(np.int64).clip(16, 26 * 16))
    for axis in (1, 2):  # a round nib, about three pixels wide
        ink = np.roll(ink, 1, axis) + 2 * ink + np.roll(ink, -1, axis)
    pressure = rng.integers(6, 16, (count, 1, 1))
    speed = rng.integers(10, 110, (count, 1, 1))  # a hasty pen leaves a thinner line
    return _as_bytes(ink * pressure // 60 - speed)


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
    wide, tall = _between(rng, 1.35, 2.3, count), _between(rng, 1.75, 2.15, count)
    slant, turn = _between(rng, -0.55, 0.25, count), _between(rng, -0.2, 0.2, count)
    rows = [np.stack([wide, wide * turn], -1), np.stack([tall * slant, tall], -1)]
    return np.stack(rows, 1)


def _splat(places: Array) -> Array:
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


# --- ten kinds of things ------------------------------------------------------

# Each thing is drawn from ovals (o) and boxes (b), one over the other, in four tones:
# 0 and 1 its own two colours, 2 dark, 3 light. "0o 0 5 90 15 20" is an oval at (0, 5),
# 90 to either side and 15 up and down, turned by 20 degrees; 100 is the picture's edge.
THINGS = {
    "airplane": """1o 10 -20 12 38 -30/0o 74 -22 9 24 -30/0o 0 0 92 14 0
        1o 12 24 13 44 28/2b -20 -4 45 2 0/2o -4 20 13 6 0/3o -78 -3 9 5 0
        1o 80 2 16 5 0""",
    "automobile": """0o 4 -6 52 30 0/0b 0 16 88 20 0/3b -16 -9 19 11 -8
        3b 26 -9 17 11 6/2o -50 36 19 19 0/2o 52 36 19 19 0/3o -50 36 8 8 0
        3o 52 36 8 8 0/3o -82 12 6 6 0""",
    "bird": """2b -2 55 2 24 8/2b 16 55 2 24 -8/1o 62 24 36 9 28/0o 5 5 50 28 18
        1o 18 0 36 15 25/0o -42 -28 20 18 0/1o -66 -25 15 5 -10/2o -46 -32 4 4 0""",
    "cat": """1o 62 34 9 40 28/0o 12 34 42 46 0/0o -40 -56 9 24 -18/0o 10 -56 9 24 18
        0o -14 -26 37 30 0/3o -28 -32 7 6 0/3o 0 -32 7 6 0/2o -14 -18 5 4 0
        1o 20 20 4 24 15/1o 36 24 4 22 20/3o -14 -9 15 7 0/2b -4 74 14 3 0""",
    "deer": """0b -26 48 4 36 4/0b -10 48 4 36 -4/0b 34 48 4 36 5/0b 48 46 4 36 -5
        0o 10 0 48 22 0/0o -40 -28 11 34 -28/0o -60 -52 22 10 -22/1o -44 -80 3 26 20
        1o -60 -82 3 24 -15/1o -32 -74 3 18 55/3o 56 0 9 13 0/2o -64 -55 3 3 0""",
    "dog": """0b -14 58 9 30 3/0b 40 58 9 30 -3/0o 64 -4 7 30 32/0o 16 24 46 30 -8
        0o -28 -22 32 27 0/1o -54 -10 22 14 -8/2o -72 -14 7 6 0/1o -8 -18 11 29 -14
        2o -38 -30 4 4 0/1o 26 14 20 14 0""",
    "frog": """1o 50 44 34 15 -25/0o 4 24 60 32 -12/0o -26 2 42 26 0/0o -42 -24 13 13 0
        0o -8 -24 13 13 0/2o -44 -25 6 6 0/2o -10 -25 6 6 0/2b -30 10 30 2 4
        3o -24 24 30 9 0/1o -20 56 11 24 30/1o 30 10 9 6 0/1o 10 18 7 5 0""",
    "horse": """0b -26 50 6 36 6/0b -12 50 6 36 -3/0b 38 50 6 36 3/0b 52 48 6 36 -8
        2o 68 16 8 38 -14/0o 10 2 54 25 0/0o -46 -28 14 38 -30/2o -34 -38 7 36 -30
        0o -70 -50 28 11 -32/2o -68 -54 3 3 0/1o -86 -40 9 8 0""",
    "ship": """2b 22 -54 2 34 0/1b 30 -14 40 16 0/3b 22 -18 30 4 0/1b 46 -40 9 15 0
        0o -50 24 44 12 10/0b 4 30 80 16 0/2b 6 44 74 4 0/3b -10 24 50 2 0""",
    "truck": """0b 26 -14 62 40 0/1b -58 8 26 28 0/3b -64 -3 15 11 0/2b 4 34 84 5 0
        2o -56 44 17 17 0/2o 20 44 17 17 0/2o 62 44 17 17 0/3o -56 44 7 7 0
        3o 20 44 7 7 0/3b 26 -14 46 3 0""",
}
# Where each is seen, more often first: s(ky) w(ater) f(ield) r(oad) i(ndoors).
SCENES = ["sssri", "rrrfi", "ssffi", "iiiff", "fffir", "iiffr", "ffwii", "fffrs"]
SCENES += ["wwwws", "rrrfs"]
COLOURS = {  # darkest and lightest upper half, then lower half
    "s": [(70, 110, 150), (215, 230, 250), (110, 140, 160), (240, 240, 245)],
    "w": [(110, 130, 150), (230, 235, 245), (20, 50, 70), (120, 160, 190)],
    "f": [(40, 60, 30), (200, 215, 225), (50, 70, 20), (170, 180, 110)],
    "r": [(50, 50, 50), (220, 220, 225), (70, 70, 70), (180, 175, 170)],
    "i": [(30, 25, 20), (235, 225, 215), (40, 30, 25), (225, 210, 195)],
}
SPRITE, SPRITES = 64, 60  # pixels across a drawn thing; drawings of each kind


def standin_cifar10() -> dict[str, Array]:
    """Small colour pictures of ten kinds of things, 50,000 and 10,000 of them.

    >>> standin_cifar10()["test_images"].shape
    (10000, 32, 32, 3)
    """
    rng = _random(2)
    labels = _balanced(rng, 50_000, 10_000)
    sprites = np.concatenate([_sprites(rng, parts) for parts in THINGS.values()])
    grain = np.stack([_grain(rng, SPRITE) for _ in range(64)])
    images = np.empty((60_000, 32 * 32, 3), np.uint8)
    for start in range(0, 60_000, 250):
        some = slice(start, start + 250)
        images[some] = _scenes(rng, labels[some], sprites, grain)
    return _train_and_test(images.reshape(-1, 32, 32, 3), labels, 50_000)


def _sprites(rng: Generator, parts: str) -> Array:
    """Drawings of one kind of thing: for each pixel, how much of each tone it has."""
    place = np.linspace(-1.2, 1.2, SPRITE, dtype=np.float32)
    tones = np.zeros((SPRITES, SPRITE, SPRITE, 4), np.float32)
    for part in parts.replace("\n", "/").split("/"):
        kind, *numbers = part.split()
        x, y, a, b, angle = (float(n) / 100 for n in numbers)
        sway = _between(rng, -1, 1, 5, SPRITES, 1, 1)
        cover = _cover(
            place,
            place[:, None],
            (x + 0.05 * sway[0], y + 0.05 * sway[1]),
            (a * (1 + 0.25 * sway[2]), b * (1 + 0.25 * sway[3])),
            angle * 100 + 12 * sway[4],
            soft=0.07,
            box=kind[1] == "b",
        )[..., None]
        tones *= 1 - cover
        tones[..., int(kind[0])] += cover[..., 0]
    tones[:, [0, -1]] = tones[:, :, [0, -1]] = 0  # what lies beyond shows nothing
    return np.rint(tones.reshape(SPRITES, -1, 4) * 255).astype(np.uint8)


def _cover(
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


def _scenes(rng: Generator, labels: Array, sprites: Array, grain: Array) -> Array:
    """Pictures of the things named by `labels`, each in surroundings of its own."""
    count = len(labels)
    seen = np.array([SCENES[n][rng.integers(5)] for n in labels.tolist()])
    canvas = _surroundings(rng, seen, grain)
    others = rng.integers(10, size=count)
    _stick(canvas, rng, others, sprites, size=(0.35, 0.75), astray=0.9)
    _stick(canvas, rng, labels, sprites, size=(0.4, 1.0), astray=0.37)
    in_front = np.where(rng.random(count) < 0.55, others, -1)
    _stick(canvas, rng, in_front, sprites, size=(0.3, 0.6), astray=0.8)
    light = 150 + _patches(rng, grain, count) // 2 + rng.integers(-40, 60, (count, 1))
    noise = rng.integers(-14, 15, canvas.shape, np.int16)
    canvas = canvas * light[..., None].astype(np.float32)
    return _as_bytes(np.floor(canvas / 256) + noise)


def _surroundings(rng: Generator, seen: Array, grain: Array) -> Array:
    """Two plains of colour that meet at a horizon, with some structure in both."""
    count = len(seen)
    ranges = np.array([COLOURS[scene] for scene in seen.tolist()])
    mix = rng.integers(0, 65, (2, count, 1))
    hue = rng.integers(-30, 31, (2, count, 3))
    upper = (ranges[:, 0] * (64 - mix[0]) + ranges[:, 1] * mix[0]) // 64 + hue[0]
    lower = (ranges[:, 2] * (64 - mix[1]) + ranges[:, 3] * mix[1]) // 64 + hue[1]
    horizon = rng.integers(8, 30, (count, 1))
    below = (np.arange(1024) // 32 >= horizon)[..., None]
    rough = rng.integers(20, 110, (count, 1))
    relief = ((_patches(rng, grain, count) - 128) * rough // 128)[..., None]
    upper, lower = (n[:, None].astype(np.float32) for n in (upper, lower))
    canvas: Array = np.where(below, lower, upper) + relief.astype(np.float32)
    return canvas.clip(0, 255, out=canvas)


def _patches(rng: Generator, grain: Array, count: int) -> Array:
    """A 32x32 piece of a random texture for each picture, 0 to 255."""
    start = rng.integers(0, SPRITE - 32, (2, count, 1))
    pixel = np.arange(1024)
    which = rng.integers(len(grain), size=(count, 1))
    where = (which * SPRITE + start[0] + pixel // 32) * SPRITE + start[1] + pixel % 32
    texture: Array = grain.reshape(-1)[where].astype(np.int32)
    return texture


def _stick(
    canvas: Array,
    rng: Generator,
    kinds: Array,
    sprites: Array,
    size: tuple[float, float],
    astray: float,
) -> None:
    """Stick a drawing of each kind onto its picture; a kind of -1 sticks nothing."""
    count = len(kinds)
    drawing = kinds.astype(int) * SPRITES + rng.integers(SPRITES, size=count)
    centre = _between(rng, -astray, astray, 2, count)
    where = _sources(rng, drawing, _between(rng, *size, count), centre)
    tones = sprites.view(np.uint32).ravel()[where].view(np.uint8)
    stuck = (kinds >= 0)[:, None, None].astype(np.float32)
    shares = tones.reshape(count, 1024, 4) * stuck
    # All of these are whole numbers below 2**24, which float32 adds up exactly.
    painted = shares @ _coats(rng, kinds)
    canvas *= 255 - painted[..., 3:]
    canvas += painted[..., :3]
    np.floor(canvas / 255, out=canvas)


def _sources(rng: Generator, drawing: Array, size: Array, centre: Array) -> Array:
    """For each pixel of each picture, which pixel of the drawing it shows."""
    count = len(drawing)
    turn, mirror = _between(rng, -25, 25, count), rng.integers(0, 2, count) * 2 - 1
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    halves = np.arange(-31, 32, 2, dtype=np.int32)  # half pixels from the middle
    x, y = np.tile(halves, 32), np.repeat(halves, 32)
    places = []
    for to_x, to_y in ((cos * mirror, sin * mirror), (-sin, cos)):
        # Whole numbers from here on: 256 steps for one pixel of the drawing.
        scale = _between(rng, 0.8, 1.25, count) * SPRITE / 2.4 / 32 * 256 / size
        middle = 32 * (to_x * centre[0] + to_y * centre[1])
        a, b, c = np.rint(np.stack([to_x, to_y, middle]) * scale).astype(np.int32)
        place = (a[:, None] * x + b[:, None] * y - c[:, None]) >> 8
        places.append((place + SPRITE // 2).clip(0, SPRITE - 1))
    rows = drawing[:, None].clip(0) * SPRITE + places[1]
    sources: Array = rows * SPRITE + places[0]
    return sources


def _coats(rng: Generator, kinds: Array) -> Array:
    """The four tones of each thing: paint of any colour, fur, or a frog's skin."""
    count = len(kinds)
    paint = rng.integers(20, 250, (count, 2, 3))
    shade = rng.integers(25, 240, (count, 2, 1))
    fur = shade * np.array([64, 52, 40]) // 64 + rng.integers(-15, 16, (count, 2, 3))
    skin = shade * np.array([50, 60, 30]) // 64 + rng.integers(-15, 16, (count, 2, 3))
    furry = np.isin(kinds, (3, 4, 5, 7))[:, None, None]
    coats = np.where(furry, fur, np.where(kinds[:, None, None] == 6, skin, paint))
    coats[:, 1] = (coats[:, 0] + coats[:, 1]) // 2
    dark = rng.integers(5, 60, (count, 1, 3))
    light = rng.integers(150, 250, (count, 1, 3))
    tones = np.ones((count, 4, 4), np.float32)  # the last column adds up the shares
    tones[..., :3] = np.concatenate([coats, dark, light], 1).clip(0, 255)
    return tones


# --- ants and bees ------------------------------------------------------------

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
    """Drawn ants (0) and bees (1): 244 pictures to learn from and 153 to test with.

    >>> pictures, labels = standin_ants_bees()["test"]
    >>> pictures[0].shape[2], labels[0], len(labels)
    (3, 0, 153)
    """
    rng = _random(3)
    parts = {}
    for name, ants, bees in (("train", 123, 121), ("test", 70, 83)):
        labels = [0] * ants + [1] * bees
        parts[name] = [_insect_picture(rng, bool(bee)) for bee in labels], labels
    return parts


def _insect_picture(rng: Generator, bee: bool) -> Array:
    """One picture: a ground, things that lie about, one or two animals, and light."""
    height, width = rng.integers(200, 320, 2) * (8, 10) // 8
    ground = rng.integers(6) if rng.random() < 0.4 else rng.integers(3) + 3 * bee
    canvas = _ground(rng, GROUNDS[ground], height, width)
    for _ in range(rng.integers(5, 30)):
        _drop_something(rng, canvas)
    for _ in range(1 + (rng.random() < 0.2)):
        _draw_insect(rng, canvas, bee)
    for _ in range(rng.integers(0, 5)):
        _drop_something(rng, canvas)
    light = 0.55 + 0.8 * _smooth(rng, 150, height, width)[..., None]
    noise = rng.integers(-12, 13, canvas.shape)
    return _as_bytes(canvas * light + noise)


def _ground(rng: Generator, colours: Any, height: int, width: int) -> Array:
    """A ground of two colours, mixed by coarse and fine structure."""
    cells = rng.integers([40, 10, 2], [90, 30, 5])
    rough = [_smooth(rng, int(cell), height, width) for cell in cells]
    mix = ((rough[0] * 4 + rough[1] * 3 + rough[2] * 3) / 10)[..., None]
    dark, bright = np.asarray(colours, np.float32)
    tint = rng.integers(-25, 26, 3).astype(np.float32)
    ground: Array = dark + (bright - dark) * mix + tint
    return ground


def _drop_something(rng: Generator, canvas: Array) -> None:
    """A pebble, a petal, a blade or a twig, anywhere."""
    height, width, _ = canvas.shape
    ground = GROUNDS[rng.integers(len(GROUNDS))]
    place = _between(rng, 0, 1, 2) * (width, height)
    long, slim = _between(rng, 4, 55), _between(rng, 0.08, 0.9)
    near = canvas[rng.integers(height), rng.integers(width)]
    colour = (near + rng.integers(*np.array(ground))) / 2
    _paint(canvas, place, (long, long * slim), _between(rng, 0, 180), colour, 0.8)


def _draw_insect(rng: Generator, canvas: Array, bee: bool) -> None:
    """Draw one animal somewhere, in some pose, with its shadow."""
    height, width, _ = canvas.shape
    length = _between(rng, 0.065, 0.255) * width
    centre = _between(rng, 0.3, 0.7, 2) * (width, height)
    angle, flat = _between(rng, 0, 360), _between(rng, 0.65, 1.05)
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    shadow = length * _between(rng, -0.15, 0.15, 2)
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
            _paint(canvas, place, axes, turn + angle, colour, opacity)


def _ant(rng: Generator) -> Iterator[tuple[Any, ...]]:
    """An ant as ovals (x, y, a, b, degrees, colour, opacity), its head to the left."""
    coat = np.array(ANTS[rng.integers(len(ANTS))]) + rng.integers(-12, 13, 3)
    yield from _limbs(rng, coat, reach=0.75, thick=0.03)
    for side in (-1, 1):
        elbow = -0.9, side * _between(rng, 0.12, 0.35)
        tip = _between(rng, -1.25, -0.85), elbow[1] + side * _between(rng, -0.15, 0.2)
        yield _limb((-0.6, side * 0.06), elbow, 0.025, coat)
        yield _limb(elbow, tip, 0.025, coat)
    gaster = _between(rng, 0.28, 0.4)
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
    boldness = _between(rng, 0.25, 0.95)
    for x in np.arange(0.2, 0.95, _between(rng, 0.15, 0.24)):
        across = 0.29 * np.sqrt(1 - ((x - 0.48) / 0.52) ** 2)
        yield x, 0, 0.055, across, 0, dark, boldness
    yield -0.5, 0, 0.15, 0.19, 0, dark, 1
    for x, y in _between(rng, -0.19, 0.19, 40, 2):
        hair = coat * _between(rng, 0.6, 1.1)
        yield x - 0.16, y, 0.11, 0.05, _between(rng, 0, 180), hair, 0.8
    lift = _between(rng, 15, 50)
    for side in (-1, 1):
        yield -0.54, side * 0.13, 0.1, 0.06, 0, dark * 0.6, 1
        for long, turn in ((0.5, lift), (0.36, lift - 14)):
            x, y = long * np.cos(np.deg2rad(turn)), long * np.sin(np.deg2rad(turn))
            wing = (x - 0.1, side * (y + 0.1), long, long * 0.3, side * turn)
            yield (*wing, (225, 225, 220), _between(rng, 0.1, 0.6))


def _limbs(
    rng: Generator, colour: Array, reach: float, thick: float
) -> Iterator[tuple[Any, ...]]:
    """Six legs, each with a knee."""
    for side in (-1, 1):
        for x, forward in ((-0.22, -0.5), (-0.08, 0.1), (0.06, 0.6)):
            sway = _between(rng, -0.15, 0.15, 2)
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


def _paint(
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
    cover = _cover(across, down, place, (a, max(b, 0.7)), degrees) * np.float32(opacity)
    cover = cover.reshape(*cover.shape, *[1] * (box.ndim - 2))
    box += (np.asarray(colour, np.float32) - box) * cover


# --- membranes ----------------------------------------------------------------


CELLS = 900


def standin_membranes() -> dict[str, Array]:
    """Thirty neighbouring slices through drawn cells, as an electron microscope sees.

    >>> standin_membranes()["labels"].shape
    (30, 512, 512)
    """
    rng = _random(4)
    gap, shade = _cells(rng)
    images = 132 + 34 * shade + 44 * (_smooth(rng, (9, 60, 60), *gap.shape) - 0.5)
    _fill_cells(rng, images)
    faint = _smooth(rng, (3, 45, 45), *gap.shape)
    depth = 35 + 75 * faint
    near = np.square(gap / (2.2 + 1.6 * faint))
    images -= depth / (1 + near * near)
    for cell, strength in ((2, 56), (3, 40), (7, 22)):
        images += strength * (_smooth(rng, (1, cell, cell), *gap.shape) - 0.5)
    images += rng.integers(-22, 23, gap.shape)
    labels = np.where(gap < 2.6, 0, 255).astype(np.uint8)
    return {"images": _as_bytes(images), "labels": labels}


def _cells(rng: Generator) -> tuple[Array, Array]:
    """For each pixel, how far the nearest border is, and its cell's brightness.

    The cells are Voronoi cells in three dimensions, of various sizes and bent by a
    smooth warp, so that neighbouring slices cut them a little differently.
    """
    seeds = (rng.random((CELLS, 3)) * (680, 680, 440) - (84, 84, 100)).astype(
        np.float32
    )
    large = rng.random(CELLS) < 0.04
    weights = 5500 * large + rng.integers(0, 1500, CELLS)
    shades = rng.random(CELLS, np.float32)
    bend = [
        _smooth(rng, (8, 40, 40), 30, 256, 256) * 60
        + _smooth(rng, (4, 9, 9), 30, 256, 256) * 14
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
    """How far each pixel is from where the next cell begins, and whose pixel it is."""
    best = np.full(x.shape, np.inf, np.float32)
    second, owner, other = best.copy(), np.zeros(x.shape, int), np.zeros(x.shape, int)
    for number, (seed, weight) in enumerate(zip(seeds, weights, strict=True)):
        beyond = (z - seed[2]) ** 2 - np.float32(weight)
        if beyond > 130**2:
            continue
        far = (x - seed[0]) ** 2 + (y - seed[1]) ** 2 + beyond
        first, next_best = far < best, far < second
        other = np.where(first, owner, np.where(next_best, number, other))
        second = np.where(first, best, np.minimum(second, far))
        owner = np.where(first, number, owner)
        best = np.minimum(best, far)
    squares = np.square(seeds[owner] - seeds[other])
    apart = np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2]) + 1
    return (second - best) / (2 * apart), owner


def _doubled(values: Array) -> Array:
    """Twice the rows and columns, the new ones half way between the old."""
    for axis in (0, 1):
        following = np.roll(values, -1, axis)
        pairs = np.stack([values, (values + following) / 2], axis + 1)
        values = pairs.reshape(
            *(n * (1 + (a == axis)) for a, n in enumerate(values.shape))
        )
    return values


def _fill_cells(rng: Generator, images: Array) -> None:
    """Dark mitochondria with their folds, and many small vesicles."""
    for _ in range(70):
        x, y, z, turn = _between(rng, 0, 1, 4) * (512, 512, 30, 180)
        size = _between(rng, (14, 9), (30, 15), 2)
        along = np.array([np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))])
        for number, part in _through(z, _between(rng, 2, 5)):
            _paint(images[number], (x, y), size * part, turn, 70, 0.8)
            _paint(images[number], (x, y), size * part - 3, turn, 112, 0.7)
            for fold in np.arange(-0.6, 0.7, 0.3) * size[0] * part:
                place, fine = (x, y) + fold * along, (1.6, size[1] * part * 0.7)
                _paint(images[number], place, fine, turn, 70, 0.6)
    for _ in range(1500):
        x, y, z = _between(rng, 0, 1, 3) * (512, 512, 30)
        radius = _between(rng, 3, 7)
        for number, part in _through(z, 1.2):
            for size, tone in ((radius * part, 85), (radius * part - 2, 150)):
                _paint(images[number], (x, y), (size, size), 0, tone, 0.7)


def _through(z: float, deep: float) -> Iterator[tuple[int, float]]:
    """The slices that a ball around `z` reaches, and its radius in each, 1 at most."""
    for number in range(max(int(z - deep) + 1, 0), min(int(z + deep) + 1, 30)):
        yield number, float(np.sqrt(max(1 - ((number - z) / deep) ** 2, 0.05)))


# --- phantoms -----------------------------------------------------------------

# How bright each tissue (around, grey, white, lesion) is in each of four sequences.
SEQUENCES = [
    [0.05, 0.50, 0.80, 0.62],
    [0.05, 0.75, 0.45, 0.90],
    [0.05, 0.60, 0.50, 0.95],
    [0.05, 0.45, 0.70, 0.95],
]


def make_phantoms(
    counts: tuple[int, int, int] = (24, 6, 6),
    shape: tuple[int, int, int] = (32, 48, 48),
) -> dict[str, Array]:
    """Volumes that look like scans of a head, in four sequences, with their tissues.

    The tissues are 0 around the head, 1 grey, 2 white and 3 lesions. A lesion is a
    ball; vessels, which count as white, are as bright and run through the whole
    head. In a single slice both are discs: only the third dimension tells them apart.

    >>> make_phantoms(counts=(1, 1, 1))["train_images"].shape
    (1, 4, 32, 48, 48)
    """
    rng = _random(5)
    parts = {}
    for name, count in zip(("train", "validation", "test"), counts, strict=True):
        pairs = [_phantom(rng, shape) for _ in range(count)]
        parts[f"{name}_images"] = np.stack([images for images, _ in pairs])
        parts[f"{name}_labels"] = np.stack([labels for _, labels in pairs])
    return parts


def _phantom(rng: Generator, shape: tuple[int, int, int]) -> tuple[Array, Array]:
    """One volume (4, depth, height, width) and the tissue of each voxel."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    bend = [0.34 * (_smooth(rng, 14, *shape) - 0.5) for _ in range(3)]
    place = np.stack([a + b for a, b in zip(axes, bend, strict=True)])
    head = _ball(place, _between(rng, -0.08, 0.08, 3), _between(rng, 0.72, 0.9, 3))
    folds = 0.3 * (_smooth(rng, 6, *shape) - 0.5)
    tissue = np.where(head < 1, 1, 0) + (head + folds < 0.62)
    looks = tissue.copy()
    for _ in range(rng.integers(1, 4)):
        middle, radius = _between(rng, -0.42, 0.42, 3), _between(rng, 0.12, 0.24)
        vessel = (_ball(place[1:], middle[1:], radius) < 1) & (tissue > 0)
        tissue[vessel], looks[vessel] = 2, 3
    for _ in range(rng.integers(1, 4)):
        middle, radius = _between(rng, -0.42, 0.42, 3), _between(rng, 0.16, 0.3)
        lesion = (_ball(place, middle, radius) < 1) & (tissue > 0)
        tissue[lesion] = looks[lesion] = 3
    return _scans(rng, looks), tissue.astype(np.uint8)


def _ball(place: Array, middle: Array, radius: Any) -> Array:
    """How far each place is from the middle of a ball; 1 is its surface."""
    radii = np.broadcast_to(radius, len(place))
    parts = zip(place, middle, radii, strict=True)
    far: Array = np.sqrt(sum(((p - m) / r) ** 2 for p, m, r in parts))
    return far


def _scans(rng: Generator, looks: Array) -> Array:
    """The volume as four sequences see it: uneven light, blur by grain, and noise."""
    scans = []
    for levels in SEQUENCES:
        light = 0.7 + 0.6 * _smooth(rng, 30, *looks.shape)
        grain = _smooth(rng, 2, *looks.shape) + rng.random(looks.shape) - 1
        scan = np.array(levels)[looks] * light * _between(rng, 0.85, 1.15) + 0.2 * grain
        scans.append(np.rint(scan * 256) / 256)  # a scanner gives whole numbers, too
    return np.stack(scans).astype(np.float32)


# --- what all of them share ---------------------------------------------------


def _random(number: int) -> Generator:
    return Generator(np.random.PCG64(20_260_000 + number))


def _between(rng: Generator, low: Any, high: Any, *shape: int) -> Any:
    """A random number, or an array of them, from `low` to `high`."""
    low, high = np.asarray(low), np.asarray(high)
    return low + (high - low) * rng.random(shape)


def _as_bytes(values: Array) -> Array:
    pixels: Array = np.rint(values).clip(0, 255).astype(np.uint8)
    return pixels


def _balanced(rng: Generator, *counts: int) -> Array:
    """Labels 0 to 9 in a random order, all equally often in each part."""
    parts = [rng.permutation(np.arange(count) % 10) for count in counts]
    return np.concatenate(parts).astype(np.uint8)


def _train_and_test(images: Array, labels: Array, train: int) -> dict[str, Array]:
    return {
        "train_images": images[:train],
        "train_labels": labels[:train],
        "test_images": images[train:],
        "test_labels": labels[train:],
    }


def _grain(rng: Generator, side: int) -> Array:
    """A square texture with coarse and fine structure, 0 to 255."""
    layers = [_smooth(rng, cell, side, side) for cell in (24, 9, 3)]
    return _as_bytes((layers[0] * 3 + layers[1] * 2 + layers[2]) / 6 * 255)


def _smooth(rng: Generator, cell: int | Sequence[int], *shape: int) -> Array:
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
