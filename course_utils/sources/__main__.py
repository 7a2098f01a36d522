"""The data on the command line: python -m course_utils.sources fetch|status|..."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_utils.sources.archives import FetchError
from course_utils.sources.mirror import Mirror, own_address, zipped
from course_utils.sources.sets import SOURCES, Source
from course_utils.sources.store import fetch, find, folders, is_offline


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m course_utils.sources")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, purpose in (
        ("fetch", "download and prepare data sets"),
        ("status", "say what is real, what is not, and where it lies"),
        ("verify", "the same, and fail if something cannot be used"),
    ):
        chooser = commands.add_parser(command, help=purpose)
        chooser.add_argument("names", nargs="*", metavar="SET", help="default: all")
    server = commands.add_parser("serve", help="be the mirror of a classroom")
    server.add_argument("--bind", default="0.0.0.0", help="address to listen at")
    server.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "serve":
            return serve(asked.bind, asked.port)
        sources = {source.name: source for source in SOURCES}
        for name in set(asked.names) - set(sources):
            parser.error(f"no such set: {name} (try {', '.join(sources)})")
        chosen = [sources[name] for name in asked.names or sources]
        if asked.command == "fetch":
            return fetch_all(chosen)
        all_right = status(chosen)
        return 0 if all_right or asked.command == "status" else 1
    except FetchError as trouble:
        print(f"{trouble}.", file=sys.stderr)
        return 1


def fetch_all(sources: Sequence[Source]) -> int:
    """Fetch these sets; 1 if one of them did not come."""
    failures = 0
    for source in sources:
        try:
            fetch(source)
            print(f"{source.name}: here", flush=True)
        except FetchError as trouble:
            failures = 1
            print(f"{source.name}: {trouble}.", file=sys.stderr)
    return failures


def status(sources: Sequence[Source]) -> bool:
    """Say of each set what a notebook gets; whether all that lies here is right."""
    print("Data is looked for in " + " and then ".join(map(str, folders())) + ".")
    all_right = True
    otherwise = "a stand-in will be used" if is_offline() else "fetched when first used"
    for source in sources:
        found, troubles = find(source)
        state = f"not here: {otherwise}"
        if found:
            state = f"REAL, {found.path}"
            if found.remark:
                state += f", {found.remark}"
        print(f"  {source.name:<10} {state}")
        for trouble in troubles:
            print(f"  {'':<10} NOT USABLE: {trouble}")
            all_right = False
    return all_right


def serve(bind: str, port: int) -> int:
    """Serve what is prepared here until somebody stops it."""
    with tempfile.TemporaryDirectory() as workspace:
        files = {}
        for source in SOURCES:
            found, _ = find(source)
            if found and source.is_folder:
                name = f"{source.prepared}.zip"
                files[name] = zipped(found.path, Path(workspace) / name)
            elif found:
                files[source.prepared] = found.path
        if not files:
            raise FetchError("there is no data to serve: fetch it first")
        try:
            server = Mirror(files, bind, port)
        except (OSError, OverflowError) as error:
            raise FetchError(f"cannot serve at {bind}:{port} ({error})") from None
        with server:
            host = own_address() if bind in ("", "0.0.0.0") else bind
            print(f"Serving {', '.join(files)}. Students set, before they start:")
            print(f"\n    COURSE_MIRROR=http://{host}:{server.server_port}\n")
            print("Stop with Ctrl+C.", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
