"""The exercises of chapter 8: ResNet-18 on ants and bees."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises import Exercise

Z = 1.959963984540054


class _Small(nn.Module):
    """A network with the parts of a ResNet that count here, only smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.bn1(self.conv1(images)))
        scores: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return scores


def _freeze(model: nn.Module, classes: int) -> nn.Module:
    model.requires_grad_(False)
    model.fc = nn.Linear(model.fc.in_features, classes)  # type: ignore[union-attr, arg-type]
    return model.eval()


def _freeze_but_norm(model: nn.Module, classes: int) -> nn.Module:
    _freeze(model, classes).get_submodule("bn1").requires_grad_(True)
    return model


def _keep_layer(model: nn.Module, classes: int) -> nn.Module:
    model.requires_grad_(False)
    model.get_submodule("fc").requires_grad_(True)
    return model.eval()


def _frozen(freeze: Callable[[nn.Module, int], Any]) -> Any:
    """What is to be seen of a network after `freeze`."""
    with torch.random.fork_rng(devices=[]):
        model = freeze(_Small(), 2)
    if not isinstance(model, nn.Module):
        return model
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    shape = tuple(model(torch.ones(2, 3, 5, 5)).shape)
    return [
        [p.requires_grad for p in model.parameters()],
        shape,
        all(torch.equal(before[name], b) for name, b in model.named_buffers()),
    ]


def _groups(model: nn.Module, rate: float, factor: float) -> list[dict[str, Any]]:
    """A group for each child, the last one at `rate`, each before it slower."""
    count = len(list(model.children()))
    return _with_rates(model, [rate * factor**n for n in reversed(range(count))])


def _with_rates(model: nn.Module, rates: list[float]) -> list[dict[str, Any]]:
    pairs = zip(model.children(), rates, strict=True)
    return [{"params": list(child.parameters()), "lr": rate} for child, rate in pairs]


def _rates(groups_of: Callable[..., Any]) -> Any:
    """At which rates each of a network's parameters learns."""
    model = _Small()
    groups = groups_of(model, 0.1, 0.5)
    if groups is None or groups is ...:
        return groups
    if any(isinstance(group["params"], nn.Module) for group in groups):
        raise TypeError('`"params"` wants child.parameters(), not the child itself')
    pairs = [(id(p), group["lr"]) for group in groups for p in list(group["params"])]
    places = {id(p): place for place, p in enumerate(model.parameters())}
    return [
        [
            [rate for which, rate in pairs if which == id(p)] or [0.0]
            for p in model.parameters()
        ],
        [places.get(which, -1) for which, _ in pairs],
    ]


def _half_width(rate: float, n: int) -> float:
    """Half of Wilson's interval around so many right answers of `n`."""
    right = round(rate * n)
    spread: float = (right * (n - right) / n + Z**2 / 4) ** 0.5
    return Z * spread / (n + Z**2)


def _pictures(rate: float, margin: float, *, sides: int = 1) -> int:
    n = 100
    while sides * _half_width(rate, n) > margin:
        n += 100
    return n


