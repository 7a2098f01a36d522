"""Checkpoints survive what happens to files, and say so when they cannot."""

from __future__ import annotations

import datetime
import math
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim import lr_scheduler as schedules
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from course_utils import History, dice, fit
from course_utils.checkpoint import (
    CheckpointError,
    RandomStates,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)

PATH = Path("runs/demo.pt")
POINTS = TensorDataset(
    torch.linspace(-1, 1, 64).reshape(32, 2), torch.arange(32).remainder(2)
)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)


def tensor(number: float) -> dict[str, Any]:
    return {"x": torch.tensor(float(number))}


def loaded() -> float:
    """The number that the checkpoint keeps."""
    part: dict[str, Any] = {}
    assert load_checkpoint("demo", part=part)
    return float(part["x"])


def files() -> list[str]:
    return sorted(path.name for path in Path("runs").iterdir())


# Files


def test_what_is_saved_is_loaded() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert not load_checkpoint("demo", model=other)
    save_checkpoint("demo", model=model, scheduler=None)
    assert load_checkpoint("demo", model=other, scheduler=None)
    assert torch.equal(model.weight, other.weight)
    assert checkpoint_path("demo") == PATH


def test_there_is_one_file_and_it_is_the_newest() -> None:
    for number in range(3):
        save_checkpoint("demo", part=tensor(number))
    assert files() == ["demo.pt"]
    assert loaded() == 2


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_bit_turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = content.index(torch.tensor(1.0).numpy().tobytes())
    content[place] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    torch.save(nn.Linear(1, 1).state_dict(), path)


def malicious(path: Path) -> None:
    torch.save({"format": os.system}, path)


@pytest.mark.parametrize(
    "damage", [truncated, one_bit_turned, empty, foreign, malicious]
)
def test_a_damaged_file_is_named_and_refused(damage: Callable[[Path], None]) -> None:
    save_checkpoint("demo", part=tensor(1))
    damage(PATH)
    with pytest.raises(
        CheckpointError, match=r"^runs.demo\.pt .*start anew$"
    ) as caught:
        loaded()
    assert "\n" not in str(caught.value)


def test_a_deleted_checkpoint_stays_deleted() -> None:
    save_checkpoint("demo", part=tensor(0))
    save_checkpoint("demo", part=tensor(1))
    # What processes leave that are killed while they write.
    Path("runs/demo.new").write_bytes(PATH.read_bytes())
    Path("runs/demo.123.new").write_bytes(PATH.read_bytes())
    PATH.unlink()
    assert not load_checkpoint("demo", part={})


def test_leftovers_are_removed_once_nobody_can_be_writing_them() -> None:
    Path("runs").mkdir()
    old, new = Path("runs/demo.123.new"), Path("runs/demo.124.new")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, times=(time.time() - 4000,) * 2)
    save_checkpoint("demo", part=tensor(0))
    assert files() == ["demo.124.new", "demo.pt"]


