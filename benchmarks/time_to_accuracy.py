"""How long LeNet trains until it names 55 % of CIFAR-10's test pictures rightly.

    python benchmarks/time_to_accuracy.py [--repeats 3] [--old-repeats 1]

The old recipe is that of many tutorials: batches of 4, PIL pictures converted on the
fly by 2 workers, SGD with a constant rate of 0.001. Ours feeds the same network
batches of 128 from memory, with a one-cycle schedule. Both are tested four times an
epoch; loading the data and testing do not count. The results go to
benchmarks/results/time_to_accuracy.json.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from loaders import PilPictures
from records import arguments, write
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

from course_utils import BatchLoader, load_cifar10
from course_utils.data import Parts

HALF = (0.5, 0.5, 0.5)
GIVE_UP = {"old": 6, "ours": 3}  # after so many epochs


def lenet() -> nn.Sequential:
    """The network of the tutorial."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def old_recipe(parts: Parts, model: nn.Module) -> tuple[Any, Any, Callable[[], None]]:
    """Batches of 4, PIL, 2 workers, a constant rate."""
    steps = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(HALF, HALF)]
    )
    pictures = PilPictures(parts.train, steps)
    loader: DataLoader[Any] = DataLoader(pictures, 4, shuffle=True, num_workers=2)
    optimizer = torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
    return loader, optimizer, lambda: None


def our_recipe(parts: Parts, model: nn.Module) -> tuple[Any, Any, Callable[[], None]]:
    """Batches of 128 from memory, one cycle of three epochs."""
    loader = BatchLoader(parts.train, 128, shuffle=True, mean=HALF, std=HALF)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=GIVE_UP["ours"] * len(loader), pct_start=0.2
    )
    return loader, optimizer, schedule.step


def accuracy(model: nn.Module, batches: Iterable[Any]) -> float:
    """The share of pictures that the model names rightly."""
    model.eval()
    with torch.no_grad():
        right = torch.cat([model(x).argmax(1) == y for x, y in batches])
    model.train()
    return right.float().mean().item()


def seconds_until(
    goal: float, recipe: Any, parts: Parts, seed: int, epochs: int
) -> dict[str, Any]:
    """Train until the test accuracy reaches the goal; only training is timed."""
    torch.manual_seed(seed)
    model, passed, tests = lenet(), 0.0, []
    loader, optimizer, after_step = recipe(parts, model)
    test = BatchLoader(parts.test, 1000, mean=HALF, std=HALF)
    quarter = len(loader) // 4
    for epoch in range(epochs):
        start = time.perf_counter()
        for number, (inputs, labels) in enumerate(loader, 1):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            after_step()
            if number % quarter == 0:
                passed += time.perf_counter() - start
                tests.append(round(accuracy(model, test), 4))
                print(f"{passed:6.1f} s  {tests[-1]:.2%}", flush=True)
                if tests[-1] >= goal:
                    done = round(epoch + number / len(loader), 2)
                    return {
                        "seconds": round(passed, 1),
                        "epochs": done,
                        "accuracies": tests,
                    }
                start = time.perf_counter()
    raise SystemExit(f"{goal:.0%} was not reached in {epochs} epochs")


def main() -> None:
    """Train with both recipes, side by side, and write the results."""
    options = arguments(
        ("repeats", 3, "runs of our recipe, each with its own seed"),
        ("old-repeats", 1, "runs of the old recipe, some minutes each"),
        ("goal", 0.55, "the test accuracy to reach"),
        text=__doc__ or "",
    )
    parts = load_cifar10()
    counts = {"old": options.old_repeats, "ours": options.repeats}
    runs: dict[str, list[dict[str, Any]]] = {"old": [], "ours": []}
    for seed in range(max(counts.values())):
        for name, recipe in (("old", old_recipe), ("ours", our_recipe)):
            if seed < counts[name]:
                print(f"{name} recipe, seed {seed}")
                limit = GIVE_UP[name]
                run = seconds_until(options.goal, recipe, parts, seed, limit)
                runs[name].append(run)
    middle = {
        n: statistics.median(r["seconds"] for r in all_) for n, all_ in runs.items()
    }
    results = {
        "data": parts.train.source,
        "goal": options.goal,
        "median seconds": {name: round(value, 1) for name, value in middle.items()},
        "ours is faster by": round(middle["old"] / middle["ours"], 1),
        "runs": runs,
    }
    write("time_to_accuracy.json", results)


if __name__ == "__main__":
    main()
