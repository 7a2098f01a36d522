"""Archives, pickles and images that are not what they should be."""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from course_utils.sources import ANTS_BEES, CIFAR10, MEMBRANES, FetchError
from course_utils.sources.sets import (
    read_cifar_batch,
    read_idx,
    read_npz,
    read_tiff,
    read_zip,
    readable,
)

ANTS = "hymenoptera_data/train/ants"


def jpeg(height: int = 30) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (20, height)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        f"{ANTS}/../../evil.jpg",
        f"/{ANTS}/evil.jpg",
        f"C:\\{ANTS}\\evil.jpg",
        f"{ANTS}/..\\..\\evil.jpg",
        f"{ANTS}/deeper/evil.jpg",
    ],
)
def test_nothing_is_written_out_of_the_folder(name: str, tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    with zipfile.ZipFile(downloads / "hymenoptera_data.zip", "w") as archive:
        archive.writestr(f"{ANTS}/good.jpg", jpeg())
        archive.writestr(name, jpeg())
    ANTS_BEES.prepare(downloads, tmp_path / "out" / "data")
    written = list(tmp_path.rglob("*.jpg"))
    assert written == [tmp_path / "out" / "data" / "train" / "ants" / "good.jpg"]


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "hymenoptera_data.zip", "w") as archive:
        info = zipfile.ZipInfo(f"{ANTS}/link.jpg")
        info.external_attr = stat.S_IFLNK << 16
        archive.writestr(info, "/etc/passwd")
    ANTS_BEES.prepare(tmp_path, tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.jpg")
    assert not path.is_symlink()
    assert path.read_text() == "/etc/passwd"  # the name, not what is in it


def test_an_archive_that_unpacks_to_far_too_much(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(250_000_000), compresslevel=1)
    with pytest.raises(FetchError, match="far more than it should"):
        read_zip(tmp_path / "bomb.zip", ".*")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"<html>"])
