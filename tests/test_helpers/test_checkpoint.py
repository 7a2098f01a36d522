"""Checkpoints survive what happens to files, and say so when they cannot."""

from __future__ import annotations

import os
import random
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

from course_utils.checkpoint import (
    CheckpointError,
    RandomStates,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from course_utils.history import History
from course_utils.training import fit

PATH, PREVIOUS = Path("runs/demo.pt"), Path("runs/demo.previous")
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
    """The number that the newest whole checkpoint keeps."""
    part: dict[str, Any] = {}
    assert load_checkpoint("demo", part=part)
    return float(part["x"])


# Files


def test_what_is_saved_is_loaded() -> None:
    model, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert not load_checkpoint("demo", model=other)
    save_checkpoint("demo", model=model, scheduler=None)
    assert load_checkpoint("demo", model=other, scheduler=None)
    assert torch.equal(model.weight, other.weight)
    assert checkpoint_path("demo") == PATH


def test_the_file_before_is_kept() -> None:
    for number in range(3):
        save_checkpoint("demo", part=tensor(number))
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        *("demo.previous", "demo.pt"),
    ]
    assert loaded() == 2
    os.replace(PREVIOUS, PATH)
    assert loaded() == 1


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


DAMAGES = [truncated, one_bit_turned, empty, foreign, malicious]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_refused(damage: Callable[[Path], None]) -> None:
    save_checkpoint("demo", part=tensor(1))
    damage(PATH)
    with pytest.raises(
        CheckpointError, match=r"^runs.demo\.pt .*start anew$"
    ) as caught:
        loaded()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_takes_its_place(
    damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint("demo", part=tensor(0))
    save_checkpoint("demo", part=tensor(1))
    damage(PATH)
    assert loaded() == 0
    said = capsys.readouterr().out
    assert said.startswith(str(PATH))
    assert said.endswith(f"; {PREVIOUS} takes its place.\n")
    assert said.count("\n") == 1


def test_a_process_killed_between_two_names() -> None:
    save_checkpoint("demo", part=tensor(0))
    save_checkpoint("demo", part=tensor(1))
    os.replace(PATH, "runs/demo.new")
    assert loaded() == 1
    truncated(Path("runs/demo.new"))
    assert loaded() == 0


def test_a_process_killed_while_it_wrote_the_first() -> None:
    Path("runs").mkdir()
    Path("runs/demo.new").write_bytes(b"PK half")
    assert not load_checkpoint("demo", part={})


def test_a_deleted_checkpoint_stays_deleted() -> None:
    save_checkpoint("demo", part=tensor(0))
    save_checkpoint("demo", part=tensor(1))
    PATH.unlink()
    assert not load_checkpoint("demo", part={})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_full_disk_ends_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Linear(2, 2)
    train(model, epochs=1)
    Path("runs/demo.new").symlink_to("/dev/full")
    history = train(model, epochs=3)
    assert len(history) == 3
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith(
        "runs/demo.pt cannot be written (No space left on device)"
    )
    assert said[1].endswith("training goes on, and what was kept before stays.")
    assert len(train(model, epochs=1)) == 3  # the disk had room again


def test_a_folder_that_cannot_be_made() -> None:
    Path("runs").write_text("a file where a folder should be")
    with pytest.raises(
        CheckpointError, match=r"demo\.pt cannot be written \(File exists"
    ):
        save_checkpoint("demo", part=tensor(0))


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "two words"])
def test_names_stay_in_their_folder(name: str) -> None:
    with pytest.raises(ValueError, match="consists of letters"):
        save_checkpoint(name)


# Parts


def test_random_numbers_go_on() -> None:
    def numbers() -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(()).item()]

    save_checkpoint("demo", random=RandomStates())
    first = numbers()
    assert load_checkpoint("demo", random=RandomStates())
    assert numbers() == first


SCHEDULES: list[Callable[[Any], Any]] = [
    lambda o: schedules.StepLR(o, 2, 0.5),
    lambda o: schedules.MultiStepLR(o, [2, 4], 0.5),
    lambda o: schedules.ExponentialLR(o, np.float64(0.9)),
    lambda o: schedules.LambdaLR(o, lambda epoch: 0.9**epoch),
    lambda o: schedules.CosineAnnealingWarmRestarts(o, 2),
    lambda o: schedules.OneCycleLR(o, 0.1, total_steps=20),
    lambda o: schedules.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    lambda o: schedules.ReduceLROnPlateau(o, patience=0),
    lambda o: schedules.SequentialLR(
        *(o, [schedules.LinearLR(o), schedules.CosineAnnealingLR(o, 4)]), milestones=[1]
    ),
    lambda o: schedules.ChainedScheduler([schedules.StepLR(o, 2)], o),
]


