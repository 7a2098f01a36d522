"""Whatever a host does, the data arrives from another, or one sentence says why not."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from course_utils.data import load_mnist
from course_utils.sources.fetch import fetch, obtain
from course_utils.sources.sources import FetchError, Source
from test_data import hosts
from test_data.hosts import NUMBERS, Behaviour, Host, host, toy

FAULTS = {
    "403": (hosts.error(403), "answers 403 Forbidden"),
    "404": (hosts.error(404), "answers 404 Not Found"),
    "503": (hosts.error(503), "answers 503 Service Unavailable"),
    "a web page": (hosts.web_page, "sends a web page instead of the file"),
    "half of it": (hosts.half_and_no_more, "breaks off"),
    "reset half way": (hosts.half_and_reset, "breaks off"),
    "silence half way": (hosts.half_and_silence, "sends nothing for 1 seconds"),
    "wrong bytes": (hosts.wrong_bytes, "checksum is wrong"),
    "one byte a time": (hosts.one_byte_at_a_time, r"sends only \d+ bytes a second"),
    "no answer": (hosts.silence, "does not answer"),
    "endless headers": (hosts.endless_headers, "does not answer within"),
}


@pytest.fixture
def good() -> Iterator[Host]:
    with host(hosts.whole) as server:
        yield server


def assert_arrives(source: Source, folder: Path) -> None:
    """The right numbers, and nothing else that is left in the folder."""
    assert np.array_equal(obtain(source)["numbers"], NUMBERS)
    assert [path.name for path in folder.glob("[!.]*")] == ["toy.npz"]


def sentence_of(source: Source) -> str:
    with pytest.raises(FetchError) as trouble:
        fetch(source)
    sentence = str(trouble.value)
    assert "\n" not in sentence
    assert not re.search(r"Traceback|Error\b|Exception|0x|object at", sentence)
    return sentence


@pytest.mark.parametrize(("behave", "says"), FAULTS.values(), ids=FAULTS)
def test_a_bad_host_is_named_and_the_next_run_is_not_harmed(
    behave: Behaviour, says: str, folder: Path, good: Host
) -> None:
    started = time.monotonic()
    with host(behave) as bad:
        sentence = sentence_of(toy(bad.address))
    assert re.search(f"127.0.0.1:{bad.server_port} .*{says}", sentence)
    assert time.monotonic() - started < 10
    assert_arrives(toy(good.address), folder)


@pytest.mark.parametrize("behave", [fault[0] for fault in FAULTS.values()], ids=FAULTS)
def test_after_a_bad_host_comes_a_good_one(
    behave: Behaviour, folder: Path, good: Host
) -> None:
    with host(behave) as bad:
        assert_arrives(toy(bad.address, good.address), folder)


def test_a_slow_host_is_left_for_a_fast_one(folder: Path, good: Host) -> None:
    with host(hosts.slow) as tired:
        assert_arrives(toy(tired.address, good.address), folder)
    assert re.fullmatch(r"/toy.gz bytes=\d+-", good.asked[0])  # it goes on from there


def test_a_slow_host_is_better_than_none(folder: Path) -> None:
    with host(hosts.slow) as tired, host(hosts.error(404)) as bad:
        assert_arrives(toy(tired.address, bad.address), folder)


def test_a_part_of_something_else_is_thrown_away(folder: Path, good: Host) -> None:
    part = folder / "toy.download" / "toy.gz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"not the beginning of the file")
    assert_arrives(toy(good.address), folder)
    assert good.asked == ["/toy.gz bytes=29-", "/toy.gz"]


def test_without_checksum_only_the_same_file_is_continued(
    folder: Path, good: Host
) -> None:
    with host(hosts.half_and_no_more) as bad:
        sentence_of(toy(bad.address, checked=False))
    assert_arrives(toy(good.address, checked=False), folder)
    assert good.asked == ["/toy.gz"]


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
        ("http://127.0.0.1:9", "cannot be reached"),
        ("127.0.0.1:8000", "is not a web address"),
        ("", "is not a web address"),
    ],
)
def test_an_address_without_a_host(address: str, says: str) -> None:
    assert says in sentence_of(toy(address))


def test_a_proxy_is_used(
    folder: Path, good: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", good.address)
    assert_arrives(toy("http://data.example"), folder)
    assert good.asked == ["http://data.example/toy.gz"]


def test_without_a_network_there_are_stand_ins_and_a_notice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    train, _, _ = load_mnist()
    assert (len(train), train.source) == (55_000, "STAND-IN DATA")
    notice = capsys.readouterr().out
    assert "this is not MNIST" in notice
    assert "amazonaws.com cannot be reached" in notice
    load_mnist()
    assert capsys.readouterr().out == ""