def _drops(
    score: Callable[[Tensor], Tensor],
    picture: Tensor,
    size: int,
    *,
    pile_up: bool = False,
) -> Tensor:
    drops, covered = [], picture.clone()
    for top in range(0, picture.shape[1], size):
        for left in range(0, picture.shape[2], size):
            if not pile_up:
                covered = picture.clone()
            covered[:, top : top + size, left : left + size] = 0
            drops.append(score(picture[None]) - score(covered[None]))
    return torch.stack(drops).reshape(-(-picture.shape[1] // size), -1)


def _look_at_map(make_map: Callable[..., Any]) -> Any:
    picture = torch.arange(3 * 4 * 6).reshape(3, 4, 6).mul(0.3).cos()
    weights = torch.arange(3 * 4 * 6).reshape(3, 4, 6).mul(0.7).sin()
    before = picture.clone()
    result = make_map(lambda x: (x * weights).sum(dim=(1, 2, 3)), picture, 2)
    if result is None or result is ...:
        return result
    return [torch.as_tensor(result), bool(torch.equal(picture, before))]


EXERCISES = {
    "8.1": Exercise(
        right=61_560,
        wrong={
            "Those are the weights alone: each class has a bias, too.": 61_440,
            "One bias for each class, not for each feature.": 61_952,
            "That is a head for two classes: here there are 120.": 1026,
            "That is ImageNet's own head: count for 120 classes.": 513_000,
        },
        tolerance=1e-9,
    ),
    "8.2": Exercise(
        right=21_285_698,
        wrong={
            "It still has ImageNet's 1,000 classes: replace `fc`.": 21_797_672,
            "That is ResNet-18: build `resnet34`.": 11_177_538,
            "That is ResNet-18, with 1,000 classes: build `resnet34`.": 11_689_512,
            "Those are the new layer's alone; count all.": 1026,
            "The new last layer belongs to the network, too.": 21_284_672,
        },
        tolerance=1e-9,
    ),
    "8.3": Exercise(
        right=_freeze,
        wrong={
            "A batch still changes its batch norm: put that into eval mode.": (
                lambda model, classes: _freeze(model, classes).train()
            ),
            "The new layer is frozen, too: replace it after you have frozen.": (
                lambda *given: _freeze(*given).requires_grad_(False)
            ),
            "Nothing is frozen: requires_grad_(False) does it.": (
                lambda *given: _freeze(*given).requires_grad_(True)
            ),
            "Batch norm has weights as well: they are still free to learn.": (
                _freeze_but_norm
            ),
            "It still answers with ten classes: replace `fc`.": _keep_layer,
        },
        look_at=_frozen,
    ),
    "8.4": Exercise(
        right=_groups,
        wrong={
            "The order is reversed: the last part learns fastest.": (
                lambda model, rate, factor: _with_rates(
                    model, [rate * factor**n for n in range(3)]
                )
            ),
            "Each part has its rate, but the groups stand from back to front.": (
                lambda *given: _groups(*given)[::-1]
            ),
            "All parts learn at one rate.": (
                lambda model, rate, factor: _with_rates(model, [rate] * 3)
            ),
            "All early parts share a rate: each is slower than the one after it.": (
                lambda model, rate, factor: _with_rates(
                    model, [rate * factor, rate * factor, rate]
                )
            ),
            "The last part should learn at `rate` itself, not yet slower.": (
                lambda model, rate, factor: _groups(model, rate * factor, factor)
            ),
            "Where are the parts before the last one?": (
                lambda *given: _groups(*given)[-1:]
            ),
        },
        look_at=_rates,
    ),
    "8.5": Exercise(
        right=_pictures,
        wrong={
            "The margin goes to either side: half of the interval's width.": (
                lambda *given: _pictures(*given, sides=2)
            ),
            "The loop ends at once: go on while the margin is too large.": (
                lambda rate, margin: 100
            ),
            "That comes from a formula: try 100, 200, 300 ... with the interval.": (
                lambda rate, margin: math.ceil(Z**2 * rate * (1 - rate) / margin**2)
            ),
            "One step too many: the number before was large enough.": (
                lambda rate, margin: _pictures(rate, margin) + 100
            ),
            "The rate counts, too: is it the one you were given?": (
                lambda rate, margin: _pictures(1 - margin, margin)
            ),
        },
        look_at=lambda pictures: [pictures(0.95, 0.01), pictures(0.8, 0.03)],
        tolerance=1e-9,
    ),
    "8.6": Exercise(
        right=_drops,
        wrong={
            "The sign is turned round: what matters lowers the score when covered.": (
                lambda *given: -_drops(*given)
            ),
            "These are the scores themselves; how far did they drop?": (
                lambda score, picture, size: (
                    score(picture[None]) - _drops(score, picture, size)
                )
            ),
            "The squares pile up: cover a fresh clone each time.": (
                lambda *given: _drops(*given, pile_up=True)
            ),
            "Rows and columns are swapped: the map lies on its side.": (
                lambda *given: _drops(*given).T.contiguous()
            ),
            "The drops are right; give them the shape of a map, rows by columns.": (
                lambda *given: _drops(*given).flatten()
            ),
        },
        look_at=_look_at_map,
    ),
}
