"""Start a chapter: copy the template, number it and name it.

`python tools/new_chapter.py 14 "Seeing in the dark"` copies tools/template.ipynb to
notebooks/14_seeing_in_the_dark.ipynb and says what to do next.
"""

import argparse
import json
import re
import sys
import unicodedata
from pathlib import Path

from canonical_form import save

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_name("template.ipynb")
NEXT_STEPS = """\
notebooks/{name}.ipynb is there. What comes next:
1. add the line `- file: notebooks/{name}` to _toc.yml;
2. write course_utils/answers/chapter_{number:02d}.py, with EXERCISES as in the others;
3. replace every TODO in the notebook, then run it and store its outputs:
   python tools/run_notebooks.py notebooks/{name}.ipynb
4. check that everything is in its place: pytest tests/test_chapters -k {name}"""


def file_name(number: int, title: str) -> str:
    """Make `14_seeing_in_the_dark` of 14 and "Seeing in the dark"."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain.lower().replace("'", ""))
    name = f"{number:02d}_{'_'.join(words)}"
    if not 1 <= number <= 99:
        raise ValueError(f"A chapter's number is from 1 to 99, not {number}.")
    if not words:
        raise ValueError(f"The title {title!r} has no letters to make a file name of.")
    if len(name) > 80:
        raise ValueError("The title is too long for a file name: use 70 letters.")
    return name


def skeleton(number: int, title: str) -> str:
    """Return the text of a new chapter's file."""
    text = TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("NUMBER", str(number)).replace("NAME", file_name(number, title))
    return text.replace("TITLE", json.dumps(title.strip(), ensure_ascii=False)[1:-1])


def write_chapter(number: int, title: str, root: Path = ROOT) -> Path:
    """Write the new chapter's file, unless the number is taken."""
    path = root / "notebooks" / f"{file_name(number, title)}.ipynb"
    taken = sorted(path.parent.glob(f"{number:02d}_*.ipynb"))
    if taken:
        raise ValueError(
            f"Chapter {number} exists already: {taken[0].name}. Choose another number."
        )
    path.parent.mkdir(exist_ok=True)
    save(path, skeleton(number, title))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("number", type=int, help="the chapter's number, such as 14")
    parser.add_argument("title", help='such as "Seeing in the dark"')
    options = parser.parse_args(arguments)
    try:
        path = write_chapter(options.number, options.title)
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        reason = problem.strerror or problem
        print(f"The notebook cannot be written: {reason}.", file=sys.stderr)
        return 1
    print(NEXT_STEPS.format(name=path.stem, number=options.number))
    return 0


if __name__ == "__main__":
    sys.exit(main())
