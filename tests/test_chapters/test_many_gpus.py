"""The script of chapter 13, in real processes that the chapter's own cell starts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.utils.data import DistributedSampler

from course_utils.scripts import many_gpus

CHAPTER = Path(__file__).parents[2] / "notebooks" / "13_many_gpus.ipynb"

# Seconds: a busy machine must not fail the tests.
PATIENCE = 1800

# One after the other in the same processes, since starting them takes longest.
JOBS = {
    "double": "--pictures=4096 --double",
    "usual": "--pictures=1024",
    "whole": "--pictures=1280 --epochs=2",
}

# It notes which process saves, and the orders in which pictures are dealt.
TRAIN_ALL = """
import os
import sys
from pathlib import Path

import torch.distributed as dist
from digits import load_digits
from torch.utils.data import DistributedSampler

from course_utils.scripts import many_gpus

save, deal = many_gpus.save_checkpoint, DistributedSampler.__iter__

def noted_save(*args, **parts):
    Path(f"saved-by-{os.environ['RANK']}").touch()
    save(*args, **parts)

def noted_deal(sampler):
    order = list(deal(sampler))
    with open(f"order-{os.environ['RANK']}", "a") as file:
        print(*order, file=file)
    return iter(order)

many_gpus.save_checkpoint = noted_save
DistributedSampler.__iter__ = noted_deal
device = many_gpus.join()
train, _, test = load_digits()
for job in sys.argv[1:]:
    options = many_gpus.read_options(job.split())
    network = many_gpus.train(options, train, device)
    accuracy = many_gpus.accuracy(network, test, device)
    Path(f"{options.checkpoint}-accuracy").write_text(str(accuracy))
dist.destroy_process_group()
"""

TRAIN_ONE = """
from digits import load_digits

from course_utils.scripts import many_gpus

many_gpus.load_mnist = load_digits
many_gpus.main()
"""

# To generate the stand-ins in every process would take longer than to train.
DIGITS = """
import torch

from course_utils import PictureDataset

def load_digits():
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (5095,), generator=random)
    images = torch.randint(120, (5095, 1, 28, 28), generator=random)
    images[range(5095), 0, 2 * labels + 4] += 120  # a bright row
    images = images.to(torch.uint8)
    train = PictureDataset(images[:4096], labels[:4096], tuple("0123456789"))
    return train, None, PictureDataset(images[4096:], labels[4096:], train.classes)
"""

WAIT = """
import os
import time
from pathlib import Path

