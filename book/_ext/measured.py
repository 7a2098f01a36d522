"""Numbers on the pages, read from the files in which a benchmark has left them.

A number in a sentence, and its format in Python's notation:

    {measured}`fit_overhead > median ratio to by hand > fit as {:.3f}`

A table with bars, a row for each line (its key, and what to call it), and a table of
every chapter's results over several seeds:

    ```{measured-bars} loaders > flip > samples a second
    :format: "{:,}"
    DataLoader, PIL, 0 workers = DataLoader over PIL pictures
    ```

    ```{measured-headlines}
    ```

A file or a key that is not there stops a strict build.
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def measured(path: str) -> Any:
    """What stands in a results file under these keys: `file > key > key`."""
    name, *keys = (part.strip() for part in path.split(">"))
    file = RESULTS / f"{name}.json"
    if not file.exists():
        raise LookupError(f"there is no {file.relative_to(ROOT)}")
    found = json.loads(file.read_text(encoding="utf-8"))
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise LookupError(f"{file.relative_to(ROOT)} has no {path!r}")
        found = found[key]
    return found


class Measured(SphinxRole):
    """One measured number in a sentence."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number as text."""
        path, _, form = self.text.partition(" as ")
        try:
            text = (form.strip() or "{}").format(measured(path))
        except (LookupError, ValueError) as error:
            message = self.inliner.reporter.error(
                f"measured: {error}", line=self.lineno
            )
            return [], [message]
        return [nodes.inline(text, text, classes=["measured"])], []


class FromResults(SphinxDirective):
    """A directive that writes Markdown from results."""

    def markdown(self) -> list[str]:
        """Return the lines that stand in the directive's place."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse the lines as if the author had typed them."""
        try:
            lines = self.markdown()
        except (LookupError, ValueError) as error:
            raise self.error(f"{self.name}: {error}") from None
        for file in RESULTS.glob("*.json"):
            self.env.note_dependency(str(file))
        holder = nodes.container(classes=[self.name])
        source = StringList(lines, source=self.get_source_info()[0])
        self.state.nested_parse(source, self.content_offset, holder)
        return [holder]


class Bars(FromResults):
    """Numbers side by side, each with a bar of its length."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {  # noqa: RUF012 (docutils wants it so)
        "format": directives.unchanged,
        "what": directives.unchanged,
        "minus": float,
        "times": float,
        "take": directives.unchanged,
    }

    def number(self, found: Any) -> float:
        """The number to show for what the file holds."""
        if "take" in self.options:
            found = found[self.options["take"]]
        shift, scale = self.options.get("minus", 0), self.options.get("times", 1)
        return float((found - shift) * scale)

    def markdown(self) -> list[str]:
        """Return a table with a row for each line of the directive."""
        rows = {}
        for line in self.content:
            key, _, label = (part.strip() for part in line.rpartition("="))
            rows[label] = self.number(measured(f"{self.arguments[0]} > {key}"))
        if not rows:
            raise ValueError("it names no rows")
        form = self.options.get("format", "{}").strip('"')
        most = max(max(rows.values()), 1e-9)
        table = [f"| | {self.options.get('what', '')} | |", "|:--|--:|:--|"]
        for label, value in rows.items():
            share = max(value, 0) / most
            bar = f'<span class="bar" style="width: {share:.1%}"></span>'
            table.append(f"| {label} | {form.format(value)} | {bar} |")
        return table


class Headlines(FromResults):
    """What every chapter reaches, with its spread over seeds."""

    def markdown(self) -> list[str]:
        """Return a table with a row for each headline of each chapter."""
        table = ["| | real data | seeds | stand-ins |", "|:--|--:|--:|--:|"]
        for chapter, kinds in measured("seeds > chapters").items():
            real = kinds.get("real", {"summary": {}})
            if real["summary"]:  # not every chapter ends in a result
                table.append(f"| {{doc}}`../notebooks/{chapter}` | | | |")
            for what in real["summary"]:
                here, number = over_seeds(real, what), len(real["seeds"])
                other = over_seeds(kinds.get("stand-ins", {}), what)
                table.append(f"| {what} | {here} | {number} | {other} |")
        return table


class Chapters(FromResults):
    """What each chapter takes: to read, to run, and of memory."""

    def markdown(self) -> list[str]:
        """Return a table with a row for each notebook."""
        table = [
            "| | builds on | read | all | run | memory |",
            "|:--|:--|--:|--:|--:|--:|",
        ]
        times = measured("notebooks > real data")
        for chapter in chapters_of(self.env):
            path = ROOT / f"{chapter}.ipynb"
            took = times.get(path.stem)
            run = f"{took['seconds']:.0f} s" if took else ""
            memory = f"{took['gigabytes']:.1f} GB" if took else ""
            needed, minutes = promises(path)
            title = f"{int(path.name[:2])} {{doc}}`/{chapter}`"
            read = f"{minutes[0]} min | {sum(minutes)} min"
            table.append(f"| {title} | {needed} | {read} | {run} | {memory} |")
        return table


def chapters_of(env: BuildEnvironment) -> list[str]:
    """The notebooks of the table of contents, in its order."""
    return [
        name
        for name in env.app.config.external_site_map
        if name.startswith("notebooks/")
    ]


def promises(path: Path) -> tuple[str, list[int]]:
    """What a chapter builds on, and the minutes of its parts, the main path first."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    words = " ".join("".join(cells[0]["source"]).split())
    time, _, foundations = words.partition("**Builds on:**")
    needed = r"(\d+)(?= minutes to read| for the side paths| for the exercises)"
    minutes = re.findall(needed, time)
    if not minutes:
        raise ValueError(f"{path.name} does not say how many minutes it takes to read")
    return foundations_in(foundations), list(map(int, minutes))


# "chapter 6", "chapters 6 and 7", "chapters 1 to 9", and "(5)" after the first of them.
NAMED = re.compile(r"chapters? (\d+(?:(?:, | and | to )\d+)*)|\((\d+)\)")


def foundations_in(words: str) -> str:
    """The chapters that a text names, and no other number: `3, 5` or `1 to 9`."""
    named = " and ".join(one or other for one, other in NAMED.findall(words))
    parts = sorted(set(re.findall(r"\d+(?: to \d+)?", named)), key=first_number)
    return ", ".join(parts) or "Python"


def first_number(part: str) -> int:
    """Sort `10` after `9`."""
    return int(part.split()[0])


def over_seeds(results: dict[str, Any], what: str) -> str:
    """Mean and spread of a headline, in its own unit; empty where there is none."""
    summary = results.get("summary", {}).get(what)
    if summary is None:
        return ""
    (line, *_) = (
        line
        for run in results["seeds"].values()
        for line in run["headlines"]
        if line.startswith(what)
    )
    *_, last = re.finditer(r"\d+(?:\.(\d+))?(\s*%)?", line)
    digits, unit = len(last[1] or ""), " %" if last[2] else ""
    spread = "" if summary["spread"] is None else f" ± {summary['spread']:.{digits}f}"
    return f"{summary['mean']:.{digits}f}{spread}{unit}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_role("measured", Measured())
    app.add_directive("measured-bars", Bars)
    app.add_directive("measured-headlines", Headlines)
    app.add_directive("chapter-table", Chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
