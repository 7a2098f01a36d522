"""Write the address of your own copy of the course everywhere it is needed.

    python tools/publish_as.py https://github.com/OWNER/NAME

The address is kept in _config.yml. Notebooks, the README and a few other files need it
too, because they are read where _config.yml is not. This script replaces it in every
text file that git tracks. Run it with the former address to get the former files back.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "your_account/learning-to-see"


def repository_slug(root: Path) -> str:
    """Return OWNER/NAME of the repository, as _config.yml has it."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    address = r"^\s+url:\s*[\"']?https://github\.com/([\w-]+/[\w.-]+)"
    found = re.search(address, config, re.MULTILINE)
    if found is None:
        raise ValueError(
            f"{root / '_config.yml'} names no repository: "
            "under `repository:` it needs a line `url: https://github.com/OWNER/NAME`."
        )
    return found[1].removesuffix(".git")


def badges(name: str, slug: str) -> str:
    """Return the line of links that stands under the title of a chapter.

    The links are text. The usual badge is an image from another host: it would tell
    that host about every reader, and look broken without an internet connection. The
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
    """Return OWNER/NAME of an address."""
    address = r"https://github\.com/([A-Za-z0-9_-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?"
    found = re.fullmatch(address, url)
    if found is None or found[1].endswith(("/.", "/..")):
        raise ValueError(
            f"The address must have the form https://github.com/OWNER/NAME, not {url!r}"
        )
    return found[1]


def project_files(root: Path) -> list[Path]:
    """List the files that git tracks; nothing else belongs to the project."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if not done.stdout:
        raise ValueError(
            f"Clone the course with git, because git knows its files: in {root} it "
            f"says {done.stderr.strip() or 'that it tracks no file'!r}"
        )
    paths = (root / name for name in sorted(done.stdout.split("\0")) if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def publish_as(url: str, root: Path = ROOT) -> list[Path]:
    """Replace the repository's address everywhere; return the changed files."""
    new = slug_of(url)
    # The placeholder too: a chapter that was added after publishing still carries it.
    former = {repository_slug(root), PLACEHOLDER} - {new}
    if not former:
        return []
    either = "|".join(map(re.escape, sorted(former)))
    # Only in an address, and not where a longer name begins with it.
    pattern = rf"(github\.com[/:]|/github/)(?:{either})(?![\w-]|\.(?!git\b)\w)"
    changed = {}
    for path in project_files(root):
        content = path.read_bytes()
        renamed = re.sub(pattern.encode(), rb"\1" + new.encode(), content)
        if renamed != content and b"\0" not in content:
            changed[path] = renamed
    # Look at all files before the first is written, so that nothing is half done.
    for path in changed:
        if not os.access(path, os.W_OK):
            raise ValueError(f"{path} is read-only, so nothing was changed.")
    for path, renamed in changed.items():
        path.write_bytes(renamed)
    return list(changed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        changed = publish_as(sys.argv[1])
    except (ValueError, OSError) as problem:
        sys.exit(str(problem))
    for path in changed:
        print(path.relative_to(ROOT))
    print(f"{len(changed)} files changed. The course's address is {sys.argv[1]}")
