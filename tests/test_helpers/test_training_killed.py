"""A training that is killed and started again ends as if nothing had happened.

Run as a script, this file kills a training at random moments of its life and prints
what came of it. It forks its trainings, as starting Python takes longer than they do.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from course_utils import BatchLoader, RandomFlip, RandomShift, fit

KILLS = int(os.environ.get("COURSE_KILLS", "20"))
EPOCHS, BATCHES = 5, 4


def train(folder: Path) -> None:
    """A training with everything that a checkpoint has to bring back."""
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    torch.manual_seed(0)
    data = (
        torch.randint(256, (BATCHES * 16, 3, 8, 8)).byte(),
        torch.arange(BATCHES * 16) % 3,
    )
    moves: list[Any] = [RandomShift(2), RandomFlip()]
    batches = BatchLoader(data, 16, shuffle=True, mean=0.5, std=0.5, augment=moves)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(144, 3),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * BATCHES)
    history = fit(
        model,
        batches,
        BatchLoader(data, 32, mean=0.5, std=0.5),
        epochs=EPOCHS,
        optimizer=optimizer,
        scheduler=schedule,
        schedule_by="batch",
        checkpoint="killed",
        quiet=True,
    )
    numbers = {
        name: value for name, value in vars(history).items() if name != "seconds"
    }
    states = [model.state_dict(), optimizer.state_dict(), torch.get_rng_state()]
    torch.save({"history": numbers, "states": states}, "result.pt")


def start(folder: Path) -> int:
    """A process of its own that trains in `folder`; its number."""
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            train(folder)
            os._exit(0)
    return child


def finish(folder: Path) -> Any:
    """Train to the end, and what came out."""
    _, status = os.waitpid(start(folder), 0)
    assert status == 0
    return torch.load(folder / "result.pt", weights_only=True)


def killed_at(moment: float, folder: Path) -> bool:
    """Kill a training after so many seconds; False if it was over by then."""
    child = start(folder)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def main(folder: Path) -> None:
    torch.set_num_threads(1)  # threads do not survive a fork
    train(folder / "warm-up")  # whatever is only loaded when it is needed
    begun = time.perf_counter()
    untouched = finish(folder / "untouched")
    whole = time.perf_counter() - begun
    kills = equal = resumed = 0
    while kills < KILLS:
        place = folder / f"killed-{kills}"
        if not killed_at(random.uniform(0, whole), place):
            continue
        kills += 1
        resumed += (place / "runs" / "killed.pt").exists()
        equal += same(finish(place), untouched)
    print(json.dumps({"kills": kills, "equal": equal, "resumed": resumed}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and kill -9")
def test_a_killed_training_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["kills"] == outcome["equal"] == KILLS
    assert outcome["resumed"] >= KILLS // 4  # some were killed after their first epoch


if __name__ == "__main__":
    main(Path(sys.argv[1]))
