"""What `fit` costs on top of a loop written by hand, and what frameworks cost.

    python benchmarks/fit_overhead.py [--repeats 11] [--epochs 1]

The same LeNet learns the same batches of CIFAR-10, one epoch after another: by the
five lines of a hand-written loop that measures nothing, by `fit`, which also adds up
loss and accuracy and keeps the best weights, by Lightning's Trainer and by fastai's
Learner. The two frameworks are optional (pip install lightning fastai) and run with
their logs, checkpoints and progress bars switched off. What is counted is processor
time with one thread: two of them wait for one another, and how long depends on what
else the machine does. Each way is timed right after the loop by hand, in an order that
changes from round to round; what counts is the median of the ratios within these pairs.
"by hand" against itself shows how noisy the machine is. The results go to
benchmarks/results/fit_overhead.json.
"""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import logging
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from records import arguments, write
from time_to_accuracy import HALF, lenet
from torch import nn
from torch.nn import functional as F

from course_utils import BatchLoader, PictureDataset, load_cifar10
from course_utils.training import fit

RATE, MOMENTUM, BATCH = 0.05, 0.9, 128
Way = Callable[[nn.Module, BatchLoader, int], Any]


def sgd(weights: Any, lr: float = RATE, **unused: Any) -> torch.optim.SGD:
    """The optimizer of all ways."""
    return torch.optim.SGD(weights, lr, momentum=MOMENTUM)


def by_hand(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """The least that trains."""
    optimizer = sgd(model.parameters())
    model.train()
    for _ in range(epochs):
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()


def by_hand_measured(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """The same, with the loss and the right answers added up as a learner would."""
    optimizer = sgd(model.parameters())
    model.train()
    for _ in range(epochs):
        total, right = 0.0, 0
        for inputs, labels in batches:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = F.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            right += int((outputs.argmax(1) == labels).sum().item())


def by_fit(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """The course's function."""
    fit(model, batches, epochs=epochs, optimizer=sgd(model.parameters()), quiet=True)


def by_lightning(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """Lightning's Trainer, with everything off that can be switched off."""
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any, number: int) -> Any:
            inputs, labels = batch
            return F.cross_entropy(self.model(inputs), labels)

        def configure_optimizers(self) -> Any:
            return sgd(self.parameters())

    off = ("logger", "enable_checkpointing", "enable_progress_bar")
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        enable_model_summary=False,
        **dict.fromkeys(off, False),
    )
    trainer.fit(Module(), batches)


def by_fastai(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """The Learner of fastai, without its recorder and without a progress bar."""
    from fastai import learner, optimizer
    from fastai.data.core import DataLoaders

    data = DataLoaders(batches, [])
    made = learner.Learner(
        data,
        model,
        loss_func=nn.CrossEntropyLoss(),
        opt_func=lambda weights, **k: optimizer.OptimWrapper(weights, sgd, **k),
        lr=RATE,
        train_bn=False,
    )
    made.remove_cb(learner.Recorder)
    with made.no_logging():
        made.fit(epochs)


WAYS: dict[str, Way] = {
    "by hand": by_hand,
    "by hand, with loss and accuracy": by_hand_measured,
    "fit": by_fit,
}
FRAMEWORKS: dict[str, Way] = {"lightning": by_lightning, "fastai": by_fastai}


def seconds(
    way: Way, part: PictureDataset, epochs: int, shuffle: bool = True
) -> tuple[float, torch.Tensor]:
    """How long a way takes, and the weights that it ends with."""
    torch.manual_seed(0)
    model = lenet()
    batches = BatchLoader(part, BATCH, shuffle=shuffle, mean=HALF, std=HALF)
    gc.collect()
    start = time.process_time()
    way(model, batches, epochs)
    passed = time.process_time() - start
    return passed, torch.cat(
        [weight.detach().flatten() for weight in model.parameters()]
    )


def measure(part: PictureDataset, repeats: int, epochs: int) -> dict[str, Any]:
    """Each way in turn, right after the loop by hand; medians, and of their ratios."""
    ways = dict(WAYS)
    for name, way in FRAMEWORKS.items():
        if importlib.util.find_spec(name):
            ways[name] = way
    require_same_work(part.subset(range(20 * BATCH)), ways)
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(repeats):
        for name, way in random.Random(number).sample(list(ways.items()), len(ways)):
            bare = seconds(by_hand, part, epochs)[0]
            pairs[name].append((bare, seconds(way, part, epochs)[0]))
            print(f"{name}: {pairs[name][-1][1] / bare:.3f}", flush=True)
    ratios = {name: [mine / bare for bare, mine in p] for name, p in pairs.items()}
    return {
        "median seconds by hand": round(
            statistics.median(bare for all_ in pairs.values() for bare, _ in all_), 2
        ),
        "median ratio to by hand": {
            name: round(statistics.median(r), 4) for name, r in ratios.items()
        },
        "ratios": {
            name: sorted(round(r, 3) for r in all_) for name, all_ in ratios.items()
        },
    }


def require_same_work(part: PictureDataset, ways: dict[str, Way]) -> None:
    """All ways end with the same weights, or there is nothing to compare."""
    # Without shuffling: Lightning asks for an iterator more than it uses, and so gets
    # the order of another epoch.
    ends = {name: seconds(way, part, 1, shuffle=False)[1] for name, way in ways.items()}
    apart = {n: float((w - ends["by hand"]).abs().max()) for n, w in ends.items()}
    assert max(apart.values()) < 1e-4, f"the ways do different work: {apart}"


def main() -> None:
    """Measure all ways and write the results."""
    options = arguments(
        ("repeats", 11, "rounds of which the median counts"),
        ("epochs", 1, "epochs in each round"),
        text=__doc__ or "",
    )
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    train = load_cifar10().train
    results = measure(train, options.repeats, options.epochs)
    versions = {
        name: importlib.metadata.version(name)
        for name in FRAMEWORKS
        if importlib.util.find_spec(name)
    }
    about = {"data": train.source, "batch size": BATCH, "epochs": options.epochs}
    load = [round(part, 1) for part in os.getloadavg()]
    write("fit_overhead.json", {**about, **versions, "load": load, **results})


if __name__ == "__main__":
    main()
