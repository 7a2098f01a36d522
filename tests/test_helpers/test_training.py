"""What `fit` and `evaluate` promise, on models small enough to work out by hand."""

from __future__ import annotations

import gc
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, TensorDataset

from course_utils import BatchLoader
from course_utils.guards import precision_of
from course_utils.history import History
from course_utils.training import evaluate, fit

CPU = torch.device("cpu")


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


def test_it_does_what_the_loop_of_chapter_5_does() -> None:
    by_hand, by_fit = net(), net()
    optimizer, batches = SGD(by_hand.parameters(), lr=0.1), loader(shuffle=True)
    for _ in range(3):
        for inputs, labels in batches:
            optimizer.zero_grad()
            F.cross_entropy(by_hand(inputs), labels).backward()
            optimizer.step()
    train(by_fit, train=loader(shuffle=True), epochs=3)
    assert all(map(torch.equal, weights(by_hand), weights(by_fit)))


def test_means_are_those_over_all_samples_also_with_a_short_last_batch() -> None:
    model, (inputs, labels) = net(), points()
    result = evaluate(model, loader(batch_size=16))
    outputs = model(inputs)
    assert result.loss == pytest.approx(F.cross_entropy(outputs, labels).item())
    assert result.accuracy == (outputs.argmax(1) == labels).double().mean().item()
    assert result == evaluate(model, DataLoader(TensorDataset(*points()), 16))
    assert repr(result) == f"loss {result.loss:.4f}, accuracy {result.accuracy:.4f}"


def test_masks_are_weighed_by_pixel() -> None:
    pictures = torch.randn(5, 3, 4, 4)
    masks = torch.randint(2, (5, 4, 4))
    model = nn.Conv2d(3, 2, 1)
    data = BatchLoader((pictures, masks), 2)
    history = train(model, train=data, val=data)
    result = evaluate(model, data)
    outputs = model(pictures)
    assert result.loss == pytest.approx(F.cross_entropy(outputs, masks).item())
    assert result.accuracy == pytest.approx(
        (outputs.argmax(1) == masks).float().mean().item()
    )
    assert result == (min(history.val_loss), history.val_accuracy[-1])


