"""The exercises of chapter 14: shipping a model."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.exercises import Exercise

# Six pictures, dark and bright as a whole, with a bright colour and a dark one each.
SCANS = (
    torch.tensor([0.2, 0.8, 0.3, 0.58, 0.42, 0.7])[:, None, None, None]
    + torch.tensor([0.2, 0.0, -0.2])[:, None, None]
    + 0.1 * torch.sin(torch.arange(6 * 3 * 4 * 4) * 1.3).view(6, 3, 4, 4)
)
NUMBERS = (
    torch.tensor([-3.0, -0.7, 0.0, 0.26, 1.9]),
    torch.tensor([[0.02, -0.013], [0.051, 0.0004]]),
)
# Few at once are answered soonest, and 16 with the best rate.
TIMES = {1: 0.5, 4: 0.8, 16: 2.4, 64: 12.0, 256: 60.0}
EVEN = {1: 3.0, 8: 16.0, 32: 60.0, 128: 200.0}
CANVAS = [(7 * place + place // 4) % 256 for place in range(4096)]
MEAN = torch.tensor([0.4913, 0.4823, 0.4467])[:, None, None]
STD = torch.tensor([0.2469, 0.2434, 0.2617])[:, None, None]


def _repair(images: Tensor) -> Tensor:
    dark = images.mean(dim=(1, 2, 3), keepdim=True) < 0.5
    return torch.where(dark, 1 - images, images)


def _repair_with_if(images: Tensor) -> Tensor:
    if images.mean() < 0.5:
        return 1 - images
    return images


def _repair_in_a_loop(images: Tensor) -> Tensor:
    return torch.stack([1 - i if i.mean() < 0.5 else i for i in images])


def _repaired(repair: Callable[[Tensor], Any]) -> Any:
    """What becomes of the pictures, and whether the function asks about its data."""
    result = repair(SCANS.clone())
    if not isinstance(result, Tensor):
        return result
    try:
        torch.fx.symbolic_trace(repair)
    except Exception:  # whatever a function does that looks at the numbers
        return [result, False]
    return [result, True]


Scale = Callable[[Tensor], Tensor]
Marks = tuple[Tensor, Tensor]


def _largest(x: Tensor) -> Tensor:
    return x.abs().max() / 127


def _symmetric(x: Tensor, scale_of: Scale = _largest) -> Marks:
    scale = scale_of(x)
    return (x / scale).round().clamp(-128, 127).to(torch.int8), scale


def _scaled(scale_of: Scale) -> Callable[[Tensor], Marks]:
    """The right rounding with another scale."""
    return partial(_symmetric, scale_of=scale_of)


def _ruled(symmetric: Callable[[Tensor], Any]) -> Any:
    """The marks with their dtype, and the scale, of two tensors."""
    results = [symmetric(x.clone()) for x in NUMBERS]
    if not all(isinstance(each, tuple | list) and len(each) == 2 for each in results):
        return results[0]
    return [
        [marks, scale, str(getattr(marks, "dtype", type(marks)))]
        for marks, scale in results
    ]


def _best(times: dict[int, float], limit: float) -> int:
    allowed = {count: time for count, time in times.items() if time <= limit}
    return max(allowed, key=lambda count: count / allowed[count])


def _chosen(best_batch: Callable[[dict[int, float], float], Any]) -> Any:
    tries = [(TIMES, 100.0), (TIMES, 2.0), (TIMES, 2.4), (EVEN, 70.0), (EVEN, 500.0)]
    return [best_batch(dict(times), limit) for times, limit in tries]


Pair = tuple[nn.Linear, nn.Linear]


def _layers() -> Pair:
    """Two dense layers whose weights depend on their shapes only."""
    first, second = nn.Linear(5, 8), nn.Linear(8, 3)
    with torch.no_grad():
        for number, parameter in enumerate((*first.parameters(), *second.parameters())):
            wave = torch.sin(torch.arange(parameter.numel()) * 1.7 + number)
            parameter.copy_(wave.view_as(parameter))
        first.weight *= torch.tensor([1, 3, 0.2, 2, 0.1, 4, 0.3, 2.5])[:, None]
    return first, second


@torch.no_grad()
def _thinner(first: nn.Linear, second: nn.Linear, count: int, wrong: str = "") -> Pair:
    size = first.weight.abs().sum(dim=1)
    if wrong == "signed":
        size = first.weight.sum(dim=1)
    if wrong == "outgoing":
        size = second.weight.abs().sum(dim=0)
    keep = size.topk(count, largest=wrong != "smallest").indices
    new_first = nn.Linear(first.in_features, count)
    new_second = nn.Linear(count, second.out_features)
    new_first.weight.copy_(first.weight[keep])
    new_second.weight.copy_(
        second.weight[:, keep if wrong != "columns" else range(count)]
    )
    if wrong != "no bias":
        new_first.bias.copy_(first.bias[keep if wrong != "bias" else range(count)])
        new_second.bias.copy_(second.bias)
    return new_first, new_second


@torch.no_grad()
def _only_zeroed(first: nn.Linear, second: nn.Linear, count: int) -> Pair:
    least = first.weight.abs().sum(dim=1).argsort()[: len(first.weight) - count]
    first.weight[least] = 0
    return first, second


def _computed(thinner: Callable[[nn.Linear, nn.Linear, int], Any]) -> Any:
    """What the two new layers compute, their sizes, and whether the old are whole."""
    with torch.random.fork_rng(devices=[]):
        first, second = _layers()
        torch.manual_seed(0)  # so that forgotten biases are always the same
        result = thinner(first, second, 4)
    if not isinstance(result, tuple | list) or len(result) != 2:
        return result
    x = torch.sin(torch.arange(10) * 0.7).view(2, 5)
    with torch.no_grad():
        y = result[1](F.relu(result[0](x)))
    whole = all(
        torch.equal(mine.weight, fresh.weight)
        for mine, fresh in zip((first, second), _layers(), strict=True)
    )
    sizes = [tuple(layer.weight.shape) for layer in result]
    return [y, sizes, whole]


def _from_canvas(numbers: list[int], channels: int = 3) -> Tensor:
    pixels = torch.tensor(numbers).reshape(32, 32, 4)[:, :, :channels]
    return (pixels.permute(2, 0, 1)[None] / 255 - MEAN) / STD


def _reshaped(numbers: list[int]) -> Tensor:
    pixels = torch.tensor(numbers).reshape(4, 32, 32)[:3]
    return (pixels[None] / 255 - MEAN) / STD


def _opacity_first(numbers: list[int]) -> Tensor:
    pixels = torch.tensor(numbers).reshape(32, 32, 4)[:, :, 1:]
    return (pixels.permute(2, 0, 1)[None] / 255 - MEAN) / STD


EXERCISES = {
    "14.1": Exercise(
        right=(248_024, 124_012, 62_006, 31_003),
        wrong={
            "Those are bits; a byte has 8 of them.": tuple(
                8 * count for count in (248_024, 124_012, 62_006, 31_003)
            ),
            "32, 16 and 8 are bits; a byte has 8 of them.": (
                (1_984_192, 992_096, 496_048, 31_003)
            ),
            "4 bits are half a byte, not a quarter of one.": (
                (248_024, 124_012, 62_006, 15_501)
            ),
            "The 16 in bfloat16 are its bits: two bytes.": (
                (248_024, 248_024, 62_006, 31_003)
            ),
            "The last one is 4 bits each, not 4 bytes.": (
                (248_024, 124_012, 62_006, 248_024)
            ),
        },
    ),
    "14.2": Exercise(
        right=_repair,
        wrong={
            "The mean of the whole batch decides here, and an `if` asks about "
            "numbers: take a mean for each picture, and torch.where.": _repair_with_if,
            "The pictures are right, but Python looks at the numbers to decide, "
            "and that cannot be exported: use torch.where on the whole batch.": (
                _repair_in_a_loop
            ),
            "Each pixel decides for itself here; the mean of its picture should.": (
                lambda images: torch.where(images < 0.5, 1 - images, images)
            ),
            "The mean is that of the whole batch: give `mean` the axes 1, 2 and 3.": (
                lambda images: torch.where(images.mean() < 0.5, 1 - images, images)
            ),
            "Each colour decides for itself here: take the mean over axis 1, too.": (
                lambda images: torch.where(
                    images.mean(dim=(2, 3), keepdim=True) < 0.5, 1 - images, images
                )
            ),
            "The bright ones are inverted: torch.where takes from its second "
            "argument where the condition holds.": (
                lambda images: torch.where(
                    images.mean(dim=(1, 2, 3), keepdim=True) < 0.5, images, 1 - images
                )
            ),
        },
        look_at=_repaired,
    ),
    "14.3": Exercise(
        right=_symmetric,
        wrong={
            "The largest number is not the largest absolute value: -3 is longer than "
            "1.9.": _scaled(lambda x: x.max() / 127),
            "Your scale forgets the negative numbers: take the largest absolute "
            "value, `x.abs().max()`.": (
                lambda x: ((x / (x.max() / 127)).round().to(torch.int8), x.max() / 127)
            ),
            "Divide by 127: there is no mark 128 on the upper side.": (
                _scaled(lambda x: x.abs().max() / 128)
            ),
            "255 gaps lie between -127.5 and 127.5; from 0 to the end there are "
            "127.": _scaled(lambda x: x.abs().max() / 255),
            "That is the scale of the ruler with a zero point; here it is the "
            "largest absolute value divided by 127.": (
                _scaled(lambda x: (x.max() - x.min()) / 255)
            ),
            "`to(torch.int8)` cuts fractions off: round first.": (
                lambda x: ((x / _largest(x)).to(torch.int8), _largest(x))
            ),
            "The marks are right, but not stored in bytes: `.to(torch.int8)`.": (
                lambda x: ((x / _largest(x)).round(), _largest(x))
            ),
            "First the marks, then the scale.": lambda x: _symmetric(x)[::-1],
        },
        look_at=_ruled,
    ),
    "14.4": Exercise(
        right=_best,
        wrong={
            "The best rate, but everybody waits for the whole batch, and that "
            "takes longer than the limit.": (
                lambda times, limit: max(times, key=lambda n: n / times[n])
            ),
            "The largest batch that keeps the limit need not be the fastest: "
            "compare pictures per millisecond.": (
                lambda times, limit: max(n for n in times if times[n] <= limit)
            ),
            "The largest batch of all takes longer than the limit.": (
                lambda times, limit: max(times)
            ),
            "That batch is done first, but answers few in a second.": (
                lambda times, limit: min(times, key=lambda n: times[n])
            ),
            "Exactly the limit is still allowed: <=, not <.": (
                lambda times, limit: max(
                    (n for n in times if times[n] < limit), key=lambda n: n / times[n]
                )
            ),
        },
        look_at=_chosen,
    ),
    "14.5": Exercise(
        right=_thinner,
        wrong={
            "Those are the smallest: keep the largest.": (
                partial(_thinner, wrong="smallest")
            ),
            "The second layer has kept its first columns: keep those of the "
            "neurons that stay.": partial(_thinner, wrong="columns"),
            "The biases of the first layer belong to other neurons: cut them with "
            "the same places.": partial(_thinner, wrong="bias"),
            "The biases are missing: those of the neurons that stay, and those of "
            "the second layer.": partial(_thinner, wrong="no bias"),
            "Large negative weights count as well: take absolute values first.": (
                partial(_thinner, wrong="signed")
            ),
            "You chose by the outgoing weights; the incoming ones are a row of "
            "the first layer.": partial(_thinner, wrong="outgoing"),
            "Zeros take as much room as before: make new, smaller layers, and "
            "leave the old ones as they are.": _only_zeroed,
        },
        look_at=_computed,
    ),
    "14.6": Exercise(
        right=_from_canvas,
        wrong={
            "The shape is right, but the four numbers of a pixel stand side by "
            "side: reshape to (32, 32, 4), then permute.": _reshaped,
            "A network wants a batch: add an axis of length 1 in front.": (
                lambda numbers: _from_canvas(numbers)[0]
            ),
            "Fractions, but not normalised: subtract the centre and divide by the "
            "spread.": (lambda numbers: _from_canvas(numbers) * STD + MEAN),
            "Those are bytes: divide by 255 before you normalise.": (
                lambda numbers: (
                    ((_from_canvas(numbers) * STD + MEAN) * 255 - MEAN) / STD
                )
            ),
            "Rows and columns have changed places: permute(2, 0, 1).": (
                lambda numbers: _from_canvas(numbers).transpose(2, 3)
            ),
            "The opacity is the last of the four, not the first.": _opacity_first,
            "The channels belong in front of rows and columns.": (
                lambda numbers: _from_canvas(numbers).permute(0, 2, 3, 1)
            ),
        },
        look_at=lambda from_canvas: from_canvas(list(CANVAS)),
    ),
}
