"""The stand-ins: the right shapes, the same everywhere, and worth learning from."""

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from course_utils import standins

Array = NDArray[Any]


def coarse(pixels: Array) -> str:
    """A fingerprint of the means of many small pieces, in 32 steps."""
    pieces = pixels.reshape(-1)[: 2**18].reshape(-1, 64).mean(axis=1)
    return hashlib.sha256((pieces // 8).astype(np.uint8).tobytes()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("name", "shape", "train"),
    [("mnist", (28, 28), 60_000), ("cifar10", (32, 32, 3), 50_000)],
)
def test_arrays_are_those_of_the_prepared_files(
    name: str, shape: tuple[int, ...], train: int, request: pytest.FixtureRequest
) -> None:
    data: dict[str, Array] = request.getfixturevalue(name)
    parts = ("train_images", "train_labels", "test_images", "test_labels")
    assert tuple(data) == parts
    assert [len(data[part]) for part in parts] == [train, train, 10_000, 10_000]
    assert data["train_images"].shape[1:] == data["test_images"].shape[1:] == shape
    assert {data[part].dtype for part in parts} == {np.dtype(np.uint8)}


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_classes_are_balanced_in_both_parts(
    name: str, request: pytest.FixtureRequest
) -> None:
    data: dict[str, Array] = request.getfixturevalue(name)
    for part in ("train_labels", "test_labels"):
        counts = np.bincount(data[part], minlength=10)
        assert np.ptp(counts) == 0


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_no_two_pictures_are_the_same(
    name: str, request: pytest.FixtureRequest
) -> None:
    data: dict[str, Array] = request.getfixturevalue(name)
    pictures = np.concatenate([data["train_images"], data["test_images"]])
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_digits_are_bright_strokes_on_black(mnist: dict[str, Array]) -> None:
    images = mnist["train_images"]
    assert np.median(images) == 0
    assert images.reshape(len(images), -1).max(axis=1).min() > 100
    assert 0.1 < images.mean() / 255 < 0.18  # MNIST: 0.13
    edges = np.concatenate(
        [images[:, [0, -1]].swapaxes(1, 2), images[:, :, [0, -1]]], 1
    )
    assert (edges.max(axis=(1, 2)) > 0).mean() < 0.1


def test_the_average_of_each_digit_is_its_own(mnist: dict[str, Array]) -> None:
    """The nearest average digit is right for most, and for far from all."""
    train, test = (
        mnist[k].reshape(-1, 784) / 255 for k in ("train_images", "test_images")
    )
    means = np.stack([train[mnist["train_labels"] == n].mean(0) for n in range(10)])
    guess = ((means**2).sum(1) - 2 * test @ means.T).argmin(1)
    assert 0.6 < (guess == mnist["test_labels"]).mean() < 0.93


def test_colour_alone_does_not_tell_things_apart(cifar10: dict[str, Array]) -> None:
    train, test = (
        cifar10[k].mean(axis=(1, 2)) for k in ("train_images", "test_images")
    )
    means = np.stack([train[cifar10["train_labels"] == n].mean(0) for n in range(10)])
    guess = ((test[:, None] - means) ** 2).sum(-1).argmin(1)
    assert (guess == cifar10["test_labels"]).mean() < 0.3


def test_insects_come_in_the_official_numbers_and_in_many_sizes(
    insects: dict[str, tuple[list[Array], list[int]]],
) -> None:
    assert list(insects) == ["train", "test"]
    for (pictures, labels), ants, bees in (
        (insects["train"], 123, 121),
        (insects["test"], 70, 83),
    ):
        assert (labels.count(0), labels.count(1)) == (ants, bees)
        assert len(pictures) == ants + bees
        assert {(p.dtype.name, p.ndim, p.shape[2]) for p in pictures} == {
            ("uint8", 3, 3)
        }
        assert len({p.shape for p in pictures}) > 100
        assert min(min(p.shape[:2]) for p in pictures) >= 200
        assert min(p.std() for p in pictures) > 8


def test_membranes_have_the_shape_of_the_challenge(membranes: dict[str, Array]) -> None:
    assert list(membranes) == ["images", "labels"]
    for stack in membranes.values():
        assert stack.shape == (30, 512, 512)
        assert stack.dtype == np.uint8
    assert set(np.unique(membranes["labels"])) == {0, 255}
    assert 0.15 < (membranes["labels"] == 0).mean() < 0.25  # ISBI 2012: 0.22


def test_membranes_are_darker_than_cells_but_brightness_does_not_decide(
    membranes: dict[str, Array],
) -> None:
    images, cell = membranes["images"], membranes["labels"] > 0
    assert images[~cell].mean() < images[cell].mean() - 25
    best = max(((images > level) == cell).mean() for level in range(60, 160, 5))
    assert best < 0.93


def test_neighbouring_slices_are_more_alike_than_distant_ones(
    membranes: dict[str, Array],
) -> None:
    cells = membranes["labels"] > 0
    near = np.mean([(cells[n] == cells[n + 1]).mean() for n in range(29)])
    far = np.mean([(cells[n] == cells[n + 15]).mean() for n in range(15)])
    assert far + 0.03 < near < 0.95  # ISBI 2012: 0.72 for neighbours


def test_phantoms_have_four_channels_and_four_tissues(
    phantoms: dict[str, Array],
) -> None:
    for part, count in (("train", 24), ("validation", 6), ("test", 6)):
        images, labels = phantoms[f"{part}_images"], phantoms[f"{part}_labels"]
        assert images.shape == (count, 4, 32, 48, 48)
        assert labels.shape == (count, 32, 48, 48)
        assert [images.dtype, labels.dtype] == [np.float32, np.uint8]
        assert set(np.unique(labels)) == {0, 1, 2, 3}
        assert all((volume == 3).any() for volume in labels)
    assert len(phantoms) == 6


def test_phantoms_come_in_any_number_and_size() -> None:
    few = standins.make_phantoms(counts=(2, 1, 1), shape=(16, 20, 24))
    assert few["train_images"].shape == (2, 4, 16, 20, 24)


def test_brightness_does_not_find_the_lesions(phantoms: dict[str, Array]) -> None:
    """The best linear rule on the four channels of a voxel misses many of them."""
    seen = {}
    for part in ("train", "test"):
        voxels = np.moveaxis(phantoms[f"{part}_images"], 1, -1).reshape(-1, 4)
        features = np.column_stack([voxels, voxels**2, np.ones(len(voxels))])
        seen[part] = features, phantoms[f"{part}_labels"].ravel()
    features, labels = seen["train"]
    rule, *_ = np.linalg.lstsq(features, np.eye(4)[labels], rcond=None)
    guess, truth = (seen["test"][0] @ rule).argmax(1), seen["test"][1]
    overlap = 2 * ((guess == 3) & (truth == 3)).sum()
    assert overlap / ((guess == 3).sum() + (truth == 3).sum()) < 0.6


def test_the_pictures_never_change(
    mnist: dict[str, Array],
    cifar10: dict[str, Array],
    insects: dict[str, tuple[list[Array], list[int]]],
    membranes: dict[str, Array],
    phantoms: dict[str, Array],
) -> None:
    found = {
        "mnist": coarse(mnist["train_images"]),
        "cifar10": coarse(cifar10["train_images"]),
        "insects": coarse(np.concatenate([p.ravel() for p in insects["train"][0]])),
        "membranes": coarse(membranes["images"]),
        "phantoms": coarse((phantoms["train_images"] + 1) * 100),
    }
    assert found == {
        "mnist": "862fca42d6ce",
        "cifar10": "b54250d66bb3",
        "insects": "9aeacbf2ac64",
        "membranes": "ce94bf321475",
        "phantoms": "9a1a1c972949",
    }


def test_another_process_draws_the_same(phantoms: dict[str, Array]) -> None:
    code = (
        "import hashlib; from course_utils.standins import make_phantoms;"
        "print(hashlib.sha256(make_phantoms()['test_images'].tobytes()).hexdigest())"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    digest = hashlib.sha256(phantoms["test_images"].tobytes()).hexdigest()
    assert done.stdout.strip() == digest
