"""Pack the course for a classroom without a network: one file to carry.

    python tools/offline_copy.py [FILE.zip] [--without-data]

The file holds the built book, to be opened in any browser; the notebooks and what they
share; and the prepared data, where there is any (COURSE_DATA, or the folder in your
cache). `make offline` builds the book first.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from course_utils.sources import SOURCES, folders

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "_build" / "html"
NAME = "learning-to-see"
COURSE = (
    *("notebooks", "course_utils", "tools"),
    *("pyproject.toml", "constraints.txt", "environment.yml", "Makefile"),
    *("README.md", "LICENSE", "LICENSE-TEXT.md"),
)
UNWANTED = {"__pycache__", ".ipynb_checkpoints", "runs"}
FIRST = """Learning to See, to carry

Read:  open book/index.html in a browser. It needs no network.
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


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder or below, sorted, leftovers of runs left out."""
    if folder.is_file():
        yield folder
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not UNWANTED & set(path.relative_to(folder).parts):
            yield path


def prepared() -> list[Path]:
    """Each data set that lies prepared on this machine: a file, or a folder."""
    wanted = [[folder / source.prepared for folder in folders()] for source in SOURCES]
    found = (next(filter(Path.exists, places), None) for places in wanted)
    return [path for path in found if path is not None]


def contents(data: list[Path]) -> Iterator[tuple[Path, str]]:
    """Each file that is packed, and its name in the pack."""
    for path in files_below(BOOK):
        yield path, f"book/{path.relative_to(BOOK).as_posix()}"
    for name in COURSE:
        for path in files_below(ROOT / name):
            yield path, path.relative_to(ROOT).as_posix()
    for thing in data:
        for path in files_below(thing):
            yield path, f"data/{path.relative_to(thing.parent).as_posix()}"


def pack(target: Path, data: list[Path]) -> None:
    """Write the file; where it cannot be finished, an older one stays."""
    if not (BOOK / "index.html").exists():
        raise SystemExit("There is no built book yet: run  make book  first.")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
            said = FIRST.format(data=WITH_DATA if data else NO_DATA)
            file.writestr(f"{NAME}/START HERE.txt", said)
            for path, name in contents(data):
                file.write(path, f"{NAME}/{name}")
        unfinished.replace(target)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise SystemExit(f"{target} could not be written: {error}.") from None


def main() -> int:
    """Pack, and say what is in it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = ROOT / "_build" / f"{NAME}.zip"
    parser.add_argument("file", nargs="?", type=Path, default=default)
    parser.add_argument("--without-data", action="store_true")
    options = parser.parse_args()
    data = [] if options.without_data else prepared()
    options.file.parent.mkdir(parents=True, exist_ok=True)
    pack(options.file, data)
    size = options.file.stat().st_size / 1e6
    sets = ", ".join(path.stem for path in data) or "no data"
    print(f"{options.file}: {size:.0f} MB, with the book, the notebooks and {sets}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