def test_a_metric_and_a_loss_of_ones_own() -> None:
    def near(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs() < 0.5

    inputs, targets = torch.randn(10, 1), torch.randn(10, 1)
    model, data = nn.Linear(1, 1), BatchLoader((inputs, targets), 4)
    plain = evaluate(model, data, loss=nn.MSELoss())
    assert plain.loss == pytest.approx(F.mse_loss(model(inputs), targets).item())
    assert math.isnan(plain.accuracy)
    assert train(model, train=data, loss=F.mse_loss).train_accuracy == []
    share = near(model(inputs), targets).float().mean().item()
    mine = evaluate(model, data, loss=F.l1_loss, metric=near)
    assert mine.accuracy == pytest.approx(share)


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
    assert history.note.startswith("The model has the weights of epoch 2, the best")
    assert all(map(torch.equal, weights(model), kept[1]))
    assert not model.training


def test_without_validation_the_training_loss_decides() -> None:
    history = train(epochs=3)
    assert (history.val_loss, history.val_accuracy) == ([], [])
    assert history.best_epoch == 3
    assert "training loss" in history.note


def test_it_stops_early_when_nothing_gets_better() -> None:
    model = net()
    history = train(
        model,
        optimizer=SGD(model.parameters(), lr=0.0),
        epochs=9,
        patience=2,
        val=loader(),
    )
    assert (len(history), history.best_epoch) == (3, 1)
    assert history.note.startswith("No better for 2 epochs: stopped after epoch 3.")


def test_frozen_batchnorm_keeps_its_statistics() -> None:
    frozen, free = nn.BatchNorm1d(4).requires_grad_(False), nn.BatchNorm1d(4)
    train(nn.Sequential(nn.Linear(2, 4), frozen, free, nn.Linear(4, 3)))
    assert frozen.num_batches_tracked == 0
    assert free.num_batches_tracked == 8


# Learning rates, gradients, precision


def rates(make: Callable[[Any], Any], **options: Any) -> list[float]:
    model = net()
    optimizer = SGD(model.parameters(), lr=1e-3)
    scheduler = make(optimizer)
    return train(
        model,
        optimizer=optimizer,
        scheduler=scheduler,
        epochs=3,
        val=loader(),
        **options,
    ).learning_rate


def test_each_schedule_steps_as_it_is_meant_to() -> None:
    assert rates(lambda o: schedules.StepLR(o, 1, 0.5)) == [1e-3, 5e-4, 2.5e-4]
    one_cycle = rates(lambda o: schedules.OneCycleLR(o, 1e-3, total_steps=12))
    reference = SGD(net().parameters(), lr=1e-3)
    plan = schedules.OneCycleLR(reference, 1e-3, total_steps=12)
    planned = []
    for step in range(1, 13):
        reference.step()
        plan.step()
        if step % 4 == 0:  # there are four batches in an epoch
            planned.append(reference.param_groups[0]["lr"])
    assert one_cycle == pytest.approx(planned)
    by_batch = rates(lambda o: schedules.StepLR(o, 4, 0.5), schedule_by="batch")
    assert by_batch == pytest.approx([5e-4, 2.5e-4, 1.25e-4])


def test_a_plateau_is_one_of_the_validation_loss() -> None:
    patient = rates(lambda o: schedules.ReduceLROnPlateau(o, factor=0.5, patience=0))
    assert patient == [1e-3] * 3  # it gets better every time
    strict = schedules.ReduceLROnPlateau
    halved = rates(lambda o: strict(o, "max", factor=0.5, patience=0))
    assert halved == [1e-3, 1e-3, 5e-4]


def test_gradients_are_clipped() -> None:
    model, before = net(), weights(net())
    train(model, optimizer=SGD(model.parameters(), lr=1.0), clip=1e-3, epochs=1)
    moved = torch.cat(
        [(a - b).flatten() for a, b in zip(weights(model), before, strict=True)]
    )
    assert 0 < moved.norm() <= 4 * 1.001e-3  # four steps of that length at most


@pytest.mark.parametrize("amp", ["bf16", "fp16", "auto"])
def test_mixed_precision_learns_the_same(amp: str) -> None:
    plain, mixed = train(epochs=5), train(epochs=5, amp=amp, clip=100.0)
    assert mixed.train_loss == pytest.approx(plain.train_loss, rel=0.02)
    if amp == "auto":  # nothing is gained by it on a CPU
        assert mixed.train_loss == plain.train_loss


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((6, 1), None), ((7, 5), torch.float16), ((9, 0), torch.bfloat16)],
)
def test_auto_asks_the_gpu(
    capability: tuple[int, int], precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda d: capability)
    assert precision_of("auto", torch.device("cuda", 0)) == precision


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
    train(quiet=True)
    assert capsys.readouterr().out == ""


def test_the_table_in_a_notebook() -> None:
    history = train(val=loader(), epochs=3)
    page = history._repr_html_()
    assert page.count("<tr>") == 4
    assert page.count("<polyline") == 2
    assert 'role="img" aria-label="loss: training, validation dashed"' in page
    assert f"<td>{history.val_accuracy[-1]:.4f}</td>" in page
    assert "no epoch yet" in History()._repr_html_()
    assert repr(History()) == "no epoch yet"
    assert "<svg" not in train(epochs=1)._repr_html_()
    flat = History([1.0, 1.0], [], [], [], [0.1, 0.1], [0.0, 0.0])
    assert "nan" not in flat._repr_html_()


def test_a_stored_notebook_keeps_one_clean_table() -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    code = (
        "import torch\nfrom torch import nn\nfrom course_utils.training import fit\n"
        "model = nn.Linear(2, 2)\ndata = [(torch.zeros(4, 2), torch.arange(4) % 2)]\n"
        "history = fit(model, data, data, epochs=3, optimizer="
        "torch.optim.SGD(model.parameters(), lr=0.1))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    client.NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/plain", "text/html"}
    assert output.data["text/html"].count("<tr>") == 4
    assert output.data["text/plain"].count("\n") == 4
    assert "widgets" not in notebook.metadata


def test_tensorboard_gets_every_number() -> None:
    written = []

    class Writer:
        def add_scalar(self, *entry: Any) -> None:
            written.append(entry)

    history = train(val=loader(), writer=Writer())
    assert ("loss/val", history.val_loss[1], 2) in written
    assert ("learning_rate", 0.1, 1) in written
    assert {name for name, _, _ in written} == {
        *("loss/train", "loss/val", "accuracy/train", "accuracy/val", "learning_rate"),
    }


