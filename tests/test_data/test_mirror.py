"""A classroom without the internet: one laptop serves, the others fetch from it."""

from __future__ import annotations

import dataclasses
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from course_utils.sources import ANTS_BEES, FetchError, fetch, folders
from course_utils.sources.__main__ import Mirror, main, zipped
from test_data import hosts
from test_data.hosts import NUMBERS, host, toy
from test_data.test_contents import photographs

__all__ = ["photographs"]
NOWHERE = "http://127.0.0.1:9"


@contextmanager
def serving(files: dict[str, Path]) -> Iterator[str]:
    with Mirror(files, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    np.savez(tmp_path / "teacher.npz", numbers=NUMBERS)
    return tmp_path / "teacher.npz"


def test_data_comes_from_the_mirror(
    prepared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({"toy.npz": prepared}) as address:
        monkeypatch.setenv("COURSE_MIRROR", f"{address}/")
        assert np.array_equal(fetch(toy(NOWHERE))["numbers"], NUMBERS)
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


def test_a_mirror_with_other_data_is_passed_over(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "other.npz", numbers=NUMBERS[::-1])
    with serving({"toy.npz": tmp_path / "other.npz"}) as address:
        monkeypatch.setenv("COURSE_MIRROR", address)
        with pytest.raises(
            FetchError,
            match=r"from the mirror: toy.npz is not .*; then toy.gz did",
        ):
            fetch(toy(NOWHERE))
        with host(hosts.whole) as good:
            assert np.array_equal(fetch(toy(good.address))["numbers"], NUMBERS)


@pytest.mark.usefixtures("folder")
def test_a_mirror_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_MIRROR", "http://teacher:secret@127.0.0.1:9")
    with pytest.raises(FetchError, match=r"toy.npz did .*; then toy.gz did") as trouble:
        fetch(toy(NOWHERE))
    assert "secret" not in str(trouble.value)
    assert "127.0.0.1:9" in str(trouble.value)


@pytest.mark.parametrize("path", ["", "../teacher.npz", "teacher.npz", "etc/passwd"])
def test_a_mirror_serves_nothing_else(path: str, prepared: Path) -> None:
    refused = pytest.raises(urllib.error.HTTPError, match="404")
    with serving({"toy.npz": prepared}) as address, refused:
        urllib.request.urlopen(f"{address}/{path}")


def test_a_mirror_sends_the_whole_file_whatever_is_asked_for(prepared: Path) -> None:
    with serving({"toy.npz": prepared}) as address:
        request = urllib.request.Request(f"{address}/toy.npz")
        request.add_header("Range", f"bytes={'9' * 5000}-")
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == prepared.read_bytes()


def test_a_student_who_breaks_off_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "large").write_bytes(bytes(30_000_000))
    with serving({"large": tmp_path / "large"}) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as student:
            student.sendall(b"GET /large HTTP/1.0\r\n\r\n")
            student.recv(1000)
            linger = struct.pack("ii", 1, 0)  # a reset, as of a lid that is shut
            student.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        with urllib.request.urlopen(f"{address}/large") as answer:
            assert len(answer.read()) == 30_000_000
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "GET /large" not in line] == [
        "127.0.0.1 broke off: [Errno 104] Connection reset by peer"
    ]


def test_images_travel_as_a_zip(
    photographs: Path, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, fingerprint = ANTS_BEES.read(photographs)
    (photographs / "train" / "ants" / "dangling.jpg").symlink_to("nothing")
    source = dataclasses.replace(ANTS_BEES, known={fingerprint: ""}, files={})
    name = "hymenoptera_data.zip"
    with serving({name: zipped(photographs, tmp_path / name)}) as address:
        monkeypatch.setenv("COURSE_MIRROR", address)
        student = fetch(source)
    assert student["train"][1] == teacher["train"][1]
    assert str(student["train"][0][0]).startswith(str(folders()[0]))


def test_the_command_prints_what_students_need(
    folder: Path, prepared: Path, tmp_path: Path
) -> None:
    folder.joinpath("toy.npz").write_bytes(prepared.read_bytes())
    script = (
        "from course_utils.sources import __main__ as command\n"
        "from test_data.hosts import toy\n"
        "command.SOURCES = (toy(),)\n"
        "command.main(['serve', '--port', '0'])"
    )
    run = [sys.executable, "-u", "-c", script]
    paths = f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}"
    env = {"PYTHONPATH": paths, "COURSE_DATA": str(folder), "HOME": str(tmp_path)}
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout
        said = "".join(process.stdout.readline() for _ in range(3))
        port = re.search(r"COURSE_MIRROR=http://[\w.-]+:(\d+)\n", said)
        assert port
        assert said.startswith("Serving toy.npz. ")
        address = f"http://127.0.0.1:{port[1]}/toy.npz"
        assert urllib.request.urlopen(address).read() == prepared.read_bytes()
        process.terminate()


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_served_is_said(
    prepared: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("course_utils.sources.__main__.SOURCES", [toy()])
    assert main(["serve"]) == 1
    assert capsys.readouterr().err == "there is no data to serve: fetch it first.\n"
    prepared.replace(folder / "toy.npz")
    assert main(["serve", "--port", "70000"]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"cannot serve at port 70000 \(.*0-65535.*\)\.\n", said)


@pytest.mark.usefixtures("folder")
def test_the_commands_say_how_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    (folder / "mnist.npz").write_bytes(b"broken")
    assert main(["status"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"NOT USABLE: .*mnist.npz is passed over, because it cannot", said)
    assert re.search(r"cifar10 +not here: a stand-in will be used\n", said)
    assert main(["verify", "mnist"]) == 1
    assert main(["verify", "cifar10"]) == 0
    assert main(["fetch", "cifar10"]) == 1
    assert "COURSE_OFFLINE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fetch", "imagenet"])


def test_without_file_handles_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(self: Mirror) -> None:
        raise OSError(24, "Too many open files")

    pauses: list[float] = []
    monkeypatch.setattr(ThreadingHTTPServer, "get_request", none_left)
    monkeypatch.setattr(time, "sleep", pauses.append)
    with Mirror({}, "127.0.0.1", 0) as server, pytest.raises(OSError, match="Too many"):
        server.get_request()
    assert pauses == [0.1]
