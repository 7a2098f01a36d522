"""publish_as.py: one address everywhere, and only the address changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from publish_as import (
    PLACEHOLDER,
    ROOT,
    badges,
    project_files,
    publish_as,
    repository_slug,
    setup_cell,
    slug_of,
)

ADA = "ada-lovelace/seeing"
# No address stands here as a whole, or publishing under it would change this file.
ADA_URL = f"https://github.com/{ADA}"
PLACEHOLDER_URL = f"https://github.com/{PLACEHOLDER}"


def git(root: Path, *arguments: str) -> None:
    # A git hook that runs these tests tells git about another repository.
    clean = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", "-C", str(root), *arguments], check=True, env=clean)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Make a small course: a notebook, a README, a tool and the configuration."""
    root = tmp_path / "course"
    (root / "notebooks").mkdir(parents=True)
    (root / "_config.yml").write_text(
        f"title: x\nrepository:\n  url: {PLACEHOLDER_URL}\n  branch: main\n"
    )
    (root / "README.md").write_bytes(f"See {PLACEHOLDER_URL}.\r\n".encode())
    lines = [badges("01_a", PLACEHOLDER), setup_cell(PLACEHOLDER)]
    (root / "notebooks" / "01_a.ipynb").write_text(json.dumps(lines))
    (root / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "publish_as.py", root / "tools")
    (root / ".gitignore").write_text("handed_in/\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project_files(root)}


def source(cell: dict[str, str | list[str]]) -> str:
    return "".join(cell["source"])


def test_chapters_carry_the_address_of_the_course() -> None:
    slug = repository_slug(ROOT)
    wrong = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if badges(path.stem, slug) not in source(cells[0]).splitlines():
            wrong.append(f"{path.name}: the links under the title")
        code = next(cell for cell in cells if cell["cell_type"] == "code")
        if source(code) != setup_cell(slug):
            wrong.append(f"{path.name}: the set-up cell")
    assert wrong == []


def test_no_other_address_of_the_course_is_left() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    slug = repository_slug(ROOT)
    name = re.escape(slug.split("/")[1])
    address = re.compile(rf"github\.com/([\w.-]+/{name})(?![\w-])".encode())
    found: set[bytes] = set()
    for path in project_files(ROOT):
        found.update(address.findall(path.read_bytes()))
    assert found == {slug.encode()}


def test_there_back_and_back_again(course: Path) -> None:
    before = contents(course)
    names = ["README.md", "_config.yml", "01_a.ipynb"]
    assert [path.name for path in publish_as(ADA_URL, course)] == names
    assert repository_slug(course) == ADA
    assert contents(course) == {
        name: content.replace(f"/{PLACEHOLDER}".encode(), f"/{ADA}".encode())
        for name, content in before.items()
    }
    assert publish_as(ADA_URL, course) == []
    assert [path.name for path in publish_as(PLACEHOLDER_URL, course)] == names
    assert contents(course) == before
    assert publish_as(PLACEHOLDER_URL, course) == []
    assert contents(course) == before


@pytest.mark.parametrize("ending", ["", "/", ".git", ".git/"])
def test_usual_spellings_of_an_address(ending: str) -> None:
    assert slug_of(ADA_URL + ending) == ADA


@pytest.mark.parametrize(
    "url",
    [
        "",
        ADA,
        f"http://github.com/{ADA}",
        f"https://gitlab.com/{ADA}",
        "https://github.com/ada",
        "https://github.com/ada/..",
        "https://github.com/ada/see ing",
        f"{ADA_URL}/tree/main",
        f"{ADA_URL}?tab=readme",
        f"{ADA_URL}\n",
        f"git@github.com:{ADA}.git",
    ],
)
def test_a_bad_address_is_refused_in_one_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="must have the form") as error:
        slug_of(url)
    assert "\n" not in str(error.value)


def test_longer_names_and_mere_paths_are_left_alone(course: Path) -> None:
    addresses = "a://github.com/{0} github.com/{0}/issues git@github.com:{0}.git "
    others = "github.com/{0}-2 github.com/{0}.io github.com/my-{0} x.org/{0} {0}"
    readme = course / "README.md"
    readme.write_text((addresses + others).format(PLACEHOLDER))
    publish_as(ADA_URL, course)
    left_alone = others.format(PLACEHOLDER)
    assert readme.read_text() == addresses.format(ADA) + left_alone


def test_a_chapter_that_is_added_after_publishing_gets_the_address(
    course: Path,
) -> None:
    publish_as(ADA_URL, course)
    new = course / "new.ipynb"
    new.write_text(badges("new", PLACEHOLDER))
    git(course, "add", "new.ipynb")
    assert publish_as(ADA_URL, course) == [new]
    assert new.read_text() == badges("new", ADA)


def test_what_is_not_a_text_of_the_project_is_left_alone(course: Path) -> None:
    image = course / "image.png"
    image.write_bytes(b"\0" + PLACEHOLDER_URL.encode())
    git(course, "add", "image.png")
    for folder in ("handed_in", "submissions", "my_venv"):
        (course / folder).mkdir()
        (course / folder / "x.ipynb").write_text(PLACEHOLDER_URL)
    publish_as(ADA_URL, course)
    assert image.read_bytes() == b"\0" + PLACEHOLDER_URL.encode()
    for folder in ("handed_in", "submissions", "my_venv"):
        assert (course / folder / "x.ipynb").read_text() == PLACEHOLDER_URL


def test_a_copy_without_git_is_refused_and_left_alone(course: Path) -> None:
    (course / ".git").rename(course.parent / "former_git")
    before = (course / "README.md").read_bytes()
    with pytest.raises(ValueError, match="Clone the course with git"):
        publish_as(ADA_URL, course)
    assert (course / "README.md").read_bytes() == before


def test_a_read_only_file_leaves_nothing_half_done(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Asking the system would not do: root may write every file.
    monkeypatch.setattr(os, "access", lambda path, mode: path.suffix != ".ipynb")
    before = contents(course)
    with pytest.raises(ValueError, match=r"01_a\.ipynb is read-only, so nothing"):
        publish_as(ADA_URL, course)
    assert contents(course) == before
    monkeypatch.undo()
    assert len(publish_as(ADA_URL, course)) == 3


@pytest.mark.parametrize("config", ["title: x\n", "repository:\n  branch: main\n"])
def test_a_configuration_without_an_address_is_explained(
    tmp_path: Path, config: str
) -> None:
    (tmp_path / "_config.yml").write_text(config)
    with pytest.raises(ValueError, match="names no repository"):
        repository_slug(tmp_path)


def test_command_line(course: Path) -> None:
    script = course / "tools" / "publish_as.py"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = run(ADA_URL)
    assert done.stdout.splitlines()[:2] == ["README.md", "_config.yml"]
    assert f"3 files changed. The course's address is {ADA_URL}" in done.stdout
    assert run(ADA_URL).stdout.startswith("0 files changed")
    refused = run("ada/seeing")
    assert refused.returncode == 1
    assert refused.stderr.startswith("The address must have the form")
    assert refused.stderr.count("\n") == 1
    assert "OWNER/NAME" in run().stderr