# Interruptions


class Interrupted:
    """A loader at which somebody presses Ctrl-C in a certain epoch."""

    def __init__(self, epoch: int) -> None:
        self.wanted, self.epoch = epoch, 0

    def __iter__(self) -> Iterator[Any]:
        self.epoch += 1
        yield next(iter(loader()))
        if self.epoch == self.wanted:
            raise KeyboardInterrupt


def test_an_interruption_leaves_a_usable_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = net()
    history = train(model, train=Interrupted(3), epochs=5)
    assert (len(history), model.training) == (2, False)
    assert capsys.readouterr().out == (
        "Interrupted in epoch 3 of 5: the model can be used, in eval mode.\n"
    )
    assert history.note.startswith("The model has the weights of epoch 2, the best")
    history = train(model, train=Interrupted(1))
    assert len(history) == 0
    assert history.note == "The model has the weights that its last step left."


def test_a_loss_that_is_not_finite_stops_it() -> None:
    model, steps = net(), itertools.count(1)

    def explosive(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets) / (next(steps) != 7)

    with pytest.raises(
        FloatingPointError,
        match=r"became inf in epoch 2, batch 3 of 4 at learning rate 0\.1: .*clip=1\.0",
    ):
        train(model, loss=explosive, epochs=9)
    assert all(weight.isfinite().all() for weight in weights(model))
    assert not model.training
    with pytest.raises(
        FloatingPointError, match=r"nan in the evaluation, batch 1 of 4:"
    ):
        evaluate(model, loader(), loss=lambda o, t: o.sum() * math.nan)


def test_training_again_and_again_needs_no_more_memory() -> None:
    resource = pytest.importorskip("resource")

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())

    def peak() -> int:
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def once() -> None:
        model = nn.Sequential(nn.Linear(2, 2000), nn.ReLU(), nn.Linear(2000, 3))
        optimizer = Adam(model.parameters())
        train(model, optimizer=optimizer, val=loader(), epochs=3, checkpoint="again")
        Path("runs/again.pt").unlink()

    once()
    before = tensors(), peak()
    for _ in range(4):
        once()
    assert tensors() == before[0]
    assert peak() <= 1.05 * before[1]


# Mistakes


def data(inputs: Any, targets: Any) -> list[tuple[Any, Any]]:
    return [(inputs, targets)]