@pytest.mark.parametrize("make", SCHEDULES)
def test_every_schedule_goes_on_bit_for_bit(make: Callable[[Any], Any]) -> None:
    def run(name: str, epochs: int) -> tuple[History, torch.Tensor]:
        torch.manual_seed(1)
        model = nn.Linear(2, 2)
        optimizer = SGD(model.parameters(), lr=np.float64(0.1), momentum=0.9)
        history = train(model, epochs, optimizer, make(optimizer), name)
        return history, model.weight

    whole, weight = run("whole", 4)
    run("halves", 2)
    halves, again = run("halves", 4)
    assert halves.learning_rate == whole.learning_rate
    assert halves.train_loss == whole.train_loss
    assert torch.equal(weight, again)


def train(
    model: nn.Module,
    epochs: int,
    optimizer: Any = None,
    scheduler: Any = None,
    checkpoint: str = "demo",
    loader: Any = None,
) -> History:
    optimizer = optimizer or SGD(model.parameters(), lr=0.1)
    loader = loader or DataLoader(POINTS, 8, shuffle=True)
    return fit(
        *(model, loader),
        epochs=epochs,
        optimizer=optimizer,
        scheduler=scheduler,
        checkpoint=checkpoint,
        quiet=True,
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LOADERS: list[Callable[[], Any]] = [
    lambda: DataLoader(POINTS, 8, shuffle=True),
    lambda: DataLoader(POINTS, 8, shuffle=True, generator=seeded(3)),
    lambda: DataLoader(POINTS, 8, sampler=SubsetRandomSampler(range(20), seeded(4))),
]


@pytest.mark.parametrize("make", LOADERS)
def test_a_dataloader_goes_on_in_the_same_order(make: Callable[[], Any]) -> None:
    def run(name: str, epochs: int) -> History:
        torch.manual_seed(1)
        return train(nn.Linear(2, 2), epochs, checkpoint=name, loader=make())

    whole = run("whole", 4)
    run("halves", 2)
    torch.rand(7)  # whatever happened in between
    assert run("halves", 4).train_loss == whole.train_loss


# What `fit` says


def test_fit_says_that_it_goes_on_and_that_it_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = train(nn.Linear(2, 2), 2)
    assert capsys.readouterr().out == ""
    second = train(nn.Linear(2, 2), 3)
    assert capsys.readouterr().out == "runs/demo.pt: going on with epoch 3 of 3.\n"
    assert second.train_loss[:2] == first.train_loss
    model = nn.Linear(2, 2)
    assert train(model, 3) == second
    assert capsys.readouterr().out.startswith("runs/demo.pt: complete with 3 epochs")
    assert not model.training


def test_an_early_stop_is_the_end_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> History:
        model = nn.Linear(2, 2)
        still = SGD(model.parameters(), lr=0.0)
        given: dict[str, Any] = {"patience": 2, "checkpoint": "demo", "quiet": True}
        return fit(model, DataLoader(POINTS, 32), epochs=9, optimizer=still, **given)

    assert len(run()) == len(run()) == 3
    assert "complete with 3 epochs" in capsys.readouterr().out


def test_another_model_is_told_what_differs() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 2))
    train(model, 1)
    with pytest.raises(CheckpointError, match="different model") as caught:
        train(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), 2)
    for difference in (
        "only the file has 1.bias, 1.weight",
        "only your model has 2.bias, 2.weight",
        "0.weight is (4, 2) there and (3, 2) here",
    ):
        assert difference in str(caught.value)
    many = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    with pytest.raises(CheckpointError, match=r"only your model has .* and 2 more"):
        load_checkpoint(
            "demo", model=nn.Sequential(model[0], model[1], *many[2:], many[0])
        )


def test_other_parts_are_told_too() -> None:
    model = nn.Linear(2, 2)
    train(model, 1)
    with pytest.raises(CheckpointError, match=r"optimizer .* SGD, and yours is Adam"):
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
