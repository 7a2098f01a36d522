"""The copies that students get hold every stub and no solution."""

from pathlib import Path

import pytest
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

from canonical_form import load, parse, serialise
from new_chapter import write_chapter
from student_copies import is_solution, main, remains, student_copy
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
    assert ": correct." not in text


def test_outputs_are_kept_where_wanted() -> None:
    made = student_copy(parse(load(CHAPTERS[0])), with_outputs=True)
    assert any(cell.get("outputs") for cell in made.cells)
    assert remains(made) == []


SOLVED = "checks an answer that is not a gap"
# A cell beside the stub that gives the answer away, and what is said of it.
CELLS = {
    'check(name="14.1", answer=3)': SOLVED,
    'answer = 3\nexercise = "14.1"\ncheck(exercise, answer)': SOLVED,
    'import course_utils\ncourse_utils.check("14.1", 3)': SOLVED,
    'from course_utils import check as c\nc("14.1", 3)': SOLVED,
    'c = course_utils.check\nc("14.1", 3)': SOLVED,
    'x = torch.ones(2, 2)[..., 0]\ncheck("14.1", x)': SOLVED,
    'def f(x: tuple[int, ...]):\n    return x[..., 0]\ncheck("14.1", f)': SOLVED,
    '%%time\ncheck("14.1", 3)': SOLVED,
    'if True:\n    %pip list\n    check("14.1", 3)': SOLVED,
    'this is no Python: check("14.1", ...)': SOLVED,
    "# solution 14.1: it is 3": "says `solution 14.1`",
}


@pytest.mark.parametrize("source", CELLS)
def test_a_cell_that_is_not_tagged_is_found(source: str) -> None:
    notebook = new_notebook(cells=[new_code_cell(source)])
    assert [CELLS[source] in said for said in remains(student_copy(notebook))] == [True]


@pytest.mark.parametrize(
    "source",
    [
        'a, b = ..., ...\ncheck("14.1", (a, b))',
        'with torch.no_grad():\n    y = ...\ncheck("14.1", y)',
        'def f(x):\n    return x[0]\n\n\ny = f(...)\ncheck(name="14.1", answer=y)',
        "class Net(nn.Module):\n    def forward(self, x):\n        return ...\n\n\n"
        'check("14.1", Net)',
        '%matplotlib inline\nanswer = ...\ncourse_utils.check("14.1", answer)',
        "model.check()",
    ],
)
def test_stubs_may_stay(source: str) -> None:
    assert remains(student_copy(new_notebook(cells=[new_code_cell(source)]))) == []


def test_what_nobody_sees_does_not_give_it_away() -> None:
    said = {"text/html": "<b>correct.</b>"}
    shown = new_code_cell("1", outputs=[new_output("display_data", data=said)])
    attached = new_markdown_cell(
        "![](a.txt)", attachments={"a.txt": {"text/plain": "Solution 14.1: 3"}}
    )
    hidden = new_code_cell("2", metadata={"answer": "it is 3", "tags": ["Solution"]})
    noted = new_code_cell("3", metadata={"answer": "it is 3"})
    notebook = new_notebook(cells=[shown, attached, hidden, noted])
    notebook.metadata["answers"] = "it is 3"
    made = student_copy(notebook, with_outputs=True)
    assert ["correct." in remains(made)[0], "Solution" in remains(made)[1]] == [
        True
    ] * 2
    assert len(remains(made)) == 2
    assert "it is 3" not in serialise(made)


def spoil(path: Path, how: str) -> None:
    """Put a fault into the first exercise of a chapter."""
    notebook = parse(load(path))
    cells = notebook.cells
    solution = next(cell for cell in cells if is_solution(cell))
    stub = next(c for c in cells if "exercise" in c.metadata.get("tags", []))
    if how == "untagged":
        solution.metadata.tags = ["hide-cell"]
    elif how == "filled stub":
        stub.source = stub.source.replace("...", "1")
    elif how == "verdict":
        stub.outputs = [new_output("stream", text="Exercise 14.1: correct.")]
    elif how == "lost stub":
        cells.remove(stub)
    path.write_text(serialise(notebook), encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("untagged", "says `Solution 14.1`"),
        ("filled stub", SOLVED),
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


def test_originals_are_not_overwritten(
    chapter: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(chapter.parent)
    before = load(chapter)
    linked, copies = Path("linked"), Path("copies")
    linked.symlink_to(chapter.parent)
    for folder in (".", "linked", str(chapter.parent), str(ROOT / "notebooks")):
        assert main([folder, chapter.name, "--replace"]) == 1
        assert "holds the originals" in capsys.readouterr().err
    copies.mkdir()
    (copies / chapter.name).hardlink_to(chapter)
    assert main(["copies", str(chapter), "--replace"]) == 1
    assert "is an original" in capsys.readouterr().err
    assert load(chapter) == before


def test_of_two_notebooks_with_one_name_none_is_lost(
    chapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = chapter.parent / "other" / chapter.name.upper()
    other.parent.mkdir()
    other.write_bytes(chapter.read_bytes())
    folder = chapter.parent / "copies"
    assert main([str(folder), str(chapter), str(other)]) == 1
    assert "2 notebooks are called 14_" in capsys.readouterr().err
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
    assert main([str(tmp_path / "copies"), str(broken), "nowhere.ipynb"]) == 1
    said = capsys.readouterr().err
    assert "broken.ipynb is not JSON" in said
    assert "nowhere.ipynb cannot be read" in said
