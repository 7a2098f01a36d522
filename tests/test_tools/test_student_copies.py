"""The copies that students get hold every stub and no solution."""

from pathlib import Path

import pytest
from nbformat.v4 import new_output

from canonical_form import load, parse, serialise
from new_chapter import write_chapter
from student_copies import main, remains, student_copy, tags
from test_chapters.chapters import ROOT

CHAPTERS = sorted(ROOT.glob("notebooks/*.ipynb"))


@pytest.fixture
def chapter(tmp_path: Path) -> Path:
    (tmp_path / "_config.yml").write_bytes((ROOT / "_config.yml").read_bytes())
    return write_chapter(14, "Seeing in the dark", tmp_path)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_gives_a_clean_copy(path: Path) -> None:
    whole = parse(load(path))
    made = student_copy(whole)
    solutions = [
        c.source for c in whole.cells if "solution" in c.metadata.get("tags", [])
    ]
    text = serialise(made)
    assert remains(made) == []
    assert len(made.cells) == len(whole.cells) - len(solutions)
    assert len(solutions) >= 4
    assert not set(solutions) & {cell.source for cell in made.cells}
    assert "colab.research" not in made.cells[0].source
    assert not any(cell.get("outputs") for cell in made.cells)
    assert "correct." not in text


def test_outputs_are_kept_where_wanted() -> None:
    made = student_copy(parse(load(CHAPTERS[0])), with_outputs=True)
    assert any(cell.get("outputs") for cell in made.cells)
    assert remains(made) == []


def spoil(path: Path, how: str) -> None:
    """Put a fault into the first exercise of a chapter."""
    notebook = parse(load(path))
    cells = notebook.cells
    solution = next(cell for cell in cells if "solution" in tags(cell))
    stub = next(cell for cell in cells if "exercise" in tags(cell))
    if how == "untagged":
        solution.metadata.tags = ["hide-cell"]
    elif how == "retitled":
        solution.metadata.tags = []
        solution.source = solution.source.replace("# @title ", "# ")
    elif how == "filled stub":
        stub.source = stub.source.replace("...", "1")
    elif how == "told in the text":
        cells[2].source += "\n\nSolution 14.1: it is 1."
    elif how == "verdict":
        stub.outputs = [new_output("stream", text="Exercise 14.1: correct.")]
    elif how == "lost stub":
        cells.remove(stub)
    path.write_text(serialise(notebook), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("untagged", "says `Solution 14.1`"),
        ("retitled", "says `Solution 14.1`"),
        ("filled stub", "checks an answer that is not a gap"),
        ("told in the text", "says `Solution 14.1`"),
        ("verdict", "shows the verdict"),
        ("lost stub", "Exercise 14.1 has no stub"),
    ],
)
def test_nothing_is_written_if_a_solution_remains(
    chapter: Path, how: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(chapter, how)
    folder = chapter.parent / "copies"
    options = ["--with-outputs"] if how == "verdict" else []
    # A chapter in order beside it is not written either.
    assert main([str(folder), str(chapter), str(CHAPTERS[0]), *options]) == 1
    message = capsys.readouterr().err
    assert said in message
    assert "Nothing was written." in message
    assert not folder.exists()


def test_a_students_work_is_not_overwritten(
    chapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = chapter.parent / "copies"
    assert main([str(folder), str(chapter)]) == 0
    copied = folder / chapter.name
    copied.write_text("a night's work")
    assert main([str(folder), str(chapter)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert copied.read_text() == "a night's work"
    assert main([str(folder), str(chapter), "--replace"]) == 0
    assert "### Exercise 14.1" in load(copied)


def test_says_what_is_no_notebook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    assert main([str(tmp_path / "copies"), str(broken)]) == 1
    assert "broken.ipynb is not JSON" in capsys.readouterr().err