def failing(*places: Any, real: Any = os.replace) -> None:
    """As where a virus scanner holds the file that should get the good name."""
    if len(places) == 2 and Path(places[1]) != PATH:
        real(*places)
    else:
        raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failure_at_any_step_loses_nothing(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(nn.Linear(2, 2), epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        assert len(train(nn.Linear(2, 2), epochs=3)) == 3
    said = capsys.readouterr().out.splitlines()
    assert (
        said[1]
        == said[2]
        == (
            "runs/demo.pt cannot be written (Permission denied): "
            "training goes on, and what was kept before stays."
        )
    )
    assert files() == ["demo.pt"]
    train(nn.Linear(2, 2), epochs=2)
    assert "going on with epoch 2 of 2" in capsys.readouterr().out


def test_a_disk_that_takes_no_more_is_named_and_keeps_no_half_file() -> None:
    resource = pytest.importorskip("resource")
    save_checkpoint("demo", part=tensor(0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"cannot be written \(File too"):
            save_checkpoint("demo", part={"x": torch.zeros(9000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files() == ["demo.pt"]
    assert loaded() == 0


def test_a_folder_that_cannot_be_made() -> None:
    Path("runs").write_text("a file where a folder should be")
    with pytest.raises(
        CheckpointError, match=r"demo\.pt cannot be written \(File exists"
    ):
        save_checkpoint("demo", part=tensor(0))


def save_again_and_again(number: int, barrier: Any) -> None:
    os.getpid = lambda: 7  # in two containers on one disk, they may be the same
    content = torch.full((2000,), float(number))
    for _ in range(20):
        barrier.wait()
        save_checkpoint("demo", part={"x": content})
        barrier.wait()
        part: dict[str, Any] = {}
        assert load_checkpoint("demo", part=part)
        assert len(part["x"].unique()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes by fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_two_processes_with_one_name_never_leave_half_a_file() -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2, timeout=60)
    processes = [
        fork.Process(target=save_again_and_again, args=(number, barrier))
        for number in (1, 2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert files() == ["demo.pt"]


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", ".hidden", "two words", "x" * 101, None, 5, Path("a")]
)
def test_names_stay_in_their_folder(name: Any) -> None:
    with pytest.raises(ValueError, match="up to 100 letters, digits"):
        save_checkpoint(name)


# Parts


def test_random_numbers_go_on() -> None:
    def numbers() -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(()).item()]

    save_checkpoint("demo", random=RandomStates())
    first = numbers()
    assert load_checkpoint("demo", random=RandomStates())
    assert numbers() == first


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_random_numbers_of_every_kind_of_gpu_are_kept(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = [torch.tensor([1, 2], dtype=torch.uint8)]
    gpu = getattr(torch, kind)
    monkeypatch.setattr(gpu, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "get_rng_state", lambda: state[-1])
    monkeypatch.setattr(gpu, "set_rng_state", state.append)
    save_checkpoint("demo", random=RandomStates())
    state.append(state[0] * 0)
    load_checkpoint("demo", random=RandomStates())
    assert torch.equal(state[-1], state[0])


@pytest.mark.parametrize("part", [5, 0.5, "text", [1.0], (1,), torch.ones(2)])
def test_what_could_not_be_given_back_is_refused(part: Any) -> None:
    with pytest.raises(ValueError, match="put it into a dictionary"):
        save_checkpoint("demo", part=part)
    assert not Path("runs").exists()


UNREADABLE = {
    "an array": np.zeros(2),
    "a date": datetime.date(2026, 1, 1),
    "a path": Path("a"),
    "a function": lambda: 0,
    "a history": History(),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_nobody_could_read_again_is_refused_at_once(kind: str) -> None:
    save_checkpoint("demo", part=tensor(1))
    with pytest.raises(CheckpointError, match="nobody could read it again: ") as caught:
        save_checkpoint("demo", part={"x": UNREADABLE[kind]})
    assert "\n" not in str(caught.value)
    assert loaded() == 1


def test_numbers_of_numpy_are_kept_as_pythons() -> None:
    rate = np.float64(0.1)
    save_checkpoint("demo", part={"rate": rate, "list": [np.int64(3), (rate,)]})
    part: dict[str, Any] = {}
    assert load_checkpoint("demo", part=part)
    assert part == {"rate": 0.1, "list": [3, (0.1,)]}


def everything(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = SGD(model.parameters(), lr=0.1 * seed, momentum=0.9)
    scheduler = schedules.StepLR(optimizer, seed)
    model(torch.ones(2, 2) * seed).sum().backward()
    optimizer.step()
    scheduler.step()
    done = {"epochs": seed}
    train = DataLoader(POINTS, 8, generator=torch.Generator().manual_seed(seed))
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    return {**parts, "done": done, "train": train}


def state_of(parts: dict[str, Any]) -> str:
    states = [parts[name].state_dict() for name in ("model", "optimizer", "scheduler")]
    generator = parts["train"].generator.get_state().sum()
    return repr([*states, parts["done"], generator])


def test_where_one_part_does_not_fit_all_stay_as_they_were() -> None:
    save_checkpoint("demo", **everything(1))
    fitting = everything(2)
    before = state_of(fitting)
    other = fitting["model"]
    for wrong, sentence in (
        ({"last": nn.Linear(9, 9)}, "without last"),
        ({"done": {}, "optimizer": Adam(other.parameters())}, "there it is a SGD"),
        ({"optimizer": SGD(other[0].parameters())}, "optimizer in .* does not fit"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            load_checkpoint("demo", **{**fitting, **wrong})
        assert state_of(fitting) == before
    with pytest.raises(CheckpointError, match=r"model in .* does not fit"):
        load_checkpoint("demo", done=fitting["done"], model=nn.Linear(3, 3))
    assert state_of(fitting) == before
    fitting = everything(2)
    assert load_checkpoint("demo", **fitting)
    assert state_of(fitting) == state_of(everything(1))


# `fit`


def train(
    model: nn.Module,
    epochs: int,
    optimizer: Any = None,
    scheduler: Any = None,
    checkpoint: str = "demo",
    loader: Any = None,
    **options: Any,
) -> History:
    return fit(
        model,
        loader or DataLoader(POINTS, 8, shuffle=True),
        epochs=epochs,
        optimizer=optimizer or SGD(model.parameters(), lr=0.1),
        scheduler=scheduler,
        checkpoint=checkpoint,
        quiet=True,
        **options,
    )


SCHEDULES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda o: schedules.ExponentialLR(o, np.float64(0.9)), "epoch"),
    (lambda o: schedules.LambdaLR(o, lambda epoch: 0.9**epoch), "epoch"),
    (lambda o: schedules.OneCycleLR(o, 0.1, total_steps=16), "batch"),
    (lambda o: schedules.CyclicLR(o, 0.01, 0.1, step_size_up=3), "batch"),
    (lambda o: schedules.ReduceLROnPlateau(o, patience=0, threshold=0.5), "epoch"),
    (
        lambda o: schedules.SequentialLR(
            o,
            [schedules.LinearLR(o), schedules.CosineAnnealingLR(o, 4)],
            milestones=[1],
        ),
        "epoch",
    ),
    (lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 2)], o), "epoch"),
]


@pytest.mark.parametrize(("make", "by"), SCHEDULES)
def test_every_schedule_goes_on_exactly(make: Callable[[Any], Any], by: str) -> None:
    def run(name: str, epochs: int) -> tuple[History, torch.Tensor]:
        torch.manual_seed(1)
        model = nn.Linear(2, 2)
        optimizer = SGD(model.parameters(), lr=np.float64(0.1), momentum=0.9)
        given: dict[str, Any] = {"val": [POINTS[:]], "schedule_by": by}
        given["loader"] = DataLoader(POINTS, 8, shuffle=True, generator=seeded(3))
        history = train(model, epochs, optimizer, make(optimizer), name, **given)
        return history, model.weight

    whole, weight = run("whole", 4)
    run("halves", 2)
    halves, again = run("halves", 4)
    assert halves.learning_rate == whole.learning_rate
    assert halves.train_loss == whole.train_loss
    assert halves.val_loss == whole.val_loss
    assert torch.equal(weight, again)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LOADERS: list[Callable[[], Any]] = [
    lambda: [POINTS[:8], POINTS[8:]],
    lambda: DataLoader(POINTS, 8, shuffle=True),
    lambda: DataLoader(POINTS, 8, shuffle=True, generator=seeded(3)),
    lambda: DataLoader(POINTS, 8, sampler=SubsetRandomSampler(range(20), seeded(4))),
]


@pytest.mark.parametrize("make", LOADERS)
def test_every_loader_goes_on_in_the_same_order(make: Callable[[], Any]) -> None:
    def run(name: str, epochs: int) -> History:
        torch.manual_seed(1)
        return train(nn.Linear(2, 2), epochs, checkpoint=name, loader=make())

    whole = run("whole", 4)
    run("halves", 2)
    torch.rand(7)  # whatever happened in between
    assert run("halves", 4).train_loss == whole.train_loss


def test_fit_says_that_it_goes_on_and_that_it_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = train(nn.Linear(2, 2), 2)
    assert capsys.readouterr().out == ""
    model = nn.Linear(2, 2)
    second = train(model, 3, SGD(model.parameters(), lr=0.001))
    assert capsys.readouterr().out == (
        "runs/demo.pt: going on with epoch 3 of 3, with the optimizer and schedule of "
        "the file (learning rate 0.1).\n"
    )
    assert second.learning_rate == [0.1, 0.1, 0.1]
    assert second.train_loss[:2] == first.train_loss
    third = train(model, 3)
    assert third.train_loss == second.train_loss
    assert capsys.readouterr().out == (
        "runs/demo.pt: complete with 3 epochs; choose another name, or delete the file "
        "to start anew.\n"
    )
    assert not model.training


def test_the_learning_rate_it_names_is_that_of_the_next_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for epochs in (1, 2):
        model = nn.Linear(2, 2)
        optimizer = SGD(model.parameters(), lr=0.1)
        history = train(model, epochs, optimizer, schedules.StepLR(optimizer, 1, 0.5))
    assert "(learning rate 0.05)" in capsys.readouterr().out
    assert history.learning_rate == [0.1, 0.05]


def test_a_complete_training_gives_its_best_weights_back() -> None:
    model, again = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = SGD(model.parameters(), lr=0.1)
    swing = schedules.LambdaLR(optimizer, lambda epoch: (-1.0) ** epoch)
    history = train(model, 3, optimizer, swing, loader=[POINTS[:]])
    assert history.best_epoch == 2
    optimizer = SGD(again.parameters(), lr=0.1)
    swing = schedules.LambdaLR(optimizer, lambda epoch: (-1.0) ** epoch)
    train(again, 3, optimizer, swing, loader=[POINTS[:]])
    assert torch.equal(model.weight, again.weight)


@pytest.mark.parametrize("first", [None, [POINTS[:]]])
def test_validation_neither_comes_nor_goes_half_way(first: Any) -> None:
    second = None if first else [POINTS[:]]
    model = nn.Linear(2, 2)
    train(model, 1, val=first)
    before = model.weight.clone()
    with pytest.raises(CheckpointError, match=r"has validation data, .*start anew"):
        train(model, 2, val=second)
    assert torch.equal(model.weight, before)
    history = train(model, 2, val=first)
    assert len(history.val_loss) == 2
    assert math.isnan(history.val_loss[0]) == (first is None)
    assert "The model has the weights of epoch 2" in repr(history)


def test_one_history_holds_one_score() -> None:
    train(nn.Linear(2, 2), 1)
    with pytest.raises(CheckpointError, match=r"holds accuracy, and .* asks for dice"):
        train(nn.Linear(2, 2), 2, score=dice)


def test_another_model_is_told_what_differs() -> None:
    train(nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2)), 1)
    with pytest.raises(CheckpointError, match=r"the model in .* does not") as caught:
        train(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)), 2)
    assert "size mismatch for 0.weight" in str(caught.value)
    with pytest.raises(CheckpointError, match=r"Missing key.*1\.0\.weight"):
        train(nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.Linear(4, 2))), 2)


def test_other_parts_are_told_too() -> None:
    model = nn.Linear(2, 2)
    train(model, 1)
    with pytest.raises(CheckpointError, match=r"the optimizer .*there it is a SGD"):
        train(model, 2, Adam(model.parameters()))
    step = SGD(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError, match="written without scheduler"):
        train(model, 2, step, schedules.StepLR(step, 1))
    two = SGD([{"params": [weight]} for weight in model.parameters()], lr=0.1)
    with pytest.raises(CheckpointError, match=r"optimizer .* does not fit yours"):
        train(model, 2, two)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_goes_on_where_a_cpu_stopped() -> None:
    train(nn.Linear(2, 2), 2)
    assert len(train(nn.Linear(2, 2).cuda(), 3)) == 3
    assert len(train(nn.Linear(2, 2), 4)) == 4
