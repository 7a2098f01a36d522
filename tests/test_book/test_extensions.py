"""What the book's extensions read from chapters is what the page should show."""

import importlib.util
from types import ModuleType
from typing import Any

import pytest

from test_book.builds import ROOT


def load_extension(name: str) -> ModuleType:
    path = ROOT / "book" / "_ext" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("Python and the slope of a curve from school.", "Python"),
        ("`fit` and checkpoints (chapters 5 and 6), batch norm (chapter 3)", "3, 5, 6"),
        ("layers (chapter 3); data sets (4); the loop (5).", "3, 4, 5"),
        ("CIFAR-10 (chapter 6), the 95 % interval (chapter 7)", "6, 7"),
        ("chapters 1 to 9. You have met these mistakes there.", "1 to 9"),
        ("chapter 10, chapter 9", "9, 10"),
    ],
)
def test_the_map_names_chapters_and_no_other_number(words: str, shown: str) -> None:
    assert load_extension("measured").foundations_in(words) == shown


def test_two_pictures_of_a_chapter_have_two_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gallery: Any = load_extension("gallery")
    pictures = [("A cat", "AAAA"), ("A dog", "BBBB")]
    monkeypatch.setattr(gallery, "pictures_of", lambda chapter: iter(pictures))
    cat, dog = (gallery.find_picture("03_pets", words) for words in ("A cat", "A dog"))
    assert cat[0] != dog[0]
    assert cat[1:] != dog[1:]
    assert gallery.find_picture("03_pets", "A horse") is None
