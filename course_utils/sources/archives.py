"""Reading what others wrote, trusting none of it: archives, pickles, arrays."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import pickle
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
MOST_BYTES = 400_000_000  # more than any of the course's archives holds


class DamagedError(Exception):
    """A file does not hold what it should; the message says what is wrong."""


def or_damaged(read: Callable[..., Any], *arguments: Any) -> Any:
    """What `read` returns; whatever a broken file makes it raise is a DamagedError."""
    try:
        return read(*arguments)
    except (DamagedError, MemoryError):
        raise
    except Exception as error:
        # A fault of the disk has a number; a file of another format has none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DamagedError(f"it cannot be read: {reason}") from None


def read_members(archive: Path, wanted: str) -> dict[str, bytes]:
    """The files of a zip or tar archive whose path matches `wanted`, in memory.

    Nothing is unpacked onto the disk, so nothing can be put where it does not belong.
    An archive with links or with paths that lead out of its folder is refused.
    """
    contents, size = {}, 0
    for name, length, is_link, read in _members(archive):
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise DamagedError(f"the archive holds a path out of its folder ({name})")
        if is_link:
            raise DamagedError(f"the archive holds a link ({name})")
        if re.fullmatch(wanted, name):
            size += length
            if size > MOST_BYTES:
                raise DamagedError("the archive unpacks to far more than it should")
            contents[name] = read()
    return contents


def _members(archive: Path) -> Iterator[tuple[str, int, bool, Any]]:
    """Of each member its name, its length, whether it is a link, and how to read it."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                is_link = stat.S_ISLNK(info.external_attr >> 16)
                yield info.filename, info.file_size, is_link, partial(packed.read, info)
    else:
        with tarfile.open(archive) as tape:
            for member in tape:
                is_link = not (member.isfile() or member.isdir())
                yield member.name, member.size, is_link, partial(_read, tape, member)


def _read(tape: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tape.extractfile(member)
    return file.read() if file else b""


def read_idx(path: Path) -> np.ndarray:
    """The array in a gzipped IDX file, the format of MNIST."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise DamagedError(f"{path.name} is not an IDX file of bytes")
    axes = content[3]
    shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
    if len(content) != 4 + 4 * axes + math.prod(shape):
        raise DamagedError(f"{path.name} is shorter or longer than it says")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that makes numbers, texts, lists and arrays, and nothing else.

    A pickle may ask for any function to be called while it is read. CIFAR-10's ask
    for three, which are answered here; whoever asks for another is refused.
    """

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: np.empty(0, np.uint8),
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise DamagedError(f"a batch asks to run {module}.{name}, and may not")
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


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Save arrays uncompressed, which loads many times faster, and onto the disk."""
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())


def read_npz(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """The arrays of bytes with these names and shapes from an npz file."""
    if not zipfile.is_zipfile(path):  # NumPy would try to read it as a pickle
        raise DamagedError("it is no npz file, or only a part of one")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
        arrays = {key: content[key] for key in shapes}
    for key, shape in shapes.items():
        if arrays[key].shape != shape or arrays[key].dtype != np.uint8:
            raise DamagedError(
                f"{key} is {arrays[key].dtype} of shape {arrays[key].shape} "
                f"instead of uint8 of shape {shape}"
            )
    return arrays


def fingerprint(arrays: Mapping[str, np.ndarray]) -> str:
    """A checksum (SHA-256) of arrays with their names, types and shapes."""
    seen = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        seen.update(f"{key} {array.dtype} {array.shape}".encode())
        seen.update(np.ascontiguousarray(array).data)
    return seen.hexdigest()
