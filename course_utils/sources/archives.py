"""Reading files that others wrote, and trusting none of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
MOST_BYTES = 200_000_000  # more than any of the course's sets unpacks to


class FetchError(RuntimeError):
    """Data cannot be had; the message says why, in one sentence without its stop."""


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
    """The files of a zip archive with names that match `wanted`, in memory.

    Nothing is unpacked onto the disk, so nothing can be put where it does not belong.
    """
    with zipfile.ZipFile(path) as archive:
        chosen = [m for m in archive.infolist() if re.fullmatch(wanted, m.filename)]
        if sum(member.file_size for member in chosen) > MOST_BYTES:
            raise FetchError("it unpacks to far more than it should")
        return {member.filename: archive.read(member) for member in chosen}


def read_npz(path: Path) -> Arrays:
    """The arrays of an npz file."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise FetchError("it unpacks to far more than it should")
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

    A pickle may ask for any function to be called while it is read. CIFAR-10's ask
    for three, which are answered here. A request for any other function is refused.
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
