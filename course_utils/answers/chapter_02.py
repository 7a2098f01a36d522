"""The exercises of chapter 2: networks, losses and optimizers."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from course_utils.exercises import Exercise

Net = Callable[[torch.Tensor], torch.Tensor]


def _without_shift(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    grown = logits.exp()
    share = grown / grown.sum(dim=1, keepdim=True)
    return -share[range(len(labels)), labels].log().mean()


def _shifted_softmax(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _without_shift(logits - logits.max(dim=1, keepdim=True).values, labels)


MODERATE_LOGITS = torch.tensor([[1.0, 2, 0], [0.5, -1, 3], [2, 2.5, -0.5]])
HUGE_LOGITS = torch.tensor([[1000.0, 999, 0], [0, 1000, 0]])


def _decayed(w: float, slope: float, learning_rate: float, decay: float) -> float:
    return w - learning_rate * (slope + decay * w)


class _Scale(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.factor: torch.Tensor = nn.Parameter(torch.ones(number))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class _ScaleNotRegistered(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        del self.factor
        self.factor = torch.ones(number, requires_grad=True)


class _ScaleOfOne(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(1)


class _Shift(_Scale):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.factor


class _ScaleFromZero(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.factor = nn.Parameter(torch.zeros(number))


def _scaled(make: Callable[[int], Any]) -> Any:
    """How many numbers the layer learns, and what it makes of two rows of three."""
    layer = make(3)
    if layer is None or layer is ...:
        return None
    out = layer(torch.arange(6.0).reshape(2, 3))
    return [sum(p.numel() for p in layer.parameters()), out]


def _rings(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two rings about the same middle: class 0 inside, class 1 around it."""
    y = torch.arange(number) % 2
    angle = torch.arange(number) * 2.4
    radius = 1 + y + 0.2 * torch.sin(torch.arange(number) * 1.7)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), y


def _trained(net: Net) -> Callable[..., Net]:
    """A training that leads to this network."""
    return lambda x, y: net


def _by_radius(points: torch.Tensor) -> torch.Tensor:
    return torch.stack([1.5 - points.norm(dim=1), points.norm(dim=1) - 1.5], 1)


def _half_way(points: torch.Tensor) -> torch.Tensor:
    right = _by_radius(points)
    return torch.where((points[:, :1] > 1.2), right.flip(1), right)


def _quality(train: Callable[..., Any]) -> Any:
    """How many columns the net gives, and how well it does, in four grades."""
    with torch.enable_grad():
        net = train(*_rings(200))
    if net is None or net is ...:
        return None
    x, y = _rings(501)
    with torch.no_grad():
        out = net(x)
    if out is None or out is ...:
        return None
    share = (out.argmax(dim=1) == y).float().mean().item()
    grade = sum(share > limit for limit in (0.3, 0.7, 0.95))
    return [out.shape[1], grade]


EXERCISES = {
    "2.1": Exercise(
        right=50_890,
        wrong={
            "Those are the weights; each output has a bias as well.": 50_816,
            "The first layer is right; the second has biases, too: 10.": 50_880,
            "The second layer is right; the first has biases, too: 64.": 50_826,
            "A weight joins a unit to one of the next layer: the layers' weights "
            "are added, not multiplied.": 501_760,
            "ReLU has no parameters.": 50_954,
            "Those are the weights of the first layer alone.": 50_176,
            "That is the first layer alone; add the second.": 50_240,
        },
    ),
    "2.2": Exercise(
        right=lambda one_hot: one_hot.argmax(dim=1),
        wrong={
            "That is one number for the whole table; say along which axis.": (
                lambda one_hot: one_hot.argmax()
            ),
            "That gives one number a class: the classes lie along axis 1.": (
                lambda one_hot: one_hot.argmax(dim=0)
            ),
            "Those are the largest numbers, all 1; you want their places.": (
                lambda one_hot: one_hot.max(dim=1).values
            ),
        },
        look_at=lambda turn: turn(
            torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        ),
    ),
    "2.3": Exercise(
        right=F.cross_entropy,
        wrong={
            "Right for small logits; at 1000, exp overflows. Subtract each row's "
            "largest logit first.": _without_shift,
            "It does not overflow any more, but a probability comes out as 0, and "
            "its log as minus infinity: use log(a / b) = log a - log b.": (
                _shifted_softmax
            ),
            "That is the logarithm with base 10; torch.log is the natural one.": (
                lambda *given: F.cross_entropy(*given) / math.log(10)
            ),
            "The sign: the log of a probability is negative, a loss is not.": (
                lambda *given: -F.cross_entropy(*given)
            ),
            "That is the sum over the examples; take their mean.": (
                lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")
            ),
            "That is one loss for each example; take their mean.": (
                lambda logits, labels: F.cross_entropy(logits, labels, reduction="none")
            ),
            "Softmax is applied twice here.": (
                lambda logits, labels: F.cross_entropy(logits.softmax(1), labels)
            ),
            "Softmax along the wrong axis: the classes lie along dim=1.": (
                lambda logits, labels: (
                    -logits.log_softmax(0)[range(len(labels)), labels].mean()
                )
            ),
        },
        look_at=lambda loss: [
            loss(MODERATE_LOGITS.clone(), torch.tensor([1, 0, 0])),
            loss(HUGE_LOGITS.clone(), torch.tensor([1, 0])),
        ],
    ),
    "2.4": Exercise(
        right=_decayed,
        wrong={
            "The learning rate scales the slope of the penalty, too.": (
                lambda w, slope, rate, decay: w - rate * slope - decay * w
            ),
            "Here the weight grows; the penalty should pull it towards 0.": (
                lambda w, slope, rate, decay: w - rate * (slope - decay * w)
            ),
            "The pull is decay times the weight, not the same for all.": (
                lambda w, slope, rate, decay: w - rate * (slope + decay)
            ),
            "That is the penalty itself; the step needs its slope.": (
                lambda w, slope, rate, decay: w - rate * (slope + decay * w**2 / 2)
            ),
            "The slope of w² is 2w, and the penalty has a half before it.": (
                lambda w, slope, rate, decay: w - rate * (slope + 2 * decay * w)
            ),
            "That is plain SGD: the penalty is missing.": (
                lambda w, slope, rate, decay: w - rate * slope
            ),
            "That is the slope with its pull; now take the step.": (
                lambda w, slope, rate, decay: slope + decay * w
            ),
        },
        look_at=lambda step: [step(3.0, 0.5, 0.1, 0.2), step(-2.0, 1.0, 0.5, 0.1)],
    ),
    "2.5": Exercise(
        right=_Scale,
        wrong={
            "It multiplies rightly, but parameters() is empty: use nn.Parameter.": (
                _ScaleNotRegistered
            ),
            "One factor for all; each input should have its own.": _ScaleOfOne,
            "This adds the factors; multiply by them.": _Shift,
            "The factors should start at 1, not at 0.": _ScaleFromZero,
        },
        look_at=_scaled,
    ),
    "2.6": Exercise(
        right=_trained(_by_radius),
        wrong={
            "About as good as guessing: is there an activation between the layers, and "
            "does the loss fall?": (
                _trained(lambda points: torch.stack([points[:, 0], -points[:, 0]], 1))
            ),
            "On the way, but under 95 %: take more steps or more units.": (
                _trained(_half_way)
            ),
            "One number a point; give two logits, one for each class.": (
                _trained(lambda points: _by_radius(points)[:, :1])
            ),
            "Nearly all wrong: the classes have changed places.": (
                _trained(lambda points: _by_radius(points).flip(1))
            ),
        },
        look_at=_quality,
    ),
}
