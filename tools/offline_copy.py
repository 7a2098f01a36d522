"""Pack the course for a classroom without an internet connection: one file to carry.

    python tools/offline_copy.py [FILE.zip] [--without-data]

The file holds the built book, to be opened in any browser; the notebooks and what they
share; and the prepared data, where there is any (COURSE_DATA, or the folder in your
cache). `make offline` builds the book first.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from course_utils.sources import SOURCES
from course_utils.sources.store import find

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "_build" / "html"
NAME = "learning-to-see"
COURSE = (
    *("notebooks", "course_utils", "tools"),
    *("pyproject.toml", "constraints.txt", "environment.yml", "Makefile"),
    *("README.md", "LICENSE", "LICENSE-TEXT.md"),
)
# What runs leave, and what students hand in. Hidden files stay at home, too.
UNWANTED = {"__pycache__", "runs", "copies", "handed_in", "marks"}
FIRST = """Learning to See, to carry

Read:  open book/index.html in a browser. It needs no internet connection.
Run:   on a machine that has PyTorch and JupyterLab, in this folder:

           python -m pip install --no-deps --no-build-isolation --editable .
           python -m jupyterlab notebooks

       Without that installation, start JupyterLab in this folder with
       PYTHONPATH set to this folder.
{data}
"""
WITH_DATA = """Data:  set COURSE_DATA to the folder data and COURSE_OFFLINE to 1, then
       start JupyterLab."""
NO_DATA = """Data:  none is in here. Chapters run on generated stand-ins and say so."""


def files_below(top: Path) -> Iterator[tuple[Path, str]]:
    """Every file that may be packed, and its name below `top`, which may be a file."""
    top = top.resolve()
    if top.is_file():
        yield top, ""
    for path in sorted(top.rglob("*")):
        parts = path.relative_to(top).parts
        hidden = any(part.startswith(".") for part in parts)
        if hidden or UNWANTED & set(parts) or not path.is_file():
            continue
        if path.resolve().is_relative_to(top):  # no link that leads outside
            yield path, "/".join(parts)


def prepared() -> list[Path]:
    """Each data set that lies prepared on this machine: a file, or a folder."""
    paths = []
    for source in SOURCES:
        found, troubles = find(source)
        for trouble in troubles:
            print(f"{trouble}.", file=sys.stderr)
        if found is not None:
            paths.append(found.path)
    return paths


def contents(target: Path, data: Sequence[Path]) -> dict[str, Path]:
    """The files to pack by their names in the pack; never the target itself."""
    tops = {"book": BOOK} | {name: ROOT / name for name in COURSE}
    tops |= {f"data/{thing.name}": thing for thing in data}
    return {
        f"{NAME}/{top}/{name}".rstrip("/"): path
        for top, place in tops.items()
        for path, name in files_below(place)
        if not (target.exists() and path.samefile(target))
    }


def pack(target: Path, data: Sequence[Path]) -> None:
    """Write the file; where it cannot be finished, an older one stays."""
    if not (BOOK / "index.html").exists():
        raise SystemExit("There is no built book yet: run  make book  first.")
    # Listed before anything is written, so that the pack does not hold itself.
    files = contents(target, data)
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        # ZIP knows the years 1980 to 2107; others are moved to the nearest of these.
        with zipfile.ZipFile(
            unfinished, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False
        ) as file:
            said = FIRST.format(data=WITH_DATA if data else NO_DATA)
            file.writestr(f"{NAME}/START HERE.txt", said)
            for name, path in files.items():
                # A name that is not UTF-8 is kept with its odd bytes spelled out.
                file.write(path, name.encode("utf-8", "backslashreplace").decode())
        unfinished.replace(target)
    except OSError as error:
        raise SystemExit(f"{target} could not be written: {error}.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, and say what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT / "_build" / f"{NAME}.zip"
    parser.add_argument("file", nargs="?", type=Path, default=default)
    parser.add_argument("--without-data", action="store_true")
    options = parser.parse_args(arguments)
    data = [] if options.without_data else prepared()
    options.file.parent.mkdir(parents=True, exist_ok=True)
    pack(options.file, data)
    size = options.file.stat().st_size / 1e6
    sets = ", ".join(path.stem for path in data) or "no data"
    print(f"{options.file}: {size:.0f} MB, with the book, the notebooks and {sets}")
    for name in COURSE:
        if not (ROOT / name).exists():
            print(f"{name} is not in it: there is none here.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
