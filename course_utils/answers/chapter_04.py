"""The exercises of chapter 4: convolution, pooling, dense layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from course_utils.exercises import Exercise

Net = Callable[[torch.Tensor], torch.Tensor]
Numbers = torch.Tensor


def _one_at(row: int, column: int) -> torch.Tensor:
    kernel = torch.zeros(3, 3)
    kernel[row, column] = 1
    return kernel


def _per_channel(numbers: Numbers) -> Numbers:
    return numbers[:, None, None]


def _norm(
    x: Numbers, mean: Numbers, variance: Numbers, gamma: Numbers, beta: Numbers
) -> Numbers:
    spread = (variance + 1e-5).sqrt()
    scaled = (x - _per_channel(mean)) * _per_channel(gamma / spread)
    return scaled + _per_channel(beta)


def _norm_example(norm: Callable[..., Numbers]) -> Numbers:
    x = (torch.arange(54.0) * 7 % 11).reshape(2, 3, 3, 3)
    mean, variance = torch.tensor([4.0, 5, 6]), torch.tensor([1.0, 4, 9])
    gamma, beta = torch.tensor([1.0, 2, 3]), torch.tensor([0.5, -1, 2])
    return norm(x, mean, variance, gamma, beta)


def _convolution(
    dense: nn.Linear, channels: int, size: int, wrong: str = ""
) -> nn.Conv2d:
    layer = nn.Conv2d(channels, dense.out_features, size)
    weight = dense.weight.reshape(-1, channels, size, size)
    if wrong == "channels last":
        weight = dense.weight.reshape(-1, size, size, channels).permute(0, 3, 1, 2)
    if wrong == "turned":
        weight = weight.flip(2, 3)
    if wrong == "rows for columns":
        weight = weight.transpose(2, 3)
    layer.weight.data = weight.detach().clone()
    layer.bias.data = dense.bias.detach() * (wrong != "no bias")  # type: ignore[union-attr]
    return layer


def _still_dense(dense: nn.Linear, channels: int, size: int) -> Net:
    return lambda maps: dense(maps[:, :, :size, :size].flatten(1))


def _by_known_weights(convert: Callable[[nn.Linear, int, int], Any]) -> Any:
    """What the converted layer makes of maps as large as it is, and of larger ones."""
    channels, size, outputs = 2, 3, 4
    dense = nn.Linear(channels * size * size, outputs)
    with torch.no_grad():
        dense.weight.copy_(torch.arange(72.0).reshape(4, 18) * 5 % 13 - 6)
        dense.bias.copy_(torch.tensor([1.0, -2, 3, -4]))
    layer = convert(dense, channels, size)
    if not callable(layer):
        return layer
    maps = (torch.arange(40.0) * 3 % 7).reshape(1, 2, 4, 5)
    return [layer(maps[:, :, :3, :3]), layer(maps)]


def _slopes(net: Net, ask: Callable[[Numbers], Numbers]) -> Numbers:
    """Which pixels have a slope for one of the numbers of a map, or for their sum."""
    picture = torch.ones(1, 1, 65, 65, requires_grad=True)
    (slopes,) = torch.autograd.grad(ask(net(picture)[0, 0]), picture)
    return slopes[0, 0] != 0


def _middle(maps: Numbers) -> Numbers:
    middle = len(maps) // 2
    return maps[middle, middle]


def _sees(net: Net) -> int:
    columns = _slopes(net, _middle).any(dim=0).nonzero()
    return int(columns.max() - columns.min()) + 1


def _positive(*settings: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions of (kernel size, stride, dilation) whose weights are all 1."""
    layers = [
        nn.Conv2d(1, 1, size, stride, padding=dilation * (size // 2), dilation=dilation)
        for size, stride, dilation in settings
    ]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


def _four_nets(sees: Callable[[Net], int]) -> list[int]:
    pooled = nn.Sequential(_positive((3, 1, 1)), nn.AvgPool2d(2), _positive((5, 1, 1)))
    return [
        sees(_positive((3, 1, 1), (3, 1, 1))),
        sees(_positive((3, 2, 1), (3, 1, 1))),
        sees(_positive((3, 1, 2))),
        sees(pooled),
    ]


EXERCISES = {
    "4.1": Exercise(
        right=49,
        wrong={
            "That is how often it steps; it also stands once before the first.": 48,
            "Padding is put on both sides: count it twice.": 47,
            "You left out the padding: 4 rows on each side.": 45,
            "Round down: a window that hangs over the edge is not used.": 50,
            "Round down: the window steps on 48 times, and half a step is none.": 49.5,
            "With a stride of 2 it moves two pixels at a step.": 98,
        },
    ),
    "4.2": Exercise(
        right=204_928,
        wrong={
            "The weights are right; each of the 128 blocks has a bias too.": 204_800,
            "There is a bias for each block, not for each input channel.": 204_864,
            "There is not one bias for all, but one for each block.": 204_801,
            "A block is as deep as the picture: 64 channels, not one.": 3_328,
            "A block is as deep as the picture, and it has a bias.": 3_200,
            "A kernel is 5 wide and 5 high: 25 numbers.": 41_088,
            "A kernel is 5 wide and 5 high, and each block has a bias.": 40_960,
            "There are 128 blocks, each with a kernel for 64 channels.": 1_728,
        },
        tolerance=1e-6,
    ),
    "4.3": Exercise(
        right=_one_at(1, 0),
        wrong={
            "This moves it to the left: conv2d turns no kernel.": _one_at(1, 2),
            "This moves it down, by one row.": _one_at(0, 1),
            "This moves it up, by one row.": _one_at(2, 1),
            "This leaves the picture as it is.": _one_at(1, 1),
            "This adds up three pixels; take one alone.": torch.tensor(
                [[1.0, 0, 0]] * 3
            ),
            "This is a blur; one weight is 1, the others 0.": torch.full((3, 3), 1 / 9),
        },
    ),
    "4.4": Exercise(
        right=_norm,
        wrong={
            "The numbers went along the columns: add two axes to each list.": (
                lambda x, mean, variance, gamma, beta: (
                    (x - mean) / (variance + 1e-5).sqrt() * gamma + beta
                )
            ),
            "In eval mode the running mean and variance count, not the batch's.": (
                lambda x, mean, variance, *learned: _norm(
                    x, x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), *learned
                )
            ),
            "Normalised; now multiply by gamma and add beta.": (
                lambda x, mean, variance, gamma, beta: _norm(
                    x, mean, variance, gamma**0, 0 * beta
                )
            ),
            "Divide by the spread, the root of the variance.": (
                lambda x, mean, variance, *learned: _norm(
                    x, mean, variance**2, *learned
                )
            ),
            "Multiply by gamma first and add beta afterwards.": (
                lambda x, mean, variance, gamma, beta: _norm(
                    x, mean, variance, gamma, beta * gamma
                )
            ),
        },
        look_at=_norm_example,
    ),
    "4.5": Exercise(
        right=_convolution,
        wrong={
            "The weights are right; copy the bias as well.": (
                partial(_convolution, wrong="no bias")
            ),
            "flatten puts channels first: reshape to (-1, channels, size, size).": (
                partial(_convolution, wrong="channels last")
            ),
            "Turn nothing: conv2d is a correlation.": (
                partial(_convolution, wrong="turned")
            ),
            "Rows and columns have changed places.": (
                partial(_convolution, wrong="rows for columns")
            ),
            "This is still the dense layer: a convolution keeps rows and columns.": (
                _still_dense
            ),
        },
        look_at=_by_known_weights,
    ),
    "4.6": Exercise(
        right=_sees,
        wrong={
            "Right without dilation; with it there are gaps: take the last column "
            "less the first, plus one.": (
                lambda net: int(_slopes(net, _middle).any(dim=0).sum())
            ),
            "These are all its pixels; how many are they across?": (
                lambda net: int(_slopes(net, _middle).sum())
            ),
            "At the corner the border cuts it off: ask the middle number.": (
                lambda net: int(_slopes(net, lambda maps: maps[0, 0]).any(dim=0).sum())
            ),
            "65 is the whole picture: ask one number, count slopes other than 0.": (
                lambda net: int(_slopes(net, torch.sum).any(dim=0).sum())
            ),
        },
        look_at=_four_nets,
    ),
}
