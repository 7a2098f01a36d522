"""How good is it? Numbers that sum up predictions, on tensors of any device.

Predictions are either scores, with the classes on axis 1 as a network gives them, or
class numbers in the shape of the labels. Labels of -100 are left out, as PyTorch's
losses do. Where a formula divides 0 by 0, the result is NaN: take `nanmean()` then.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

IGNORED = -100


def accuracy(predictions: Any, labels: Any) -> float:
    """The share of right answers; of masks, the share of right pixels.

    >>> accuracy(torch.tensor([2, 0, 1, 1]), torch.tensor([2, 0, 1, 0]))
    0.75
    """
    found, true, _ = _class_numbers(predictions, labels)
    return int((found == true).sum()) / len(true) if len(true) else math.nan


def confusion(predictions: Any, labels: Any, classes: int | None = None) -> Tensor:
    """How often each class (row) was taken for each class (column).

    `classes` is their number: by default that of the scores, or the highest one seen.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])).tolist()
    [[1, 1], [0, 1]]
    """
    found, true, scores = _class_numbers(predictions, labels)
    seen = len(torch.cat([found, true]).bincount())
    size = classes or scores or seen
    if seen > size:
        raise ValueError(f"there are {size} classes, and one has the number {seen - 1}")
    return torch.bincount(true * size + found, minlength=size**2).view(size, size)


def dice(predictions: Any, labels: Any, classes: int | None = None) -> Tensor:
    """Dice's overlap of every class: twice what both share, divided by both sizes.

    1 is a perfect fit and 0 none. All images count together: large ones weigh more.

    >>> dice(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.8000, 0.6667])
    """
    return dice_of(confusion(predictions, labels, classes))


def iou(predictions: Any, labels: Any, classes: int | None = None) -> Tensor:
    """Intersection over union of every class: what both share of what either covers.

    >>> iou(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.6667, 0.5000])
    """
    overlap = dice(predictions, labels, classes)
    return overlap / (2 - overlap)


def dice_of(pairs: Tensor) -> Tensor:
    """Dice of every class from a confusion matrix."""
    return 2 * pairs.diagonal() / (pairs.sum(dim=0) + pairs.sum(dim=1))


class ClassReport:
    """Precision, recall and F1 of every class: tensors that show as a table."""

    def __init__(self, pairs: Tensor, classes: Sequence[str]) -> None:
        self.classes = classes
        self.precision = pairs.diagonal() / pairs.sum(dim=0)
        self.recall = pairs.diagonal() / pairs.sum(dim=1)
        self.f1 = dice_of(pairs)
        self.count = pairs.sum(dim=1)

    def __repr__(self) -> str:
        width = max(map(len, ["class", *self.classes]))
        lines = [f"{'class':{width}}  precision   recall       f1    count"]
        for name, *rates, count in zip(*vars(self).values(), strict=True):
            cells = "".join(f"{rate:9.1%}" for rate in rates).replace("nan%", "   -")
            lines.append(f"{name:{width}}  {cells}{count:9,}")
        return "\n".join(lines)


def class_report(predictions: Any, labels: Any, classes: Sequence[str]) -> ClassReport:
    """Precision, recall and F1 of every class, and how often the class occurs.

    Precision: of those called so, the share that are. Recall: of those that are, the
    share called so. F1: their harmonic mean, equal to Dice.

    >>> class_report(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), ["ant", "bee"])
    class  precision   recall       f1    count
    ant       100.0%    50.0%    66.7%        2
    bee        50.0%   100.0%    66.7%        1
    """
    return ClassReport(confusion(predictions, labels, len(classes)), classes)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Between which rates the true one lies, with 95 % confidence.

    Wilson's interval holds for small samples too, unlike "rate plus or minus".

    >>> low, high = wilson_interval(144, 153)
    >>> f"{low:.1%} to {high:.1%}"
    '89.2% to 96.9%'
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    low, high = binomtest(right, total).proportion_ci(method="wilson")
    return float(low), float(high)


def _class_numbers(predictions: Any, labels: Any) -> tuple[Tensor, Tensor, int]:
    """Class numbers, predicted and true, without ignored labels; number of scores."""
    predictions, labels = torch.as_tensor(predictions), torch.as_tensor(labels)
    shape, target = tuple(predictions.shape), tuple(labels.shape)
    scores = shape[1] if len(shape) == len(target) + 1 else 0
    if scores > 1:
        if predictions.isnan().any():
            raise ValueError("the scores hold NaN: no class can be read from them")
        predictions = predictions.argmax(dim=1)
    floats = predictions.is_floating_point() or labels.is_floating_point()
    if floats or predictions.shape != labels.shape:
        raise ValueError(
            f"predictions {shape} and labels {target} do not fit: give class numbers "
            "or scores with classes on axis 1 (for one score, (scores > 0).long())"
        )
    predictions, labels = predictions.long(), labels.long()  # a byte of 156 is not -100
    return predictions[labels != IGNORED], labels[labels != IGNORED], scores
