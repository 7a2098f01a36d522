"""The helpers stay small enough to be read in one sitting, as the book promises."""

from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "course_utils"


@pytest.mark.parametrize(("folder", "limit"), [("", 1600), ("sources", 700)])
def test_the_helpers_are_small(folder: str, limit: int) -> None:
    lines = {
        path.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in (PACKAGE / folder).glob("*.py")
    }
    total = sum(lines.values())
    assert total <= limit, f"{total} lines instead of at most {limit}: {lines}"
