"""A classroom's own server of data: what one laptop has, all others can fetch."""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import tempfile
import zipfile
from collections.abc import Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from course_utils.sources.sources import SOURCES


def mirror(files: dict[str, Path], bind: str, port: int) -> ThreadingHTTPServer:
    """A server of these files and of nothing else; `serve_forever` sets it to work.

    >>> server = mirror({"mnist.npz": Path("mnist.npz")}, "127.0.0.1", 8000)
    """
    return ThreadingHTTPServer((bind, port), partial(_FileHandler, files))


def offered_files(folders: Sequence[Path], workspace: Path) -> dict[str, Path]:
    """The files for a mirror by name; folders are packed into the workspace."""
    files = {}
    for source, folder in itertools.product(SOURCES, reversed(folders)):
        path = folder / source.prepared
        if path.is_dir():
            path = _pack(path, workspace / source.packed)
        if path.exists():
            files[path.name] = path
    return files


def own_address() -> str:
    """The address of this machine in its network, as far as it knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))  # chooses a way out, sends nothing
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def serve(folders: Sequence[Path], bind: str, port: int) -> None:
    """Serve what is prepared in these folders until somebody stops it.

    >>> serve([Path("data")], "0.0.0.0", 8000)
    """
    with tempfile.TemporaryDirectory() as workspace:
        files = offered_files(folders, Path(workspace))
        with mirror(files, bind, port) as server:
            host = own_address() if bind in ("", "0.0.0.0") else bind
            print(f"Serving {', '.join(files)}. Students set, before they start:")
            print(f"\n    COURSE_MIRROR=http://{host}:{server.server_port}\n")
            print("Stop with Ctrl+C.", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Stopped.")


def _pack(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as packed:  # JPEGs do not get smaller
        for path in sorted(folder.glob("*/*/*.jp*g")):
            packed.write(path, Path(folder.name) / path.relative_to(folder))
    return target


class _FileHandler(BaseHTTPRequestHandler):
    """Answers with a file, or with its end if the beginning is already there."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def __init__(self, files: dict[str, Path], *arguments: object) -> None:
        self.files = files
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = self.files.get(self.path.lstrip("/"))
        if path is None:
            return self.send_error(404)
        size = path.stat().st_size
        tag = f'"{path.stat().st_mtime_ns:x}-{size:x}"'
        start = self._start(tag)
        if start >= size > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size - start))
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                file.seek(start)
                shutil.copyfileobj(file, self.wfile, 2**20)
        return None

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _start(self, tag: str) -> int:
        """The first byte that is asked for; 0 if the file has changed meanwhile."""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", tag) == tag
        return int(wanted[1]) if wanted and same else 0
