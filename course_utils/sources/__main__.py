"""What instructors do with the data: python -m course_utils.sources fetch ..."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from course_utils.sources.archives import DamagedError, or_damaged
from course_utils.sources.fetch import folders, obtain, offline
from course_utils.sources.sources import SOURCES, FetchError, Source


def status() -> int:
    """Say of each set whether it is real or will be a stand-in, and where it lies."""
    print("Data is looked for in " + " and then ".join(map(str, folders())) + ".")
    for source in SOURCES:
        print(f"  {source.name:<10} {_state_of(source, _find(source))}")
    print(f"  {'phantoms':<10} always generated")
    return 0


def fetch_all(names: Sequence[str]) -> int:
    """Fetch the sets with these names, or all; 1 if one of them did not come."""
    failures = 0
    for source in _chosen(names):
        try:
            obtain(source)
            print(f"{source.name}: {_find(source)}", flush=True)
        except (FetchError, DamagedError) as trouble:
            failures = 1
            print(f"{source.name}: {trouble}.", file=sys.stderr)
    return failures


def verify(names: Sequence[str]) -> int:
    """Look at every byte of what is prepared; 1 if something is wrong with it."""
    failures = 0
    for source in _chosen(names):
        path = _find(source)
        verdict = "not here"
        if path is not None:
            broken, known = _judge(source, path)
            strange = f"NOT the data that the course knows ({path})"
            verdict = broken or ("in order" if known else strange)
            failures = failures if known else 1
        print(f"{source.name}: {verdict}.")
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; 0 if all went well."""
    names = [source.name for source in SOURCES]
    parser = argparse.ArgumentParser(
        prog="python -m course_utils.sources",
        description="The course's data: what is here, fetching it, sharing it.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="what is real, what is not, and where it lies")
    for command, what in (
        ("fetch", "download and prepare data sets"),
        ("verify", "compare what is here with its checksums"),
    ):
        chosen = commands.add_parser(command, help=what)
        chosen.add_argument("names", nargs="*", help=f"{', '.join(names)} (or all)")
    server = commands.add_parser("serve", help="be the mirror of a classroom")
    server.add_argument("--bind", default="0.0.0.0", help="address to listen at")
    server.add_argument("--port", type=int, default=8000)
    asked = parser.parse_args(arguments)
    unknown = sorted({*getattr(asked, "names", [])} - {*names})
    if unknown:
        parser.error(f"no such data set: {', '.join(unknown)} (try {', '.join(names)})")
    return _run(asked)


def _run(asked: argparse.Namespace) -> int:
    if asked.command == "serve":
        return _serve(asked.bind, asked.port)
    if asked.command == "status":
        return status()
    return (fetch_all if asked.command == "fetch" else verify)(asked.names)


def _serve(bind: str, port: int) -> int:
    from course_utils.sources.mirror import serve

    try:
        serve(folders(), bind, port)
    except OSError as error:
        print(f"Cannot serve at {bind}:{port}: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def _state_of(source: Source, path: Path | None) -> str:
    """What a notebook that loads this set will get, in words."""
    broken, known = _judge(source, path) if path else ("not here", False)
    if path is None or broken:
        then = "a stand-in will be used" if offline() else "fetched when first used"
        return f"{broken}: {then}"
    kind = "REAL" if known else "UNKNOWN DATA"
    return f"{kind}, {_megabytes(path):,.0f} MB, {path}"


def _chosen(names: Sequence[str]) -> list[Source]:
    return [source for source in SOURCES if not names or source.name in names]


def _find(source: Source) -> Path | None:
    """Where a set lies prepared; None if it is nowhere."""
    paths = (folder / source.prepared for folder in folders())
    return next((path for path in paths if path.exists()), None)


def _judge(source: Source, path: Path) -> tuple[str | None, bool]:
    """What is broken in a prepared file, if anything, and whether its data is known."""
    try:
        contents = or_damaged(source.read, path)
    except (DamagedError, OSError) as damage:
        return f"BROKEN, {damage} ({path})", False
    return None, source.fingerprint(contents) == source.known


def _megabytes(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    sys.exit(main())