Path(f"pid-{os.getpid()}").touch()
time.sleep(3600)
"""


def chapters_cell() -> Callable[..., list[str]]:
    """The function with which the chapter starts processes."""
    cells = json.loads(CHAPTER.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells]
    (found,) = [source for source in sources if "\ndef torchrun(" in source]
    names: dict[str, Any] = {}
    exec(found, names)
    start: Callable[..., list[str]] = names["torchrun"]
    return start


def trained(folder: Path, job: str) -> dict[str, Any]:
    """What the checkpoint of a training holds."""
    file = folder / "runs" / f"{job}.pt"
    states: dict[str, Any] = torch.load(file, weights_only=True)["states"]
    return states


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one["model"].keys() == other["model"].keys()
    pairs = [(one["model"][key], other["model"][key]) for key in one["model"]]
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """All trainings, by one process and by two, each in a folder of its own."""
    start, found = chapters_cell(), {}
    jobs = [f"{options} --checkpoint={name}" for name, options in JOBS.items()]
    for processes in (1, 2):
        folder = tmp_path_factory.mktemp("processes")
        with contextlib.chdir(folder):
            Path("digits.py").write_text(DIGITS, encoding="utf-8")
            Path("train_all.py").write_text(TRAIN_ALL, encoding="utf-8")
            start(processes, "train_all.py", *jobs, limit=PATIENCE)
        found[processes] = folder
    return found


@pytest.mark.parametrize("job", ["double", "usual"])
def test_one_process_and_two_end_with_the_same_weights(
    folders: dict[int, Path], job: str
) -> None:
    one, two = trained(folders[1], job), trained(folders[2], job)
    assert one["done"] == two["done"] == {"epochs": 1}
    assert largest_difference(one, two) < 1e-5
    accuracies = [
        (folder / f"{job}-accuracy").read_text() for folder in folders.values()
    ]
    assert accuracies[0] == accuracies[1]


def test_only_rank_0_writes(folders: dict[int, Path]) -> None:
    assert [path.name for path in folders[2].glob("saved-by-*")] == ["saved-by-0"]


def test_each_picture_is_dealt_once_an_epoch_in_a_new_order(
    folders: dict[int, Path],
) -> None:
    hands = [
        [list(map(int, line.split())) for line in path.read_text().splitlines()]
        for path in sorted(folders[2].glob("order-*"))
    ]
    sizes = [4096, 1024, 1280, 1280]
    for size, first, second in zip(sizes, *hands, strict=True):
        assert sorted(first + second) == list(range(size))
    assert hands[0][2] != hands[0][3]  # the sampler was told the epoch


def test_a_killed_process_changes_nothing(
    folders: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits.py").write_text(DIGITS, encoding="utf-8")
    Path("train_one.py").write_text(TRAIN_ONE, encoding="utf-8")
    command = ["--max-restarts=3", "train_one.py"]
    command += [*JOBS["whole"].split(), "--checkpoint=whole", "--die-after=7"]
    lines = chapters_cell()(2, *command, limit=PATIENCE)
    assert "process 1 kills itself" in lines
    assert lines.count("epoch 1 is done and kept") == 1  # and is not done again
    assert sum(line.startswith("test accuracy: ") for line in lines) == 1
    whole, killed = trained(folders[2], "whole"), trained(tmp_path, "whole")
    assert killed["done"] == whole["done"] == {"epochs": 2}
    assert largest_difference(whole, killed) == 0


def test_no_process_is_left_when_the_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_until_both_run(run: subprocess.Popen[str], timeout: float) -> None:
        give_up = time.monotonic() + PATIENCE
        while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() < give_up:
            time.sleep(0.1)
        raise subprocess.TimeoutExpired(run.args, timeout)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess.Popen, "communicate", wait_until_both_run)
    Path("wait.py").write_text(WAIT, encoding="utf-8")
    with pytest.raises(subprocess.TimeoutExpired):
        chapters_cell()(2, "wait.py")
    numbers = [int(path.name.removeprefix("pid-")) for path in tmp_path.glob("pid-*")]
    assert len(numbers) == 2
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_a_batch_without_equal_shares_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    assert many_gpus.share_of(256) == 128
    for global_batch in (255, 1, 0):
        with pytest.raises(SystemExit, match="cannot be dealt out equally"):
            many_gpus.share_of(global_batch)


@pytest.mark.parametrize(
    ("gpus", "processes", "asked", "chosen"),
    [
        (2, 2, "", ("nccl", "cuda:1")),
        (8, 2, "", ("nccl", "cuda:1")),
        (1, 2, "", ("gloo", "cpu")),
        (2, 2, "cpu", ("gloo", "cpu")),
    ],
)
def test_gpus_are_used_where_there_is_one_for_each(
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    processes: int,
    asked: str,
    chosen: tuple[str, str],
) -> None:
    said = Namespace(backend="")
    environment = {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": str(processes)}
    for name, value in (environment | {"COURSE_DEVICE": asked}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", lambda place: None)
    monkeypatch.setattr(
        dist,
        "init_process_group",
        lambda backend, timeout: setattr(said, "backend", backend),
    )
    assert str(many_gpus.join()) == chosen[1]
    assert said.backend == chosen[0]


def test_without_set_epoch_the_order_repeats() -> None:
    sampler: DistributedSampler[int] = DistributedSampler(range(100), 2, 0)  # type: ignore[arg-type]
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
