"""The data sets of the course: how each is prepared, read and recognized."""

import gzip
import hashlib
import io
import math
import pickle
import re
import struct
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
KNOWN = tomllib.loads(Path(__file__).with_name("known.toml").read_text("utf-8"))
MOST_BYTES = 200_000_000  # more than any of the sets unpacks to


class FetchError(RuntimeError):
    """Data cannot be had; the message says why, in one sentence without its stop."""


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
    most_bytes: int
    hosts: list[str]
    files: Mapping[str, str]
    known: Mapping[str, str]


def readable(read: Callable[..., Any], *arguments: Any) -> Any:
    """What `read` returns; whatever a broken file makes it raise is a FetchError."""
    try:
        return read(*arguments)
    except FetchError:
        raise
    except Exception as error:
        # A fault of the disk has a number; a file of another format has none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise FetchError(f"it cannot be read: {reason}") from None


def read_zip(path: Path, wanted: str) -> dict[str, bytes]:
    """The files of a zip archive with names that match `wanted`, in memory."""
    with zipfile.ZipFile(path) as archive:
        chosen = [m for m in archive.infolist() if re.fullmatch(wanted, m.filename)]
        _refuse_much(chosen)
        return {member.filename: archive.read(member) for member in chosen}


def _refuse_much(members: Sequence[zipfile.ZipInfo]) -> None:
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise FetchError("it unpacks to far more than it should")


def read_npz(path: Path) -> Arrays:
    """The arrays of an npz file."""
    with zipfile.ZipFile(path) as archive:
        _refuse_much(archive.infolist())
    with np.load(path, allow_pickle=False) as content:
        return dict(content)


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzipped IDX file, the format of MNIST."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    if content[:3] != b"\0\0\x08" or len(content) != 4 + 4 * axes + math.prod(shape):
        raise FetchError(f"{path.name} is not an IDX file of bytes")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that makes numbers, texts, lists and arrays, and nothing else.

    A pickle may ask for any function to be called. CIFAR-10's ask for these three.
    """

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: np.empty(0, np.uint8),
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise FetchError(f"a batch asks to run {module}.{name}, and may not")
        return allowed[module, name]


def read_cifar_batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 32, 32, 3) and labels from one of CIFAR-10's pickled batches."""
    batch = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
    images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32)
    return images.transpose(0, 2, 3, 1), np.array(batch[b"labels"], np.uint8)


def read_tiff(content: bytes) -> np.ndarray:
    """All pages of a grey TIFF, as one array (pages, height, width)."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(content), formats=["TIFF"]) as stack:
        pages = [np.array(page.convert("L")) for page in ImageSequence.Iterator(stack)]
    return np.stack(pages)


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A checksum (SHA-256) of arrays with their names, types and shapes."""
    seen = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        seen.update(f"{key} {array.dtype} {array.shape}".encode())
        seen.update(np.ascontiguousarray(array).data)
    return seen.hexdigest()


def _prepare_mnist(downloads: Path, target: Path) -> None:
    keys = ("train_images", "train_labels", "test_images", "test_labels")
    arrays = [read_idx(downloads / name) for name in KNOWN["mnist"]["files"]]
    np.savez(target, **dict(zip(keys, arrays, strict=True)))  # type: ignore[arg-type]


def _read_mnist(path: Path) -> tuple[Arrays, str]:
    arrays = read_npz(path)
    return arrays, fingerprint(arrays)


def _prepare_cifar10(downloads: Path, target: Path) -> None:
    batches = {}
    with tarfile.open(downloads / "cifar-10-python.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content and "_batch" in member.name:
                name = PurePosixPath(member.name).name
                batches[name] = read_cifar_batch(content.read())
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

    There, an image is its label and then its red, its green and its blue bytes.
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
    """Paths and labels of the ants (0) and bees (1), without what is no whole JPEG."""
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


def _prepare_slices(downloads: Path, target: Path) -> None:
    wanted = r"(.*/)?train-(volume|labels)\.tif"
    members = read_zip(downloads / "ISBI-2012-challenge.zip", wanted)
    stacks = {PurePosixPath(name).stem: read_tiff(members[name]) for name in members}
    np.savez(target, images=stacks["train-volume"], labels=stacks["train-labels"])


def _read_slices(path: Path) -> tuple[Arrays, str]:
    arrays = read_npz(path)
    images, labels = arrays["images"], arrays["labels"]
    if (
        not images.shape == labels.shape == (30, 512, 512)
        or not np.isin(labels, (0, 255)).all()
        or not 0.1 < (labels == 0).mean() < 0.4
    ):
        raise FetchError("it does not hold 30 slices of 512 x 512 with their masks")
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
MEMBRANES = Source("membranes", _prepare_slices, _read_slices, **KNOWN["membranes"])
RESNET18 = Source("resnet18", _prepare_weights, _read_weights, **KNOWN["resnet18"])
SOURCES = (MNIST, CIFAR10, ANTS_BEES, MEMBRANES, RESNET18)
