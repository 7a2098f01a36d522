"""Write the address of your own copy of the course everywhere it is needed.

    python tools/publish_as.py https://github.com/OWNER/NAME

The address is kept once, in _config.yml. Notebooks, the README and a few other
files need it too, since they are read where _config.yml is not. This script puts
them all in step. Running it again changes nothing, and publishing under the former
address brings back the former files, byte for byte.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# In two parts, or this script would overwrite the very name it looks for. No
# account on GitHub can have an underscore in its name, so nobody can claim it.
PLACEHOLDER_OWNER = "your_account"
PLACEHOLDER = PLACEHOLDER_OWNER + "/learning-to-see"

# What git would leave out, for a copy of the course that is not a git checkout.
NOT_OURS = {".git", ".venv", "_build", "data", "runs"}
CACHES = re.compile(r"__pycache__|\.\w+_(cache|checkpoints)|\.hypothesis|.*\.egg-info")

CONFIGURED = re.compile(
    r"^repository:[^\n]*\n(?:(?:[ \t]+[^\n]*|#[^\n]*)?\n)*?"
    r"[ \t]+url:[ \t]*[\"']?https://github\.com/(?P<slug>[^\s\"'/]+/[^\s\"'/#]+)",
    re.MULTILINE,
)


class PublishError(Exception):
    """A sentence that tells the author what to do."""


def repository_slug(root: Path) -> str:
    """Return OWNER/NAME of the repository, as _config.yml has it."""
    config = root / "_config.yml"
    found = CONFIGURED.search(config.read_text(encoding="utf-8"))
    if found is None:
        raise PublishError(
            f"{config} names no repository: "
            "under `repository:` it needs a line `url: https://github.com/OWNER/NAME`."
        )
    return found["slug"].removesuffix(".git")


def badges(name: str, slug: str) -> str:
    """Return the line of links that stands under the title of a chapter.

    The links are text. The usual badge is a picture from another host: it would
    tell that host about every reader, and show as broken without a network. The
    book's style sheet draws these links as buttons.
    """
    colab = f"https://colab.research.google.com/github/{slug}/blob/main"
    download = f"https://github.com/{slug}/raw/main"
    return (
        f"[Open in Colab]({colab}/notebooks/{name}.ipynb) · "
        f"[Download the notebook]({download}/notebooks/{name}.ipynb)"
    )


def setup_cell(slug: str) -> str:
    """Return the source of the first code cell of every chapter."""
    return f"""\
# Run this cell first. Where the course's helpers are missing, it installs them.
import importlib.util

if importlib.util.find_spec("course_utils") is None:
    %pip install --quiet --no-deps git+https://github.com/{slug}

from course_utils import seed_everything

seed_everything(0)"""


def slug_of(url: str) -> str:
    """Return OWNER/NAME of an address, or raise with one clear sentence."""
    found = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+?)(?:\.git)?/?", url)
    if found is None:
        raise PublishError(
            f"The address must have the form https://github.com/OWNER/NAME, not {url}"
        )
    owner, name = found.groups()
    if owner != PLACEHOLDER_OWNER and not _is_owner(owner):
        raise PublishError(
            f"GitHub has no account named {owner}: a name has up to 39 letters, "
            "digits and single hyphens, and a hyphen neither first nor last."
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or name in {".", "..", ".git"}:
        raise PublishError(
            f"GitHub has no repository named {name}: a name has up to 100 letters, "
            "digits, hyphens, underscores and full stops."
        )
    return f"{owner}/{name}"


def _is_owner(owner: str) -> bool:
    fits = re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", owner)
    return fits is not None and len(owner) <= 39


def project_files(root: Path) -> list[Path]:
    """List the files that belong to the project, new ones included."""
    names = _listed_by_git(root)
    if names is None:
        names = _found_by_walking(root)
    paths = (root / name for name in sorted(names))
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _listed_by_git(root: Path) -> list[str] | None:
    """Ask git, or return None where git is missing or not in charge of `root`."""
    try:
        top, names = (
            subprocess.run(
                ["git", "-C", str(root), *arguments],
                capture_output=True,
                check=True,
                encoding="utf-8",
            ).stdout
            for arguments in (
                ("rev-parse", "--show-toplevel"),
                ("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    if Path(top.strip()).resolve() != root.resolve():
        return None
    return [name for name in set(names.split("\0")) if name]


def _found_by_walking(root: Path) -> list[str]:
    relative = (path.relative_to(root) for path in root.rglob("*"))
    return [
        path.as_posix()
        for path in relative
        # course_utils/data is code; only a folder data at the top holds data.
        if path.parts[0] not in NOT_OURS
        and not any(CACHES.fullmatch(part) for part in path.parts)
    ]


def _address_pattern(slugs: set[str]) -> re.Pattern[bytes]:
    """Match OWNER/NAME, but not as a part of longer names."""
    either = "|".join(re.escape(slug) for slug in sorted(slugs))
    pattern = rf"(?<![\w.-])(?:{either})(?![\w-]|\.(?!git\b)\w)"
    return re.compile(pattern.encode(), re.ASCII)


def _texts(root: Path) -> dict[Path, bytes]:
    """Read every text file of the project; a zero byte marks what is not text."""
    contents = {path: path.read_bytes() for path in project_files(root)}
    return {path: content for path, content in contents.items() if b"\0" not in content}


def publish_as(url: str, root: Path = ROOT) -> list[Path]:
    """Replace the repository's address everywhere; return the changed files."""
    new = slug_of(url)
    current = repository_slug(root)
    texts = _texts(root)
    _refuse_if_taken(new, current, texts, root)
    # The placeholder too: a chapter added after publishing still carries it.
    former = {current, PLACEHOLDER} - {new}
    if not former:
        return []
    pattern = _address_pattern(former)
    changed = []
    for path, content in texts.items():
        renamed = pattern.sub(new.encode(), content)
        if renamed != content:
            path.write_bytes(renamed)
            changed.append(path)
    return changed


def _refuse_if_taken(
    new: str, current: str, texts: dict[Path, bytes], root: Path
) -> None:
    """Stop where going back later would rename what was never ours."""
    if new in {current, PLACEHOLDER}:
        return
    pattern = _address_pattern({new})
    for path, content in texts.items():
        if pattern.search(content):
            raise PublishError(
                f"{path.relative_to(root)} mentions {new} already, so it could not be "
                "told apart from the course's own address: remove it there first."
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="such as https://github.com/ada-lovelace/see")
    url = parser.parse_args(arguments).url
    try:
        changed = publish_as(url, ROOT)
    except PublishError as problem:
        print(problem, file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed. The course's address is {url}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
