"""The tool that starts a chapter."""

from pathlib import Path

import pytest

import new_chapter
from canonical_form import load, normalise, parse, serialise
from new_chapter import file_name, main, write_chapter
from test_chapters.anatomy import RULES
from test_chapters.chapters import Chapter


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Seeing in the dark", "14_seeing_in_the_dark"),
        ("  What's a U-Net?  ", "14_whats_a_u_net"),
        ("Détail", "14_detail"),
    ],
)
def test_a_file_is_named_after_its_title(title: str, name: str) -> None:
    assert file_name(14, title) == name


def test_a_new_chapter_breaks_only_the_rules_that_ask_for_an_author(
    tmp_path: Path,
) -> None:
    chapter = Chapter.read(write_chapter(14, "Seeing in the dark", tmp_path))
    broken = {name for name, rule in RULES.items() if rule(chapter)}
    written_by_the_author = {"finished", "enough_prose", "stated_times"}
    stored_by_a_run = {"normal_form", "exercise_verdicts", "result_first"}
    assert broken == written_by_the_author | stored_by_a_run


def test_a_new_chapter_is_in_canonical_form(tmp_path: Path) -> None:
    text = load(write_chapter(14, "Seeing in the dark", tmp_path))
    assert serialise(normalise(parse(text))) == text


def test_a_number_is_used_once(tmp_path: Path) -> None:
    path = write_chapter(14, "Seeing in the dark", tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"exists already: 14_seeing_in_the_dark"):
        write_chapter(14, "Seeing by day", tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("number", "title"), [(0, "Dark"), (100, "Dark"), (14, "?!"), (14, 300 * "a")]
)
def test_a_bad_number_or_title_is_refused(
    number: int, title: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"from 1 to 99|has no letters|too long for"):
        write_chapter(number, title, tmp_path)


def test_a_title_with_quotes_is_written_as_it_is(tmp_path: Path) -> None:
    title = 'Why "NAME" and C:\\x are no TITLE'
    chapter = Chapter.read(write_chapter(14, title, tmp_path))
    assert chapter.cells[0].source.splitlines()[0] == f"# {title}"


def test_the_next_steps_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notebooks" / "14_dark.ipynb"
    monkeypatch.setattr(new_chapter, "write_chapter", lambda *_: path)
    assert main(["14", "Dark"]) == 0
    printed = capsys.readouterr().out
    assert "- file: notebooks/14_dark" in printed
    assert "course_utils/answers/chapter_14.py" in printed


def test_a_refusal_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0", "Dark"]) == 1
    assert capsys.readouterr().err == "A chapter's number is from 1 to 99, not 0.\n"


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(new_chapter, "write_chapter", refuse)
    assert main(["14", "Dark"]) == 1
    printed = capsys.readouterr().err
    assert printed == "The notebook cannot be written: Permission denied.\n"


def test_the_template_is_no_chapter() -> None:
    """No tool that works on all chapters finds it."""
    assert new_chapter.TEMPLATE.parent.name == "tools"
