"""What `fit` costs on top of a loop written by hand, and what frameworks cost.

    python benchmarks/fit_overhead.py [--repeats 11] [--epochs 1]

The same LeNet learns the same batches of CIFAR-10 in five ways: with five lines written
by hand, with these lines and two more that add up loss and accuracy, with `fit`, with
Lightning's Trainer and with fastai's Learner (logs, checkpoints and progress bars off).
We count processor time with one thread. Each way is timed right after the loop by hand,
and the median of the ratios within these pairs counts. "by hand" against itself shows
how noisy the machine is. The results go to benchmarks/results/fit_overhead.json.
"""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import random
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightning
import torch
from fastai import learner, optimizer
from fastai.data.core import DataLoaders
from records import arguments, write
from time_to_accuracy import HALF, lenet
from torch import nn
from torch.nn import functional as F

from course_utils import BatchLoader, PictureDataset, fit, load_cifar10

RATE = 0.05
BATCH = 128
Way = Callable[[nn.Module, BatchLoader, int], Any]


def sgd(weights: Any, lr: float = RATE, **unused: Any) -> torch.optim.SGD:
    """Return the optimizer of all ways."""
    return torch.optim.SGD(weights, lr, momentum=0.9)


def by_hand(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """Train with as little as possible."""
    optimizer = sgd(model.parameters())
    model.train()
    for _ in range(epochs):
        for inputs, labels in batches:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()


def by_hand_measured(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """Do the same, and add up the loss and the right answers as a learner would."""
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
    """Use the course's function."""
    fit(model, batches, epochs=epochs, optimizer=sgd(model.parameters()), quiet=True)


class Module(lightning.LightningModule):  # type: ignore[misc]
    """The model, wrapped for Lightning."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: Any, number: int) -> Any:
        """Return the loss of a batch."""
        inputs, labels = batch
        return F.cross_entropy(self.model(inputs), labels)

    def configure_optimizers(self) -> Any:
        """Return the optimizer."""
        return sgd(self.parameters())


def by_lightning(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """Use Lightning's Trainer, with everything off that can be switched off."""
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(model), batches)


def by_fastai(model: nn.Module, batches: BatchLoader, epochs: int) -> None:
    """Use fastai's Learner, without its recorder and its progress bar."""
    made = learner.Learner(
        DataLoaders(batches, []),
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
    "lightning": by_lightning,
    "fastai": by_fastai,
}


def train(way: Way, part: PictureDataset, epochs: int, shuffle: bool) -> Any:
    """Train a new network; return the processor time and the weights at the end."""
    torch.manual_seed(0)
    model = lenet()
    batches = BatchLoader(part, BATCH, shuffle=shuffle, mean=HALF, std=HALF)
    gc.collect()
    start = time.process_time()
    way(model, batches, epochs)
    seconds = time.process_time() - start
    return seconds, nn.utils.parameters_to_vector(model.parameters()).detach()


def require_same_work(part: PictureDataset) -> None:
    """Stop unless all ways end with the same weights."""
    # Without shuffling: Lightning asks for an iterator more than it uses, and so gets
    # the order of another epoch.
    expected = train(by_hand, part, 1, shuffle=False)[1]
    for name, way in WAYS.items():
        weights = train(way, part, 1, shuffle=False)[1]
        if not torch.allclose(weights, expected, rtol=0, atol=1e-4):
            raise SystemExit(f"{name!r} does other work than the loop by hand")


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
    part = load_cifar10().train
    require_same_work(part.subset(range(20 * BATCH)))
    bare: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(options.repeats):
        for name in random.sample(list(WAYS), len(WAYS)):
            bare.append(train(by_hand, part, options.epochs, shuffle=True)[0])
            seconds = train(WAYS[name], part, options.epochs, shuffle=True)[0]
            ratios[name].append(seconds / bare[-1])
            print(f"{name}: {ratios[name][-1]:.3f}", flush=True)
    results = {
        "data": part.source,
        "batch size": BATCH,
        "epochs": options.epochs,
        "lightning": importlib.metadata.version("lightning"),
        "fastai": importlib.metadata.version("fastai"),
        "median seconds by hand": round(statistics.median(bare), 2),
        "median ratio to by hand": {
            name: round(statistics.median(found), 4) for name, found in ratios.items()
        },
        "ratios": {
            name: sorted(round(ratio, 3) for ratio in found)
            for name, found in ratios.items()
        },
    }
    write("fit_overhead.json", results)


if __name__ == "__main__":
    main()
