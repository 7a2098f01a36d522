"""Figures to play with: every choice drawn, in one piece of HTML that asks nobody."""

import base64
import contextlib
import json
import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from course_utils import explore


def bar(height: int, colour: str = "C0") -> Figure:
    "A bar whose height you choose."
    figure, ax = plt.subplots(figsize=(1, 1))
    ax.bar(0, height, color=colour)
    ax.set_ylim(0, 5)
    return figure


def html_of(**choices: object) -> str:
    return explore(bar, **choices)._repr_html_()  # type: ignore[arg-type]


def test_every_combination_is_a_frame() -> None:
    player = explore(bar, height=[1, 2, 3], colour=["C0", "C1"])
    assert len({frame.png for frame in player.frames}) == 6
    assert all(frame.png.startswith(b"\x89PNG") for frame in player.frames)


def draws_and_fails(height: int) -> Figure:
    bar(height)
    raise ArithmeticError


def draws_and_returns_axes(height: int) -> Figure:
    return bar(height).axes[0]  # type: ignore[return-value]


@pytest.mark.parametrize("draw", [bar, draws_and_fails, draws_and_returns_axes])
def test_no_figure_is_left_open(draw: Callable[..., Figure]) -> None:
    with contextlib.suppress(ArithmeticError, TypeError):
        explore(draw, height=[1, 2])
    assert plt.get_fignums() == []


def test_the_same_choices_give_the_same_html() -> None:
    assert html_of(height=[1, 2]) == html_of(height=[1, 2])
    assert html_of(height=[1, 2]) != html_of(height=[1, 3])


def test_numbers_get_a_slider_and_words_a_list() -> None:
    html = html_of(height=[1, 2.5], colour=["C0", "C1"])
    assert html.count('type="range"') == 1
    assert "<select><option>C0</option><option selected>C1</option></select>" in html


@pytest.mark.parametrize(
    "heights", [np.arange(3), torch.linspace(0, 1, 3), [np.float32(0.5)], range(3)]
)
def test_numbers_of_any_kind_get_a_slider(heights: Iterable[Any]) -> None:
    assert html_of(height=heights).count('type="range"') == 1


def test_it_first_stands_in_the_middle() -> None:
    html = html_of(height=[1, 2, 3])
    middle = base64.b64encode(explore(bar, height=[2]).frames[0].png).decode()
    assert f'<img src="data:image/png;base64,{middle}"' in html
    assert "<output>2</output>" in html


def test_equal_frames_are_stored_once() -> None:
    html = html_of(height=[1, 2, 1, 1])
    found = re.search(r"const data = (\{.*\});", html)
    assert found is not None
    assert json.loads(found[1])["places"] == [0, 1, 0, 0]
    assert len(json.loads(found[1])["pictures"]) == 2


def test_words_describe_the_figure() -> None:
    assert 'alt="A bar whose height you choose"' in html_of(height=[1])
    unnamed = explore(lambda height: bar(height), height=[1])
    assert 'alt="&lt;lambda&gt;"' in unnamed._repr_html_()


def test_titles_of_frames_are_told_too() -> None:
    html = explore(titled, height=[1, 2])._repr_html_()
    assert '"titles": ["bar 1", "bar 2 <\\/script>"]' in html.replace("<\\/b>", "")


def titled(height: int) -> Figure:
    figure = bar(height)
    figure.axes[0].set_title(f"bar {height}" + (height == 2) * " </script>")
    return figure


def test_words_of_authors_cannot_break_the_page() -> None:
    html = html_of(height=[1], colour=["C0"]).replace("C0", "")
    nasty = explore(lambda **_: bar(1), **{'a"><script>': ['"><b>', "</script>"]})
    HTMLParser().feed(nasty._repr_html_())
    assert nasty._repr_html_().count("<script>") == html.count("<script>") == 1


def test_it_asks_no_other_host() -> None:
    assert not re.search(
        r"https?://|src=\"(?!data:)|@import|url\(", html_of(height=[1])
    )


def test_a_notebook_without_html_shows_what_it_is() -> None:
    player = explore(bar, height=[1, 2])
    assert repr(player) == "<figure to play with: 2 frames, choose height>"


def test_frames_are_small() -> None:
    frame = explore(bar, height=[1]).frames[0]
    assert len(base64.b64encode(frame.png)) < 4000


def test_what_it_cannot_draw_it_names() -> None:
    with pytest.raises(ValueError, match="at least one choice"):
        explore(bar)
    with pytest.raises(ValueError, match="at least one value"):
        explore(bar, height=[])
    with pytest.raises(ValueError, match="make 300 frames"):
        explore(bar, height=range(300))
    with pytest.raises(TypeError, match="print returned NoneType"):
        explore(print, end=["", ""])  # type: ignore[arg-type]
