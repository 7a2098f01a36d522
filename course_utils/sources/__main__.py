"""The data on the command line: python -m course_utils.sources fetch|status|..."""

import argparse
import socket
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from course_utils.sources.sets import SOURCES, FetchError, Source
from course_utils.sources.store import fetch, find, folders, is_offline


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; 0 if all went well."""
    sources = {source.name: source for source in SOURCES}
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.sources",
        description="fetch data sets; say the status of what is here; verify it, which "
        "fails if something cannot be used; serve it to a classroom",
    )
    parser.add_argument("command", choices=["fetch", "status", "verify", "serve"])
    parser.add_argument("names", nargs="*", help=f"{', '.join(sources)} (or all)")
    parser.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args(arguments)
    for name in set(asked.names) - set(sources):
        parser.error(f"no such set: {name} (try {', '.join(sources)})")
    try:
        if asked.command == "serve":
            return serve(asked.port)
        print("Data is looked for in " + " and then ".join(map(str, folders())) + ".")
        chosen = [sources[name] for name in asked.names or sources]
        all_right = [show(source, asked.command == "fetch") for source in chosen]
        return 0 if all(all_right) or asked.command == "status" else 1
    except FetchError as trouble:
        print(f"{trouble}.", file=sys.stderr)
        return 1


def show(source: Source, fetch_it: bool) -> bool:
    """Say what a notebook that loads this set gets; whether nothing is wrong."""
    if fetch_it:
        try:
            fetch(source)
        except FetchError as trouble:
            print(f"{source.name}: {trouble}.", file=sys.stderr)
            return False
    found, troubles = find(source)
    otherwise = "a stand-in will be used" if is_offline() else "fetched when first used"
    state = f"not here: {otherwise}"
    if found:
        state = ", ".join(filter(None, ["REAL", str(found.path), found.remark]))
    print(f"  {source.name:<10} {state}", flush=True)
    for reason in troubles:
        print(f"  {'':<10} NOT USABLE: {reason}")
    return fetch_it or not troubles


def serve(port: int) -> int:
    """Serve what is prepared here until somebody stops it."""
    with tempfile.TemporaryDirectory() as workspace:
        files = {}
        for found, _ in map(find, SOURCES):
            if found and found.path.is_dir():
                name = f"{found.path.name}.zip"
                files[name] = zipped(found.path, Path(workspace) / name)
            elif found:
                files[found.path.name] = found.path
        if not files:
            raise FetchError("there is no data to serve: fetch it first")
        try:
            server = Mirror(files, "0.0.0.0", port)
        except (OSError, OverflowError) as error:
            raise FetchError(f"cannot serve at port {port} ({error})") from None
        with server:
            print(f"Serving {', '.join(files)}. Students set, before they start:")
            print(f"\n    COURSE_MIRROR=http://{own_address()}:{server.server_port}\n")
            print("Stop with Ctrl+C.", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Stopped.")
    return 0


class Mirror(ThreadingHTTPServer):
    """A server of these files and of nothing else; `serve_forever` sets it to work."""

    def __init__(self, files: Mapping[str, Path], bind: str, port: int) -> None:
        super().__init__((bind, port), _OnlyThese)
        self.files = files

    def get_request(self) -> Any:
        """The next client; with too many files open, wait a little and do not spin."""
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
    server: Mirror

    def translate_path(self, path: str) -> str:
        return str(self.server.files.get(path.lstrip("/"), ""))


def zipped(folder: Path, target: Path) -> Path:
    """Put the images of a folder into a zip such as its host offers."""
    with zipfile.ZipFile(target, "w") as archive:  # JPEGs do not get smaller
        for path in folder.glob("*/*/*.jp*g"):
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


if __name__ == "__main__":
    sys.exit(main())