X, Y = points(4)
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: train(epochs=0), "epochs is a whole number from 1 up, not 0"),
    (lambda: train(patience=0), "patience is a whole number"),
    (lambda: train(clip=-1), "clip is a length above 0"),
    (lambda: train(amp="half"), '"bf16" or "fp16", not .half.'),
    (lambda: train(schedule_by="day"), "schedule_by is one of"),
    (lambda: train(train=[]), r"training loader is empty: .*drop_last"),
    (lambda: train(val=[]), "validation loader is empty"),
    (lambda: train(train=loader(3, 9, drop_last=True)), "loader is empty"),
    (lambda: train(train=iter([])), "no batch in epoch 1"),
    (lambda: train(net().requires_grad_(False)), "no parameter to train"),
    (lambda: train(optimizer=SGD(net().parameters())), "none of the model's"),
    (
        lambda: train(scheduler=schedules.StepLR(SGD(net().parameters()), 1)),
        "belongs to another optimizer",
    ),
    (lambda: train(train=data(X, Y * 0 + 3)), "go from 0 to 2; here is a 3"),
    (lambda: train(train=data(X, Y - 1)), "here is a -1"),
    (lambda: train(train=data(X, F.one_hot(Y, 3))), r"not one-hot rows: .*argmax\(1\)"),
    (lambda: train(train=data(X, Y.float())), r"not torch.float32: call .*long\(\)"),
    (lambda: train(train=data(X, Y[:, None])), r"one class number each, shape \(4,\)"),
    (lambda: train(train=data(X, Y[:3])), r"\(4, 3\) do not go with .* shape \(3,\)"),
    (
        lambda: train(train=data(X, torch.zeros(4)), loss=nn.MSELoss()),
        r"wants the same, shape \(4, 3\)",
    ),
    (lambda: train(loss=nn.CrossEntropyLoss(reduction="none")), "not 'none'"),
    (lambda: train(train=[X]), r"two tensors, \(inputs, targets\); .* is Tensor"),
    (lambda: train(train=data(X, [0, 1])), "is Tensor, list"),
    (lambda: train(metric=lambda o, t: 0.5), "one number for each sample"),
    (lambda: train(device="meta"), r"model is on cpu .* on meta: call model\.to"),
    (
        lambda: train(nn.Sequential(net(), nn.Linear(3, 3, device="meta"))),
        "parameters lie on cpu and meta",
    ),
    (
        lambda: train(loss=nn.CrossEntropyLoss(torch.ones(3, device="meta"))),
        "loss has weights on meta",
    ),
    (
        lambda: train(
            nn.Sequential(net(), nn.BatchNorm1d(3)), train=data(X[:1], Y[:1])
        ),
        "batch of 1 sample.*drop_last=True",
    ),
    (lambda: train(checkpoint="../lenet"), "letters, digits"),
]


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_mistakes_end_in_one_sentence(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_a_model_that_answers_with_more_than_a_tensor() -> None:
    class Chatty(nn.Linear):
        def forward(self, inputs: Tensor) -> Any:
            return {"out": super().forward(inputs)}

    with pytest.raises(TypeError, match="one tensor, not a dict"):
        train(Chatty(2, 3))


def test_a_plan_that_is_too_short() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    plan = schedules.OneCycleLR(optimizer, 0.1, total_steps=7)
    with pytest.raises(
        ValueError, match=r"7 steps .* takes 8: .*epochs \* len\(train\)"
    ):
        train(model, optimizer=optimizer, scheduler=plan)


def test_what_is_no_mistake() -> None:
    left_out = torch.tensor([0, -100, 1, 2])
    train(train=data(X, left_out))
    train(
        train=data(X, torch.tensor([0, 9, 1, 2])),
        loss=nn.CrossEntropyLoss(ignore_index=9),
    )
    chances = F.one_hot(Y, 3).float()
    assert train(train=data(X, chances)).train_accuracy == []
    picture = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    train(picture, train=data(torch.randn(1, 1, 4, 4), torch.zeros(1, 4, 4).long()))
    assert len(train(train=iter([(X, Y)]), epochs=1)) == 1
    assert evaluate(nn.Identity(), data(torch.eye(3), torch.arange(3))).accuracy == 1


def test_labels_on_a_gpu_are_looked_at_beforehand() -> None:
    """Where batches are born on a GPU, the data set's own labels are checked."""

    class OnGpu(BatchLoader):
        def __iter__(self) -> Iterator[Any]:
            for inputs, labels in super().__iter__():
                yield inputs, labels.clamp(max=2)  # so that no batch has a wrong one

    with pytest.raises(ValueError, match="here is a"):
        train(train=loader(), val=OnGpu((X, Y + 3), 2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("amp", [False, "auto", "fp16"])
def test_a_gpu_learns_the_same_without_waiting_for_each_batch(amp: Any) -> None:
    def trained(device: str, amp: Any) -> History:
        model = net().to(device)
        batches = loader(shuffle=True, device=device)
        return train(model, train=batches, val=batches, epochs=3, amp=amp)

    here, there = trained("cpu", False), trained("cuda", amp)
    assert there.train_loss == pytest.approx(here.train_loss, rel=2e-2 if amp else 1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_batch_waits_for_the_gpu() -> None:
    class Strict(BatchLoader):
        """After the first batch, whatever waits for the GPU raises an error."""

        def __iter__(self) -> Iterator[Any]:
            for number, batch in enumerate(super().__iter__()):
                if number:
                    torch.cuda.set_sync_debug_mode("error")
                yield batch
            torch.cuda.set_sync_debug_mode("default")

    model = net().cuda()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = Strict(points(), 16, device="cuda")
    assert (
        len(train(model, train=batches, optimizer=optimizer, epochs=2, clip=1.0)) == 2
    )


def test_no_batch_leaves_a_tensor_behind() -> None:
    # Small ones scattered between the large keep the memory from being used again.
    alive: list[int] = []

    def count_tensors(outputs: Tensor, targets: Tensor) -> Tensor:
        alive.append(sum(issubclass(type(each), Tensor) for each in gc.get_objects()))
        return outputs.argmax(1) == targets

    model = nn.Linear(2, 2)
    batches = [(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long))] * 50
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    fit(model, batches, epochs=1, optimizer=optimizer, metric=count_tensors, quiet=True)
    assert alive[-1] == alive[5]
