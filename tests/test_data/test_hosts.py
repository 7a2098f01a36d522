"""Whatever a host does, the data arrives from another, or one sentence says why not."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from course_utils import standins
from course_utils.data import load_mnist
from course_utils.sources import CIFAR10, FetchError, Source, download, fetch
from test_data import hosts
from test_data.hosts import NUMBERS, Behaviour, Host, host, toy

FAULTS = {
    "403": (hosts.error(403), "answers 403 Forbidden"),
    "404": (hosts.error(404), "answers 404 Not Found"),
    "a part": (hosts.error(206), "answers 206 Partial Content"),
    "a web page": (hosts.web_page, "sends a web page instead of the file"),
    "half of it": (hosts.half_and_no_more, "breaks off"),
    "reset half way": (hosts.half_and_reset, "breaks off"),
    "silence half way": (hosts.half_and_silence, "falls silent"),
    "wrong bytes": (hosts.wrong_bytes, "checksum or its length is wrong"),
    "length abc": (hosts.length_in_letters, "checksum or its length is wrong"),
    "dripping": (hosts.dripping, r"sends only 1 kB a second"),
    "far too much": (hosts.endless, "sends more than 1 MB"),
    "no answer": (hosts.silence, "does not answer"),
}


@pytest.fixture
def good() -> Iterator[Host]:
    with host(hosts.whole) as server:
        yield server


def assert_arrives(source: Source, folder: Path) -> None:
    """The right numbers, and nothing else that is left in the folder."""
    assert np.array_equal(fetch(source)["numbers"], NUMBERS)
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]
    left = {path.suffix for path in (folder / ".learning-to-see").iterdir()}
    assert left <= {".lock"}


def sentence_of(source: Source) -> str:
    with pytest.raises(FetchError) as trouble:
        fetch(source)
    sentence = str(trouble.value)
    assert "\n" not in sentence
    assert not re.search(r"Traceback|Error\b|Exception|0x|object at", sentence)
    return sentence


@pytest.mark.parametrize(("behave", "says"), FAULTS.values(), ids=FAULTS)
def test_a_bad_host_is_named_and_left_for_a_good_one(
    behave: Behaviour, says: str, folder: Path, good: Host
) -> None:
    with host(behave) as bad:
        assert re.search(rf"127.0.0.1:\d+ .*{says}", sentence_of(toy(bad.address)))
        assert_arrives(toy(bad.address, good.address), folder)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.usefixtures("folder")
def test_no_connection_and_no_thread_is_left_behind(answers: bool) -> None:
    left = threading.Event()
    before = threading.active_count()

    def page_without_end_or_nothing(visitor: hosts.Visitor) -> None:
        if answers:
            visitor.start(length=10**6, Content_Type="text/html")
        visitor.connection.settimeout(5)
        if visitor.connection.recv(1) == b"":
            left.set()

    with host(page_without_end_or_nothing) as bad:
        sentence_of(toy(bad.address))
        assert left.wait(5)
    for _ in range(50):
        if threading.active_count() <= before:
            break
        time.sleep(0.1)
    assert threading.active_count() <= before


def test_a_slow_host_is_left_for_a_fast_one(folder: Path, good: Host) -> None:
    with host(hosts.slow) as tired:
        assert_arrives(toy(tired.address, good.address), folder)
    assert len(good.asked) == 1


def test_a_slow_host_is_better_than_none(folder: Path) -> None:
    with host(hosts.slow) as tired, host(hosts.error(404)) as bad:
        assert_arrives(toy(tired.address, bad.address), folder)
    assert (len(tired.asked), len(bad.asked)) == (2, 1)


def test_a_host_that_breaks_off_once_is_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [hosts.half_and_reset, hosts.whole]
    monkeypatch.setattr(download, "RETRIES", 1)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with host(lambda visitor: answers.pop(0)(visitor)) as moody:
        assert_arrives(toy(moody.address), folder)


def test_the_fast_copy_of_cifar10_is_asked_first() -> None:
    assert [h.split("/")[2] for h in CIFAR10.hosts[:2]] == [
        "zenodo.org",
        "www.cs.toronto.edu",
    ]


def test_a_redirect_to_http_is_not_followed(
    folder: Path, good: Host, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with host(hosts.redirect(good.address), certificate) as bad:
        assert "without encryption" in sentence_of(toy(bad.address))
    assert not good.asked
    with (
        host(hosts.whole, certificate) as safe,
        host(hosts.redirect(safe.address), certificate) as moved,
    ):
        assert_arrives(toy(moved.address), folder)


def test_a_self_signed_certificate_is_not_trusted(
    folder: Path, good: Host, certificate: Path
) -> None:
    with host(hosts.whole, certificate) as bad:
        assert "certificate that cannot be trusted" in sentence_of(toy(bad.address))
        assert not bad.asked
        assert_arrives(toy(bad.address, good.address), folder)


def test_all_hosts_are_named_in_the_end(folder: Path) -> None:
    with ExitStack() as stack:
        bad = [stack.enter_context(host(hosts.error(s))) for s in (403, 404, 503)]
        sentence = sentence_of(toy(*(server.address for server in bad)))
    assert [int(s) for s in re.findall(r"answers (\d+)", sentence)] == [403, 404, 503]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:9", "127.0.0.1:9 cannot be reached"),
        ("127.0.0.1:8000", "127.0.0.1:8000 is not a web address that can be used"),
        ("", "the address is not a web address that can be used"),
        ("http://[::1", "[::1 is not a web address that can be used"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_address_without_a_host(address: str, says: str) -> None:
    assert says in sentence_of(toy(address))


def test_a_proxy_is_used(
    folder: Path, good: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", good.address)
    assert_arrives(toy("http://data.example"), folder)
    assert good.asked == ["http://data.example/toy.gz"]


@pytest.mark.usefixtures("folder")
def test_without_a_network_there_are_stand_ins_and_a_notice(
    mnist: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(standins, "standin_mnist", lambda: mnist)
    train, _, _ = load_mnist()
    assert (len(train), train.source) == (55_000, "STAND-IN DATA")
    notice = capsys.readouterr().out
    assert "this is not MNIST" in notice
    assert "amazonaws.com cannot be reached" in notice
    load_mnist()
    assert capsys.readouterr().out == ""


def test_a_host_that_does_not_say_how_long_the_file_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_and_without_length(visitor: hosts.Visitor) -> None:
        visitor.send_response(200)
        visitor.end_headers()
        visitor.wfile.write(hosts.CONTENT[:50_000])
        time.sleep(0.4)
        visitor.wfile.write(hosts.CONTENT[50_000:])

    monkeypatch.setattr(download, "DEAD", 1_000)
    with host(slow_and_without_length) as good:
        assert_arrives(toy(good.address), folder)
