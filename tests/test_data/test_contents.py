"""Archives, pickles and pictures that are not what they should be."""

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

from course_utils.sources import sources
from course_utils.sources.archives import (
    DamagedError,
    or_damaged,
    read_cifar_batch,
    read_idx,
    read_members,
    read_tiff,
)
from course_utils.sources.sources import read_pictures

OUT = {
    "up": "../evil.txt",
    "up, later": "data/../../evil.txt",
    "absolute": "/tmp/evil.txt",
    "Windows, up": "..\\evil.txt",
    "Windows, absolute": "C:\\evil.txt",
}


def zipped(path: Path, name: str, link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK if link else stat.S_IFREG) << 16
        archive.writestr("data/good.txt", "good")
        archive.writestr(info, "/etc/passwd")
    return path


def tarred(path: Path, name: str, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    return path


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", OUT.values(), ids=OUT)
def test_an_archive_with_a_path_out_of_its_folder(
    pack: object, name: str, tmp_path: Path
) -> None:
    with pytest.raises(DamagedError, match="a path out of its folder"):
        read_members(pack(tmp_path / "archive", name), ".*")  # type: ignore[operator]


def test_an_archive_with_a_link(tmp_path: Path) -> None:
    for archive in (
        zipped(tmp_path / "a.zip", "data/link", link=True),
        tarred(tmp_path / "a.tar.gz", "data/link", tarfile.SYMTYPE),
        tarred(tmp_path / "b.tar.gz", "data/link", tarfile.LNKTYPE),
        tarred(tmp_path / "c.tar.gz", "data/pipe", tarfile.FIFOTYPE),
    ):
        with pytest.raises(DamagedError, match="holds a link"):
            read_members(archive, ".*")


def test_an_archive_that_unpacks_to_far_too_much(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * 450_000_000, compresslevel=1)
    with pytest.raises(DamagedError, match="far more than it should"):
        read_members(tmp_path / "bomb.zip", ".*")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"<html>"])
def test_an_archive_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(DamagedError, match="it cannot be read: "):
        or_damaged(read_members, tmp_path / "archive", ".*")
    with pytest.raises(DamagedError):
        or_damaged(read_idx, tmp_path / "archive")
    with pytest.raises(DamagedError):
        or_damaged(read_tiff, content)


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
        with pytest.raises(DamagedError, match=r"asks to run .*, and may not"):
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


def test_cifar10_is_made_of_its_batches_in_their_order(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        for count, name in reversed(list(enumerate(sources.CIFAR_BATCHES, start=1))):
            info = tarfile.TarInfo(name)
            info.size = len(cifar_batch(count))
            archive.addfile(info, io.BytesIO(cifar_batch(count)))
    sources.CIFAR10.unpack(tmp_path, tmp_path / "cifar10.npz")
    arrays = np.load(tmp_path / "cifar10.npz")
    assert arrays["train_labels"].tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3, *range(5)]
    assert arrays["test_images"].shape == (6, 32, 32, 3)


def test_membranes_are_made_of_two_tiffs(tmp_path: Path) -> None:
    pages = [np.full((4, 5), shade, np.uint8) for shade in (0, 255, 7)]
    stack = io.BytesIO()
    first, *rest = map(Image.fromarray, pages)
    first.save(stack, "TIFF", save_all=True, append_images=rest)
    with zipfile.ZipFile(tmp_path / "ISBI-2012-challenge.zip", "w") as archive:
        for name in ("train-volume.tif", "train-labels.tif", "test-volume.tif"):
            archive.writestr(f"ISBI-2012-challenge/{name}", stack.getvalue())
    sources.MEMBRANES.unpack(tmp_path, tmp_path / "em.npz")
    assert np.array_equal(np.load(tmp_path / "em.npz")["labels"], np.stack(pages))
    with pytest.raises(DamagedError, match="images is uint8 of shape"):
        sources.MEMBRANES.read(tmp_path / "em.npz")


@pytest.fixture
def insects(tmp_path: Path) -> Path:
    """A folder like that of the ants and bees, three pictures of each in each part."""
    for part in ("train", "val"):
        for insect in ("ants", "bees"):
            place = tmp_path / "hymenoptera_data" / part / insect
            place.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (20, 30 + number)).save(place / f"{number}.jpg")
    return tmp_path / "hymenoptera_data"


def test_what_is_no_picture_is_passed_over(
    insects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ants, good = insects / "train" / "ants", read_pictures(insects)
    (insects / "train" / ".ipynb_checkpoints").mkdir()
    (ants / ".ipynb_checkpoints").mkdir()
    (ants / ".ipynb_checkpoints" / "0-checkpoint.jpg").write_bytes(b"")
    (ants / ".DS_Store").write_bytes(b"Bud1")
    (ants / "._0.jpg").write_bytes(b"Mac")
    Image.new("P", (9, 9)).save(ants / "imageNotFound.gif")
    (ants / "Thumbs.db").write_bytes(b"")
    assert read_pictures(insects) == good
    assert capsys.readouterr().out == ""


def test_broken_pictures_are_named(
    insects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ants, good = insects / "train" / "ants", read_pictures(insects)
    (ants / "empty.jpg").write_bytes(b"")
    (ants / "half.jpeg").write_bytes((ants / "0.jpg").read_bytes()[:300])
    (ants / "page.jpg").write_text("<html>")
    assert read_pictures(insects) == good
    said = capsys.readouterr().out
    assert said.endswith("broken (3): empty.jpg, half.jpeg, page.jpg.\n")
    assert said.count("\n") == 1


def test_a_folder_without_bees_is_damaged(insects: Path) -> None:
    for path in (insects / "val" / "bees").iterdir():
        path.unlink()
    with pytest.raises(DamagedError, match="val lacks pictures of ants or of bees"):
        read_pictures(insects)


def test_pictures_come_out_of_their_zip(insects: Path, tmp_path: Path) -> None:
    (insects / "train" / "ants" / ".DS_Store").write_bytes(b"Bud1")
    with zipfile.ZipFile(tmp_path / "hymenoptera_data.zip", "w") as archive:
        for path in insects.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr("__MACOSX/hymenoptera_data/train/ants/._0.jpg", b"Mac")
    sources.ANTS_BEES.unpack(tmp_path, tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.*"))) == 12
    paths = {
        part: len(found[0]) for part, found in read_pictures(tmp_path / "out").items()
    }
    assert paths == {"train": 6, "test": 6}
