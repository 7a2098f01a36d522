"""The exercises of chapter 9: from a classifier to a fully convolutional network."""

from collections.abc import Callable
from typing import Any

import torch
from scipy import ndimage  # type: ignore[import-untyped]
from torch import Tensor

from course_utils.exercises import Exercise


def _stamp(
    x: Tensor, kernel: Tensor, stride: int, padding: int, *, add: bool = True
) -> Tensor:
    result = torch.zeros((len(x) - 1) * stride + len(kernel))
    for place, number in enumerate(x):
        window = result[place * stride : place * stride + len(kernel)]
        window.copy_(window * add + number * kernel)
    return result[padding : len(result) - padding]


def _stamped(stamp: Callable[..., Any]) -> list[Any]:
    x = torch.tensor([1.0, 2.0, -1.0])
    kernel = torch.tensor([1.0, 3.0, 2.0, 0.5])
    return [stamp(x, kernel, 2, 1), stamp(x, kernel[:3], 2, 0)]


def _overlaps(answer: Tensor, mask: Tensor, classes: int) -> list[tuple[int, int]]:
    """What answer and mask share, and what either covers, class by class."""
    both = [((answer == n) & (mask == n)).sum().item() for n in range(classes)]
    either = [((answer == n) | (mask == n)).sum().item() for n in range(classes)]
    return [(int(a), int(b)) for a, b in zip(both, either, strict=True)]


def _mean_of_present(answer: Tensor, mask: Tensor, classes: int) -> float:
    values = [a / b for a, b in _overlaps(answer, mask, classes) if b]
    return sum(values) / len(values)


def _mean_of_true(answer: Tensor, mask: Tensor, classes: int) -> float:
    pairs = _overlaps(answer, mask, classes)
    values = [a / b for n, (a, b) in enumerate(pairs) if (mask == n).any()]
    return sum(values) / len(values)


def _absent_as(worth: float) -> Callable[[Tensor, Tensor, int], float]:
    def mean(answer: Tensor, mask: Tensor, classes: int) -> float:
        pairs = _overlaps(answer, mask, classes)
        return sum(a / b if b else worth for a, b in pairs) / classes

    return mean


def _judged(mean: Callable[[Tensor, Tensor, int], Any]) -> list[Any]:
    """Class 1 is invented once, and class 3 is nowhere."""
    mask = torch.tensor([[0, 0, 0, 2], [0, 0, 2, 2], [0, 4, 4, 4]])
    answer = torch.tensor([[0, 0, 1, 2], [0, 0, 2, 0], [0, 4, 4, 0]])
    return [mean(answer, mask, 5), mean(mask, mask, 5)]


def _count(mask: Tensor, smallest: int, *, classes: int = 10) -> int:
    count = 0
    for number in range(classes):
        parts, found = ndimage.label((mask == number).numpy())
        sizes = [int((parts == part).sum()) for part in range(1, found + 1)]
        count += sum(size >= smallest for size in sizes)
    return count


def _count_at_once(mask: Tensor, smallest: int) -> int:
    """All digits as one class, 0, on a background of 10."""
    return _count((mask == 10).long() * 10, smallest)


def _counted(count: Callable[[Tensor, int], Any]) -> list[Any]:
    """Two 3s, a 7 that touches one of them, two 0s, a small 5 and a speck."""
    mask = torch.full((12, 20), 10)
    mask[1:5, 1:4] = 3
    mask[1:5, 10:13] = 3
    mask[2:6, 13:16] = 7
    mask[8:11, 1:4] = 0
    mask[8:11, 5:8] = 0
    mask[8:10, 17:19] = 5
    mask[7, 10] = 3
    return [count(mask, 4), count(mask, 5)]


EXERCISES = {
    "9.1": Exercise(
        right=(19, 9),
        wrong={
            "Count the windows, not the steps between them: one more.": (18, 8),
            "Windows lie 4 pixels apart: two poolings halve the map twice.": (73, 33),
            "The last window has to fit: its 28 pixels end at the border.": (25, 15),
            "Rows first, then columns.": (9, 19),
        },
    ),
    "9.2": Exercise(
        right=(16, 4),
        wrong={
            "With kernel 8 the stamps lie side by side: every pixel is covered once in "
            "each direction.": (8, 0),
            "Two stamps are right, and without padding the map is 8 pixels too large: "
            "take off 4 at each side.": (16, 0),
            "`padding` is taken off at both sides: half as much.": (16, 8),
            "Kernel size first, then padding.": (4, 16),
        },
    ),
    "9.3": Exercise(
        right=_stamp,
        wrong={
            "The ends are still there: cut `padding` numbers off both.": (
                lambda x, kernel, stride, padding: _stamp(x, kernel, stride, 0)
            ),
            "With padding 0 the slice ends at -0, which is the beginning: write "
            "`len(result) - padding`.": (
                lambda x, kernel, stride, padding: _stamp(x, kernel, stride, 0)[
                    padding:-padding
                ]
            ),
            "A stamp replaces what was there: overlaps should add up.": (
                lambda *given: _stamp(*given, add=False)
            ),
            "The kernel is stamped backwards: leave it as it is.": (
                lambda x, kernel, *lengths: _stamp(x, kernel.flip(0), *lengths)
            ),
            "The stamps lie 1 apart: they should lie `stride` apart.": (
                lambda x, kernel, stride, padding: _stamp(x, kernel, 1, padding)
            ),
        },
        look_at=_stamped,
    ),
    "9.4": Exercise(
        right=_mean_of_present,
        wrong={
            "A class that is in neither counts as 0: leave it out.": _absent_as(0.0),
            "A class that is in neither counts as 1: leave it out.": _absent_as(1.0),
            "A class that the answer invents is left out: it has an IoU of 0.": (
                _mean_of_true
            ),
        },
        look_at=_judged,
    ),
    "9.5": Exercise(
        right=_count,
        wrong={
            "The background is counted as an object: stop at class 9.": (
                lambda mask, smallest: _count(mask, smallest, classes=11)
            ),
            "Touching digits of two classes are one object for you: one class at a "
            "time.": (_count_at_once),
            "Small parts are counted, too: leave out those below `smallest`.": (
                lambda mask, smallest: _count(mask, 1)
            ),
            "A part with exactly `smallest` pixels counts.": (
                lambda mask, smallest: _count(mask, smallest + 1)
            ),
            "You count the classes that occur, not the objects.": (
                lambda mask, smallest: len(mask[mask != 10].unique())
            ),
        },
        look_at=_counted,
    ),
}
