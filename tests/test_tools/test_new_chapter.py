"""The tool that starts a chapter."""

import shutil
from pathlib import Path

import pytest

import new_chapter
from new_chapter import file_name, main, write_chapter
from normal_form import load, normalise, parse, serialise
from test_chapters.anatomy import RULES
from test_chapters.chapters import ROOT, Chapter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "_config.yml", tmp_path)
    return tmp_path


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


def test_a_new_chapter_breaks_only_the_rules_that_ask_for_an_author(root: Path) -> None:
    chapter = Chapter.read(write_chapter(14, "Seeing in the dark", root))
    broken = {name for name, rule in RULES.items() if rule(chapter)}
    written_by_the_author = {"finished", "enough_prose"}
    stored_by_a_run = {"normal_form", "exercise_verdicts"}
    assert broken == written_by_the_author | stored_by_a_run


def test_a_new_chapter_is_in_normal_form(root: Path) -> None:
    text = load(write_chapter(14, "Seeing in the dark", root))
    assert serialise(normalise(parse(text))) == text


def test_a_number_is_used_once(root: Path) -> None:
    path = write_chapter(14, "Seeing in the dark", root)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"exists already: 14_seeing_in_the_dark"):
        write_chapter(14, "Seeing by day", root)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("number", "title"), [(0, "Dark"), (100, "Dark"), (14, "?!")])
def test_a_bad_number_or_title_is_refused(number: int, title: str, root: Path) -> None:
    with pytest.raises(ValueError, match=r"number is from 1 to 99|has no letters"):
        write_chapter(number, title, root)


def test_the_next_steps_are_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "notebooks" / "14_dark.ipynb"
    monkeypatch.setattr(new_chapter, "write_chapter", lambda *_: path)
    assert main(["14", "Dark"]) == 0
    printed = capsys.readouterr().out
    assert "- file: notebooks/14_dark" in printed
    assert "course_utils/answers/chapter_14.py" in printed


def test_a_refusal_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0", "Dark"]) == 1
    assert capsys.readouterr().err == "A chapter's number is from 1 to 99, not 0.\n"
