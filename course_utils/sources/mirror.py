"""A classroom's own server of data: what one laptop has, all others can fetch."""

from __future__ import annotations

import socket
import sys
import time
import zipfile
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Mirror(ThreadingHTTPServer):
    """A server of these files and of nothing else; `serve_forever` sets it to work.

    >>> Mirror({"mnist.npz": Path("mnist.npz")}, "127.0.0.1", 0).server_close()
    """

    def __init__(self, files: Mapping[str, Path], bind: str, port: int) -> None:
        super().__init__((bind, port), partial(_OnlyThese, files))

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a client; without a pause, too many of them would make this spin."""
        try:
            return super().get_request()
        except OSError:
            time.sleep(0.1)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line that a client broke off, which happens in every class."""
        print(f"{client_address[0]} broke off: {sys.exception()}", file=sys.stderr)


class _OnlyThese(SimpleHTTPRequestHandler):
    timeout = 60

    def __init__(self, files: Mapping[str, Path], *arguments: Any) -> None:
        self.files = files
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        return str(self.files.get(path.lstrip("/"), ""))


def zipped(folder: Path, target: Path) -> Path:
    """Put the images of a folder into a zip such as its host offers."""
    with zipfile.ZipFile(target, "w") as archive:  # JPEGs do not get smaller
        for path in sorted(folder.glob("*/*/*.jp*g")):
            if path.is_file():
                archive.write(path, Path(folder.name) / path.relative_to(folder))
    return target


def own_address() -> str:
    """The address of this machine in its network, as far as it knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # chooses a way out, sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()
