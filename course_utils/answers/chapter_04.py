"""The exercises of chapter 4: convolution, pooling, dense layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises import Exercise

Net = Callable[[torch.Tensor], torch.Tensor]
Numbers = torch.Tensor


def _one_at(row: int, column: int) -> torch.Tensor:
    kernel = torch.zeros(3, 3)
    kernel[row, column] = 1
    return kernel


def _find(image: Numbers, result: Numbers) -> Numbers:
    """The only 3 x 3 filter that makes all of the result right."""
    windows = F.unfold(image[None, None], kernel_size=3)[0].T
    weights: Numbers = torch.linalg.lstsq(windows, result.flatten()[:, None]).solution
    return weights.reshape(3, 3)


def _two_secrets(find: Callable[[Numbers, Numbers], Any]) -> list[Any]:
    image = (torch.arange(576.0) * 7919 % 101 / 50).reshape(24, 24) - 1
    found = []
    for secret in (
        torch.tensor([[1.0, -2, 0], [0.5, 3, 0], [0, -1, 2]]),
        torch.tensor([[0.0, 1, 0], [0, -1, 1.5], [2, 0, -0.5]]),
    ):
        result = F.conv2d(image[None, None], secret[None, None])[0, 0]
        found.append(find(image, result))
    return found


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


def _gradients(net: Net, ask: Callable[[Numbers], Numbers]) -> Numbers:
    """Which pixels have a gradient for one number of a map, or for the sum."""
    image = torch.ones(1, 1, 65, 65, requires_grad=True)
    (gradients,) = torch.autograd.grad(ask(net(image)[0, 0]), image)
    return gradients[0, 0] != 0


def _middle(maps: Numbers) -> Numbers:
    middle = len(maps) // 2
    return maps[middle, middle]


def _sees(net: Net) -> int:
    columns = _gradients(net, _middle).any(dim=0).nonzero()
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
            "That is how often it steps; add its first place.": 48,
            "Padding is put on both sides: count it twice.": 47,
            "You left out the padding: 4 rows on each side.": 45,
            "Round down: a window that hangs over the edge is not used.": 50,
            "Round down: the window steps on 48 times; half a step is none.": 49.5,
            "With a stride of 2 it moves two pixels at a step.": 98,
        },
    ),
    "4.2": Exercise(
        right=204_928,
        wrong={
            "The weights are right; each of the 128 filters has a bias, too.": 204_800,
            "There is a bias for each filter, not for each input channel.": 204_864,
            "There is not one bias for all, but one for each filter.": 204_801,
            "A filter has a kernel for each of the 64 channels, not one.": 3_328,
            "A filter has 64 kernels, one for each channel, and a bias.": 3_200,
            "A kernel is 5 wide and 5 high: 25 numbers.": 41_088,
            "A kernel is 5 wide and 5 high, and each filter has a bias.": 40_960,
            "There are 128 filters, each with a kernel for 64 channels.": 1_728,
        },
        tolerance=1e-6,
    ),
    "4.3": Exercise(
        right=_one_at(1, 0),
        wrong={
            "This moves it to the left: conv2d does not turn the kernel.": (
                _one_at(1, 2)
            ),
            "This moves it down, by one row.": _one_at(0, 1),
            "This moves it up, by one row.": _one_at(2, 1),
            "This leaves the image as it is.": _one_at(1, 1),
            "This adds up three pixels; take only one of them.": torch.tensor(
                [[1.0, 0, 0]] * 3
            ),
            "This is a blur; one weight is 1, the others are 0.": torch.full(
                (3, 3), 1 / 9
            ),
        },
    ),
    "4.4": Exercise(
        right=_find,
        wrong={
            "Return a tensor of 3 x 3: the layer's weight has two axes more.": (
                lambda image, result: _find(image, result)[None, None]
            ),
            "This filter is turned by 180 degrees: return the weights as they are.": (
                lambda image, result: _find(image, result).flip(0, 1)
            ),
            "Rows and columns have changed places.": (
                lambda image, result: _find(image, result).T
            ),
            "All numbers are 0: has the optimizer taken its steps?": (
                lambda image, result: torch.zeros(3, 3)
            ),
        },
        look_at=_two_secrets,
        tolerance=0.05,
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
            "Do not turn the kernels: conv2d does not turn them.": (
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
            "minus the first, plus one.": (
                lambda net: int(_gradients(net, _middle).any(dim=0).sum())
            ),
            "These are all pixels of the field; count its columns.": (
                lambda net: int(_gradients(net, _middle).sum())
            ),
            "The border cuts the field off at the corner: ask the middle number.": (
                lambda net: int(
                    _gradients(net, lambda maps: maps[0, 0]).any(dim=0).sum()
                )
            ),
            "65 is the whole image: ask one number, count gradients that are not 0.": (
                lambda net: int(_gradients(net, torch.sum).any(dim=0).sum())
            ),
        },
        look_at=_four_nets,
    ),
}
