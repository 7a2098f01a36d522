"""Volumes that look like scans of a head, with the tissue of every voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator

from course_utils.standins.drawing import Array, between, generator, smooth_noise

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
    rng = generator(5)
    parts = {}
    for name, count in zip(("train", "validation", "test"), counts, strict=True):
        pairs = [_phantom(rng, shape) for _ in range(count)]
        parts[f"{name}_images"] = np.stack([images for images, _ in pairs])
        parts[f"{name}_labels"] = np.stack([labels for _, labels in pairs])
    return parts


def _phantom(rng: Generator, shape: tuple[int, int, int]) -> tuple[Array, Array]:
    """One volume (4, depth, height, width) and the tissue of each voxel."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    bend = [0.34 * (smooth_noise(rng, 14, *shape) - 0.5) for _ in range(3)]
    place = np.stack([a + b for a, b in zip(axes, bend, strict=True)])
    head = _ball(place, between(rng, -0.08, 0.08, 3), between(rng, 0.72, 0.9, 3))
    folds = 0.3 * (smooth_noise(rng, 6, *shape) - 0.5)
    tissue = np.where(head < 1, 1, 0) + (head + folds < 0.62)
    looks = tissue.copy()
    for _ in range(rng.integers(1, 4)):
        middle, radius = between(rng, -0.42, 0.42, 3), between(rng, 0.12, 0.24)
        vessel = (_ball(place[1:], middle[1:], radius) < 1) & (tissue > 0)
        tissue[vessel], looks[vessel] = 2, 3
    for _ in range(rng.integers(1, 4)):
        middle, radius = between(rng, -0.42, 0.42, 3), between(rng, 0.16, 0.3)
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
        light = 0.7 + 0.6 * smooth_noise(rng, 30, *looks.shape)
        grain = smooth_noise(rng, 2, *looks.shape) + rng.random(looks.shape) - 1
        scan = np.array(levels)[looks] * light * between(rng, 0.85, 1.15) + 0.2 * grain
        scans.append(np.rint(scan * 256) / 256)  # a scanner gives whole numbers, too
    return np.stack(scans).astype(np.float32)
