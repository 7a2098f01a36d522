"""A classroom without the internet: one laptop serves, the others fetch from it."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from course_utils.sources import fetch as fetching
from course_utils.sources.__main__ import main
from course_utils.sources.archives import save_npz
from course_utils.sources.fetch import fetch, obtain
from course_utils.sources.mirror import mirror, offered_files
from course_utils.sources.sources import ANTS_BEES, FetchError, read_pictures
from test_data import hosts
from test_data.hosts import NUMBERS, host, toy
from test_data.test_contents import insects

__all__ = ["insects"]
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def serving(files: dict[str, Path]) -> Iterator[str]:
    with mirror(files, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    save_npz(tmp_path / "teacher.npz", {"numbers": NUMBERS})
    return tmp_path / "teacher.npz"


def test_data_comes_from_the_mirror(
    prepared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"toy.npz": prepared}) as address:
        monkeypatch.setenv("COURSE_MIRROR", f"{address}/")
        assert np.array_equal(obtain(toy(NOWHERE))["numbers"], NUMBERS)
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


@pytest.mark.parametrize("content", [NUMBERS[::-1], NUMBERS[1:]])
def test_a_mirror_with_other_data_is_passed_over(
    content: np.ndarray, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_npz(tmp_path / "other.npz", {"numbers": content})
    with serving({"toy.npz": tmp_path / "other.npz"}) as address:
        monkeypatch.setenv("COURSE_MIRROR", address)
        with pytest.raises(
            FetchError, match=r"of no use.*; then toy.gz did not arrive"
        ):
            fetch(toy(NOWHERE))
        with host(hosts.whole) as good:
            assert np.array_equal(obtain(toy(good.address))["numbers"], NUMBERS)


def test_a_mirror_that_is_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_MIRROR", NOWHERE)
    with pytest.raises(FetchError, match=r"toy.npz did not .*; then toy.gz did not"):
        fetch(toy(NOWHERE))
    assert not list(folder.glob("[!.]*"))
    with host(hosts.whole) as good:
        assert np.array_equal(obtain(toy(good.address))["numbers"], NUMBERS)


def test_a_mirror_sends_the_rest_of_a_file(prepared: Path) -> None:
    with serving({"toy.npz": prepared}) as address:
        url, content = f"{address}/toy.npz", prepared.read_bytes()
        with urllib.request.urlopen(url) as answer:
            tag = answer.headers["ETag"]
            assert answer.read() == content
        for if_range, expected in ((tag, content[1000:]), ('"older"', content)):
            headers = {"Range": "bytes=1000-", "If-Range": if_range}
            request = urllib.request.Request(url, headers=headers)
            with urllib.request.urlopen(request) as answer:
                assert answer.read() == expected


@pytest.mark.parametrize("path", ["", "../teacher.npz", "teacher.npz", "etc/passwd"])
def test_a_mirror_serves_nothing_else(path: str, prepared: Path) -> None:
    refused = pytest.raises(urllib.error.HTTPError, match="404")
    with serving({"toy.npz": prepared}) as address, refused:
        urllib.request.urlopen(f"{address}/{path}")


def test_pictures_travel_as_a_zip(
    insects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = read_pictures(insects)
    known = ANTS_BEES.fingerprint(teacher)
    source = type(ANTS_BEES)(**{**vars(ANTS_BEES), "known": known, "files": ()})
    (tmp_path / "packed").mkdir()
    with serving(offered_files([insects.parent], tmp_path / "packed")) as address:
        monkeypatch.setenv("COURSE_MIRROR", address)
        student = obtain(source)
    assert student["train"][1] == teacher["train"][1]
    assert str(student["train"][0][0]).startswith(str(fetching.folders()[0]))


def test_the_command_prints_what_students_need(folder: Path, prepared: Path) -> None:
    folder.mkdir()
    prepared.replace(folder / "mnist.npz")
    command = [
        sys.executable,
        "-u",
        "-m",
        "course_utils.sources",
        "serve",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = "".join(process.stdout.readline() for _ in range(3))
        port = re.search(r"COURSE_MIRROR=http://[\w.-]+:(\d+)\n", said)
        assert port
        address = f"http://127.0.0.1:{port[1]}/mnist.npz"
        assert (
            urllib.request.urlopen(address).read()
            == (folder / "mnist.npz").read_bytes()
        )
        process.terminate()


def test_status_verify_and_fetch_say_how_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    folder.mkdir()
    (folder / "mnist.npz").write_bytes(b"broken")
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"mnist +BROKEN, .*: a stand-in will be used\n", said)
    assert re.search(r"cifar10 +not here: a stand-in will be used\n", said)
    assert main(["verify", "mnist"]) == 1
    assert main(["verify", "cifar10"]) == 0
    assert (folder / "mnist.npz").exists()  # looking changes nothing
    assert main(["fetch", "cifar10"]) == 1
    assert "COURSE_OFFLINE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fetch", "imagenet"])
