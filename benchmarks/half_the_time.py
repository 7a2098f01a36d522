"""Chapter 12's race, several times: the same network to the same accuracy.

    python benchmarks/half_the_time.py [--repeats 5] [--goal 40]

The three programs (slow, constant and quick), the stopwatch and the race are those of
the chapter: their definitions are taken out of its notebook and run, with a seed of
its own for each race. The programs take turns, so that a busy machine slows all of
them alike. The results go to benchmarks/results/half_the_time.json.
"""

from __future__ import annotations

import functools
import statistics
from typing import Any

from from_chapter import defined_in
from records import arguments, write

from course_utils import load_cifar10, pick_device, seed_everything

NAMES = (
    *("SimpleCNN", "mean", "std", "one_by_one", "pictures", "slow_loader", "endless"),
    *("slow_program", "options", "val_batches", "now", "turn", "reach_goal", "loader"),
    *("program", "schedules", "last", "constant", "cycle", "programs"),
)

photographs = functools.cache(load_cifar10)  # the same for all races


def chapter(goal: float = 0.4) -> dict[str, Any]:
    """What the chapter defines, with networks that have not learned anything."""
    train, val, _ = photographs()
    given = {"train": train, "val": val, "device": pick_device(), "goal": goal}
    return defined_in("12_training_well", NAMES, **given)


def race(goal: float) -> dict[str, dict[str, Any]]:
    """Once through the chapter's race: what each program needed."""
    found = chapter(goal)
    results = {}
    for name, log in found["reach_goal"](found["programs"]).items():
        accuracies = [round(accuracy, 4) for _, accuracy in log[1:]]
        if accuracies[-1] < goal:
            raise SystemExit(f"the {name} program has not reached {goal:.0%}")
        seconds = round(log[-1][0], 2)
        results[name] = {"seconds": seconds, "validation accuracies": accuracies}
    return results


def main() -> None:
    """Race with several seeds and write the results."""
    options = arguments(
        ("repeats", 5, "races, each with a seed of its own"),
        ("goal", 40, "percent of the validation pictures"),
        text=__doc__ or "",
    )
    races = []
    for seed in range(options.repeats):
        seed_everything(seed)
        races.append(race(options.goal / 100))
        print(races[-1], flush=True)
    seconds = {name: [each[name]["seconds"] for each in races] for name in races[0]}
    shares = {
        name: [own / slow for own, slow in zip(each, seconds["slow"], strict=True)]
        for name, each in seconds.items()
    }
    results = {
        "data": photographs().train.source,
        "goal": options.goal / 100,
        "median seconds": {k: statistics.median(v) for k, v in seconds.items()},
        "shares of the slow one's time": {
            name: {
                "least": round(min(each), 3),
                "median": round(statistics.median(each), 3),
                "most": round(max(each), 3),
            }
            for name, each in shares.items()
            if name != "slow"
        },
        "races": races,
    }
    write("half_the_time.json", results)


if __name__ == "__main__":
    main()
