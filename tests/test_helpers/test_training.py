"""What `fit` and `evaluate` promise, on models small enough to work out by hand."""

from __future__ import annotations

import gc
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, TensorDataset

from course_utils import BatchLoader, History, accuracy, dice, evaluate, fit, iou


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def points(count: int = 50) -> tuple[Tensor, Tensor]:
    """Points in the plane, in three classes that a line can tell apart."""
    inputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 1).long()


def loader(count: int = 50, batch_size: int = 16, **options: Any) -> BatchLoader:
    return BatchLoader(points(count), batch_size, **options)


def batches_of(inputs: Tensor, targets: Tensor, size: int) -> list[Any]:
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def net() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))


def train(model: nn.Module | None = None, **options: Any) -> History:
    """`fit` with whatever a test does not care about filled in."""
    model = model or net()
    options.setdefault("optimizer", SGD(model.parameters(), lr=0.1))
    given: dict[str, Any] = {"train": loader(), "val": None, "epochs": 2, "quiet": True}
    return fit(model, **{**given, **options})


def weights(model: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


# The loop


def test_it_does_bit_for_bit_what_the_loop_of_chapter_5_does() -> None:
    def dropping() -> tuple[nn.Module, Adam]:
        model = nn.Sequential(net(), nn.Dropout(0.3), nn.Linear(3, 3))
        return model, Adam(model.parameters(), lr=0.01)

    by_hand, optimizer = dropping()
    train_batches, val_batches = loader(shuffle=True), loader(30)
    rows = []
    for _ in range(3):
        by_hand.train()
        running_loss, right = 0.0, 0
        for inputs, labels in train_batches:
            optimizer.zero_grad()
            logits = by_hand(inputs)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * len(labels)
            right += int((logits.argmax(dim=1) == labels).sum())
        row = [running_loss / 50, right / 50]
        by_hand.eval()
        running_loss, right = 0.0, 0
        with torch.no_grad():
            for inputs, labels in val_batches:
                logits = by_hand(inputs)
                running_loss += F.cross_entropy(logits, labels).item() * len(labels)
                right += int((logits.argmax(dim=1) == labels).sum())
        rows.append((*row, running_loss / 30, right / 30))

    by_fit, optimizer = dropping()
    history = train(
        by_fit,
        train=loader(shuffle=True),
        val=loader(30),
        epochs=3,
        optimizer=optimizer,
    )
    assert history.best_epoch == 3
    assert all(map(torch.equal, weights(by_hand), weights(by_fit)))
    columns = [history.train_loss, history.train_score]
    columns += [history.val_loss, history.val_score]
    assert list(zip(*columns, strict=True)) == rows


def test_means_are_those_over_all_samples_also_with_a_short_last_batch() -> None:
    model, (inputs, labels) = net(), points()
    result = evaluate(model, loader(batch_size=16))
    outputs = model(inputs)
    assert result.loss == pytest.approx(F.cross_entropy(outputs, labels).item())
    assert result.score == (outputs.argmax(1) == labels).double().mean().item()
    assert result == evaluate(model, DataLoader(TensorDataset(*points()), 16))
    assert repr(result) == f"loss {result.loss:.4f}, score {result.score:.4f}"


def test_masks_are_weighed_by_pixel() -> None:
    images, masks = torch.randn(5, 3, 4, 4), torch.randint(2, (5, 4, 4))
    model = nn.Conv2d(3, 2, 1)
    data = BatchLoader((images, masks), 2)
    history = train(model, train=data, val=data)
    result = evaluate(model, data)
    outputs = model(images)
    right = (outputs.argmax(1) == masks).double().mean().item()
    assert result.loss == pytest.approx(F.cross_entropy(outputs, masks).item())
    assert result == (min(history.val_loss), right)


def test_the_model_ends_in_eval_mode_with_its_best_weights() -> None:
    model, kept = net(), []
    losses = iter([3.0, 1.0, 2.0, 4.0])

    class Spy:
        """A writer that sees the weights at the end of every epoch."""

        def add_scalar(self, name: str, value: float, epoch: int) -> None:
            if name == "loss/val":
                kept.append(weights(model))

    def as_told(outputs: Tensor, targets: Tensor) -> Tensor:
        real = F.cross_entropy(outputs, targets)
        return real if model.training else real * 0 + next(losses)

    one_batch = loader(batch_size=50)
    history = train(model, val=one_batch, loss=as_told, epochs=4, writer=Spy())
    assert history.val_loss == [3, 1, 2, 4]
    assert history.best_epoch == 2
    assert history.note == "The model has the weights of epoch 2, the best."
    assert all(map(torch.equal, weights(model), kept[1]))
    assert not model.training


def test_without_validation_the_training_loss_decides() -> None:
    history = train(epochs=3)
    assert len(history) == len(history.val_loss) == len(history.val_score) == 3
    assert all(map(math.isnan, history.val_loss + history.val_score))
    assert history.best_epoch == 3


def test_a_history_can_be_made_by_hand() -> None:
    history = History(train_loss=[0.9, 0.7], val_loss=[0.8, 0.9])
    assert (len(history), history.best_epoch) == (2, 1)
    assert (len(History()), History().best_epoch) == (0, 0)


def test_frozen_batchnorm_keeps_its_statistics() -> None:
    frozen, free = nn.BatchNorm1d(4).requires_grad_(False), nn.BatchNorm1d(4)
    train(nn.Sequential(nn.Linear(2, 4), frozen, free, nn.Linear(4, 3)))
    assert frozen.num_batches_tracked == 0
    assert free.num_batches_tracked == 8


def test_nothing_is_copied_before_its_bytes_have_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On Apple's GPUs a copy with non_blocking=True may hold wrong numbers.
    options, real = [], Tensor.to

    def to(tensor: Tensor, *places: Any, **given: Any) -> Tensor:
        options.append(given)
        return real(tensor, *places, **given)

    monkeypatch.setattr(Tensor, "to", to)
    train(val=loader())
    assert options
    assert not any("non_blocking" in given for given in options)


# Scores


@pytest.mark.parametrize("score", [accuracy, dice, iou])
def test_a_score_of_the_course_is_that_of_the_whole_set(score: Any) -> None:
    scores, labels = torch.randn(40, 5, 3, 3), torch.randint(4, (40, 3, 3))
    labels = labels.sort(dim=0).values  # so that most batches lack some class
    labels[7, :2] = -100
    whole = torch.as_tensor(score(scores, labels)).nanmean().item()
    for size in (40, 7, 1):
        result = evaluate(nn.Identity(), batches_of(scores, labels, size), score=score)
        assert result.score == pytest.approx(whole, rel=1e-6)


CLASS_WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
LOSSES = [
    nn.CrossEntropyLoss(ignore_index=1),
    nn.CrossEntropyLoss(CLASS_WEIGHTS),
    nn.CrossEntropyLoss(CLASS_WEIGHTS, ignore_index=2, label_smoothing=0.2),
    nn.NLLLoss(CLASS_WEIGHTS, ignore_index=1),
    nn.NLLLoss(),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_mean_does_not_depend_on_the_batches(loss: Any) -> None:
    inputs, labels = torch.randn(24, 3).log_softmax(1), torch.arange(24) % 3
    labels[5:7] = loss.ignore_index
    counts = labels != loss.ignore_index
    right = (inputs.argmax(1) == labels)[counts].double().mean().item()
    for size in (24, 12, 8, 5, 1):
        result = evaluate(nn.Identity(), batches_of(inputs, labels, size), loss=loss)
        assert result.loss == pytest.approx(loss(inputs, labels).item())
        assert result.score == pytest.approx(right)


def test_labels_left_out_are_no_wrong_answers_in_training_either() -> None:
    inputs, labels = points()
    labels[::2] = -100
    model = net()
    history = train(model, train=BatchLoader((inputs, labels), 50), epochs=1)
    counts = labels >= 0
    right = (net()(inputs).argmax(1) == labels)[counts].double().mean()
    assert history.train_score == [right.item()]


def test_a_batch_of_nothing_but_left_out_labels_changes_nothing() -> None:
    one, other = net(), net()
    train(one, train=[points(4)])
    train(other, train=[(points(4)[0], torch.full((4,), -100)), points(4)])
    assert all(map(torch.equal, weights(one), weights(other)))


def near(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).abs() < 0.5


def test_a_score_and_a_loss_of_ones_own() -> None:
    inputs, targets = torch.randn(10, 1), torch.randn(10, 1)
    model, data = nn.Linear(1, 1), BatchLoader((inputs, targets), 4)
    plain = evaluate(model, data, loss=nn.MSELoss())
    assert plain.loss == pytest.approx(F.mse_loss(model(inputs), targets).item())
    assert math.isnan(plain.score)
    assert math.isnan(train(model, train=data, loss=F.mse_loss).train_score[1])
    share = near(model(inputs), targets).float().mean().item()
    for score in (near, lambda outputs, targets: near(outputs, targets).float().mean()):
        mine = evaluate(model, data, loss=F.l1_loss, score=score)
        assert mine.score == pytest.approx(share)
    history = train(model, train=data, loss=F.mse_loss, score=near)
    assert (history.score_name, "train near" in repr(history)) == ("near", True)


def test_scores_of_a_model_in_half_precision_are_added_up_exactly() -> None:
    outputs, targets = (
        torch.zeros(3001, 2, dtype=torch.bfloat16),
        torch.arange(3001) % 3,
    )
    result = evaluate(
        nn.Identity(), data(outputs, targets % 2), score=lambda o, t: t == 0
    )
    assert result.score == (targets % 2 == 0).double().mean().item()


def test_a_loss_of_ones_own_decides_what_labels_mean() -> None:
    """As in metric learning: 8 numbers describe an image, and there are 20 classes."""

    def together(outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.square().mean() + labels.float().mean() * 0

    data = [(torch.randn(20, 2), torch.arange(20))]
    history = train(nn.Linear(2, 8), train=data, loss=together)
    assert len(history) == 2


def test_a_loader_of_ones_own_is_judged_by_its_batches() -> None:
    class Renumbered:
        """Three of many classes, with numbers of their own."""

        dataset = SimpleNamespace(labels=torch.arange(50) + 5)

        def __iter__(self) -> Iterator[Any]:
            return iter(loader())

    assert len(train(train=Renumbered(), val=Renumbered())) == 2


# Schedules


def rates(make: Callable[[Any], Any], **options: Any) -> list[float]:
    model = net()
    optimizer = SGD(model.parameters(), lr=1e-3)
    given = {"optimizer": optimizer, "scheduler": make(optimizer), "epochs": 3}
    return train(model, val=loader(), **given, **options).learning_rate


def test_each_schedule_steps_as_it_is_meant_to() -> None:
    assert rates(lambda o: schedules.StepLR(o, 1, 0.5)) == [1e-3, 5e-4, 2.5e-4]
    one_cycle = rates(
        lambda o: schedules.OneCycleLR(o, 1e-3, total_steps=12), schedule_by="batch"
    )
    reference = SGD(net().parameters(), lr=1e-3)
    plan = schedules.OneCycleLR(reference, 1e-3, total_steps=12)
    planned = []
    for step in range(1, 13):
        reference.step()
        plan.step()
        if step % 4 == 0:  # there are four batches in an epoch
            planned.append(reference.param_groups[0]["lr"])
    assert one_cycle == planned
    by_batch = rates(lambda o: schedules.StepLR(o, 4, 0.5), schedule_by="batch")
    assert by_batch == [5e-4, 2.5e-4, 1.25e-4]


def test_a_plateau_is_one_of_the_loss_or_of_the_score() -> None:
    def halved(mode: Any, score: Any) -> list[float]:
        return rates(
            lambda o: schedules.ReduceLROnPlateau(o, mode, factor=0.5, patience=0),
            score=score,
        )

    numbers = itertools.count(1)

    def better(outputs: Tensor, targets: Tensor) -> float:
        return float(next(numbers))

    # The loss gets better every time. So does one score, and the other stays.
    assert halved("min", lambda o, t: 0.5) == [1e-3] * 3
    assert halved("max", better) == [1e-3] * 3
    assert halved("max", lambda o, t: 0.5) == [1e-3, 1e-3, 5e-4]


def test_a_schedule_that_ends_too_early_leaves_the_best_weights() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    cycle = schedules.OneCycleLR(optimizer, 0.1, total_steps=7)
    with pytest.raises(ValueError, match=r"Tried to step 8 times"):
        train(model, optimizer=optimizer, scheduler=cycle, schedule_by="batch")
    assert not model.training


# What is shown


def test_the_table_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    history = train(val=loader(), quiet=False)
    out, err = capsys.readouterr()
    assert out == f"{history}\n"
    assert err == ""
    head, first, second, note = out.splitlines()
    assert head.strip().split("  ") == [
        *("epoch", "train loss", "train accuracy", "val loss", "val accuracy"),
        *("learning rate", "seconds"),
    ]
    assert first.split()[:2] == ["1", f"{history.train_loss[0]:.4f}"]
    assert len(first) == len(second) == len(head)
    assert note == history.note
    head, *_ = repr(train(loss=nn.MultiMarginLoss(), score=dice)).splitlines()
    assert head.strip().split("  ") == [
        *("epoch", "train loss", "train dice", "learning rate", "seconds"),
    ]
    assert capsys.readouterr().out == ""


def test_a_resumed_training_prints_the_whole_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for epochs in (1, 3, 3):
        history = train(epochs=epochs, checkpoint="half", quiet=False)
        said = capsys.readouterr().out.splitlines()
        assert said[-len(history) - 2 :] == repr(history).splitlines()


def test_the_table_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        """One output of a cell, which later ones replace."""

        def update(self, history: History) -> None:
            shown.append(history._repr_html_())

    def display(history: History, display_id: bool) -> Handle:
        shown.append(history._repr_html_())
        return Handle()

    notebook = SimpleNamespace(
        get_ipython=lambda: SimpleNamespace(kernel="a kernel"),
        display=SimpleNamespace(display=display),
    )
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook.display)
    history = train(val=loader(), epochs=3, quiet=False)
    # A row of names, and one for each epoch that is over.
    assert [page.count("<tr>") for page in shown] == [1, 2, 3, 4, 4]
    assert "no epoch yet" in shown[0]
    assert "the best" not in shown[3]
    assert shown[4] == history._repr_html_()
    assert f"<td>{history.val_score[-1]:.4f}</td>" in shown[4]
    assert f"<p>{history.note}</p>" in shown[4]
    assert "nan" not in train()._repr_html_()
    assert repr(History()) == "no epoch yet"


def test_tensorboard_gets_every_number() -> None:
    written = []

    class Writer:
        def add_scalar(self, *entry: Any) -> None:
            written.append(entry)

    history = train(val=loader(), writer=Writer())
    assert ("loss/val", history.val_loss[1], 2) in written
    assert ("learning rate", 0.1, 1) in written
    assert {name for name, _, _ in written} == {
        *(
            "loss/train",
            "loss/val",
            "accuracy/train",
            "accuracy/val",
            "learning rate",
            "seconds",
        ),
    }


# Interruptions


class Interrupted:
    """A loader at which somebody presses Ctrl-C in a certain epoch."""

    def __init__(self, epoch: int) -> None:
        self.wanted, self.begun = epoch, 0

    def __iter__(self) -> Iterator[Any]:
        self.begun += 1
        yield next(iter(loader()))
        if self.begun == self.wanted:
            raise KeyboardInterrupt


def test_an_interruption_leaves_the_best_weights_and_stops_the_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, twin = net(), net()
    with pytest.raises(KeyboardInterrupt):
        train(model, train=Interrupted(3), epochs=5)
    assert capsys.readouterr().out == (
        "Interrupted in epoch 3 of 5: the model can be used, in eval mode.\n"
    )
    train(twin, train=Interrupted(9), epochs=2)
    assert all(map(torch.equal, weights(model), weights(twin)))
    assert not model.training
    with pytest.raises(KeyboardInterrupt):
        train(model, train=Interrupted(1))
    assert not model.training


def test_a_loss_that_is_not_finite_stops_it() -> None:
    model, twin, steps = net(), net(), itertools.count(1)

    def explosive(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) / (next(steps) != 7)

    with pytest.raises(
        FloatingPointError, match=r"in batch 3 of 4 at learning rate 0\.1: usual"
    ):
        train(model, loss=explosive, epochs=9)
    train(twin, epochs=1)
    assert all(map(torch.equal, weights(model), weights(twin)))
    assert not model.training


def test_an_evaluation_has_no_learning_rate() -> None:
    with pytest.raises(FloatingPointError, match="infinite in batch 1 of 4: usual"):
        evaluate(net(), loader(), loss=lambda outputs, targets: outputs.sum() / 0)


def test_training_again_and_again_needs_no_more_memory() -> None:
    resource = pytest.importorskip("resource")

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    def peak() -> int:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def once() -> None:
        model = nn.Sequential(nn.Linear(2, 20_000), nn.ReLU(), nn.Linear(20_000, 3))
        optimizer = Adam(model.parameters())
        train(model, optimizer=optimizer, val=loader(), checkpoint="again")
        Path("runs/again.pt").unlink()

    once()
    before = tensors(), peak()
    for _ in range(3):
        once()
    assert tensors() == before[0]
    assert peak() <= 1.05 * before[1]


def test_no_batch_leaves_a_tensor_behind() -> None:
    # Small ones scattered between the large keep the memory from being used again.
    alive: list[int] = []

    def count_tensors(outputs: Tensor, targets: Tensor) -> Tensor:
        alive.append(sum(issubclass(type(each), Tensor) for each in gc.get_objects()))
        return outputs.argmax(1) == targets

    train(train=[points(4)] * 12, score=count_tensors, epochs=1)
    assert alive[-1] == alive[5]


# Mistakes


def data(inputs: Any, targets: Any) -> list[tuple[Any, Any]]:
    return [(inputs, targets)]


X, Y = points(4)
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: train(train=[]), r"the loader gave no batch: .*drop_last"),
    (lambda: train(val=[]), "the loader gave no batch"),
    (lambda: train(train=loader(3, 9, drop_last=True)), "the loader gave no batch"),
    (lambda: train(train=iter([])), "the loader gave no batch"),
    (lambda: train(net().requires_grad_(False)), "requires_grad"),
    (lambda: train(optimizer=SGD(net().parameters())), "no weight of this model"),
    (
        lambda: train(scheduler=schedules.StepLR(SGD(net().parameters()), 1)),
        "belongs to another optimizer",
    ),
    (lambda: train(schedule_by="day"), 'schedule_by is "epoch" or "batch", not .day.'),
    (
        lambda: rates(lambda o: schedules.OneCycleLR(o, 0.1, total_steps=12)),
        'pass schedule_by="batch"',
    ),
    (lambda: train(train=data(X, Y * 0 + 3)), "go from 0 to 2; here is a 3"),
    (lambda: train(train=data(X, Y - 1)), "here is a -1"),
    (
        lambda: train(
            train=data(X, Y * 0 + 9), loss=nn.CrossEntropyLoss(ignore_index=3)
        ),
        "here is a 9",
    ),
    (
        lambda: train(nn.Linear(2, 1), train=data(X, Y * 0)),
        r"has 1 output\(s\), so .* an output a class",
    ),
    (
        lambda: train(nn.Linear(2, 1), train=data(X, Y), loss=nn.CrossEntropyLoss()),
        r"has 1 output\(s\), so labels go from 0 to 0; here is a 1",
    ),
    (
        lambda: train(train=data(X, F.one_hot(Y, 3))),
        r"outputs of shape \(4, 3\) .* targets of shape \(4, 3\) \(torch.int64\)",
    ),
    (lambda: train(train=data(X, Y.float())), r"of shape \(4,\) \(torch.float32\)"),
    (lambda: train(train=data(X, Y[:, None])), r"targets of shape \(4, 1\)"),
    (lambda: train(train=data(X, Y[:3])), r"targets of shape \(3,\)"),
    (
        lambda: train(nn.Linear(2, 1), train=data(X, Y.float()), loss=nn.MSELoss()),
        r"outputs of shape \(4, 1\) .* both need the same shape",
    ),
    (
        lambda: train(nn.Linear(2, 1), train=data(X, Y), loss=F.mse_loss),
        r"targets of shape \(4,\) \(torch.int64\): both need the same shape",
    ),
    (lambda: train(loss=nn.CrossEntropyLoss(reduction="none")), 'reduction="mean"'),
    (lambda: train(loss=nn.CrossEntropyLoss(reduction="sum")), 'reduction="mean"'),
    (lambda: train(score=lambda outputs, targets: dice(outputs, targets)), "one a sam"),
    (lambda: train(checkpoint="../lenet"), "letters, digits"),
    (lambda: evaluate(loader(), net()), "the model comes first, .* a BatchLoader"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_mistakes_end_in_one_sentence(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_an_error_without_a_word_is_named() -> None:
    def broken(outputs: Tensor, targets: Tensor) -> Tensor:
        raise TypeError

    with pytest.raises(ValueError, match=r"TypeError$"):
        train(loss=broken)


def test_a_score_that_gives_nothing_stops_the_training() -> None:
    """So that the lists of a history are always equally long."""
    answers = iter([1.0] * 4 + [None] * 4)
    with pytest.raises(RuntimeError, match="NoneType"):
        train(score=lambda outputs, targets: next(answers))


def test_whole_numbers_of_the_right_shape_can_be_learned() -> None:
    counts = Y[:, None]
    history = train(nn.Linear(2, 1), train=data(X, counts), loss=F.mse_loss, epochs=9)
    assert history.train_loss[-1] < history.train_loss[0]


def test_a_mistake_is_found_before_the_model_is_changed() -> None:
    model = net()
    before = weights(model)
    stray = schedules.StepLR(SGD(net().parameters()), 1)
    for options in ({"scheduler": stray}, {"train": data(X, Y + 3)}):
        with pytest.raises(ValueError, match=r"belongs to another|here is a"):
            train(model, **options)
        assert all(map(torch.equal, weights(model), before))


def test_what_is_no_mistake() -> None:
    train(train=data(X, torch.tensor([0, -100, 1, 2])))
    train(
        train=data(X, torch.tensor([0, 9, 1, 2])),
        loss=nn.CrossEntropyLoss(ignore_index=9),
    )
    train(train=data(X, Y.byte()))
    chances = F.one_hot(Y, 3).float()
    assert math.isnan(train(train=data(X, chances)).train_score[0])
    volume = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    train(volume, train=data(torch.randn(1, 1, 4, 4), torch.zeros(1, 4, 4).long()))
    assert len(train(train=iter([(X, Y)]), epochs=1)) == 1
    assert evaluate(nn.Identity(), data(torch.eye(3), torch.arange(3))).score == 1


def test_labels_on_a_gpu_are_looked_at_although_somebody_has_seen_a_batch() -> None:
    class OnGpu(Tensor):
        """A tensor that says that it is not on the CPU."""

        is_cpu = False

    class Loader(BatchLoader):
        def __iter__(self) -> Iterator[Any]:
            for inputs, labels in super().__iter__():
                yield inputs, labels.as_subclass(OnGpu)

    batches = Loader((X, Y + 3), 2)
    next(iter(batches))
    with pytest.raises(ValueError, match="here is a"):
        train(train=batches)
    with pytest.raises(ValueError, match="here is a"):
        evaluate(net(), batches)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_the_same() -> None:
    def trained(device: str) -> History:
        batches = loader(shuffle=True, device=device)
        return train(net().to(device), train=batches, val=batches, epochs=3)

    here, there = trained("cpu"), trained("cuda")
    assert there.train_loss == pytest.approx(here.train_loss, rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("score", [accuracy, near])
def test_after_the_first_epoch_no_batch_waits_for_the_gpu(score: Any) -> None:
    class Strict(BatchLoader):
        """After the first epoch, whatever waits for the GPU raises an error."""

        def __iter__(self) -> Iterator[Any]:
            for number, batch in enumerate(super().__iter__()):
                if number and self.epoch > 1:
                    torch.cuda.set_sync_debug_mode("error")
                yield batch
            torch.cuda.set_sync_debug_mode("default")

    model = net().cuda()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = Strict(points(), 16, device="cuda")
    if score is near:
        batches.labels = F.one_hot(batches.labels, 3).float()
    assert len(train(model, train=batches, optimizer=optimizer, score=score)) == 2
