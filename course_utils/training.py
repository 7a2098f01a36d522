"""The training loop of chapter 6 as a function, with what long trainings need."""

from __future__ import annotations

import copy
import html
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau

from course_utils import checkpoint as files
from course_utils import metrics
from course_utils.metrics import accuracy, dice, iou

Batches: TypeAlias = Iterable[Any]
Loss: TypeAlias = Callable[[Any, Any], Tensor]
Score: TypeAlias = Callable[[Tensor, Tensor], Any]

CLASS_LOSSES = (nn.CrossEntropyLoss, nn.NLLLoss)
# For these PyTorch stretches targets of another shape until they fit, and goes on.
ELEMENTWISE = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss)
FUNCTIONS = (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss)


class Result(NamedTuple):
    """How good a model is on a data set: means over all samples (or pixels)."""

    loss: float
    score: float

    def __repr__(self) -> str:
        return f"loss {self.loss:.4f}, score {self.score:.4f}"


@dataclass(repr=False)
class History:
    """What a training was like: lists with one number an epoch.

    The score is accuracy, unless `fit` was given another: `score_name` tells. A number
    is NaN where there was nothing to measure. `note` says how the training ended.

    >>> history = History(train_loss=[0.9, 0.7], val_loss=[0.8, 0.9])
    >>> len(history), history.best_epoch
    (2, 1)
    """

    train_loss: list[float] = field(default_factory=list)
    train_score: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_score: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    score_name: str = "accuracy"
    note: str = field(default="", compare=False)

    def __len__(self) -> int:
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the least validation loss (or else training loss)."""
        losses = self.val_loss or self.train_loss
        losses = self.train_loss if any(map(math.isnan, losses)) else losses
        return losses.index(min(losses)) + 1 if losses else 0

    def add(self, train: Result, val: Result, rate: float, seconds: float) -> None:
        """One more epoch."""
        self.train_loss.append(train.loss)
        self.train_score.append(train.score)
        self.val_loss.append(val.loss)
        self.val_score.append(val.score)
        self.learning_rate.append(rate)
        self.seconds.append(seconds)

    def numbers(self) -> dict[str, list[float]]:
        """The lists by their titles, without those that hold nothing."""
        return {
            name.replace("score", self.score_name).replace("_", " "): numbers
            for name, numbers in vars(self).items()
            if isinstance(numbers, list) and not all(map(math.isnan, numbers))
        }

    def rows(self) -> list[list[str]]:
        """The table as texts, row by row, with the titles on top."""
        columns = [["epoch", *(str(number + 1) for number in range(len(self)))]]
        for title, numbers in self.numbers().items():
            form = {"learning rate": ".3g", "seconds": ".1f"}.get(title, ".4f")
            columns.append([title, *(format(number, form) for number in numbers)])
        padded = [[c.rjust(max(7, len(cells[0]))) for c in cells] for cells in columns]
        rows = [list(row) for row in zip(*padded, strict=True)]
        return rows if len(self) else [["no epoch yet"]]

    def __repr__(self) -> str:
        lines = ["  ".join(row) for row in self.rows()]
        return "\n".join([*lines, self.note]).strip("\n")

    def _repr_html_(self) -> str:
        head, *body = [[cell.strip() for cell in row] for row in self.rows()]
        cells = "".join(f"<th>{title}</th>" for title in head)
        rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>\n" for row in body)
        table = f"<thead><tr>{cells}</tr></thead>\n<tbody>{rows}</tbody>"
        note = html.escape(self.note)
        return f"<div><table>\n{table}\n</table>\n<p>{note}</p></div>"


def fit(
    model: nn.Module,
    train: Batches,
    val: Batches | None = None,
    *,
    epochs: int,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
    schedule_by: Literal["epoch", "batch"] = "epoch",
    loss: Loss = F.cross_entropy,
    score: Score = accuracy,
    checkpoint: str | None = None,
    writer: Any = None,
    quiet: bool = False,
) -> History:
    """Train `model` on `train`, watch it on `val`, and give back its history.

    The model ends in eval mode with the weights of its best epoch, also when you
    interrupt it. With a `checkpoint` it goes on where an earlier call with that name
    got to. The `scheduler` steps after every epoch or every batch. `score` is explained
    at `evaluate`; `writer` is a TensorBoard writer; `quiet` leaves out the table.

    >>> model = nn.Linear(2, 2)
    >>> batches = [(torch.zeros(4, 2), torch.tensor([0, 1, 1, 1]))]
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> history = fit(model, batches, epochs=3, optimizer=optimizer, quiet=True)
    >>> history.train_loss[-1] < history.train_loss[0]
    True
    """
    _require_a_plan(model, optimizer, scheduler, schedule_by)
    by_batch = scheduler if schedule_by == "batch" else None
    history = History(score_name=getattr(score, "__name__", "score"))
    best: dict[str, Any] = {}  # the weights of the best epoch
    parts = {
        "optimizer": optimizer,
        "model": model,
        "scheduler": scheduler,
        "train": None if isinstance(train, (list, tuple)) else train,
        "history": vars(history),
        "best": best,
        "random": files.RandomStates(),
    }
    if checkpoint is not None:
        _resume(checkpoint, parts, history, epochs, val)
    done = len(history)
    show = _display(quiet)
    try:
        while len(history) < epochs:
            start = time.perf_counter()
            first = len(history) == done
            learned = run_epoch(model, train, loss, score, optimizer, by_batch, first)
            seen = Result(math.nan, math.nan)
            if val is not None:
                seen = run_epoch(model, val, loss, score, check_labels=first)
            rate = float(optimizer.param_groups[0]["lr"])
            if by_batch is None:
                _step(scheduler, learned if val is None else seen)
            history.add(learned, seen, rate, time.perf_counter() - start)
            if history.best_epoch == len(history):
                best.update(copy.deepcopy(model.state_dict()))
            if checkpoint is not None:
                _save(checkpoint, parts)
            if writer is not None:
                _write_scalars(writer, history)
            show(history)
    except KeyboardInterrupt:
        where = f"epoch {len(history) + 1} of {epochs}"
        print(f"Interrupted in {where}: the model can be used, in eval mode.")
        raise
    finally:
        which = "its last step"
        if best:
            model.load_state_dict(best)
            which = f"epoch {history.best_epoch}, the best"
        model.eval()
        history.note = f"The model has the weights of {which}."
    show(history)
    return history


def evaluate(
    model: nn.Module,
    loader: Batches,
    *,
    loss: Loss = F.cross_entropy,
    score: Score = accuracy,
) -> Result:
    """The mean loss and score of `model` on all that `loader` gives.

    Every sample weighs the same, or every pixel where the targets are masks, whatever
    batches they come in. `score` is `accuracy`, or `dice` or `iou`, whose mean over the
    classes is taken, or a function of yours: called with the outputs and targets of a
    batch, it gives one number, or a tensor with one for each sample. The model is left
    in eval mode.

    >>> evaluate(nn.Identity(), [(torch.eye(2), torch.tensor([0, 1]))]).score
    1.0
    """
    return run_epoch(model, loader, loss, score)


def run_epoch(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    score: Score,
    optimizer: Optimizer | None = None,
    scheduler: LRScheduler | None = None,
    check_labels: bool = True,
) -> Result:
    """The loop of chapter 6 over all batches; without an optimizer, it only looks."""
    device = _prepared(model, training=optimizer is not None)
    totals = _Totals(loss, score, device)
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, targets in batches:
            outputs = model(inputs.to(device))  # 1. predict
            # To look at labels on a GPU is to wait for it: there, once is enough.
            if targets.is_cpu or check_labels:
                _require_labels(loss, outputs, targets)
            targets = targets.to(device)
            value = _loss_of(loss, outputs, targets)  # 2. measure the loss
            rate = optimizer.param_groups[0]["lr"] if optimizer else math.nan
            totals.add(outputs.detach(), targets, value.detach(), float(rate))
            if optimizer is not None:
                optimizer.zero_grad()  # 3. forget the old gradients
                value.backward()  # 4. compute the new gradients
                optimizer.step()  # 5. change the weights
            if scheduler is not None:
                scheduler.step()
    return totals.result()


class _Totals:
    """What the batches of an epoch add up to; it stays on the device until the end."""

    def __init__(self, loss: Loss, score: Score, device: torch.device) -> None:
        self.loss, self.score = loss, score
        # Apple's GPUs have no numbers of 64 bits.
        exact = torch.float32 if device.type == "mps" else torch.float64
        # Two sums: of losses, and of what their means were divided by.
        self.losses = torch.zeros(2, dtype=exact, device=device)
        self.scores = torch.zeros(1, dtype=exact, device=device)
        self.is_finite = torch.tensor(True, device=device)
        self.finite_batches = torch.tensor(0, device=device)  # before the first other
        self.rates: list[float] = []

    def add(self, outputs: Tensor, targets: Tensor, value: Tensor, rate: float) -> None:
        """One more batch."""
        counts = _counts(self.loss, targets)
        weight = counts.sum().to(self.losses)
        by_class = self.loss.weight if isinstance(self.loss, CLASS_LOSSES) else None
        if by_class is not None and not targets.is_floating_point():
            weight = torch.sum(by_class[targets.where(counts, 0)] * counts)
        value = value.where(weight > 0, 0)  # a batch of nothing but left-out labels
        self.losses += torch.stack([value * weight, weight])
        added = _score_sums(self.score, outputs, targets, counts)
        self.scores = self.scores + added.to(self.scores)
        self.is_finite &= value.isfinite()
        self.finite_batches += self.is_finite
        self.rates.append(rate)

    def result(self) -> Result:
        """The means over everything, whatever batches it came in."""
        if not self.rates:
            raise ValueError(
                "the loader gave no batch: its data set is empty, or smaller than one "
                "batch with drop_last=True"
            )
        if not self.is_finite:
            batch = int(self.finite_batches)
            rate = self.rates[batch]
            where = f"batch {batch + 1} of {len(self.rates)}"
            where += "" if math.isnan(rate) else f" at learning rate {rate:.3g}"
            raise FloatingPointError(
                f"the loss became NaN or infinite in {where}: usual causes are too "
                "high a learning rate (try a tenth), inputs that hold NaN or are not "
                "normalised, and a loss that divides by 0"
            )
        if self.score in (dice, iou):
            overlap = metrics.dice_of(self.scores)
            overlap = overlap if self.score is dice else overlap / (2 - overlap)
            score = overlap.nanmean()
        else:
            total, count = self.scores
            score = total / count
        return Result((self.losses[0] / self.losses[1]).item(), score.item())


def _counts(loss: Loss, targets: Tensor) -> Tensor:
    """True for each target that counts, False where the loss leaves it out."""
    if targets.is_floating_point():
        return torch.ones_like(targets, dtype=torch.bool)
    return targets != getattr(loss, "ignore_index", metrics.IGNORED)


def _score_sums(
    score: Score, outputs: Tensor, targets: Tensor, counts: Tensor
) -> Tensor:
    """What a batch adds to the score: a sum and of how many, or a confusion matrix."""
    if score in (dice, iou):
        return metrics.confusion(outputs, targets.where(counts, metrics.IGNORED))
    if score is accuracy:
        if targets.is_floating_point() or outputs.ndim != targets.ndim + 1:
            return torch.zeros(2)  # there are no classes, and nothing is right
        right = (outputs.argmax(dim=1) == targets) & counts
        return torch.stack([right.sum(), counts.sum()])
    given = torch.as_tensor(score(outputs, targets)).to(outputs.device, torch.float32)
    if given.ndim and len(given) not in (len(targets), targets.numel()):
        raise ValueError("a score gives one number, or a tensor with one a sample")
    count = torch.tensor(given.numel()) if given.ndim else counts.sum()
    return torch.stack([given.mean() * count, count.to(given)])


def _loss_of(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss; or, in one sentence, why outputs and targets do not go together."""
    elementwise = loss in FUNCTIONS or isinstance(loss, ELEMENTWISE)
    try:
        if elementwise and outputs.shape != targets.shape:
            raise ValueError("both need the same shape")
        value = loss(outputs, targets)
        if value.ndim or getattr(loss, "reduction", "mean") == "sum":
            raise ValueError('the loss is no mean: use reduction="mean"')
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        shapes = [tuple(getattr(each, "shape", ())) for each in (outputs, targets)]
        kinds = [getattr(each, "dtype", type(each)) for each in (outputs, targets)]
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"outputs of shape {shapes[0]} ({kinds[0]}) do not go with targets of "
            f"shape {shapes[1]} ({kinds[1]}): {reason}"
        ) from error
    return value


