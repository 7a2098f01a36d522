"""In place of CIFAR-10: ten kinds of things made of ovals and boxes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from course_utils.standins.drawing import (
    Array,
    as_bytes,
    balanced_labels,
    between,
    coverage,
    generator,
    grain_texture,
    train_and_test,
)

# Each thing is drawn from ovals (o) and boxes (b), one over the other, in four tones:
# 0 and 1 its own two colours, 2 dark, 3 light. "0o 0 5 90 15 20" is an oval at (0, 5),
# 90 to either side and 15 up and down, turned by 20 degrees; 100 is the image's edge.
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
SPRITE = 64  # pixels across a drawn thing
SPRITES = 60  # drawings of each kind
FURRY = (3, 4, 5, 7)  # cat, deer, dog, horse
FROG = 6


def standin_cifar10() -> dict[str, Array]:
    """Small colour images of ten kinds of things, 50,000 and 10,000 of them."""
    rng = generator(2)
    labels = balanced_labels(rng, 50_000, 10_000)
    sprites = np.concatenate([_sprites(rng, parts) for parts in THINGS.values()])
    grain = np.stack([grain_texture(rng, SPRITE) for _ in range(64)])
    images = np.empty((60_000, 32 * 32, 3), np.uint8)
    for start in range(0, 60_000, 250):
        some = slice(start, start + 250)
        images[some] = _scenes(rng, labels[some], sprites, grain)
    return train_and_test(images.reshape(-1, 32, 32, 3), labels, 50_000)


def _sprites(rng: Generator, parts: str) -> Array:
    """Drawings of one kind of thing: for each pixel, how much of each tone it has."""
    place = np.linspace(-1.2, 1.2, SPRITE, dtype=np.float32)
    tones = np.zeros((SPRITES, SPRITE, SPRITE, 4), np.float32)
    for part in parts.replace("\n", "/").split("/"):
        kind, *numbers = part.split()
        x, y, width, height, angle = (float(n) / 100 for n in numbers)
        sway = between(rng, -1, 1, 5, SPRITES, 1, 1)
        cover = coverage(
            place,
            place[:, None],
            (x + 0.05 * sway[0], y + 0.05 * sway[1]),
            (width * (1 + 0.25 * sway[2]), height * (1 + 0.25 * sway[3])),
            angle * 100 + 12 * sway[4],
            soft=0.07,
            box=kind[1] == "b",
        )[..., None]
        tones *= 1 - cover
        tones[..., int(kind[0])] += cover[..., 0]
    tones[:, [0, -1]] = 0  # beyond its edge, a drawing shows nothing
    tones[:, :, [0, -1]] = 0
    return np.rint(tones.reshape(SPRITES, -1, 4) * 255).astype(np.uint8)


def _scenes(rng: Generator, labels: Array, sprites: Array, grain: Array) -> Array:
    """Images of the things named by `labels`, each in surroundings of its own."""
    count = len(labels)
    seen = np.array([SCENES[n][rng.integers(5)] for n in labels.tolist()])
    canvas = _surroundings(rng, seen, grain)
    others = rng.integers(10, size=count)
    _paste(canvas, rng, others, sprites, size=(0.35, 0.75), astray=0.9)
    _paste(canvas, rng, labels, sprites, size=(0.4, 1.0), astray=0.37)
    in_front = np.where(rng.random(count) < 0.55, others, -1)
    _paste(canvas, rng, in_front, sprites, size=(0.3, 0.6), astray=0.8)
    light = 150 + _patches(rng, grain, count) // 2 + rng.integers(-40, 60, (count, 1))
    noise = rng.integers(-14, 15, canvas.shape, np.int16)
    canvas = canvas * light[..., None].astype(np.float32)
    return as_bytes(np.floor(canvas / 256) + noise)


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
    """A 32x32 piece of a random texture for each image, 0 to 255."""
    start = rng.integers(0, SPRITE - 32, (2, count, 1))
    pixel = np.arange(1024)
    which = rng.integers(len(grain), size=(count, 1))
    where = (which * SPRITE + start[0] + pixel // 32) * SPRITE + start[1] + pixel % 32
    texture: Array = grain.reshape(-1)[where].astype(np.int32)
    return texture


def _paste(
    canvas: Array,
    rng: Generator,
    kinds: Array,
    sprites: Array,
    size: tuple[float, float],
    astray: float,
) -> None:
    """Paste a drawing of each kind onto its image; a kind of -1 pastes nothing."""
    count = len(kinds)
    drawing = kinds.astype(int) * SPRITES + rng.integers(SPRITES, size=count)
    centre = between(rng, -astray, astray, 2, count)
    pixels = _shown_pixels(rng, drawing, between(rng, *size, count), centre)
    # The four tones of a pixel are four bytes: taken together, they are one number.
    tones = sprites.view(np.uint32).ravel()[pixels].view(np.uint8)
    shares = tones.reshape(count, 1024, 4).astype(np.float32)
    shares[kinds < 0] = 0
    # All of these are whole numbers below 2**24, which float32 adds up exactly.
    painted = shares @ _tone_colours(rng, kinds)
    canvas *= 255 - painted[..., 3:]
    canvas += painted[..., :3]
    np.floor(canvas / 255, out=canvas)


def _shown_pixels(rng: Generator, drawing: Array, size: Array, centre: Array) -> Array:
    """For each pixel of each image, the number of the pixel of all drawings it shows.

    The drawing is turned, mirrored, scaled and moved. From a pixel of the image, its
    place in the drawing is computed, in whole numbers: 256 steps for one pixel.
    """
    count = len(drawing)
    turn = np.deg2rad(between(rng, -25, 25, count))
    mirror = rng.integers(0, 2, count) * 2 - 1
    cos, sin = np.cos(turn), np.sin(turn)
    halves = np.arange(-31, 32, 2, dtype=np.int32)  # half pixels from the middle
    x, y = np.tile(halves, 32), np.repeat(halves, 32)
    places = []
    for to_x, to_y in ((cos * mirror, sin * mirror), (-sin, cos)):
        scale = between(rng, 0.8, 1.25, count) * SPRITE / 2.4 / 32 * 256 / size
        middle = 32 * (to_x * centre[0] + to_y * centre[1])
        steps_x = np.rint(to_x * scale).astype(np.int32)[:, None]
        steps_y = np.rint(to_y * scale).astype(np.int32)[:, None]
        moved = np.rint(middle * scale).astype(np.int32)[:, None]
        place = (steps_x * x + steps_y * y - moved) // 256 + SPRITE // 2
        places.append(place.clip(0, SPRITE - 1))
    column, row = places
    first_row = drawing[:, None].clip(0) * SPRITE
    pixels: Array = (first_row + row) * SPRITE + column
    return pixels


def _tone_colours(rng: Generator, kinds: Array) -> Array:
    """The colours of the four tones of each thing, (count, 4 tones, red green blue 1).

    Its own two colours are paint of any colour, fur, or a frog's skin.
    """
    count = len(kinds)
    paint = rng.integers(20, 250, (count, 2, 3))
    shade = rng.integers(25, 240, (count, 2, 1))
    fur = shade * np.array([64, 52, 40]) // 64 + rng.integers(-15, 16, (count, 2, 3))
    skin = shade * np.array([50, 60, 30]) // 64 + rng.integers(-15, 16, (count, 2, 3))
    own = paint
    furry = np.isin(kinds, FURRY)
    own[furry] = fur[furry]
    own[kinds == FROG] = skin[kinds == FROG]
    own[:, 1] = (own[:, 0] + own[:, 1]) // 2
    dark = rng.integers(5, 60, (count, 1, 3))
    light = rng.integers(150, 250, (count, 1, 3))
    colours = np.ones((count, 4, 4), np.float32)  # the last column adds up the shares
    colours[..., :3] = np.concatenate([own, dark, light], 1).clip(0, 255)
    return colours
