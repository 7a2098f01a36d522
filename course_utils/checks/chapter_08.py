"""The exercises of chapter 8: from fully convolutional networks to U-Net."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.checks.exercises import Exercise

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


def _stamp_flipped(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    return _stamp(x, kernel.flip(0), stride, padding)


def _stamp_close(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    return _stamp(x, kernel, 1, padding)


def _stamped(stamp: Callable[..., Any]) -> list[Any]:
    x = torch.tensor([1.0, 2.0, -1.0])
    kernel = torch.tensor([1.0, 3.0, 2.0, 0.5])
    return [stamp(x, kernel, 2, 1), stamp(x, kernel[:3], 2, 0)]


def _near(masks: Tensor, size: int = 5) -> tuple[Tensor, Tensor]:
    membrane = (masks == 0).float()
    spread = F.max_pool2d(membrane[:, None], size, stride=1, padding=size // 2)[:, 0]
    return spread, membrane


def _border_weights(masks: Tensor) -> Tensor:
    near, membrane = _near(masks)
    return 1 + 5 * (near - membrane)


def _border_and_membrane(masks: Tensor) -> Tensor:
    return 1 + 5 * _near(masks)[0]


def _border_thin(masks: Tensor) -> Tensor:
    near, membrane = _near(masks, 3)
    return 1 + 5 * (near - membrane)


def _border_inside_out(masks: Tensor) -> Tensor:
    return _border_weights(1 - masks)


def _border_too_heavy(masks: Tensor) -> Tensor:
    near, membrane = _near(masks)
    return 1 + 6 * (near - membrane)


def _border_alone(masks: Tensor) -> Tensor:
    near, membrane = _near(masks)
    return 6 * (near - membrane)


def _weighed(weights: Callable[[Tensor], Any]) -> Any:
    masks = torch.ones(2, 9, 9, dtype=torch.long)
    masks[0, 4] = masks[1, :, 2] = masks[1, 8] = 0
    return weights(masks)


def _looks(predict: Predict, pictures: Tensor, back: int) -> Tensor:
    """The four answers, each turned on by `back` quarters for each quarter forth."""
    turned = [predict(pictures.rot90(k, (-2, -1))) for k in range(4)]
    return torch.stack([t.rot90(back * k, (-2, -1)) for k, t in enumerate(turned)])


def _four_looks(predict: Predict, pictures: Tensor) -> Tensor:
    return _looks(predict, pictures, -1).mean(dim=0)


def _looked(four: Callable[[Predict, Tensor], Any]) -> Any:
    """Tried with an answer that leans to one side, and so changes when turned."""

    def lean(pictures: Tensor) -> Tensor:
        down = torch.arange(float(pictures.shape[-2]))[:, None]
        return pictures.mean(dim=1) * (1 + down)

    pictures = torch.arange(32.0).reshape(2, 1, 4, 4).square() / 100
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
        wrong=[
            ((18, 8), "Count the windows, not the steps between them: one more."),
            ((73, 33), "Windows lie 4 pixels apart: two poolings halve the map twice."),
            ((25, 15), "The last window has to fit: its 28 pixels end at the border."),
            ((9, 19), "Rows first, then columns."),
        ],
    ),
    "8.2": Exercise(
        right=95,
        wrong=[
            (96, "That sees 193 pixels, one layer too many: one pixel sees itself."),
            (190, "A 3 by 3 convolution adds a pixel on both sides."),
            (191, "A 3 by 3 convolution adds a pixel on both sides, two in all."),
            (64, "Each adds 2 pixels, not 3: the middle one was there before."),
        ],
    ),
    "8.3": Exercise(
        right=_stamp,
        wrong=[
            (_stamp_uncut, "The ends are still there: cut `padding` numbers off both."),
            (_stamp_over, "A print replaces what was there: overlaps should add up."),
            (_stamp_flipped, "The kernel is printed backwards: leave it as it is."),
            (_stamp_close, "The prints lie 1 apart: they should lie `stride` apart."),
        ],
        look_at=_stamped,
    ),
    "8.4": Exercise(
        right=_border_weights,
        wrong=[
            (
                _border_and_membrane,
                "The membrane itself is weighed too: leave its pixels at 1.",
            ),
            (
                _border_thin,
                "The border is one pixel wide: look at 5 by 5 pixels, not 3 by 3.",
            ),
            (
                _border_inside_out,
                "You weigh the membrane next to cells: 0 is membrane, 1 is cell.",
            ),
            (_border_too_heavy, "The border weighs 7: 1 plus how much makes 6?"),
            (
                _border_alone,
                "All other pixels weigh 0 and would teach nothing: give 1.",
            ),
        ],
        look_at=_weighed,
    ),
    "8.5": Exercise(
        right=_four_looks,
        wrong=[
            (
                lambda predict, pictures: _looks(predict, pictures, 0).mean(dim=0),
                "The answers are not turned back before the mean is taken.",
            ),
            (
                lambda predict, pictures: _looks(predict, pictures, 1).mean(dim=0),
                "The answers are turned on, not back: the other direction.",
            ),
            (
                lambda predict, pictures: _looks(predict, pictures, -1).sum(dim=0),
                "That is the sum of four answers: take the mean.",
            ),
            (
                lambda predict, pictures: predict(pictures),
                "That is a single look: turn the pictures as well.",
            ),
        ],
        look_at=_looked,
    ),
    "8.6": Exercise(
        right=_tile_starts,
        wrong=[
            (_starts_over_the_end, "The last tiles reach beyond the end."),
            (
                _starts_without_rest,
                "Where the steps do not fit, the end is not covered.",
            ),
            (_starts_twice, "Where the steps do fit, the last start is there twice."),
            (_starts_below_0, "A picture shorter than a tile starts at 0, not below."),
        ],
        look_at=_started,
    ),
}