def _require_labels(loss: Loss, outputs: Tensor, targets: Tensor) -> None:
    """A class number beyond the outputs would crash a GPU until the next restart."""
    by_class = loss in (F.cross_entropy, F.nll_loss) or isinstance(loss, CLASS_LOSSES)
    if not by_class or targets.is_floating_point() or outputs.ndim != targets.ndim + 1:
        return
    classes = outputs.shape[1]
    wrong = targets[_counts(loss, targets) & ((targets < 0) | (targets >= classes))]
    if len(wrong) or classes == 1:
        found = f"here is a {int(wrong[0])}" if len(wrong) else "that is no choice"
        raise ValueError(
            f"the model has {classes} output(s), so labels go from 0 to {classes - 1}; "
            f"{found}: correct the labels, or give the last layer an output a class"
        )


def _prepared(model: nn.Module, training: bool) -> torch.device:
    """Bring the model into training or eval mode, and say where it is."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"the model comes first, and this is a {type(model).__name__}")
    model.train(training)
    for module in model.modules():
        weights = list(module.parameters(recurse=False))
        frozen = not any(weight.requires_grad for weight in weights)
        if isinstance(module, _BatchNorm) and weights and frozen:
            module.eval()  # what it knows of its inputs stays as it is, too
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def _require_a_plan(
    model: nn.Module, optimizer: Any, scheduler: Any, schedule_by: str
) -> None:
    """Stop before anything is changed if these do not go together."""
    ours = {id(weight) for weight in model.parameters() if weight.requires_grad}
    theirs = {id(w) for group in optimizer.param_groups for w in group["params"]}
    if ours.isdisjoint(theirs):
        raise ValueError(
            "the optimizer holds no weight of this model that can be trained: make a "
            "new one from model.parameters(), and look at requires_grad"
        )
    if scheduler is not None and scheduler.optimizer is not optimizer:
        raise ValueError("the scheduler belongs to another optimizer: make a new one")
    if schedule_by not in ("epoch", "batch"):
        raise ValueError(f'schedule_by is "epoch" or "batch", not {schedule_by!r}')
    if isinstance(scheduler, OneCycleLR) and schedule_by == "epoch":
        raise ValueError('one cycle steps by batch: pass schedule_by="batch"')


def _step(scheduler: LRScheduler | None, result: Result) -> None:
    """A step of a schedule that goes by epochs."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(result.loss if scheduler.mode == "min" else result.score)
    elif scheduler is not None:
        scheduler.step()


