"""How good is it? Numbers that sum up predictions, on tensors of any device.

Predictions are either scores, with the classes on axis 1 as a network gives them, or
class numbers in the shape of the labels. Labels of -100 are left out, as PyTorch's
losses leave them out. Where a formula divides 0 by 0, there is nothing to measure and
the result is NaN: leave it out of a mean with `nanmean()`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

IGNORED = -100
Classes: TypeAlias = int | Sequence[str] | None


def accuracy(predictions: Any, labels: Any) -> float:
    """The share of right answers; of masks, the share of right pixels.

    >>> accuracy(torch.tensor([2, 0, 1, 1]), torch.tensor([2, 0, 1, 0]))
    0.75
    """
    found, true = _class_numbers(predictions, labels)
    return int((found == true).sum()) / len(true) if len(true) else math.nan


def confusion(predictions: Any, labels: Any, classes: Classes = None) -> Tensor:
    """How often each class (row) was taken for each class (column).

    `classes` is their number or their names. Without it, scores tell how many there
    are, or else the highest class number seen.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]))
    tensor([[1, 1],
            [0, 1]])
    """
    found, true = _class_numbers(predictions, labels)
    both = torch.stack([true, found])
    if classes is None:
        shape = tuple(torch.as_tensor(predictions).shape)
        is_scores = len(shape) > torch.as_tensor(labels).ndim
        highest = int(both.max()) if both.numel() else -1
        classes = shape[1] if is_scores else highest + 1
    size = classes if isinstance(classes, int) else len(classes)
    if both.numel() and not 0 <= both.min() <= both.max() < size:
        raise ValueError(
            f"{size} classes have the numbers 0 to {size - 1}, but labels and "
            f"predictions go from {both.min()} to {both.max()}"
        )
    return torch.bincount(true * size + found, minlength=size**2).view(size, size)


def dice(predictions: Any, labels: Any, classes: Classes = None) -> Tensor:
    """Dice's overlap of every class: twice what both share, divided by both sizes.

    1 is a perfect fit and 0 none; a class in neither of the two has NaN. All images
    count together, so that a large one weighs more than a small one.

    >>> dice(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.8000, 0.6667])
    """
    return dice_of(confusion(predictions, labels, classes))


def iou(predictions: Any, labels: Any, classes: Classes = None) -> Tensor:
    """Intersection over union of every class: what both share, divided by all of both.

    Stricter than Dice, in the same order: IoU = Dice / (2 - Dice). A class in neither
    of the two has NaN.

    >>> iou(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.6667, 0.5000])
    """
    return iou_of(confusion(predictions, labels, classes))


def dice_of(pairs: Tensor) -> Tensor:
    """Dice of every class from a confusion matrix."""
    return 2 * pairs.diagonal() / (pairs.sum(dim=0) + pairs.sum(dim=1))


def iou_of(pairs: Tensor) -> Tensor:
    """Intersection over union of every class from a confusion matrix."""
    overlap = dice_of(pairs)
    return overlap / (2 - overlap)


@dataclass(repr=False, eq=False, frozen=True)
class ClassReport:
    """Precision, recall and F1 of every class: tensors that show as a table."""

    classes: Sequence[str]
    precision: Tensor
    recall: Tensor
    f1: Tensor
    count: Tensor

    def __repr__(self) -> str:
        width = max(map(len, ["class", *self.classes]))
        lines = [f"{'class':{width}}  precision   recall       f1    count"]
        for name, *rates, count in zip(*vars(self).values(), strict=True):
            cells = "".join(f"{rate:9.1%}" for rate in rates).replace("nan%", "   -")
            lines.append(f"{name:{width}}  {cells}{count:9,}")
        return "\n".join(lines)


def class_report(predictions: Any, labels: Any, classes: Classes = None) -> ClassReport:
    """Precision, recall and F1 of every class, and how often the class occurs.

    Precision: of those called so, the share that are. Recall: of those that are, the
    share called so. F1: their harmonic mean, equal to Dice. Where there is nothing to
    share, a rate is NaN (in the table "-").

    >>> class_report(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]), ["ant", "bee"])
    class  precision   recall       f1    count
    ant       100.0%    50.0%    66.7%        2
    bee        50.0%   100.0%    66.7%        1
    """
    pairs = confusion(predictions, labels, classes)
    if classes is None or isinstance(classes, int):
        classes = [str(number) for number in range(len(pairs))]
    right, called, there = pairs.diagonal(), pairs.sum(dim=0), pairs.sum(dim=1)
    return ClassReport(classes, right / called, right / there, dice_of(pairs), there)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Between which rates the true one lies, with 95 % confidence.

    Wilson's interval: all rates whose expected count differs from `right` by at most
    z = 1.96 standard deviations. Unlike "rate plus or minus", it stays between 0 and 1
    and holds for small samples.

    >>> low, high = wilson_interval(144, 153)
    >>> f"{low:.1%} to {high:.1%}"
    '89.2% to 96.9%'
    """
    if right != int(right) or total != int(total):
        raise ValueError(f"give two counts of answers, not {right} and {total}")
    right, total = int(right), int(total)  # NumPy's small integers would overflow
    if not 0 <= right <= total or total == 0:
        raise ValueError(f"{right} right answers of {total} make no rate")
    z = 1.959963984540054
    middle = (right + z**2 / 2) / (total + z**2)
    half = z * math.sqrt(right * (total - right) / total + z**2 / 4) / (total + z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def _class_numbers(predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """The predicted and the true class of each label that counts, in two rows."""
    predictions, labels = torch.as_tensor(predictions), torch.as_tensor(labels)
    shape, target = tuple(predictions.shape), tuple(labels.shape)
    is_scores = len(shape) == len(target) + 1 and shape[:1] + shape[2:] == target
    if labels.is_floating_point() or not (
        (is_scores and shape[1] > 1)
        or (shape == target and not predictions.is_floating_point())
    ):
        raise ValueError(
            f"predictions and labels do not fit, shapes {shape} and {target}: labels "
            "are class numbers, predictions too or scores with the classes on axis 1 "
            "(of one score each, make (scores > 0).long())"
        )
    if is_scores:
        if predictions.isnan().any():
            raise ValueError("the scores hold NaN: no class can be read from them")
        predictions = predictions.argmax(dim=1)
    counts = labels.long() != IGNORED  # in bytes, 156 would be equal to -100
    return predictions[counts].long(), labels[counts].long()
