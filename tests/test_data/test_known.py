"""Data that only looks like the course's is never taken for real."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import resnet18  # type: ignore[import-untyped]

from course_utils.sources import (
    MEMBRANES,
    RESNET18,
    SOURCES,
    FetchError,
    Source,
    fetch,
)
from course_utils.sources.__main__ import main
from test_data import hosts
from test_data.hosts import NUMBERS, host, toy
from test_data.test_mirror import NOWHERE, serving

HERE = Path(os.environ.get("COURSE_DATA", "nowhere"))
REAL_DATA = pytest.mark.skipif(
    not all((HERE / source.prepared).exists() for source in SOURCES),
    reason="needs the real data: set COURSE_DATA to a folder that holds all of it",
)


def assert_not_real(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", name]) == 1
    assert main(["status", name]) == 0
    said = capsys.readouterr().out
    assert "REAL" not in said
    assert "NOT USABLE" in said


@REAL_DATA
def test_real_data_is_found_to_be_real(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert main(["verify"]) == 0
    said = capsys.readouterr().out
    assert said.count(" REAL, ") == len(SOURCES)
    copy = HERE / "resnet18-imagenet.pth"
    if copy.stat().st_size == 46_834_827:
        assert "a compressed copy (PQF, 66.7 % top-1)" in said


@REAL_DATA
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
@pytest.mark.parametrize("ruined", ["train_images", "test_labels"])
def test_real_images_or_labels_that_were_set_to_0(
    name: str, ruined: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = dict(np.load(HERE / f"{name}.npz"))
    arrays[ruined] = np.zeros_like(arrays[ruined])
    np.savez(folder / f"{name}.npz", **arrays)
    assert_not_real(name, capsys)


def test_noise_and_our_own_stand_in_in_place_of_the_membranes(
    folder: Path, membranes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 512, 512), np.uint8)
    for images in (noise, membranes["images"]):
        labels = membranes["labels"]
        np.savez(folder / "em_membranes.npz", images=images, labels=labels)
        assert_not_real("membranes", capsys)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet-18 whose weights are all NaN."""
    path = tmp_path_factory.mktemp("weights") / "resnet18-imagenet.pth"
    state = {
        name: torch.full_like(tensor, torch.nan)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in resnet18().state_dict().items()
    }
    torch.save(state, path)
    return path


def test_weights_that_have_learned_nothing(
    folder: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(resnet18().state_dict(), folder / "resnet18-imagenet.pth")
    assert_not_real("resnet18", capsys)
    (folder / "resnet18-imagenet.pth").write_bytes(weights.read_bytes())
    assert_not_real("resnet18", capsys)


@pytest.mark.usefixtures("folder")
def test_a_mirror_cannot_hand_out_weights_of_its_own(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dataclasses.replace(RESNET18, hosts=[f"{NOWHERE}/"])
    with serving({weights.name: weights}) as address:
        monkeypatch.setenv("COURSE_MIRROR", address)
        with pytest.raises(FetchError, match=r"from the mirror: .* is not what"):
            fetch(source)


def unknown(source: Source) -> Source:
    """The same set, but the course has been tested with other content."""
    return dataclasses.replace(source, known={})


def test_unknown_data_from_its_own_host_is_used_and_said_to_be_unknown(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with host(hosts.whole) as good:
        source = unknown(toy(good.address))
        assert np.array_equal(fetch(source)["numbers"], NUMBERS)
        said = capsys.readouterr().out
        assert said == (
            "Toy is as its host sent it, but not the copy that the course was tested "
            "with.\n"
        )
        assert np.array_equal(fetch(source)["numbers"], NUMBERS)
    assert len(good.asked) == 1
    monkeypatch.setattr("course_utils.sources.__main__.SOURCES", [source])
    assert main(["verify"]) == 0
    assert "not the copy that the course was tested with" in capsys.readouterr().out
    np.savez(folder / "toy.npz", numbers=255 - NUMBERS)  # changed by somebody since
    assert main(["verify"]) == 1


def test_unknown_data_from_a_host_has_to_look_right(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_nothing(path: Path) -> tuple[Any, str]:
        raise FetchError("its masks are not masks")

    with host(hosts.whole) as good:
        source = dataclasses.replace(unknown(toy(good.address)), read=read_nothing)
        with pytest.raises(FetchError, match="of no use: its masks are not masks"):
            fetch(source)
    assert not list(folder.glob("[!.]*"))


def test_every_file_without_a_published_checksum_has_a_known_content() -> None:
    for source in SOURCES:
        assert all(len(mark.replace(" ", "")) in (64, 240) for mark in source.known)
        assert all(host.startswith("https://") for host in source.hosts)
        assert source.known
    unchecked = {s.name for s in SOURCES if not all(s.files.values())}
    assert unchecked == {"ants_bees", MEMBRANES.name}