def _resume(
    name: str, parts: dict[str, Any], history: History, epochs: int, val: Any
) -> None:
    """Go on from the checkpoint, if there is one."""
    path, begun = files.checkpoint_path(name), History()
    if not files.load_checkpoint(name, history=vars(begun)):
        return
    if begun.score_name != history.score_name:
        trouble = (
            f"holds {begun.score_name}, and this call asks for {history.score_name}"
        )
        raise files.CheckpointError(f"{path} {trouble}: {files.START_ANEW}")
    if (val is None) != math.isnan(begun.val_loss[-1]):
        trouble = "or this call has validation data, and the other has none"
        raise files.CheckpointError(f"{path} {trouble}: {files.START_ANEW}")
    files.load_checkpoint(name, **parts)
    rate = float(parts["optimizer"].param_groups[0]["lr"])
    outlook = f"going on with epoch {len(history) + 1} of {epochs}, with the optimizer "
    outlook += f"and schedule of the file (learning rate {rate:.3g})"
    if len(history) >= epochs:
        outlook = f"complete with {len(history)} epochs; {files.START_ANEW}"
    print(f"{path}: {outlook}.")


def _save(name: str, parts: dict[str, Any]) -> None:
    """Keep this epoch; where that fails, say so and train on."""
    try:
        files.save_checkpoint(name, **parts)
    except files.CheckpointError as error:
        print(f"{error}: training goes on, and what was kept before stays.")


def _write_scalars(writer: Any, history: History) -> None:
    """The last epoch's numbers, for TensorBoard."""
    for title, numbers in history.numbers().items():
        part, _, what = title.partition(" ")
        tag = f"{what}/{part}" if part in ("train", "val") else title
        writer.add_scalar(tag, numbers[-1], len(history))


def _display(quiet: bool) -> Callable[[History], None]:
    """How the table is shown as it grows."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if quiet:
        return lambda history: None
    if hasattr(shell, "kernel"):
        from IPython.display import display

        handle = display(History(), display_id=True)  # type: ignore[no-untyped-call]
        return handle.update  # type: ignore[no-any-return]
    printed: list[str] = []

    def print_news(history: History) -> None:
        lines = repr(history).splitlines()
        print(*lines[len(printed) :], sep="\n", flush=True)
        printed[:] = lines

    return print_news
