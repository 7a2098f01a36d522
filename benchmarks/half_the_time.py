"""Chapter 10's race: the same network to the same accuracy, slow and quick.

    python benchmarks/half_the_time.py [--repeats 3] [--goal 40]

Both programs train SimpleCNN on CIFAR-10 with flips, batches of 32 and SGD with
momentum until the goal is reached on the validation part. The slow one fetches each
picture through Pillow, runs the network a second time for its accuracy and keeps a
constant rate of 0.001. The quick one cuts its batches from memory, runs the network
once, in the memory format channels_last, and gives its rate one cycle of 200 batches
with a peak of 0.02. They take turns of 100 batches, each with a stopwatch that stands
still while the other trains and while either is validated. The results go to
benchmarks/results/half_the_time.json.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from loaders import MEAN, STD, arguments, pil_pictures, write
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from course_utils.data import BatchLoader, RandomFlip, load_cifar10
from course_utils.data.load import Parts
from course_utils.training import evaluate

BATCH, TURN, GIVE_UP = 32, 100, 100_000
RATE, PEAK, PLAN = 0.001, 0.02, 200
Step = Callable[[Tensor, Tensor], None]
Program = tuple[nn.Module, Iterator[tuple[float, int]]]


class SimpleCNN(nn.Module):
    """The network of chapters 6 and 10."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 18, kernel_size=3, padding=1)
        self.dense1 = nn.Linear(18 * 16 * 16, 64)
        self.dense2 = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Ten logits for each picture."""
        x = F.relu(F.max_pool2d(self.conv(images), 2))
        x = F.relu(self.dense1(x.flatten(1)))
        return self.dense2(x)  # type: ignore[no-any-return]


def run(
    model: nn.Module, loader: Iterable[Any], step: Step
) -> Iterator[tuple[float, int]]:
    """Train without end; after each turn, the seconds and the pictures so far."""
    seconds, pictures, clock = 0.0, 0, time.perf_counter()
    while True:
        for number, (images, labels) in enumerate(loader, start=1):
            step(images, labels)
            pictures += len(labels)
            if number % TURN == 0:
                seconds += time.perf_counter() - clock
                yield seconds, pictures
                model.train()
                clock = time.perf_counter()


def slow_program(parts: Parts) -> Program:
    """As found."""
    loader: DataLoader[Any] = DataLoader(
        pil_pictures(parts.train, shifted=False), BATCH, shuffle=True
    )
    model = SimpleCNN()
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9)
    progress: list[tuple[Any, Any]] = []

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        right = (model(images).argmax(dim=1) == labels).float().mean()
        progress.append((loss.item(), right.item()))

    return model, run(model, loader, step)


def one_cycle(t: float) -> float:
    """The factor of the rate at `t`, from 0 (the start) to 1 (the end)."""
    t = min(1.0, t)
    down = (1 + math.cos(math.pi * max(0.0, t - 0.25) / 0.75)) / 2
    return min(0.04 + 4 * t, down)


def quick_program(parts: Parts, seed: int) -> Program:
    """With all that paid."""
    loader = BatchLoader(
        parts.train,
        BATCH,
        shuffle=True,
        seed=seed,
        mean=MEAN,
        std=STD,
        augment=RandomFlip(),
    )
    model = SimpleCNN().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), PEAK, momentum=0.9)
    progress: list[tuple[Any, Any]] = []

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.param_groups[0]["lr"] = PEAK * one_cycle(len(progress) / PLAN)
        optimizer.zero_grad()
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        right = (logits.detach().argmax(dim=1) == labels).float().mean()
        progress.append((loss.detach(), right))

    return model, run(model, loader, step)


def race(
    programs: dict[str, Program], val: Iterable[Any], goal: float
) -> dict[str, dict[str, float]]:
    """Both in turns, until each has reached the goal."""
    results: dict[str, dict[str, float]] = {}
    while len(results) < len(programs):
        for name, (model, running) in programs.items():
            if name in results:
                continue
            seconds, pictures = next(running)
            accuracy = evaluate(model, val).accuracy
            if accuracy >= goal:
                results[name] = {
                    "seconds": round(seconds, 2),
                    "pictures": pictures,
                    "validation accuracy": round(accuracy, 4),
                }
            elif pictures > GIVE_UP:
                raise SystemExit(f"{name} has not reached {goal:.0%}")
    return results


def main() -> None:
    """Race with several seeds and write the results."""
    options = arguments(
        ("repeats", 3, "races, each with a seed of its own"),
        ("goal", 40, "percent of the validation pictures"),
        text=__doc__ or "",
    )
    parts = load_cifar10()
    val = BatchLoader(parts.validation, 1000, mean=MEAN, std=STD)
    races = []
    for seed in range(options.repeats):
        torch.manual_seed(seed)
        programs = {"slow": slow_program(parts), "quick": quick_program(parts, seed)}
        races.append(race(programs, val, options.goal / 100))
        print(races[-1], flush=True)
    shares = [each["quick"]["seconds"] / each["slow"]["seconds"] for each in races]
    results = {
        "data": parts.train.source,
        "goal": options.goal / 100,
        "threads": torch.get_num_threads(),
        "load": [round(part, 1) for part in os.getloadavg()],
        "share of the time": [round(share, 3) for share in sorted(shares)],
        "median share": round(statistics.median(shares), 3),
        "races": races,
    }
    write("half_the_time.json", results)


if __name__ == "__main__":
    main()
