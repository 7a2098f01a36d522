"""Whatever lies on the disk, it is left alone, and data is had in spite of it."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from course_utils.sources import FetchError, Source, fetch, folders, store
from course_utils.sources.__main__ import main
from test_data import hosts
from test_data.hosts import NUMBERS, host, toy

TESTS = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"


def numbers_of(source: Source) -> bool:
    return np.array_equal(fetch(source)["numbers"], NUMBERS)


def write_truncated(path: Path) -> None:
    np.savez(path, numbers=NUMBERS)
    os.truncate(path, path.stat().st_size // 2)


def write_with_one_bit_turned(path: Path) -> None:
    np.savez(path, numbers=NUMBERS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def write_other_arrays(path: Path) -> None:
    np.savez(path, x_train=NUMBERS)  # such as the mnist.npz of Keras


def write_other_numbers(path: Path) -> None:
    np.savez(path, numbers=255 - NUMBERS)


def write_objects(path: Path) -> None:
    np.savez(path, numbers=np.array([print, open]))


def promise_400_gigabytes(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("numbers.npy", "w") as npy:
        header = {"descr": "|u1", "fortran_order": False, "shape": (400 * 10**9,)}
        np.lib.format.write_array_header_1_0(npy, header)


def unpack_to_far_too_much(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("numbers.npy", bytes(250_000_000), compresslevel=1)


def write_too_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2_000_000)  # the toy has 1 MB


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def state_of(path: Path) -> object:
    """All that could have been changed about a file or whatever else it is."""
    status = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return status.st_mode, status.st_ino, status.st_mtime_ns, content


@pytest.mark.parametrize("offline", ["0", "1"])
@pytest.mark.parametrize(
    "put",
    [
        write_truncated,
        write_with_one_bit_turned,
        write_nothing,
        write_other_arrays,
        write_other_numbers,
        write_objects,
        promise_400_gigabytes,
        unpack_to_far_too_much,
        write_too_much,
        link_to_zero,
        link_to_nothing,
        make_pipe,
        make_folder,
    ],
)
def test_what_is_no_data_of_the_course_stays_as_it_is(
    put: object,
    offline: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = folder / "toy.npz"
    put(path)  # type: ignore[operator]
    before = state_of(path)
    monkeypatch.setenv("COURSE_OFFLINE", offline)
    with host(hosts.whole) as good:
        if offline == "1":
            with pytest.raises(FetchError, match=r"there is no toy.npz that can be"):
                fetch(toy(good.address))
        else:
            assert numbers_of(toy(good.address))
            assert (folder.parent / "cache" / "toy.npz").exists()
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert re.search(r"data/toy\.npz is passed over, because it.*\.\n", said)
    assert state_of(path) == before
    assert [each.name for each in folder.glob("[!.]*")] == ["toy.npz"]


def test_something_in_the_way_everywhere(folder: Path) -> None:
    write_other_arrays(folder / "toy.npz")
    (folder.parent / "cache").mkdir()
    write_nothing(folder.parent / "cache" / "toy.npz")
    with pytest.raises(FetchError, match=r"cache .*toy.npz is in the way\): set COURS"):
        fetch(toy(NOWHERE))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savez = np.savez

    def save_onto_a_full_disk(path: Path, **arrays: np.ndarray) -> None:
        with open("/dev/full", "wb") as full:
            savez(full, **arrays)  # type: ignore[arg-type]

    with host(hosts.whole) as good:
        monkeypatch.setattr(np, "savez", save_onto_a_full_disk)
        with pytest.raises(FetchError, match=r"written .*No space left.*COURSE_DATA"):
            fetch(toy(good.address))
        monkeypatch.setattr(np, "savez", savez)
        assert numbers_of(toy(good.address))
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


def test_a_folder_that_cannot_be_written_to(folder: Path, tmp_path: Path) -> None:
    folder.rmdir()
    folder.write_text("a file where a folder should be")
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))
        assert (tmp_path / "cache" / "toy.npz").exists()
        assert numbers_of(toy(good.address))
    assert len(good.asked) == 1
    (tmp_path / "cache" / "toy.npz").unlink()
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    (tmp_path / "cache").write_text("here too")
    with pytest.raises(FetchError, match=r"cannot be used \(.*\): set COURSE_DATA"):
        fetch(toy(NOWHERE))


def test_a_name_that_is_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_DATA", str(folder / ("x" * 300)))
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))


def test_a_home_that_does_not_exist(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_DATA", "~nosuchuser/data")
    with pytest.raises(FetchError, match="is ~nosuchuser/data, and there is no"):
        fetch(toy(NOWHERE))
    assert main(["status"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.delenv("COURSE_DATA")
    monkeypatch.setattr("pooch.os_cache", lambda name: Path("~/.cache") / name)
    with pytest.raises(FetchError, match="no home folder: set COURSE_DATA to a folder"):
        fetch(toy(NOWHERE))
    monkeypatch.setenv("COURSE_DATA", str(folder))
    assert folders() == [folder]


def in_another_process(address: str) -> subprocess.Popen[str]:
    """A Python that fetches the toy data from `address` and says when it is there."""
    script = (
        "from test_data.hosts import toy\n"
        "from course_utils.sources import fetch\n"
        f"print(fetch(toy({address!r}))['numbers'].shape)"
    )
    paths = {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(
        command, env={**os.environ, **paths}, stdout=subprocess.PIPE, text=True
    )


def test_a_process_that_is_killed_half_way(folder: Path) -> None:
    with host(hosts.half_and_silence) as bad:
        process = in_another_process(bad.address)
        while not list(folder.glob(".learning-to-see/toy/*")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()  # kill -9, where there is such a thing
        process.communicate()
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]
    assert [p.name for p in folder.glob(".learning-to-see/*")] == ["toy.lock"]


def test_two_processes_at_once(folder: Path) -> None:
    with host(hosts.slow) as good:
        processes = [in_another_process(good.address) for _ in range(2)]
        said = [process.communicate(timeout=60)[0] for process in processes]
    assert said == ["(100, 1000)\n"] * 2
    assert good.asked == ["/toy.gz"]


def test_the_work_of_another_process_is_never_cleared_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.2)
    work = folder / ".learning-to-see" / "toy"
    work.mkdir(parents=True)
    (work / "toy.gz").write_bytes(b"half of it")
    with (
        FileLock(work.with_suffix(".lock")),
        pytest.raises(FetchError, match=r"another process has held .*, or stop it"),
    ):
        fetch(toy(NOWHERE))
    assert (work / "toy.gz").read_bytes() == b"half of it"


def test_everything_is_cleared_away_before_the_lock_is_given_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[list[Path]] = []
    release = FileLock.release

    def look_and_release(self: FileLock, force: bool = False) -> None:
        left.append(list(folder.glob(".learning-to-see/toy/*")))
        release(self, force)

    monkeypatch.setattr("filelock.BaseFileLock.release", look_and_release)
    for behave in (hosts.half_and_no_more, hosts.whole):
        with host(behave) as server, contextlib.suppress(FetchError):
            fetch(toy(server.address))
    assert len(left) >= 2
    assert not any(left)
