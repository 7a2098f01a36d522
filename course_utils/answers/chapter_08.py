"""The exercises of chapter 8: from fully convolutional networks to U-Net."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.exercises import Exercise

Predict = Callable[[Tensor], Tensor]


def _stamp(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    result = torch.zeros((len(x) - 1) * stride + len(kernel))
    for place, number in enumerate(x):
        result[place * stride : place * stride + len(kernel)] += number * kernel
    return result[padding : len(result) - padding]


def _stamp_uncut(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    return _stamp(x, kernel, stride, 0)


def _stamp_over(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    result = torch.zeros((len(x) - 1) * stride + len(kernel))
    for place, number in enumerate(x):
        result[place * stride : place * stride + len(kernel)] = number * kernel
    return result[padding : len(result) - padding]


def _stamp_cut_to_minus_0(
    x: Tensor, kernel: Tensor, stride: int, padding: int
) -> Tensor:
    return _stamp(x, kernel, stride, 0)[padding:-padding]


def _stamp_flipped(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    return _stamp(x, kernel.flip(0), stride, padding)


def _stamp_close(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    return _stamp(x, kernel, 1, padding)


def _stamped(stamp: Callable[..., Any]) -> list[Any]:
    x = torch.tensor([1.0, 2.0, -1.0])
    kernel = torch.tensor([1.0, 3.0, 2.0, 0.5])
    return [stamp(x, kernel, 2, 1), stamp(x, kernel[:3], 2, 0)]


def _between(numbers: Tensor, size: int = 9) -> tuple[Tensor, Tensor]:
    """Where two different cells lie around a pixel, and where there is membrane."""
    window, numbers = (size, 1, size // 2), numbers.float()[:, None]
    largest = F.max_pool2d(numbers, *window)
    smallest = -F.max_pool2d(-numbers.where(numbers > 0, torch.inf), *window)
    between = (largest > 0) & (smallest < largest)
    return between[:, 0], (numbers == 0)[:, 0]


def _border_weights(numbers: Tensor) -> Tensor:
    between, membrane = _between(numbers)
    return 1.0 + 5.0 * (between & membrane)


def _border_with_cells(numbers: Tensor) -> Tensor:
    return 1.0 + 5.0 * _between(numbers)[0]


def _border_of_cells(numbers: Tensor) -> Tensor:
    between, membrane = _between(numbers)
    return 1.0 + 5.0 * (between & ~membrane)


def _border_all_membrane(numbers: Tensor) -> Tensor:
    return 1.0 + 5.0 * (numbers == 0)


def _border_zero_smallest(numbers: Tensor) -> Tensor:
    """The smallest number of all pixels around: on a membrane it is always 0."""
    numbers = numbers.float()[:, None]
    largest = F.max_pool2d(numbers, 9, 1, 4)
    smallest = -F.max_pool2d(-numbers, 9, 1, 4)
    between = (numbers == 0) & (smallest < largest)
    return 1.0 + 5.0 * between[:, 0]


def _border_narrow(numbers: Tensor) -> Tensor:
    between, membrane = _between(numbers, 5)
    return 1.0 + 5.0 * (between & membrane)


def _border_too_heavy(numbers: Tensor) -> Tensor:
    between, membrane = _between(numbers)
    return 1.0 + 6.0 * (between & membrane)


def _border_alone(numbers: Tensor) -> Tensor:
    between, membrane = _between(numbers)
    return 6.0 * (between & membrane)


def _weighed(weights: Callable[[Tensor], Any]) -> Any:
    """Cells with a thin wall, with a thicker one, and a cell on its own."""
    numbers = torch.zeros(2, 24, 20, dtype=torch.long)
    numbers[0, :12, :9], numbers[0, :12, 12:] = 7, 3
    numbers[1, 4:12, 4:12] = 5
    numbers[1, 20:, :5], numbers[1, 20:, 10:] = 9, 2
    return weights(numbers)


def _looks(predict: Predict, pictures: Tensor, back: int) -> Tensor:
    """The four answers, each turned on by `back` quarters for each quarter forth."""
    turned = [predict(pictures.rot90(k, (-2, -1))) for k in range(4)]
    return torch.stack([t.rot90(back * k, (-2, -1)) for k, t in enumerate(turned)])


def _four_looks(predict: Predict, pictures: Tensor) -> Tensor:
    return _looks(predict, pictures, -1).mean(dim=0)


def _looks_at_other_axes(predict: Predict, pictures: Tensor) -> Tensor:
    return torch.stack([predict(pictures.rot90(k)).rot90(-k) for k in range(4)]).mean(
        dim=0
    )


def _three_looks(predict: Predict, pictures: Tensor) -> Tensor:
    return _looks(predict, pictures, -1)[:3].mean(dim=0)


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


def _starts_over_the_end(length: int, size: int, step: int) -> list[int]:
    return list(range(0, length, step))


def _starts_without_rest(length: int, size: int, step: int) -> list[int]:
    return list(range(0, length - size + 1, step))


def _starts_twice(length: int, size: int, step: int) -> list[int]:
    return [*range(0, length - size + 1, step), max(length - size, 0)]


def _starts_below_0(length: int, size: int, step: int) -> list[int]:
    return [*range(0, length - size, step), length - size]


def _started(starts: Callable[[int, int, int], Any]) -> list[Any]:
    cases = (512, 256, 128), (500, 256, 128), (10, 4, 3), (100, 128, 64)
    return [starts(*case) for case in cases]


EXERCISES = {
    "8.1": Exercise(
        right=(19, 9),
        wrong={
            "Count the windows, not the steps between them: one more.": (18, 8),
            "Windows lie 4 pixels apart: two poolings halve the map twice.": (73, 33),
            "The last window has to fit: its 28 pixels end at the border.": (25, 15),
            "Rows first, then columns.": (9, 19),
        },
    ),
    "8.2": Exercise(
        right=98,
        wrong={
            "That sees 199 pixels, one layer too many: one pixel sees itself.": 99,
            "That sees 195 pixels: one layer more.": 97,
            "A 3 by 3 convolution adds a pixel on both sides.": 196,
            "A 3 by 3 convolution adds a pixel on both sides, two in all.": 197,
            "Each adds 2 pixels, not 3: the middle one was there before.": 66,
        },
    ),
    "8.3": Exercise(
        right=_stamp,
        wrong={
            "The ends are still there: cut `padding` numbers off both.": _stamp_uncut,
            "With padding 0 the slice ends at -0, which is the beginning: write "
            "`len(result) - padding`.": _stamp_cut_to_minus_0,
            "A print replaces what was there: overlaps should add up.": _stamp_over,
            "The kernel is printed backwards: leave it as it is.": _stamp_flipped,
            "The prints lie 1 apart: they should lie `stride` apart.": _stamp_close,
        },
        look_at=_stamped,
    ),
    "8.4": Exercise(
        right=_border_weights,
        wrong={
            "You weigh the cells' rims, and missed walls become cheap: weigh the "
            "membrane.": _border_of_cells,
            "The cells' rims are weighed too: leave the pixels of cells at 1.": (
                _border_with_cells
            ),
            "All membrane is weighed: only where two cells are near.": (
                _border_all_membrane
            ),
            "One cell is enough for you: the smallest number around a membrane "
            "pixel is its own 0. Keep zeros out of the search.": _border_zero_smallest,
            "You look at 5 by 5 pixels: look at 9 by 9.": _border_narrow,
            "The walls weigh 7: 1 plus how much makes 6?": _border_too_heavy,
            "All other pixels weigh 0 and would teach nothing: give 1.": _border_alone,
        },
        look_at=_weighed,
    ),
    "8.5": Exercise(
        right=_four_looks,
        wrong={
            "The answers are not turned back before the mean is taken.": (
                lambda predict, pictures: _looks(predict, pictures, 0).mean(dim=0)
            ),
            "The answers are turned on, not back: the other direction.": (
                lambda predict, pictures: _looks(predict, pictures, 1).mean(dim=0)
            ),
            "That is the sum of four answers: take the mean.": (
                lambda predict, pictures: _looks(predict, pictures, -1).sum(dim=0)
            ),
            "Without axes, `rot90` turns the first two: rows and columns are the "
            "last two, (-2, -1).": _looks_at_other_axes,
            "One of the four looks is missing: turn by 0, 1, 2 and 3 quarters.": (
                _three_looks
            ),
            "That is a single look: turn the pictures as well.": (
                lambda predict, pictures: predict(pictures)
            ),
        },
        look_at=_looked,
    ),
    "8.6": Exercise(
        right=_tile_starts,
        wrong={
            "The last tiles reach beyond the end.": _starts_over_the_end,
            "Where the steps do not fit, the end is not covered.": _starts_without_rest,
            "Where the steps do fit, the last start is there twice.": _starts_twice,
            "A picture shorter than a tile starts at 0, not below.": _starts_below_0,
        },
        look_at=_started,
    ),
}
