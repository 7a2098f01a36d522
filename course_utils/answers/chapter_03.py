"""The exercises of chapter 3: convolution, pooling, dense layers."""

from collections.abc import Callable
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


def _norm_along_columns(
    x: Numbers, mean: Numbers, variance: Numbers, gamma: Numbers, beta: Numbers
) -> Numbers:
    return (x - mean) / (variance + 1e-5).sqrt() * gamma + beta


def _norm_of_batch(
    x: Numbers, mean: Numbers, variance: Numbers, gamma: Numbers, beta: Numbers
) -> Numbers:
    own = (x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0))
    return _norm(x, *own, gamma, beta)


def _norm_example(norm: Callable[..., Numbers]) -> Numbers:
    x = (torch.arange(54.0) * 7 % 11).reshape(2, 3, 3, 3)
    mean, variance = torch.tensor([4.0, 5, 6]), torch.tensor([1.0, 4, 9])
    gamma, beta = torch.tensor([1.0, 2, 3]), torch.tensor([0.5, -1, 2])
    return norm(x, mean, variance, gamma, beta)


def _convolution(dense: nn.Linear, weight: Numbers, bias: Numbers) -> nn.Conv2d:
    blocks, channels, size, _ = weight.shape
    layer = nn.Conv2d(channels, blocks, size)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)  # type: ignore[union-attr]
    return layer


def _as_convolution(dense: nn.Linear, channels: int, size: int) -> nn.Conv2d:
    weight = dense.weight.reshape(-1, channels, size, size)
    return _convolution(dense, weight, dense.bias)


def _channels_last(dense: nn.Linear, channels: int, size: int) -> nn.Conv2d:
    weight = dense.weight.reshape(-1, size, size, channels).permute(0, 3, 1, 2)
    return _convolution(dense, weight, dense.bias)


def _turned(dense: nn.Linear, channels: int, size: int) -> nn.Conv2d:
    weight = dense.weight.reshape(-1, channels, size, size).flip(2, 3)
    return _convolution(dense, weight, dense.bias)


def _rows_for_columns(dense: nn.Linear, channels: int, size: int) -> nn.Conv2d:
    weight = dense.weight.reshape(-1, channels, size, size).transpose(2, 3)
    return _convolution(dense, weight, dense.bias)


def _without_bias(dense: nn.Linear, channels: int, size: int) -> nn.Conv2d:
    weight = dense.weight.reshape(-1, channels, size, size)
    return _convolution(dense, weight, torch.zeros_like(dense.bias))


def _by_known_weights(
    convert: Callable[[nn.Linear, int, int], Any],
) -> Any:
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


def _slopes(net: Net, row: int, column: int) -> Numbers:
    picture = torch.ones(1, 1, 65, 65, requires_grad=True)
    (slopes,) = torch.autograd.grad(net(picture)[0, 0, row, column], picture)
    return slopes[0, 0] != 0


def _middle(net: Net) -> int:
    rows = net(torch.ones(1, 1, 65, 65)).shape[2]
    return rows // 2


def _sees(net: Net) -> int:
    middle = _middle(net)
    columns = _slopes(net, middle, middle).any(dim=0).nonzero()
    return int(columns.max() - columns.min()) + 1


def _counts_columns(net: Net) -> int:
    middle = _middle(net)
    return int(_slopes(net, middle, middle).any(dim=0).sum())


def _sees_pixels(net: Net) -> int:
    middle = _middle(net)
    return int(_slopes(net, middle, middle).sum())


def _sees_at_corner(net: Net) -> int:
    return int(_slopes(net, 0, 0).any(dim=0).sum())


def _sees_at_all(net: Net) -> int:
    picture = torch.ones(1, 1, 65, 65, requires_grad=True)
    (slopes,) = torch.autograd.grad(net(picture).sum(), picture)
    return int((slopes[0, 0] != 0).any(dim=0).sum())


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
    "3.1": Exercise(
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
    "3.2": Exercise(
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
    "3.3": Exercise(
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
    "3.4": Exercise(
        right=_norm,
        wrong={
            "The numbers went along the columns: add two axes to each list.": (
                _norm_along_columns
            ),
            "In eval mode the running mean and variance count, not the batch's.": (
                _norm_of_batch
            ),
            "Normalised; now multiply by gamma and add beta.": (
                lambda x, mean, variance, gamma, beta: _norm(
                    x, mean, variance, torch.ones(3), torch.zeros(3)
                )
            ),
            "Divide by the spread, the root of the variance.": (
                lambda x, mean, variance, gamma, beta: _norm(
                    x, mean, variance**2, gamma, beta
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
    "3.5": Exercise(
        right=_as_convolution,
        wrong={
            "The weights are right; copy the bias as well.": _without_bias,
            "flatten puts channels first: reshape to (-1, channels, size, size).": (
                _channels_last
            ),
            "Turn nothing: conv2d is a correlation.": _turned,
            "Rows and columns have changed places.": _rows_for_columns,
            "This is still the dense layer: a convolution keeps rows and columns.": (
                lambda dense, channels, size: (
                    lambda maps: dense(maps[:, :, :size, :size].flatten(1))
                )
            ),
        },
        look_at=_by_known_weights,
    ),
    "3.6": Exercise(
        right=_sees,
        wrong={
            "Right without dilation; with it there are gaps: take the last column "
            "less the first, plus one.": _counts_columns,
            "These are all its pixels; how many are they across?": _sees_pixels,
            "At the corner the border cuts it off: ask the middle number.": (
                _sees_at_corner
            ),
            "65 is the whole picture: ask one number, count slopes other than 0.": (
                _sees_at_all
            ),
        },
        look_at=_four_nets,
    ),
}
