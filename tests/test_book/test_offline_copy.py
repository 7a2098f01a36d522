"""The one file to carry: the book opens from a disk with no network at all."""

import os
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import offline_copy
from test_book.builds import all_pages, chapters

NAME = offline_copy.NAME


@pytest.fixture(scope="module")
def unpacked(book_html: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stick")
    data = folder / "data"
    (data / "hymenoptera_data" / "train").mkdir(parents=True)
    (data / "hymenoptera_data" / "train" / "1.jpg").write_bytes(b"an ant")
    (data / "mnist.npz").write_bytes(b"digits")
    (data / "letters.txt").write_text("somebody's own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline_copy, "BOOK", book_html)
        sets = [data / "hymenoptera_data", data / "mnist.npz"]
        offline_copy.pack(folder / "course.zip", sets)
    with zipfile.ZipFile(folder / "course.zip") as file:
        file.extractall(folder)
    return folder / NAME


def test_it_holds_the_book_the_notebooks_and_the_data(unpacked: Path) -> None:
    for name in ("START HERE.txt", "book/index.html", "course_utils/training.py"):
        assert (unpacked / name).exists(), name
    for chapter in chapters():
        assert (unpacked / f"{chapter}.ipynb").exists(), chapter
    packed = {path.name for path in (unpacked / "data").rglob("*") if path.is_file()}
    assert packed == {"1.jpg", "mnist.npz"}, "the course's data, and nobody's letters"
    assert not list(unpacked.rglob("__pycache__"))


def test_every_page_opens_from_a_disk_without_any_network(
    unpacked: Path, browser: Browser
) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    for name in all_pages():
        # All that a page asks for has come before the next page is opened.
        address = (unpacked / "book" / f"{name}.html").as_uri()
        page.goto(address, wait_until="networkidle")
        assert page.locator("h1").first.inner_text().strip(), name
    context.close()
    assert not problems


def test_search_finds_without_a_server(unpacked: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((unpacked / "book" / "search.html").as_uri() + "?q=convolution")
    page.wait_for_selector("#search-results li a", timeout=30_000)
    context.close()


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout with a built book, and with much that is nobody's business."""
    root = tmp_path / "course"
    wanted = ["notebooks/01.ipynb", "course_utils/a.py", "tools/b.py", "README.md"]
    private = [
        *("notebooks/.env", "notebooks/.ipynb_checkpoints/01.ipynb"),
        *("notebooks/marks/marks.csv", "notebooks/handed_in/her.ipynb"),
        *("notebooks/copies/01.ipynb", "notebooks/runs/a.pt", "private.key"),
    ]
    for name in [*wanted, *private, "_build/html/index.html", "secret/letter"]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "notebooks" / "letter").symlink_to(root / "secret" / "letter")
    (root / "notebooks" / "secret").symlink_to(root / "secret")
    (root / "notebooks" / "loop").symlink_to("loop")
    monkeypatch.setattr(offline_copy, "ROOT", root)
    monkeypatch.setattr(offline_copy, "BOOK", root / "_build" / "html")
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


PACKED = {
    "START HERE.txt",
    "book/index.html",
    "notebooks/01.ipynb",
    "course_utils/a.py",
    "tools/b.py",
    "README.md",
}


def packed(target: Path) -> set[str]:
    with zipfile.ZipFile(target) as file:
        return {name.removeprefix(f"{NAME}/") for name in file.namelist()}


def test_it_holds_neither_itself_nor_what_is_private(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = course / "notebooks" / "course.zip"
    for _ in range(2):  # the second time there is an older one
        assert offline_copy.main([str(target)]) == 0
        assert packed(target) == PACKED
    assert "LICENSE is not in it: there is none here." in capsys.readouterr().err
    assert not list(course.rglob("*.unfinished"))


def test_broken_data_is_not_packed(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (course.parent / "data" / "mnist.npz").write_bytes(b"half a file")
    target = course.parent / "course.zip"
    assert offline_copy.main([str(target)]) == 0
    assert packed(target) == PACKED
    assert "mnist.npz is passed over, because" in capsys.readouterr().err


def test_odd_dates_and_names_are_packed(course: Path) -> None:
    os.utime(course / "README.md", (0, 0))
    os.utime(course / "tools" / "b.py", (5e9, 5e9))
    with open(os.fsencode(course / "tools") + b"/M\xfcller.py", "w"):
        pass
    target = course.parent / "course.zip"
    offline_copy.pack(target, [])
    assert packed(target) == PACKED | {r"tools/M\udcfcller.py"}


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, ValueError])
def test_nothing_unfinished_is_left(
    course: Path, monkeypatch: pytest.MonkeyPatch, stopped: type[BaseException]
) -> None:
    def stop(*_: object) -> None:
        raise stopped

    monkeypatch.setattr(zipfile.ZipFile, "write", stop)
    target = course.parent / "course.zip"
    with pytest.raises(stopped):
        offline_copy.pack(target, [])
    assert not list(course.parent.glob("*.zip*"))


def test_without_a_book_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline_copy, "BOOK", tmp_path / "nothing")
    with pytest.raises(SystemExit, match="make book"):
        offline_copy.pack(tmp_path / "course.zip", [])


def test_a_full_disk_leaves_the_older_file(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    older = course.parent / "course.zip"
    older.write_text("the older one")
    monkeypatch.setattr(zipfile.ZipFile, "write", full)
    with pytest.raises(SystemExit, match="No space left"):
        offline_copy.pack(older, [])
    assert older.read_text() == "the older one"
    assert list(course.parent.glob("*.zip*")) == [older]