def test_a_file_of_another_format(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    for read in (lambda path: read_zip(path, ".*"), read_npz, read_idx):
        with pytest.raises(FetchError, match="it cannot be read: "):
            readable(read, tmp_path / "file")
    with pytest.raises(FetchError, match="it cannot be read: "):
        readable(read_tiff, content)


class Evil:
    def __init__(self, call: object, *arguments: str) -> None:
        self.answer = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.answer


def test_a_batch_that_wants_to_run_something(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for evil in (
        Evil(os.system, f"touch {trace}"),
        Evil(eval, f"open({str(trace)!r}, 'w')"),
        Evil(np.load, "somewhere.npy"),
        Evil(getattr, "np", "x"),
    ):
        batch = pickle.dumps({b"data": evil, b"labels": [1]}, protocol=2)
        with pytest.raises(FetchError, match=r"asks to run .*, and may not"):
            read_cifar_batch(batch)
    assert not trace.exists()


def cifar_batch(count: int) -> bytes:
    """A batch as CIFAR-10's makers wrote it: a pickle of Python 2 and old NumPy.

    Texts are the byte strings of Python 2, opcodes U (short) and T (long).
    """
    pixels = np.arange(count * 3072).astype(np.uint8).tobytes()
    kind = (
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xff" * 2
    )
    return (
        b"\x80\x02}(U\x0bbatch_labelU\x061 of 1U\x06labels](%b"
        % b"".join(b"K%c" % label for label in range(count))
        + b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + b"K\x00\x85U\x01b\x87R(K\x01K%cM\x00\x0c\x86" % count
        + kind
        + b"K\x00tb\x89T"
        + struct.pack("<I", len(pixels))
        + pixels
        + b"tbu."
    )


def test_a_batch_of_cifar10_is_read() -> None:
    images, labels = read_cifar_batch(cifar_batch(3))
    assert images.shape == (3, 32, 32, 3)
    assert images[0, 0, 0].tolist() == [0, 0, 0]
    assert images[0, 0, 1].tolist() == [1, 1, 1]
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("prefix", ["", "./"])
def test_cifar10_is_made_of_its_batches_in_their_order(
    prefix: str, tmp_path: Path
) -> None:
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        top = tarfile.TarInfo("./")  # as `tar -C dir .` writes it
        top.type = tarfile.DIRTYPE
        archive.addfile(top)
        for count, name in reversed(list(enumerate(names, start=1))):
            info = tarfile.TarInfo(f"{prefix}cifar-10-batches-py/{name}")
            info.size = len(cifar_batch(count))
            archive.addfile(info, io.BytesIO(cifar_batch(count)))
    CIFAR10.prepare(tmp_path, tmp_path / "cifar10.npz")
    arrays = np.load(tmp_path / "cifar10.npz")
    assert arrays["train_labels"].tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3, *range(5)]
    assert arrays["test_images"].shape == (6, 32, 32, 3)


def test_membranes_are_made_of_two_tiffs(tmp_path: Path) -> None:
    pages = [np.full((4, 5), shade, np.uint8) for shade in (0, 255, 7)]
    stack = io.BytesIO()
    first, *rest = map(Image.fromarray, pages)
    first.save(stack, "TIFF", save_all=True, append_images=rest)
    with zipfile.ZipFile(tmp_path / "ISBI-2012-challenge.zip", "w") as archive:
        archive.writestr("./", b"")
        for name in ("train-volume.tif", "train-labels.tif", "test-volume.tif"):
            archive.writestr(f"ISBI-2012-challenge/{name}", stack.getvalue())
    MEMBRANES.prepare(tmp_path, tmp_path / "em.npz")
    assert np.array_equal(np.load(tmp_path / "em.npz")["labels"], np.stack(pages))
    with pytest.raises(FetchError, match="it does not hold 30 slices of 512 x 512"):
        MEMBRANES.read(tmp_path / "em.npz")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder like that of the ants and bees, three images of each in each part."""
    for part in ("train", "val"):
        for insect in ("ants", "bees"):
            place = tmp_path / "hymenoptera_data" / part / insect
            place.mkdir(parents=True)
            for number in range(3):
                (place / f"{number}.jpg").write_bytes(jpeg(30 + number))
    return tmp_path / "hymenoptera_data"


def test_what_is_no_image_is_passed_over(photographs: Path) -> None:
    ants, good = photographs / "train" / "ants", ANTS_BEES.read(photographs)
    (photographs / "train" / ".ipynb_checkpoints").mkdir()
    (ants / ".ipynb_checkpoints").mkdir()
    (ants / ".ipynb_checkpoints" / "0-checkpoint.jpg").write_bytes(jpeg())
    (ants / ".DS_Store").write_bytes(b"Bud1")
    (ants / "._0.jpg").write_bytes(b"Mac")
    Image.new("P", (9, 9)).save(ants / "imageNotFound.gif")
    (ants / "Thumbs.db").write_bytes(b"")
    (ants / "empty.jpg").write_bytes(b"")
    (ants / "half.jpeg").write_bytes(jpeg()[:300])
    (ants / "page.jpg").write_text("<html>")
    (ants / "folder.jpg").mkdir()
    (ants / "dangling.jpg").symlink_to("nothing")
    (ants / "zero.jpg").symlink_to("/dev/zero")
    os.mkfifo(ants / "pipe.jpg")
    assert ANTS_BEES.read(photographs) == good


def test_a_folder_without_bees_cannot_be_used(photographs: Path) -> None:
    for path in (photographs / "val" / "bees").iterdir():
        path.unlink()
    with pytest.raises(FetchError, match="val lacks images of ants or of bees"):
        ANTS_BEES.read(photographs)


def test_an_image_that_was_changed_changes_the_fingerprint(photographs: Path) -> None:
    _, before = ANTS_BEES.read(photographs)
    (photographs / "train" / "ants" / "0.jpg").write_bytes(jpeg(99))
    assert ANTS_BEES.read(photographs)[1] != before
