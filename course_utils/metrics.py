"""How good is it? Numbers that sum up predictions, on tensors of any device.

Predictions are either scores, with the classes on axis 1 as a network gives them, or
class numbers in the shape of the labels. Where a formula divides 0 by 0 there is
nothing to measure, and the result is NaN: leave it out of a mean with `nanmean()`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Classes: TypeAlias = int | Sequence[str] | None
THRESHOLDS = tuple(step / 20 for step in range(1, 20))


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """The share of right answers; of masks, the share of right pixels.

    >>> accuracy(torch.tensor([2, 0, 1, 1]), torch.tensor([2, 0, 1, 0]))
    0.75
    """
    return _share(_class_numbers(predictions, labels) == labels)


pixel_accuracy = accuracy  # by the name it has for masks


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int = 5) -> float:
    """The share of answers whose true class is among the `k` with the highest scores.

    >>> scores = torch.tensor([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3]])
    >>> top_k_accuracy(scores, torch.tensor([1, 1]), k=2)
    0.5
    """
    _class_numbers(scores, labels)
    return _share((scores.topk(k, dim=1).indices == labels.unsqueeze(1)).any(dim=1))


def confusion(predictions: Tensor, labels: Tensor, classes: Classes = None) -> Tensor:
    """How often each class (row) was taken for each class (column).

    `classes` is their number or their names; without it, scores tell how many there
    are, or else the highest class number seen.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0]))
    tensor([[1, 1],
            [0, 1]])
    """
    both = torch.stack([labels, _class_numbers(predictions, labels)]).long().flatten(1)
    if classes is None:
        is_scores = predictions.ndim > labels.ndim
        classes = predictions.shape[1] if is_scores else int(both.max()) + 1
    size = classes if isinstance(classes, int) else len(classes)
    if ((both < 0) | (both >= size)).any():
        raise ValueError(
            f"{size} classes have the numbers 0 to {size - 1}, but labels and "
            f"predictions go from {both.min()} to {both.max()}"
        )
    return torch.bincount(both[0] * size + both[1], minlength=size**2).view(size, size)


def dice(predictions: Tensor, labels: Tensor, classes: Classes = None) -> Tensor:
    """Dice's overlap of every class: twice what both share, divided by both sizes.

    1 is a perfect fit and 0 none; a class in neither of the two has NaN. All pictures
    count together, so that a large one weighs more than a small one.

    >>> dice(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.8000, 0.6667])
    """
    pairs = confusion(predictions, labels, classes)
    return 2 * pairs.diagonal() / (pairs.sum(dim=0) + pairs.sum(dim=1))


def iou(predictions: Tensor, labels: Tensor, classes: Classes = None) -> Tensor:
    """Intersection over union of every class: what both share, divided by all of both.

    Stricter than Dice, in the same order: IoU = Dice / (2 - Dice). A class in neither
    of the two has NaN.

    >>> iou(torch.tensor([[1, 1], [0, 0]]), torch.tensor([[1, 0], [0, 0]]))
    tensor([0.6667, 0.5000])
    """
    overlap = dice(predictions, labels, classes)
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


def class_report(
    predictions: Tensor, labels: Tensor, classes: Classes = None
) -> ClassReport:
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
    f1 = dice(predictions, labels, classes)
    return ClassReport(classes, right / called, right / there, f1, there)


def wilson_interval(right: int, total: int) -> tuple[float, float]:
    """Between which rates the true one lies, with 95 % confidence.

    Wilson's interval: all rates whose expected count differs from `right` by at most
    z = 1.96 standard deviations. Unlike "rate plus or minus", it stays between 0 and 1
    and holds for small samples.

    >>> low, high = wilson_interval(144, 153)
    >>> f"{low:.1%} to {high:.1%}"
    '89.2% to 96.9%'
    """
    if not 0 <= right <= total or total == 0:
        raise ValueError(f"{right} right answers of {total} make no rate")
    z = 1.959963984540054
    middle = (right + z**2 / 2) / (total + z**2)
    half = z * math.sqrt(right * (total - right) / total + z**2 / 4) / (total + z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def v_rand(
    cells: Tensor, truth: Tensor, thresholds: Iterable[float] = THRESHOLDS
) -> tuple[float, float]:
    """How well the cells are kept apart: the Rand score of the ISBI 2012 challenge.

    `cells` holds each pixel's probability of being cell, `truth` is 0 on membranes;
    both are a picture or a stack. Pixels above a threshold that touch side by side make
    one segment; segments then grow until the borders between them have no width (where
    there is none, every pixel is one). Draw two pixels of the truth's cells, from one
    slice. The score is the harmonic mean of two chances: that they share a true cell if
    they share a segment (falls when cells merge), and the reverse (falls when cells are
    split). The best score comes with its threshold: on test data, give only the one
    that was best on the validation data.

    >>> truth = torch.tensor([[1, 1, 0, 1, 1]])
    >>> v_rand(torch.tensor([[0.9, 0.9, 0.3, 0.9, 0.9]]), truth, thresholds=[0.2, 0.5])
    (1.0, 0.5)
    """
    chances = cells.float().reshape(-1, *cells.shape[-2:]).numpy(force=True)
    true_cells = (truth != 0).reshape(-1, *truth.shape[-2:]).numpy(force=True)
    if chances.shape != true_cells.shape or not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError(
            "v_rand wants probabilities from 0 to 1 (of sigmoid or softmax; look for "
            f"NaN) in the truth's shape: these are {chances.shape}, {true_cells.shape}"
        )
    labels = [connected_components(part)[part] for part in true_cells]
    total = sum(map(_equal_pairs, labels))
    results = []
    for threshold in thresholds:
        agreed = found = 0
        for part, inside, label in zip(chances, true_cells, labels, strict=True):
            segment = _grown(connected_components(part > threshold))[inside]
            agreed += _equal_pairs(label * (part.size + 1) + segment)
            found += _equal_pairs(segment)
        score = 2 * agreed / (total + found) if total else math.nan
        results.append((score, threshold))
    return max(results)


def connected_components(mask: np.ndarray) -> np.ndarray:
    """Number the connected parts of a mask: pixels that touch side by side share one.

    Pixels outside the mask get 0; the numbers are positive and not consecutive.

    >>> connected_components(np.array([[1, 0, 1], [1, 0, 1]]))
    array([[1, 0, 2],
           [1, 0, 2]])
    """
    mask = np.asarray(mask, dtype=bool)
    starts = mask & ~np.pad(mask, [(0, 0), (1, 0)])[:, :-1]
    # Every row falls into runs of neighbours; runs that touch vertically belong
    # together, and it is enough to look where either of the two starts.
    runs = np.cumsum(starts).reshape(mask.shape) * mask
    touch = mask[:-1] & mask[1:] & (starts[:-1] | starts[1:])
    upper, lower = runs[:-1][touch], runs[1:][touch]
    name = np.arange(runs.max(initial=0) + 1)
    while (name[upper] != name[lower]).any():
        for one, other in (upper, lower), (lower, upper):
            np.minimum.at(name, name[one], name[other])
        name = name[name]  # a run's name is a run too: take over its name
    return np.asarray(name[runs])


def _grown(segments: np.ndarray) -> np.ndarray:
    """The segments grown, a pixel at a time, until no 0 is left between them."""
    if not segments.any():  # nothing can grow: every pixel is a segment of its own
        return np.arange(segments.size).reshape(segments.shape)
    # A wall of -1 around the picture keeps neighbours from wrapping into other rows.
    walled = np.pad(segments, 1, constant_values=-1)
    width, grown = walled.shape[1], walled.ravel()
    front = np.flatnonzero(grown > 0)
    while front.size:
        reached = []
        for step in (-width, -1, 1, width):
            source = front[grown[front + step] == 0]
            grown[source + step] = grown[source]
            reached.append(source + step)
        front = np.concatenate(reached)
    return walled[1:-1, 1:-1]


def _equal_pairs(numbers: np.ndarray) -> int:
    """How many pairs of places hold the same number: the squared counts, summed."""
    counts = np.unique(numbers, return_counts=True)[1]
    return int(counts @ counts)


def _share(right: Tensor) -> float:
    return int(right.sum()) / right.numel() if right.numel() else math.nan


def _class_numbers(predictions: Tensor, labels: Tensor) -> Tensor:
    """The predicted class of each label: given as such, or the one of highest score."""
    shape, target = tuple(predictions.shape), tuple(labels.shape)
    if shape == target and not predictions.is_floating_point():
        return predictions
    scores_fit = len(shape) > len(target) and shape[:1] + shape[2:] == target
    if not scores_fit or shape[1] < 2:
        raise ValueError(
            f"predictions and labels do not fit, shapes {shape} and {target}: labels "
            "are class numbers, predictions too or scores with the classes on axis 1 "
            "(of one score each, make (scores > 0).long())"
        )
    if predictions.isnan().any():
        raise ValueError("the scores hold NaN: no class can be read from them")
    return predictions.argmax(dim=1)
