"""No word in the prose, or in a comment, is spelled as it often is by mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from test_chapters.chapters import ROOT, Chapter

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("book/*.md")]
CODE = [
    path
    for folder in ("course_utils", "tools", "benchmarks", "tests", "book/_ext")
    for path in ROOT.joinpath(folder).rglob("*.py")
]


def misspelled(*paths: Path) -> str:
    """What codespell has to say about these files."""
    command = [sys.executable, "-m", "codespell_lib", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_misspelled_word_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("You will " + "rec" + "ieve an answer.")
    assert "receive" in misspelled(page)


def test_pages_and_code() -> None:
    assert misspelled(*PAGES, *CODE) == ""


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem
)
def test_chapters(path: Path, tmp_path: Path) -> None:
    prose = tmp_path / "prose.md"
    prose.write_text("\n\n".join(cell.source for cell in Chapter.read(path).cells))
    assert misspelled(prose) == ""
