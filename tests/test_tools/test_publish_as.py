"""publish_as.py: one address everywhere, and only the address changes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import publish_as
from publish_as import (
    PLACEHOLDER,
    ROOT,
    PublishError,
    badges,
    project_files,
    repository_slug,
    setup_cell,
    slug_of,
)

# In two parts: an address that any file mentions already is refused.
ADA = "ada-lovelace" + "/seeing"
ADA_URL = f"https://github.com/{ADA}"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Copy the project, without git and without what git ignores."""
    for path in project_files(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return tmp_path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Make a project of two files, for what needs no more."""
    (tmp_path / "_config.yml").write_text(
        f"repository:\n  url: https://github.com/{PLACEHOLDER}\n  branch: main\n"
    )
    (tmp_path / "README.md").write_text(f"See https://github.com/{PLACEHOLDER}.\n")
    return tmp_path


def contents(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in project_files(root)}


def source(cell: dict[str, str | list[str]]) -> str:
    return "".join(cell["source"])


def unstamped(root: Path) -> list[str]:
    """List the chapters whose links or set-up cell are not those of the course."""
    slug = repository_slug(root)
    wrong = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if badges(path.stem, slug) not in source(cells[0]).splitlines():
            wrong.append(f"{path.name}: the links under the title")
        code = next(cell for cell in cells if cell["cell_type"] == "code")
        if source(code) != setup_cell(slug):
            wrong.append(f"{path.name}: the set-up cell")
    return wrong


def test_chapters_carry_the_address_of_the_course() -> None:
    assert unstamped(ROOT) == []


def test_no_other_address_of_the_course_is_left() -> None:
    slug = repository_slug(ROOT)
    name = re.escape(slug.split("/")[1])
    address = re.compile(rf"github\.com/([\w.-]+/{name})(?![\w-])")
    others = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in project_files(ROOT)
        if path.suffix not in {".png", ".jpg"}
        for found in address.findall(path.read_text(encoding="utf-8", errors="ignore"))
        if found != slug
    }
    assert others == set()


def test_publishing_leaves_no_trace_of_the_former_address(course: Path) -> None:
    former = repository_slug(course).encode()
    changed = publish_as.publish_as(ADA_URL, course)
    assert course / "_config.yml" in changed
    assert repository_slug(course) == ADA
    left = [path for path, content in contents(course).items() if former in content]
    assert left == []
    assert unstamped(course) == []


def test_twice_is_once(course: Path) -> None:
    publish_as.publish_as(ADA_URL, course)
    once = contents(course)
    assert publish_as.publish_as(ADA_URL, course) == []
    assert contents(course) == once


def test_publishing_under_the_address_that_is_there_changes_nothing(
    course: Path,
) -> None:
    before, address = contents(course), repository_slug(course)
    assert publish_as.publish_as(f"https://github.com/{address}", course) == []
    assert contents(course) == before


def test_going_back_restores_every_byte(course: Path) -> None:
    before, former = contents(course), repository_slug(course)
    publish_as.publish_as(ADA_URL, course)
    publish_as.publish_as(f"https://github.com/{former}", course)
    assert contents(course) == before


def test_only_the_address_changes_in_a_notebook(course: Path) -> None:
    before, former = contents(course), repository_slug(course)
    for path in publish_as.publish_as(ADA_URL, course):
        old = before[path.relative_to(course)]
        assert path.read_bytes() == old.replace(former.encode(), ADA.encode())


@pytest.mark.parametrize("ending", ["", "/", ".git", ".git/"])
def test_usual_spellings_of_an_address(ending: str) -> None:
    assert slug_of(ADA_URL + ending) == ADA


def test_placeholder_is_accepted() -> None:
    assert slug_of(f"https://github.com/{PLACEHOLDER}") == PLACEHOLDER


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ada/seeing", "form"),
        ("http://github.com/ada/seeing", "form"),
        ("https://gitlab.com/ada/seeing", "form"),
        ("https://github.com/ada", "form"),
        ("https://github.com/ada/seeing/tree/main", "form"),
        ("git@github.com:ada/seeing.git", "form"),
        ("", "form"),
        ("https://github.com/ada_l/seeing", "no account named ada_l"),
        ("https://github.com/-ada/seeing", "no account named -ada"),
        ("https://github.com/ada--l/seeing", "no account named ada--l"),
        (f"https://github.com/{'a' * 40}/seeing", "no account"),
        ("https://github.com/ada/see ing", "no repository named see ing"),
        ("https://github.com/ada/..", "no repository named .."),
        (f"https://github.com/ada/{'s' * 101}", "no repository"),
        ("https://github.com/ada/seeing?tab=readme", "no repository"),
        ("https://github.com/ada/seeing\n", "no repository"),
    ],
)
def test_bad_address_is_refused_in_one_sentence(url: str, reason: str) -> None:
    with pytest.raises(PublishError, match=re.escape(reason)):
        slug_of(url)


def test_longer_names_are_left_alone(small: Path) -> None:
    readme = small / "README.md"
    text = "{0}-2 my-{0} {0}.io {0}.git {0}/issues git@github.com:{0}. {0}"
    readme.write_text(text.format(PLACEHOLDER))
    publish_as.publish_as(ADA_URL, small)
    assert readme.read_text() == (
        f"{PLACEHOLDER}-2 my-{PLACEHOLDER} {PLACEHOLDER}.io "
        f"{ADA}.git {ADA}/issues git@github.com:{ADA}. {ADA}"
    )


def test_chapter_added_after_publishing_is_stamped_too(small: Path) -> None:
    publish_as.publish_as(ADA_URL, small)
    new = small / "new.ipynb"
    new.write_text(badges("new", PLACEHOLDER))
    assert publish_as.publish_as(ADA_URL, small) == [new]
    assert new.read_text() == badges("new", ADA)


def test_binary_files_are_left_alone(small: Path) -> None:
    picture = small / "picture.png"
    picture.write_bytes(b"\0" + PLACEHOLDER.encode())
    assert picture not in publish_as.publish_as(ADA_URL, small)


def test_address_that_is_mentioned_already_is_refused(small: Path) -> None:
    # Going back would otherwise rename this one too.
    (small / "notes.md").write_text("Taken from https://github.com/pytorch/vision")
    before = contents(small)
    with pytest.raises(PublishError, match=r"notes\.md mentions pytorch/vision"):
        publish_as.publish_as("https://github.com/pytorch/vision", small)
    assert contents(small) == before


@pytest.mark.parametrize("config", ["title: x\n", "repository:\n  branch: main\n"])
def test_config_without_address_is_explained(tmp_path: Path, config: str) -> None:
    (tmp_path / "_config.yml").write_text(config)
    with pytest.raises(PublishError, match="names no repository"):
        repository_slug(tmp_path)


def test_git_says_which_files_are_ours(small: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "README.md"]):
        subprocess.run(["git", "-C", str(small), *arguments], check=True)
    (small / ".gitignore").write_text("ignored.txt\n")
    (small / "ignored.txt").write_text(PLACEHOLDER)
    (small / "new.txt").write_text(PLACEHOLDER)
    changed = {path.name for path in publish_as.publish_as(ADA_URL, small)}
    assert changed == {"_config.yml", "README.md", "new.txt"}


def test_folders_that_are_not_ours_are_left_alone(small: Path) -> None:
    for name in (".venv/x.txt", "_build/x.txt", "code/__pycache__/x.txt"):
        (small / name).parent.mkdir(parents=True)
        (small / name).write_text(PLACEHOLDER)
    changed = {path.name for path in publish_as.publish_as(ADA_URL, small)}
    assert changed == {"_config.yml", "README.md"}


def test_command_line(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(publish_as, "ROOT", small)
    assert publish_as.main([ADA_URL]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["README.md", "_config.yml"]
    assert publish_as.main(["ada/seeing"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("The address must have the form")
    assert complaint.count("\n") == 1
