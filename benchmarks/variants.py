"""Variants of a training from several seeds: trained, kept at once, and summed up."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from records import keep, stored
from torch import nn

Numbers = dict[str, float]


def train(
    model: nn.Module,
    batches: Any,
    loss_function: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    epochs: int,
    **cycle: float,
) -> None:
    """Some epochs in one cycle of the learning rate, up to the optimizer's own."""
    rate, steps = optimizer.param_groups[0]["lr"], epochs * len(batches)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, **cycle
    )
    for _ in range(epochs):
        for images, labels in batches:
            optimizer.zero_grad()
            loss_function(model(images), labels).backward()
            optimizer.step()
            plan.step()


def run_all(
    file: str,
    variants: Iterable[str],
    seeds: int,
    measure: Callable[[str, int], Numbers],
    **about: Any,
) -> None:
    """Measure each variant from each seed; what the file holds already is not done."""
    variants, runs = list(variants), stored(file).get("runs", [])
    done = {(run["variant"], run["seed"]) for run in runs}
    for seed, variant in itertools.product(range(seeds), variants):
        if (variant, seed) in done:
            continue
        start = time.process_time()
        found = measure(variant, seed)
        seconds = round(time.process_time() - start)
        runs.append({"variant": variant, "seed": seed, **found, "seconds": seconds})
        means = {each: mean_and_spread(each, runs) for each in variants}
        results = {**about, "mean and spread": means, "runs": runs}
        keep(file, results)
        print(runs[-1], flush=True)


def mean_and_spread(variant: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Over a variant's seeds, of every number that has a comma in its name."""
    own = [run for run in runs if run["variant"] == variant]
    result: dict[str, Any] = {"seeds": len(own)}
    for name in [name for name in (own[0] if own else {}) if "," in name]:
        values = [run[name] for run in own]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        result[name] = [round(statistics.mean(values), 3), round(spread, 3)]
    return result
