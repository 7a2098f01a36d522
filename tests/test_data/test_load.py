"""Each set comes in three parts that never change, real or not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import ResNet18_Weights  # type: ignore[import-untyped]

from course_utils import data, standins
from course_utils.data import Parts, held_out_of
from course_utils.standins import notice
from test_data.test_known import HERE, REAL_DATA

COUNTS = {
    "mnist": (55_000, 5_000, 10_000),
    "cifar10": (45_000, 5_000, 10_000),
    "ants_bees": (195, 49, 153),
    "membranes": (20, 4, 6),
    "phantoms": (24, 6, 6),
}
SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "membranes": (1, 512, 512)}


def parts_of(name: str) -> Parts:
    parts: Parts = getattr(data, f"load_{name}")()
    return parts


@pytest.fixture
def stand_ins_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setattr(notice, "_noticed", set())
    yield monkeypatch
    assert not list(tmp_path.iterdir())


@REAL_DATA
@pytest.mark.parametrize("name", COUNTS)
def test_real_data_has_the_official_counts(name: str) -> None:
    parts = parts_of(name)
    assert tuple(map(len, parts)) == COUNTS[name]
    for part in parts:
        assert part.source == ("generated" if name == "phantoms" else "real data")
        assert part.labels.dtype == torch.int64
        assert set(part.labels.unique().tolist()) == set(range(len(part.classes)))
        if name in SHAPES:
            assert tuple(part[0][0].shape) == SHAPES[name]
            assert part[0][0].dtype == torch.uint8


@REAL_DATA
def test_cifar10_loads_in_less_than_two_seconds() -> None:
    # Of this process: another program may need the machine at the same time.
    started = time.process_time()
    data.load_cifar10()
    assert time.process_time() - started < 2


@REAL_DATA
def test_known_pictures_are_where_they_should_be() -> None:
    mnist = np.load(HERE / "mnist.npz")
    test = data.load_mnist().test
    assert torch.equal(test[0][0][0], torch.from_numpy(mnist["test_images"][0]))
    assert test[0][1] == 7
    cifar10 = np.load(HERE / "cifar10.npz")
    image, label = data.load_cifar10().test[0]
    assert np.array_equal(image.permute(1, 2, 0), cifar10["test_images"][0])
    assert data.load_cifar10().test.classes[label] == "cat"


@REAL_DATA
def test_the_real_resnet18_has_seen_ants() -> None:
    test = data.load_ants_bees().test.with_transform(
        ResNet18_Weights.DEFAULT.transforms()
    )
    ants = torch.stack([test[number][0] for number in range(16)])
    with torch.no_grad():
        guesses = data.load_resnet18().eval()(ants).topk(5).indices
    ant = ResNet18_Weights.DEFAULT.meta["categories"].index("ant")
    assert (guesses == ant).sum() >= 8


@pytest.mark.usefixtures("stand_ins_only")
def test_loading_touches_no_random_numbers() -> None:
    before = random.getstate(), np.random.get_state()[1], torch.get_rng_state()  # type: ignore[index]
    data.load_phantoms()
    data.load_resnet18()
    after = random.getstate(), np.random.get_state()[1], torch.get_rng_state()  # type: ignore[index]
    assert before[0] == after[0]
    assert np.array_equal(before[1], after[1])
    assert torch.equal(before[2], after[2])


def test_the_notice_of_a_stand_in_cannot_be_missed(
    few_images: dict[str, np.ndarray],
    stand_ins_only: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_ins_only.setattr(standins, "standin_cifar10", lambda: few_images)
    parts = [data.load_cifar10() for _ in range(2)]
    lines = capsys.readouterr().out.splitlines()
    assert {len(line) for line in lines} == {78}
    assert lines[0] == lines[-1] == f"+{'-' * 76}+"
    assert "STAND-IN DATA: this is not CIFAR-10" in lines[1]
    assert "COURSE_DATA to a folder that holds cifar10.npz" in " ".join(lines)
    assert sum("this is not" in line for line in lines) == 1
    assert "STAND-IN DATA" in repr(parts[0].train)


@pytest.mark.usefixtures("stand_ins_only")
def test_without_weights_resnet18_starts_blank_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data.load_resnet18(pretrained=False)
    assert capsys.readouterr().out == ""
    data.load_resnet18()
    assert "starts from random weights" in capsys.readouterr().out


@given(st.lists(st.integers(0, 3), min_size=4, max_size=60), st.integers(2, 6))
def test_what_is_held_out_is_spread_over_the_classes(
    labels: list[int], every: int
) -> None:
    array = np.array(labels)
    rest, held_out = held_out_of(array, every)
    assert sorted([*rest, *held_out]) == list(range(len(labels)))
    assert abs(len(held_out) - len(labels) / every) < 1
    for label in set(labels):
        count = (array == label).sum()
        assert abs((array[held_out] == label).sum() - count / every) < 1


def test_the_split_is_the_same_everywhere() -> None:
    held_out = held_out_of(np.arange(1000) % 10, 10)[1]
    assert held_out[:6].tolist() == [3, 5, 27, 46, 55, 67]
    assert np.bincount(held_out % 10).tolist() == [10] * 10


def test_importing_loads_nothing_that_only_data_needs() -> None:
    script = (
        "import sys; import course_utils; "
        "print({'torchvision', 'pooch', 'requests'} & set(sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout == "set()\n"
