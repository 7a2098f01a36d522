"""The data sets of the course: how each is prepared, read and recognized."""

from __future__ import annotations

import hashlib
import tarfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from course_utils.sources.archives import (
    Arrays,
    FetchError,
    fingerprint,
    read_cifar_batch,
    read_idx,
    read_npz,
    read_tiff,
    read_zip,
)

KNOWN = tomllib.loads(Path(__file__).with_name("known.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Source:
    """A data set as the course fetches and keeps it.

    `prepare` makes the prepared file from a folder of downloads. `read` returns what
    a prepared file holds, and the fingerprint of that. known.toml has all the rest.
    """

    name: str
    prepare: Callable[[Path, Path], None]
    read: Callable[[Path], tuple[Any, str]]
    title: str
    prepared: str
    megabytes: int
    hosts: list[str]
    files: Mapping[str, str]
    known: Mapping[str, str]

    @property
    def is_folder(self) -> bool:
        """Whether the prepared data is a folder, which a mirror sends as a zip."""
        return not Path(self.prepared).suffix


def _prepare_mnist(downloads: Path, target: Path) -> None:
    np.savez(
        target,
        train_images=read_idx(downloads / "train-images-idx3-ubyte.gz"),
        train_labels=read_idx(downloads / "train-labels-idx1-ubyte.gz"),
        test_images=read_idx(downloads / "t10k-images-idx3-ubyte.gz"),
        test_labels=read_idx(downloads / "t10k-labels-idx1-ubyte.gz"),
    )


def _read_mnist(path: Path) -> tuple[Arrays, str]:
    arrays = read_npz(path)
    return arrays, fingerprint(arrays)


def _prepare_cifar10(downloads: Path, target: Path) -> None:
    batches = {}
    with tarfile.open(downloads / "cifar-10-python.tar.gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if member.isfile() and "_batch" in name:
                content = archive.extractfile(member)
                batches[name] = read_cifar_batch(content.read() if content else b"")
    train = [batches[f"data_batch_{number}"] for number in range(1, 6)]
    np.savez(
        target,
        train_images=np.concatenate([images for images, _ in train]),
        train_labels=np.concatenate([labels for _, labels in train]),
        test_images=batches["test_batch"][0],
        test_labels=batches["test_batch"][1],
    )


def _read_cifar10(path: Path) -> tuple[Arrays, str]:
    """The arrays, and the SHA-1 of each batch in CIFAR-10's binary form.

    In that form an image is its label, then its red, its green and its blue bytes.
    The sums of the official batches are public.
    """
    arrays = read_npz(path)
    sums = []
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        for start in range(0, len(images), 10_000):
            batch = slice(start, start + 10_000)
            planes = images[batch].transpose(0, 3, 1, 2).reshape(-1, 3072)
            rows = np.concatenate([labels[batch, None], planes], axis=1)
            sums.append(hashlib.sha1(rows.data, usedforsecurity=False).hexdigest())
    return arrays, " ".join(sums)


def _prepare_insects(downloads: Path, target: Path) -> None:
    wanted = r"(\./)?hymenoptera_data/(train|val)/(ants|bees)/[^/\\:.][^/\\:]*\.jpe?g"
    members = read_zip(downloads / "hymenoptera_data.zip", wanted)
    for name, content in members.items():
        path = target / PurePosixPath(name).relative_to("hymenoptera_data")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _read_insects(folder: Path) -> tuple[dict[str, tuple[list[Path], list[int]]], str]:
    """Paths and labels of the ants (0) and bees (1), for "train" and for "test".

    Anything that is not a whole JPEG file is passed over.
    """
    parts: dict[str, tuple[list[Path], list[int]]] = {}
    seen = hashlib.sha256()
    for part, subfolder in (("train", "train"), ("test", "val")):
        paths: list[Path] = []
        labels: list[int] = []
        for label, insect in enumerate(("ants", "bees")):
            images = sorted((folder / subfolder / insect).glob("[!.]*.jp*g"))
            whole = [path for path in images if _is_whole(path)]
            paths += whole
            labels += [label] * len(whole)
        if len(set(labels)) < 2:
            raise FetchError(f"{subfolder} lacks images of ants or of bees")
        parts[part] = paths, labels
    for path in sorted(parts["train"][0] + parts["test"][0]):
        seen.update("/".join(path.parts[-3:]).encode())
        seen.update(hashlib.sha256(path.read_bytes()).digest())
    return parts, seen.hexdigest()


def _is_whole(path: Path) -> bool:
    """Whether this is an ordinary file that begins and ends as a JPEG does."""
    content = path.read_bytes() if path.is_file() else b""
    return content.startswith(b"\xff\xd8") and b"\xff\xd9" in content[-1024:]


def _prepare_membranes(downloads: Path, target: Path) -> None:
    wanted = r"(.*/)?train-(volume|labels)\.tif"
    members = read_zip(downloads / "ISBI-2012-challenge.zip", wanted)
    stacks = {PurePosixPath(name).stem: read_tiff(members[name]) for name in members}
    np.savez(target, images=stacks["train-volume"], labels=stacks["train-labels"])


def _read_membranes(path: Path) -> tuple[Arrays, str]:
    arrays = read_npz(path)
    images, labels = arrays["images"], arrays["labels"]
    if not images.shape == labels.shape == (30, 512, 512):
        raise FetchError("it does not hold 30 slices of 512 x 512 with their masks")
    if not np.isin(labels, (0, 255)).all() or not 0.1 < (labels == 0).mean() < 0.4:
        raise FetchError("its masks are not those of thin membranes (0) in cells (255)")
    return arrays, fingerprint(arrays)


def _prepare_weights(downloads: Path, target: Path) -> None:
    (downloads / "resnet18-f37072fd.pth").replace(target)


def _read_weights(path: Path) -> tuple[dict[str, Any], str]:
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return state, hashlib.sha256(path.read_bytes()).hexdigest()


MNIST = Source("mnist", _prepare_mnist, _read_mnist, **KNOWN["mnist"])
CIFAR10 = Source("cifar10", _prepare_cifar10, _read_cifar10, **KNOWN["cifar10"])
ANTS_BEES = Source("ants_bees", _prepare_insects, _read_insects, **KNOWN["ants_bees"])
MEMBRANES = Source(
    "membranes", _prepare_membranes, _read_membranes, **KNOWN["membranes"]
)
RESNET18 = Source("resnet18", _prepare_weights, _read_weights, **KNOWN["resnet18"])
SOURCES = (MNIST, CIFAR10, ANTS_BEES, MEMBRANES, RESNET18)
