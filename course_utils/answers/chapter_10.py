"""The exercises of chapter 10: U-Net on membranes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.exercises import Exercise

Predict = Callable[[Tensor], Tensor]


def _between(numbers: Tensor, size: int = 9) -> tuple[Tensor, Tensor]:
    """Where two different cells lie around a pixel, and where there is membrane."""
    window, numbers = (size, 1, size // 2), numbers.float()[:, None]
    largest = F.max_pool2d(numbers, *window)
    smallest = -F.max_pool2d(-numbers.where(numbers > 0, torch.inf), *window)
    between = (largest > 0) & (smallest < largest)
    return between[:, 0], (numbers == 0)[:, 0]


def _wall(numbers: Tensor, size: int = 9) -> Tensor:
    between, membrane = _between(numbers, size)
    return between & membrane


def _zero_is_smallest(numbers: Tensor) -> Tensor:
    """The smallest number of all pixels around: on a membrane it is always 0."""
    numbers = numbers.float()[:, None]
    largest = F.max_pool2d(numbers, 9, 1, 4)
    smallest = -F.max_pool2d(-numbers, 9, 1, 4)
    return ((numbers == 0) & (smallest < largest))[:, 0]


def _weighed(weights: Callable[[Tensor], Any]) -> Any:
    """Cells with a thin wall, with a thicker one, and a cell on its own."""
    numbers = torch.zeros(2, 24, 20, dtype=torch.long)
    numbers[0, :12, :9], numbers[0, :12, 12:] = 7, 3
    numbers[1, 4:12, 4:12] = 5
    numbers[1, 20:, :5], numbers[1, 20:, 10:] = 9, 2
    return weights(numbers)


def _looks(
    back: int, predict: Predict, pictures: Tensor, *, axes: tuple[int, int] = (-2, -1)
) -> Tensor:
    """The four answers, each turned on by `back` quarters for each quarter forth."""
    turned = [predict(pictures.rot90(k, axes)) for k in range(4)]
    return torch.stack([t.rot90(back * k, axes) for k, t in enumerate(turned)])


def _looked(four: Callable[[Predict, Tensor], Any]) -> Any:
    """Tried with an answer that leans to one side, and so changes when turned."""

    def lean(pictures: Tensor) -> Tensor:
        down = torch.arange(float(pictures.shape[-2]))[:, None]
        return pictures.mean(dim=1) * (1 + down)

    # All axes are of one length, so that turning the wrong ones does not stop.
    pictures = torch.arange(256.0).reshape(4, 4, 4, 4).square() / 1000
    return four(lean, pictures)


def _tile_starts(length: int, size: int, step: int) -> list[int]:
    last = max(length - size, 0)
    return [*range(0, last, step), last]


EXERCISES = {
    "10.1": Exercise(
        right=98,
        wrong={
            "That sees 199 pixels, one layer too many: one pixel sees itself.": 99,
            "That sees 195 pixels: one layer more.": 97,
            "A 3 by 3 convolution adds a pixel on both sides.": 196,
            "A 3 by 3 convolution adds a pixel on both sides, two in all.": 197,
            "Each adds 2 pixels, not 3: the middle one was there before.": 66,
        },
    ),
    "10.2": Exercise(
        right=lambda numbers: 1.0 + 5.0 * _wall(numbers),
        wrong={
            "You weigh the cells' rims, and missed walls become cheap: weigh the "
            "membrane.": lambda numbers: (
                1.0 + 5.0 * (_between(numbers)[0] & (numbers > 0))
            ),
            "The cells' rims are weighed too: leave the pixels of cells at 1.": (
                lambda numbers: 1.0 + 5.0 * _between(numbers)[0]
            ),
            "All membrane is weighed: only where two cells are near.": (
                lambda numbers: 1.0 + 5.0 * (numbers == 0)
            ),
            "One cell is enough for you: the smallest number around a membrane pixel "
            "is its own 0. Keep zeros out of the search.": (
                lambda numbers: 1.0 + 5.0 * _zero_is_smallest(numbers)
            ),
            "You look at 5 by 5 pixels: look at 9 by 9.": (
                lambda numbers: 1.0 + 5.0 * _wall(numbers, 5)
            ),
            "The walls weigh 7: 1 plus how much makes 6?": (
                lambda numbers: 1.0 + 6.0 * _wall(numbers)
            ),
            "All other pixels weigh 0 and would teach nothing: give 1.": (
                lambda numbers: 6.0 * _wall(numbers)
            ),
        },
        look_at=_weighed,
    ),
    "10.3": Exercise(
        right=lambda *given: _looks(-1, *given).mean(dim=0),
        wrong={
            "The answers are not turned back before the mean is taken.": (
                lambda *given: _looks(0, *given).mean(dim=0)
            ),
            "The answers are turned on, not back: the other direction.": (
                lambda *given: _looks(1, *given).mean(dim=0)
            ),
            "That is the sum of four answers: take the mean.": (
                lambda *given: _looks(-1, *given).sum(dim=0)
            ),
            "Without axes, `rot90` turns the first two: rows and columns are the last "
            "two, (-2, -1).": lambda *given: _looks(-1, *given, axes=(0, 1)).mean(
                dim=0
            ),
            "One of the four looks is missing: turn by 0, 1, 2 and 3 quarters.": (
                lambda *given: _looks(-1, *given)[:3].mean(dim=0)
            ),
            "That is a single look: turn the pictures as well.": (
                lambda predict, pictures: predict(pictures)
            ),
        },
        look_at=_looked,
    ),
    "10.4": Exercise(
        right=_tile_starts,
        wrong={
            "The last tiles reach beyond the end.": (
                lambda length, size, step: list(range(0, length, step))
            ),
            "Where the steps do not fit, the end is not covered.": (
                lambda length, size, step: list(range(0, length - size + 1, step))
            ),
            "Where the steps do fit, the last start is there twice.": (
                lambda length, size, step: [
                    *range(0, length - size + 1, step),
                    max(length - size, 0),
                ]
            ),
            "A picture shorter than a tile starts at 0, not below.": (
                lambda length, size, step: [
                    *range(0, length - size, step),
                    length - size,
                ]
            ),
        },
        look_at=lambda starts: [
            starts(*case)
            for case in ((512, 256, 128), (500, 256, 128), (10, 4, 3), (100, 128, 64))
        ],
    ),
}
