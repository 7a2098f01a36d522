"""How many samples a second each way of making batches delivers.

    python benchmarks/loaders.py [--repeats 5] [--seconds 2]

All ways do the same work on the same pictures of CIFAR-10: they flip half of them,
shift them too in the second round, normalise them, and put them together in batches
of 128. They take turns, so that a busy machine slows all of them alike. The medians
go to benchmarks/results/loaders.json.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torchvision
from records import arguments, write
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import v2

from course_utils import (
    BatchLoader,
    PictureDataset,
    RandomFlip,
    RandomShift,
    load_cifar10,
)

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
BATCH = 128
WORK = {"flip": [RandomFlip()], "shift and flip": [RandomShift(4), RandomFlip()]}
OURS, PIL_WAY = "BatchLoader", "DataLoader, PIL, 0 workers"


class PilPictures(torchvision.datasets.CIFAR10):
    """torchvision's own CIFAR-10, filled from memory: a PIL picture at a time."""

    def __init__(self, part: PictureDataset, transform: Callable[..., Any]) -> None:
        assert isinstance(part.images, torch.Tensor)
        self.data = part.images.permute(0, 2, 3, 1).numpy()
        self.targets = part.labels.tolist()
        self.transform, self.target_transform = transform, None


def pil_pictures(part: PictureDataset, shifted: bool) -> PilPictures:
    """The pictures with the transforms that tutorials use."""
    steps: list[Any] = [transforms.RandomCrop(32, padding=4)] if shifted else []
    steps += [
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    return PilPictures(part, transforms.Compose(steps))


def tensor_pictures(part: PictureDataset, shifted: bool) -> PictureDataset:
    """The course's own data set, with transforms on tensors."""
    steps: list[Any] = [v2.RandomCrop(32, padding=4)] if shifted else []
    steps += [
        v2.RandomHorizontalFlip(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(MEAN, STD),
    ]
    return part.with_transform(v2.Compose(steps))


def ways(part: PictureDataset, work: str) -> dict[str, Iterable[Any]]:
    """Every way of making batches, by name."""
    shifted = work != "flip"

    def usual(dataset: Dataset[Any], workers: int) -> DataLoader[Any]:
        return DataLoader(dataset, BATCH, shuffle=True, num_workers=workers)

    pil, tensors = pil_pictures(part, shifted), tensor_pictures(part, shifted)
    return {
        OURS: BatchLoader(
            part, BATCH, shuffle=True, mean=MEAN, std=STD, augment=WORK[work]
        ),
        "DataLoader, tensors, 0 workers": usual(tensors, 0),
        "DataLoader, tensors, 2 workers": usual(tensors, 2),
        PIL_WAY: usual(pil, 0),
        "DataLoader, PIL, 2 workers": usual(pil, 2),
    }


def speed(batches: Iterable[Any], seconds: float) -> float:
    """Samples a second, from the first batch (not counted) until time is up."""
    stream = itertools.chain.from_iterable(itertools.repeat(batches))
    next(stream)
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        count += len(next(stream)[1])
    return count / passed


def measure(part: PictureDataset, work: str, repeats: int, seconds: float) -> Any:
    """The median speed of each way, and how many times faster ours is."""
    rounds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, batches in ways(part, work).items():
            rounds.setdefault(name, []).append(speed(batches, seconds))
    ratios = {
        name: statistics.median(a / b for a, b in zip(rounds[OURS], all_, strict=True))
        for name, all_ in rounds.items()
        if name != OURS
    }
    return {
        "samples a second": {n: round(statistics.median(r)) for n, r in rounds.items()},
        "BatchLoader is faster by": {name: round(r, 1) for name, r in ratios.items()},
    }


def main() -> None:
    """Measure all ways and write the results."""
    options = arguments(
        ("repeats", 5, "rounds of which the median counts"),
        ("seconds", 2.0, "time for each way in each round"),
        text=__doc__ or "",
    )
    train = load_cifar10().train
    results = {
        work: measure(train, work, options.repeats, options.seconds) for work in WORK
    }
    write("loaders.json", {"data": train.source, "batch size": BATCH, **results})


if __name__ == "__main__":
    main()
