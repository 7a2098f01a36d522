"""What can be wrong with a training, each said in a sentence before PyTorch fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CyclicLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
)
from torch.utils.data import DataLoader

Batches = Iterable[Any]
NO_BATCH = "its data set is empty, or smaller than one batch with drop_last=True"


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def require_counts(epochs: Any, patience: Any, clip: float | None) -> None:
    """Stop unless epochs, patience and clip are numbers that make sense."""
    given = {"epochs": epochs, "patience": 1 if patience is None else patience}
    for name, count in given.items():
        good = type(count) is int and count >= 1
        _require(good, f"{name} is a whole number from 1 up, not {count!r}")
    _require(clip is None or clip > 0, f"clip is a length above 0, not {clip!r}")


def require_parameters(model: nn.Module, optimizer: Optimizer) -> None:
    """Stop unless the optimizer moves weights of this very model."""
    ours = {id(weight) for weight in model.parameters() if weight.requires_grad}
    theirs = {id(w) for group in optimizer.param_groups for w in group["params"]}
    _require(
        bool(ours),
        "the model has no parameter to train: every requires_grad is False, or it "
        "has no layers with weights",
    )
    _require(
        bool(ours & theirs),
        "the optimizer holds none of the model's trainable parameters: make a new one "
        "from model.parameters() whenever you make a new model",
    )


def require_batches(train: Batches, val: Batches | None) -> None:
    """Stop if a loader says beforehand that it has nothing to give."""
    for name, loader in (("training", train), ("validation", val)):
        _require(length_of(loader) != 0, f"the {name} loader is empty: {NO_BATCH}")


def length_of(loader: Batches | None) -> int | None:
    """The number of batches, where the loader knows it."""
    try:
        return len(loader)  # type: ignore[arg-type]
    except TypeError:
        return None


def goes_by_batch(
    scheduler: LRScheduler | None, optimizer: Optimizer, wanted: str
) -> bool:
    """Whether the schedule steps after every batch; if not, after every epoch."""
    choices = ("auto", "batch", "epoch")
    _require(wanted in choices, f"schedule_by is one of {choices}, not {wanted!r}")
    if scheduler is None:
        return False
    _require(
        scheduler.optimizer is optimizer,
        "the scheduler belongs to another optimizer: make it anew from this one",
    )
    if wanted == "auto":
        members = getattr(scheduler, "_schedulers", [scheduler])
        return any(isinstance(each, (OneCycleLR, CyclicLR)) for each in members)
    # A plateau can only be seen in the loss of an epoch.
    return wanted == "batch" and not isinstance(scheduler, ReduceLROnPlateau)


def require_plan(scheduler: LRScheduler | None, steps: int) -> None:
    """Stop if a one-cycle schedule ends before the training does."""
    if isinstance(scheduler, OneCycleLR):
        left = scheduler.total_steps - scheduler.last_epoch
        _require(
            steps <= left,
            f"the schedule has {left} steps left and this training takes {steps}: "
            "make it with total_steps=epochs * len(train), and a new checkpoint",
        )


def device_of(model: nn.Module, wanted: torch.device | str | None) -> torch.device:
    """Where the model is, if it is all in one place and that is the place wanted."""
    places = {weight.device for weight in model.parameters()}
    names = " and ".join(sorted(map(str, places)))
    _require(
        len(places) <= 1,
        f"the model's parameters lie on {names}: bring them together by model.to(...)",
    )
    here = places.pop() if places else torch.device(wanted or "cpu")
    device = torch.device(wanted or here)
    _require(
        device.type == here.type and device.index in (None, here.index),
        f"the model is on {here} and the data would be on {device}: call "
        f"model.to({str(device)!r}) before you make the optimizer",
    )
    return here


def precision_of(amp: bool | str, device: torch.device) -> torch.dtype | None:
    """The number format for the heavy layers; None for float32 throughout."""
    choices = {"bf16": torch.bfloat16, "fp16": torch.float16, False: None}
    if amp != "auto":
        _require(amp in choices, f'amp is False, "auto", "bf16" or "fp16", not {amp!r}')
        return choices[amp]
    # From Ampere (8) on, GPUs are fast at bf16; Volta and Turing (T4) only at fp16.
    cuda = device.type == "cuda"
    generation = torch.cuda.get_device_capability(device)[0] if cuda else 0
    if generation < 7:
        return None
    return torch.bfloat16 if generation >= 8 else torch.float16


def labels_of(loader: Any) -> list[Tensor]:
    """All labels of a loader whose batches are on a GPU, where they can be had."""
    dataset = getattr(loader, "dataset", None)
    if isinstance(loader, DataLoader) or dataset is None:
        return []  # its batches come from the CPU, and are looked at there
    labels = getattr(dataset, "labels", getattr(dataset, "tensors", [None])[-1])
    return [labels] if isinstance(labels, Tensor) else []


def inputs_and_targets(batch: Any) -> tuple[Tensor, Tensor]:
    """The two tensors of a batch, or what is there instead."""
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        inputs, targets = batch
        if isinstance(inputs, Tensor) and isinstance(targets, Tensor):
            return inputs, targets
    parts = batch if isinstance(batch, (tuple, list)) else [batch]
    kinds = ", ".join(type(part).__name__ for part in parts)
    raise TypeError(f"a batch is two tensors, (inputs, targets); this one is {kinds}")


def outputs_of(model: nn.Module, inputs: Tensor) -> Tensor:
    """What the model answers, or why it cannot."""
    try:
        outputs = model(inputs)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"BatchNorm cannot learn from a batch of {len(inputs)} sample, as it "
            "compares samples: use drop_last=True or another batch size"
        ) from None
    if not isinstance(outputs, Tensor):
        raise TypeError(
            f"the model should give back one tensor, not a {type(outputs).__name__}"
        )
    return outputs


def require_loss(loss: Any, device: torch.device) -> None:
    """Stop if the loss gives no mean, or has its weights on another device."""
    reduction = getattr(loss, "reduction", "mean")
    _require(reduction == "mean", f'fit wants reduction="mean", not {reduction!r}')
    for weight in loss.state_dict().values() if isinstance(loss, nn.Module) else ():
        _require(
            weight.device.type == device.type,
            f"the loss has weights on {weight.device} and the model is on {device}: "
            f"call loss.to({str(device)!r})",
        )


def require_shapes(loss: Any, outputs: Tensor, targets: Tensor) -> None:
    """Only for PyTorch's own losses, since we know what they want."""
    if not str(getattr(loss, "__module__", "")).startswith("torch.nn"):
        return
    given, answer = tuple(targets.shape), tuple(outputs.shape)
    by_class = isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss))
    if not by_class and loss not in (F.cross_entropy, F.nll_loss):
        # PyTorch stretches a column and a row of targets to a square, and goes on.
        wanted, hint = answer if targets.is_floating_point() else given, "the same"
    elif targets.is_floating_point() and given == answer:
        return  # chances of each class, as MixUp makes them
    elif given == answer:
        wanted, hint = None, "class numbers, not one-hot rows: targets.argmax(1)"
        if len(answer) < 2:
            hint = "a row of scores for each sample"
    else:
        wanted, hint = (*answer[:1], *answer[2:]), "one class number each"
        if given == wanted and targets.dtype != torch.int64:
            wanted, hint = None, f"int64, not {targets.dtype}: call targets.long()"
    if given != wanted:
        raise ValueError(
            f"outputs of shape {answer} do not go with targets of shape {given}: "
            f"the loss wants {hint}" + (f", shape {wanted}" if wanted else "")
        )


def require_range(loss: Any, outputs: Tensor, labels: Tensor) -> None:
    """A class number beyond the outputs would crash a GPU until the next restart."""
    classes = outputs.shape[1] if outputs.ndim == labels.ndim + 1 else 1
    if classes == 1 or labels.is_floating_point() or not labels.numel():
        return
    low, high = map(int, labels.aminmax())
    if low >= 0 and high < classes:
        return
    left_out = getattr(loss, "ignore_index", -100)  # set it on a function of yours too
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != left_out)]
    if len(wrong):
        raise ValueError(
            f"the model has {classes} outputs, so labels go from 0 to {classes - 1}; "
            f"here is a {int(wrong[0])}: correct the labels or the last layer"
        )
