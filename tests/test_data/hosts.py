"""Web servers of our own that misbehave on demand, and a small data set to fetch."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import numpy as np

from course_utils.sources import Source
from course_utils.sources.sets import Arrays, fingerprint, read_idx, read_npz

NUMBERS = np.random.RandomState(0).randint(0, 256, (100, 1000)).astype(np.uint8)
HEADER = b"\0\0\x08\2" + struct.pack(">II", *NUMBERS.shape)
CONTENT = gzip.compress(HEADER + NUMBERS.tobytes(), mtime=0)
HALF = len(CONTENT) // 2


def toy(*addresses: str, checked: bool = True) -> Source:
    """A data set of 100 kB, to be had at these addresses."""
    return Source(
        name="toy",
        prepare=prepare_toy,
        read=read_toy,
        title="Toy",
        prepared="toy.npz",
        most_bytes=1_000_000,
        hosts=[f"{address}/" for address in addresses],
        files={"toy.gz": hashlib.sha256(CONTENT).hexdigest() if checked else ""},
        known={fingerprint({"numbers": NUMBERS}): ""},
    )


def prepare_toy(downloads: Path, target: Path) -> None:
    np.savez(target, numbers=read_idx(downloads / "toy.gz"))


def read_toy(path: Path) -> tuple[Arrays, str]:
    arrays = read_npz(path)
    return arrays, fingerprint(arrays)


class Visitor(BaseHTTPRequestHandler):
    """One request; `server` knows how to behave."""

    protocol_version = "HTTP/1.1"
    server: Host

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.close_connection = True
        with suppress(ConnectionError):  # the visitor may lose patience
            self.server.behave(self)

    def start(self, status: int = 200, length: int = len(CONTENT), **more: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


Behaviour = Callable[[Visitor], object]


class Host(ThreadingHTTPServer):
    """A server that notes what it was asked for."""

    def __init__(self, behave: Behaviour, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Visitor)
        self.behave, self.asked = behave, list[str]()
        self.address = f"http://127.0.0.1:{self.server_port}"
        if certificate:
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.address = f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def host(behave: Behaviour, certificate: Path | None = None) -> Iterator[Host]:
    """A host that is there for as long as the block lasts."""
    with Host(behave, certificate) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


# What hosts do, from the best to the worst.


def whole(visitor: Visitor) -> None:
    visitor.start()
    visitor.wfile.write(CONTENT)


def slow(visitor: Visitor) -> None:
    """All of it, at 50 kB a second."""
    visitor.start()
    for start in range(0, len(CONTENT), 5_000):
        visitor.wfile.write(CONTENT[start : start + 5_000])
        time.sleep(0.1)


def dripping(visitor: Visitor) -> None:
    """At 1 kB a second."""
    visitor.start()
    for start in range(0, len(CONTENT), 100):
        visitor.wfile.write(CONTENT[start : start + 100])
        time.sleep(0.1)


def endless(visitor: Visitor) -> None:
    """Far more than the file can be, as fast as possible."""
    visitor.send_response(200)
    visitor.end_headers()
    while True:
        visitor.wfile.write(bytes(2**16))


def half_and_no_more(visitor: Visitor) -> None:
    visitor.start()
    visitor.wfile.write(CONTENT[:HALF])


def half_and_silence(visitor: Visitor) -> None:
    half_and_no_more(visitor)
    time.sleep(5)


def half_and_reset(visitor: Visitor) -> None:
    half_and_no_more(visitor)
    visitor.wfile.flush()
    linger = struct.pack("ii", 1, 0)
    visitor.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    visitor.connection.close()


def wrong_bytes(visitor: Visitor) -> None:
    visitor.start()
    visitor.wfile.write(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))


def web_page(visitor: Visitor) -> None:
    page = b"<html>Please log in to the network of the school</html>"
    visitor.start(length=len(page), Content_Type="text/html; charset=utf-8")
    visitor.wfile.write(page)


def silence(visitor: Visitor) -> None:
    time.sleep(5)


def length_in_letters(visitor: Visitor) -> None:
    visitor.send_response(200)
    visitor.send_header("Content-Length", "abc")
    visitor.end_headers()
    visitor.wfile.write(CONTENT)


def error(status: int) -> Behaviour:
    return lambda visitor: visitor.start(status, 0)


def redirect(address: str) -> Behaviour:
    return lambda visitor: visitor.start(302, 0, Location=f"{address}/toy.gz")
