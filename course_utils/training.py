"""The training loop of chapter 5 as a function, with what long trainings need."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    LRScheduler,
    ReduceLROnPlateau,
)

from course_utils.checkpoint import (
    START_ANEW,
    CheckpointError,
    RandomStates,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from course_utils.guards import (
    NO_BATCH,
    Batches,
    device_of,
    goes_by_batch,
    inputs_and_targets,
    labels_of,
    length_of,
    outputs_of,
    precision_of,
    require_batches,
    require_counts,
    require_loss,
    require_parameters,
    require_plan,
    require_range,
    require_shapes,
)
from course_utils.history import History, Result, display_as_it_grows, write_scalars

Loss = Callable[[Any, Any], Tensor]
Metric = Callable[[Tensor, Tensor], Any]


def fit(
    model: nn.Module,
    train: Batches,
    val: Batches | None = None,
    *,
    epochs: int,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    loss: Loss = F.cross_entropy,
    metric: Metric | None = None,
    device: torch.device | str | None = None,
    checkpoint: str | None = None,
    patience: int | None = None,
    clip: float | None = None,
    amp: bool | str = False,
    schedule_by: str = "auto",
    writer: Any = None,
    quiet: bool = False,
) -> History:
    """Train `model` on `train`, watch it on `val`, and give back its history.

    The model ends in eval mode with the weights of its best epoch, also when you
    interrupt it. It stops early after `patience` epochs that bring nothing better.
    With a `checkpoint` it goes on where an earlier call with that name got to. `clip`
    is the greatest length of the gradient, `amp` "auto", "bf16" or "fp16". A schedule
    steps by "batch" or by "epoch", as it is meant to. `metric` is explained at
    `evaluate`; `writer` is a TensorBoard writer; `quiet` leaves out the table.

    >>> history = fit(model, train, val, epochs=10, optimizer=optimizer)
    """
    task = _Task(model, loss, metric, device, amp, (train, val))
    by_batch = goes_by_batch(scheduler, optimizer, schedule_by)
    training = _Training(task, train, val, optimizer, scheduler, by_batch, clip, writer)
    return training.run(epochs, patience, checkpoint, quiet)


def evaluate(
    model: nn.Module,
    loader: Batches,
    *,
    loss: Loss = F.cross_entropy,
    metric: Metric | None = None,
    device: torch.device | str | None = None,
    amp: bool | str = False,
) -> Result:
    """The mean loss and accuracy of `model` on all that `loader` gives.

    Every sample weighs the same, or every pixel where the targets are masks, whatever
    batches they come in. A `metric` takes the place of accuracy: it is called with a
    batch's outputs and targets and returns a tensor with one number for each sample
    or pixel, over which the mean is taken. The model is left in eval mode.

    >>> result = evaluate(model, test)
    >>> result.accuracy
    """
    return _Task(model, loss, metric, device, amp, [loader]).evaluate(loader)


class _Task:
    """What training and testing share: a model, its loss, and how to try a batch."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        metric: Metric | None,
        device: torch.device | str | None,
        amp: bool | str,
        loaders: Sequence[Batches | None],
    ) -> None:
        self.model, self.loss, self.metric = model, loss, metric
        self.device = device_of(model, device)
        self.precision = precision_of(amp, self.device)
        self.autocast: AbstractContextManager[Any] = nullcontext()
        if self.precision is not None:
            self.autocast = torch.autocast(self.device.type, self.precision)
        self.unchecked = [labels for each in loaders for labels in labels_of(each)]
        require_loss(loss, self.device)

    def forward(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs, targets and loss of one batch, all on the device."""
        inputs, targets = inputs_and_targets(batch)
        with self.autocast:
            outputs = outputs_of(self.model, inputs.to(self.device, non_blocking=True))
            self.check(outputs, targets)
            targets = targets.to(self.device, non_blocking=True)
            return outputs, targets, self.loss(outputs, targets)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Stop, before the loss does, if these do not go together.

        Labels in the CPU's memory are looked at batch by batch. For those on a GPU we
        would have to wait, so there it is once, for all labels of the data sets.
        """
        require_shapes(self.loss, outputs, targets)
        for labels in [*self.unchecked, targets] if targets.is_cpu else self.unchecked:
            require_range(self.loss, outputs, labels)
        self.unchecked = []

    def evaluate(self, loader: Batches, where: str = "the evaluation") -> Result:
        """The loop that only looks."""
        tally = _Tally(self.metric)
        self.model.eval()
        with torch.no_grad():
            for batch in loader:
                tally.add(*self.forward(batch))
        return tally.result(where)


@dataclass
class _Training:
    """The loop of chapter 5, and around it all that happens once an epoch."""

    task: _Task
    train: Batches
    val: Batches | None
    optimizer: Optimizer
    scheduler: LRScheduler | None
    by_batch: bool
    clip: float | None
    writer: Any

    def __post_init__(self) -> None:
        require_parameters(self.task.model, self.optimizer)
        require_batches(self.train, self.val)
        self.history = History()
        self.best: dict[str, Any] = {}  # the weights of the best epoch so far
        # fp16 has a small range: the loss is scaled up so that no gradient vanishes
        # in it. For any other precision, all the scaler does is to pass things on.
        fp16 = self.task.precision == torch.float16
        self.scaler = torch.amp.GradScaler(self.task.device.type, enabled=fp16)

    def run(
        self, epochs: int, patience: int | None, checkpoint: str | None, quiet: bool
    ) -> History:
        """All epochs that are still to do, and the best weights in the end."""
        require_counts(epochs, patience, self.clip)
        if checkpoint is not None:
            self.resume(checkpoint, epochs, patience)
        steps = (epochs - len(self.history)) * (length_of(self.train) or 0)
        require_plan(self.scheduler, steps if self.by_batch else 0)
        show = display_as_it_grows(quiet)
        show(self.history)
        try:
            while not self.is_over(epochs, patience):
                self.epoch()
                if checkpoint is not None:
                    self.save(checkpoint)
                show(self.history)
        except KeyboardInterrupt:
            where = f"epoch {len(self.history) + 1} of {epochs}"
            print(f"Interrupted in {where}: the model can be used, in eval mode.")
        finally:
            if self.best:
                self.task.model.load_state_dict(self.best)
            self.task.model.eval()
            self.history.note = self.outcome(epochs, patience)
        show(self.history)
        return self.history

    def epoch(self) -> None:
        """Train once on everything, look at the validation data, write it all down."""
        start, where = time.perf_counter(), f"epoch {len(self.history) + 1}"
        learned = self.train_epoch(where)
        seen = None
        if self.val is not None:
            seen = self.task.evaluate(self.val, f"the validation of {where}")
        rate = float(self.rate)
        self.step_schedule(seen or learned)
        self.write_down(learned, seen, rate, time.perf_counter() - start)
        if self.history.best_epoch == len(self.history):
            self.best.update(copy.deepcopy(self.task.model.state_dict()))
        if self.writer is not None:
            write_scalars(self.writer, self.history)

    def write_down(
        self, learned: Result, seen: Result | None, rate: float, seconds: float
    ) -> None:
        """One more line of the history."""
        for part, result in (("train", learned), ("val", seen)):
            for name, value in (result._asdict() if result else {}).items():
                if not math.isnan(value):  # there was something to measure
                    getattr(self.history, f"{part}_{name}").append(value)
        self.history.learning_rate.append(rate)
        self.history.seconds.append(seconds)

    def train_epoch(self, where: str) -> Result:
        """The loop itself. Nothing in it waits for a GPU; the tally is read once."""
        tally = _Tally(self.task.metric)
        _to_training_mode(self.task.model)
        for batch in self.train:
            self.optimizer.zero_grad()
            outputs, targets, loss = self.task.forward(batch)
            self.scaler.scale(loss).backward()
            tally.add(outputs, targets, loss, self.rate)
            self.step()
        return tally.result(where)

    def step(self) -> None:
        """A step of the optimizer, and of a schedule that goes by batches."""
        if self.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.task.model.parameters(), self.clip)
        scale = self.scaler.get_scale() if self.by_batch else math.inf
        self.scaler.step(self.optimizer)
        self.scaler.update()
        # Where fp16 overflowed, the scale got smaller and there was no step.
        if self.scheduler and self.by_batch and self.scaler.get_scale() >= scale:
            self.scheduler.step()

    def step_schedule(self, result: Result) -> None:
        """A step of a schedule that goes by epochs."""
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(result.loss)
        elif self.scheduler and not self.by_batch:
            self.scheduler.step()

    @property
    def rate(self) -> float:
        """The learning rate at present (of the first group of parameters)."""
        return self.optimizer.param_groups[0]["lr"]  # type: ignore[no-any-return]

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Whether all epochs are done, or so many of them brought nothing better."""
        stale = len(self.history) - self.history.best_epoch
        return len(self.history) >= epochs or (
            patience is not None and stale >= patience
        )

    def outcome(self, epochs: int, patience: int | None) -> str:
        """Which weights the model has now, and why training ended early."""
        done, history = len(self.history), self.history
        if not done:
            return "The model has the weights that its last step left."
        which = "validation" if history.val_loss else "training"
        least = min(history.val_loss or history.train_loss)
        stopped = f"No better for {patience} epochs: stopped after epoch {done}. "
        early = done < epochs and self.is_over(epochs, patience)
        return (
            f"{stopped if early else ''}The model has the weights of epoch "
            f"{history.best_epoch}, the best ({which} loss {least:.4f})."
        )

    def parts(self) -> dict[str, Any]:
        """What a checkpoint keeps: everything that changes while we train."""
        return {
            "model": self.task.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "scaler": self.scaler,
            "train": self.train,
            "val": self.val,
            "history": vars(self.history),
            "best": self.best,
            "random": RandomStates(),
        }

    def resume(self, checkpoint: str, epochs: int, patience: int | None) -> None:
        """Go on from the checkpoint, if there is one."""
        if not load_checkpoint(checkpoint, **self.parts()):
            return
        path, done = checkpoint_path(checkpoint), len(self.history)
        outlook = f"going on with epoch {done + 1} of {epochs}"
        if self.is_over(epochs, patience):
            outlook = f"complete with {done} epochs, nothing to train; {START_ANEW}"
        print(f"{path}: {outlook}.")

    def save(self, checkpoint: str) -> None:
        """Keep this epoch; where that fails, say so and train on."""
        try:
            save_checkpoint(checkpoint, **self.parts())
        except CheckpointError as error:
            print(f"{error}: training goes on, and what was kept before stays.")


class _Numbers:
    """A list of numbers in one tensor, on the device.

    Kept one by one, they would lie scattered between the large tensors of the
    batches, and the memory there could not be used again.
    """

    def __init__(self) -> None:
        self.kept = torch.empty(0)
        self.count = 0

    def append(self, number: Tensor) -> None:
        """One more number; nothing waits for it."""
        if self.count == len(self.kept):
            more = torch.empty(max(256, self.count), device=number.device)
            self.kept = torch.cat([self.kept.to(number.device), more])
        self.kept[self.count] = number.detach()
        self.count += 1

    def read(self) -> Tensor:
        """All of them, with double precision; here a GPU is waited for."""
        return self.kept[: self.count].cpu().double()


class _Tally:
    """What the batches of an epoch add up to; on the device until it is asked for."""

    def __init__(self, metric: Metric | None) -> None:
        self.metric: Callable[[Tensor, Tensor], Any] = metric or _right_answers
        self.losses, self.scores = _Numbers(), _Numbers()
        self.sizes: list[int] = []
        self.rates: list[float] = []
        self.scored = 0

    def add(
        self, outputs: Tensor, targets: Tensor, loss: Tensor, rate: float = 0.0
    ) -> None:
        """One more batch."""
        self.losses.append(loss)
        self.sizes.append(targets.numel())
        self.rates.append(rate)
        scores = self.metric(outputs.detach(), targets)
        if scores is None:
            return
        if not isinstance(scores, Tensor) or scores.ndim == 0:
            raise TypeError(
                "a metric gives back a tensor, one number for each sample or pixel, "
                f"such as outputs.argmax(1) == targets; this one gave {scores!r}"
            )
        self.scores.append(scores.sum(dtype=torch.float32))
        self.scored += scores.numel()

    def result(self, where: str) -> Result:
        """The means over all samples (or pixels), whatever batches they came in."""
        if not self.sizes:
            raise ValueError(f"the loader gave no batch in {where}: {NO_BATCH}")
        losses = self.losses.read()
        self.require_finite(losses, where)
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        mean = ((losses * sizes).sum() / sizes.sum()).item()
        if not self.scored:
            return Result(mean, math.nan)
        return Result(mean, self.scores.read().sum().item() / self.scored)

    def require_finite(self, losses: Tensor, where: str) -> None:
        """Stop with a sentence if the loss was not a number, or infinite."""
        broken = losses.isfinite().logical_not().nonzero().flatten().tolist()
        if not broken:
            return
        first, rate = broken[0], float(self.rates[broken[0]])
        at = f" at learning rate {rate:.3g}" if rate else ""
        raise FloatingPointError(
            f"the loss became {losses[first]:f} in {where}, batch {first + 1} of "
            f"{len(losses)}{at}: usual causes are too high a learning rate (try a "
            "tenth, or clip=1.0), inputs that hold NaN or are not normalised, and a "
            'loss that divides by 0 or takes its logarithm (or amp="fp16")'
        )


def _right_answers(outputs: Tensor, targets: Tensor) -> Tensor | None:
    """Which answers are right; None where the targets are no classes."""
    if targets.is_floating_point() or outputs.ndim != targets.ndim + 1:
        return None
    return outputs.argmax(1) == targets


def _to_training_mode(model: nn.Module) -> None:
    """Training mode, except for frozen BatchNorm: its statistics are frozen too."""
    model.train()
    for module in model.modules():
        weights = list(module.parameters(recurse=False))
        if isinstance(module, _BatchNorm) and weights:
            module.train(any(weight.requires_grad for weight in weights))
