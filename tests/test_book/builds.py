"""Building the book, or a small copy of it, as the README says."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]

# What every chapter promises in its first cell; the map of the chapters shows it.
PROMISES = """Six times seven.

**Time:** about 5 minutes to read, 1 minute to run.

**Builds on:** chapter 1."""
ONE_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

# Jupyter Book has no __main__; its command may not be on the PATH of the tests.
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"


def build_book(source: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Build strictly: a warning is an error, and all of them are listed."""
    return subprocess.run(
        [
            *(sys.executable, "-c", JUPYTER_BOOK, "build", str(source)),
            *("-W", "-n", "--keep-going", "--path-output", str(output)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def html_of(output: Path) -> Path:
    """Return the folder that a build with this output leaves the pages in."""
    return output / "_build" / "html"


def said(build: subprocess.CompletedProcess[str]) -> str:
    """Return all that a build printed."""
    return build.stdout + build.stderr


def listed_pages() -> list[str]:
    """List the pages in _toc.yml after the first, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [page["file"] for part in toc["parts"] for page in part["chapters"]]


def chapters() -> list[str]:
    """List the pages that are notebooks, without suffix."""
    return [page for page in listed_pages() if page.startswith("notebooks/")]


def all_pages() -> list[str]:
    """List every page of the finished book, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *listed_pages(), "search"]


def small_copy(folder: Path) -> Path:
    """Copy the book with chapters of one cell, which builds in seconds."""
    folder.mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("book", "course_utils"):  # one page is made from the docstrings
        unneeded = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    shutil.copytree(ROOT / "benchmarks" / "results", folder / "benchmarks" / "results")
    for chapter in chapters():
        path = folder / f"{chapter}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(small_notebook(PROMISES, *shown_of(chapter))))
    return folder


def shown_of(chapter: str) -> list[dict[str, Any]]:
    """List outputs in place of the pictures that the first page shows of a chapter."""
    intro = (ROOT / "book" / "intro.md").read_text(encoding="utf-8")
    stem = re.escape(Path(chapter).name)
    return [
        {
            "output_type": "display_data",
            "data": {"image/png": ONE_PIXEL, "text/plain": words},
            "metadata": {},
        }
        for words in re.findall(rf"^{stem} = (.+)$", intro, re.MULTILINE)
    ]


def small_notebook(text: str, *outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook with one text cell and one code cell."""
    code = {"cell_type": "code", "source": "6 * 7", "outputs": list(outputs)}
    pictures = [output for output in outputs if output.get("data")]
    described = {"alt": pictures[0]["data"]["text/plain"]} if pictures else {}
    return {
        "cells": [
            {
                "cell_type": "markdown",
                "id": "text",
                "metadata": {},
                "source": f"# A chapter\n\n## A heading\n\n{text}",
            },
            {
                **code,
                "id": "code",
                "metadata": {"mystnb": {"image": described}} if described else {},
                "execution_count": 1,
            },
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
