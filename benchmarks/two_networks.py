"""LeNet and SimpleCNN of chapter 7, trained by the chapter's recipe from several seeds.

    COURSE_DATA=... python benchmarks/two_networks.py [--seeds 5] [--epochs 14]

The networks are those of the chapter: their definitions are taken out of its notebook
and run. Both see the same images, flipped and shifted, as often, with the chapter's
one-cycle schedule. Both are measured on images as they are: 5,000 training images and
the validation images. The test images are left alone. Each finished run is written to
benchmarks/results/two_networks.json at once: started again, the script goes on after
the last one. A run of LeNet takes about a minute, and one of SimpleCNN three.
"""

from __future__ import annotations

from typing import Any

import torch
from from_chapter import defined_in
from records import arguments
from variants import Numbers, run_all, train

from course_utils import BatchLoader, RandomFlip, RandomShift, evaluate, load_cifar10

NETWORKS = ("LeNet", "SimpleCNN")
PEAK, BATCH_SIZE = 0.05, 128


def chapter() -> dict[str, Any]:
    """The chapter's networks and the numbers that normalise its images."""
    return defined_in("07_lenet_on_cifar10", (*NETWORKS, "mean", "std"))


def loaders(
    seed: int, mean: Any, std: Any
) -> tuple[BatchLoader, BatchLoader, BatchLoader]:
    """Batches to learn from; training images as they are; validation images."""
    scale = {"mean": mean, "std": std}
    images, val, _ = load_cifar10()
    augment: list[Any] = [RandomFlip(), RandomShift(2)]
    return (
        BatchLoader(
            images, BATCH_SIZE, shuffle=True, augment=augment, seed=seed, **scale
        ),
        BatchLoader(images.subset(range(5000)), 500, **scale),
        BatchLoader(val, 500, **scale),
    )


def measure(name: str, seed: int, epochs: int) -> Numbers:
    """Train a network from a seed; its accuracies and its number of parameters."""
    own = chapter()
    torch.manual_seed(seed)
    model = own[name]()
    learned_from, as_they_are, val = loaders(seed, own["mean"], own["std"])
    optimizer = torch.optim.SGD(
        model.parameters(), lr=PEAK, momentum=0.9, nesterov=True
    )
    loss = torch.nn.functional.cross_entropy
    train(model, learned_from, loss, optimizer, epochs, pct_start=0.2)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "accuracy, train": round(evaluate(model, as_they_are).score, 4),
        "accuracy, val": round(evaluate(model, val).score, 4),
    }


def main() -> None:
    """Train both networks from all seeds, and write the results."""
    options = arguments(
        ("seeds", 3, "runs of each network"),
        ("epochs", 14, "how often each sees all images"),
        text=__doc__ or "",
    )
    source = load_cifar10()[0].source
    run_all(
        "two_networks.json",
        NETWORKS,
        options.seeds,
        lambda name, seed: measure(name, seed, options.epochs),
        data=source,
        epochs=options.epochs,
    )


if __name__ == "__main__":
    main()
