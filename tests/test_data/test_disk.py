"""Whatever happens on the disk, the next run is not harmed by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from course_utils.sources import fetch as fetching
from course_utils.sources.archives import save_npz
from course_utils.sources.fetch import fetch, obtain
from course_utils.sources.sources import FetchError, Source
from test_data import hosts
from test_data.hosts import NUMBERS, host, toy

TESTS = Path(__file__).parents[1]


def numbers_of(source: Source) -> bool:
    return np.array_equal(obtain(source)["numbers"], NUMBERS)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def one_bit_turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_another_shape(path: Path) -> None:
    save_npz(path, {"numbers": NUMBERS[:, 1:]})


def lacking_an_array(path: Path) -> None:
    save_npz(path, {"letters": NUMBERS})


def with_an_object(path: Path) -> None:
    np.savez(path, numbers=np.array([print, open]))


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        one_bit_turned,
        empty,
        of_another_shape,
        lacking_an_array,
        with_an_object,
    ],
)
def test_a_damaged_prepared_file_is_set_aside_and_fetched_anew(
    damage: object, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.mkdir()
    path = folder / "toy.npz"
    save_npz(path, {"numbers": NUMBERS})
    damage(path)  # type: ignore[operator]
    broken = path.read_bytes()
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))
        assert numbers_of(toy(good.address))
    assert len(good.asked) == 1
    assert (folder / "toy.npz.broken").read_bytes() == broken
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert re.search(r"toy\.npz is passed over.*now called toy\.npz\.broken\.", said)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
def test_a_disk_that_fills_up(folder: Path) -> None:
    part = folder / "toy.download" / "toy.gz.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with host(hosts.whole) as good:
        with pytest.raises(FetchError, match=r"No space left on device.*COURSE_DATA"):
            fetch(toy(good.address))
        assert numbers_of(toy(good.address))
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


def test_a_disk_with_too_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(FetchError, match="has 0 MB left and Toy needs 1"):
        fetch(toy("http://127.0.0.1:9"))


def test_a_folder_that_cannot_be_written_to(folder: Path, tmp_path: Path) -> None:
    folder.write_text("a file where a folder should be")
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))
        assert (tmp_path / "cache" / "toy.npz").exists()
        assert numbers_of(toy(good.address))
    assert len(good.asked) == 1


def test_no_folder_that_can_be_written_to(folder: Path, tmp_path: Path) -> None:
    folder.write_text("a file where a folder should be")
    (tmp_path / "cache").write_text("here too")
    with pytest.raises(FetchError, match=r"cannot be written to: set COURSE_DATA"):
        fetch(toy("http://127.0.0.1:9"))


def in_another_process(address: str) -> subprocess.Popen[str]:
    """A Python that fetches the toy data from `address` and says when it is there."""
    script = (
        "from test_data.hosts import toy\n"
        "from course_utils.sources.fetch import obtain\n"
        f"print(obtain(toy({address!r}))['numbers'].shape)"
    )
    paths = {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    command = [sys.executable, "-c", script]
    return subprocess.Popen(
        command, env={**os.environ, **paths}, stdout=subprocess.PIPE, text=True
    )


def test_a_process_that_is_killed_half_way(folder: Path) -> None:
    part = folder / "toy.download" / "toy.gz.part"
    with host(hosts.half_and_silence) as bad:
        process = in_another_process(bad.address)
        while not (part.exists() and part.stat().st_size == hosts.HALF):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()  # kill -9, where there is such a thing
        process.communicate()
    with host(hosts.whole) as good:
        assert numbers_of(toy(good.address))
    assert good.asked == [f"/toy.gz bytes={hosts.HALF}-"]
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


def test_a_process_that_was_killed_while_it_unpacked(folder: Path) -> None:
    work = folder / "toy.download"
    work.mkdir(parents=True)
    (work / "ready-toy.npz").write_bytes(b"PK half of it")
    (work / "toy.gz").write_bytes(hosts.CONTENT)
    assert numbers_of(toy("http://127.0.0.1:9"))


def test_two_processes_at_once(folder: Path) -> None:
    with host(hosts.slow) as good:
        processes = [in_another_process(good.address) for _ in range(2)]
        said = [process.communicate(timeout=30)[0] for process in processes]
    assert said == ["(100, 3000)\n"] * 2
    assert good.asked == ["/toy.gz"]


def test_another_process_that_makes_no_headway(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(fetching, "PATIENCE", 1)
    folder.mkdir()
    stopped = pytest.raises(FetchError, match=r"Another process holds .*: stop it, or")
    with FileLock(folder / ".toy.lock"), stopped:
        fetch(toy("http://127.0.0.1:9"))
