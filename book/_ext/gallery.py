"""Pictures from the chapters, as cards that lead there.

    ```{gallery}
    04_convolution_pooling_dense = Four treated portraits
    ```

Each line names a chapter and the first words of a picture's description there. The
picture and its description are those stored in the notebook; if no picture is described
in these words (any more), a strict build stops.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
# Below the root, since Sphinx takes pictures from nowhere else. Not part of the source.
PICTURES = Path("_build", "gallery")


def cells_of(chapter: str) -> list[dict[str, Any]]:
    """What is stored in a chapter."""
    path = ROOT / "notebooks" / f"{chapter}.ipynb"
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def pictures_of(chapter: str) -> Iterator[tuple[str, str]]:
    """Description and PNG (in base 64) of each picture stored in a chapter."""
    for cell in cells_of(chapter):
        image = cell["metadata"].get("mystnb", {}).get("image", {})
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            if png and "alt" in image:
                yield image["alt"], "".join(png)


def find_picture(chapter: str, words: str) -> tuple[str, str, bytes] | None:
    """File name, description and PNG of the picture described in these words."""
    for place, (alt, png) in enumerate(pictures_of(chapter), start=1):
        if alt.startswith(words):
            return f"{chapter}-{place}.png", alt, base64.b64decode(png)
    return None


def title_of(chapter: str) -> str:
    """The first heading of a chapter."""
    first = "".join(cells_of(chapter)[0]["source"])
    return first.splitlines()[0].removeprefix("# ")


class Gallery(SphinxDirective):
    """A grid of cards, each with a picture from a chapter."""

    has_content = True

    def card(self, chapter: str, words: str) -> list[str]:
        """Return the lines of one card."""
        found = find_picture(chapter, words)
        if found is None:
            raise self.error(f"{chapter} has no picture described as {words!r} ...")
        file, alt, png = found
        name = PICTURES / file
        target = Path(self.env.srcdir, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(png)
        self.env.note_dependency(str(ROOT / "notebooks" / f"{chapter}.ipynb"))
        number = int(chapter[:2])
        return [
            f":::{{grid-item-card}} {number} {title_of(chapter)}",
            f":link: ../notebooks/{chapter}",
            ":link-type: doc",
            f":img-top: /{name.as_posix()}",
            f":img-alt: {alt}",
            ":::",
        ]

    def run(self) -> list[nodes.Node]:
        """Parse the cards as if the author had typed them."""
        lines = ["::::{grid} 1 2 2 3", ":gutter: 3", ""]
        for line in self.content:
            chapter, _, words = (part.strip() for part in line.partition("="))
            lines += self.card(chapter, words)
        holder = nodes.container(classes=["gallery"])
        source = StringList([*lines, "::::"], source=self.get_source_info()[0])
        self.state.nested_parse(source, self.content_offset, holder)
        return [holder]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("gallery", Gallery)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
