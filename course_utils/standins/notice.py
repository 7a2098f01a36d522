"""The notice that a chapter works on stand-ins, which nobody can miss."""

from __future__ import annotations

import textwrap

from course_utils.sources import RESNET18, Source

STAND_IN = "STAND-IN DATA"
_noticed: set[str] = set()


def announce(source: Source, why: str) -> None:
    """Print, once in a session, what the reader looks at instead, and what to do."""
    if source.name in _noticed:
        return
    _noticed.add(source.name)
    what = (
        "Generated pictures take the place of the real ones: all cells run, but "
        "results are not those of the real data."
    )
    if source is RESNET18:
        what = (
            "The network starts from random weights: all cells run, but it has "
            "not seen ImageNet and learns far less from few pictures."
        )
    paragraphs = [
        f"{STAND_IN}: this is not {source.title}",
        what,
        f"Why: {why}.",
        "What to do: connect to the internet, unset COURSE_OFFLINE and restart the "
        f"notebook. Or set COURSE_DATA to a folder that holds {source.prepared}.",
    ]
    lines = [line for text in paragraphs for line in textwrap.wrap(text, 74)]
    edge = "+" + 76 * "-" + "+"
    print("\n".join([edge, *(f"| {line:<74} |" for line in lines), edge]))
