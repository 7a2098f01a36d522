"""Figures to play with: every choice drawn, in one piece of HTML that asks nobody."""

import base64
import contextlib
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import IPython
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from course_utils import drawing_board, explore
from run_notebooks import execute


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
    assert "<select><option selected>C0</option><option>C1</option></select>" in html


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


# From here on: the live figure, which stands in front of the player.


class Notebook:
    """What a kernel knows of the cell that it runs."""

    def __init__(self, asks: bool) -> None:
        self.asks = asks

    def get_parent(self) -> dict[str, Any]:
        return {"content": {"allow_stdin": self.asks}}


Live = Callable[..., list[Any]]


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    """Call explore as a reader's cell does; give the parts of the live figure."""
    module = importlib.import_module("course_utils.explore")
    show, shown = module._show_live, []

    def show_and_note(*what: Any) -> Any:
        shown.append(show(*what))
        return shown[-1]

    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook(asks=True))
    monkeypatch.setattr(IPython.display, "display", lambda view, raw: None)
    monkeypatch.setattr(module, "_show_live", show_and_note)

    def start(draw: Callable[..., Figure] = bar, **choices: Iterable[Any]) -> list[Any]:
        player = explore(draw, **choices)
        assert shown[-1]._dom_classes == (f"explore-live-{player.key}",)
        return list(shown[-1].children)

    return start


def texts_of(control: Any) -> list[str]:
    return [text for text, _ in control.options]


def test_a_live_figure_is_drawn_anew_for_every_choice(live: Live) -> None:
    picture, height = live(titled, height=[1, 2, 3])
    assert 'alt="titled (height 2): bar 2 &lt;/script&gt;"' in picture.value
    before = picture.value.partition("alt=")[0]
    height.value = 2
    assert 'alt="titled (height 3): bar 3"' in picture.value
    assert picture.value.partition("alt=")[0] != before
    assert plt.get_fignums() == []


def test_a_live_figure_has_the_controls_of_the_player(live: Live) -> None:
    _, height, colour = live(height=range(3), colour=["C0", "C1"])
    assert type(height).__name__ == "SelectionSlider"
    assert type(colour).__name__ == "Dropdown"
    assert (height.description, colour.description) == ("height", "colour")
    assert (height.value, colour.value) == (1, 0)
    assert (texts_of(height), texts_of(colour)) == (["0", "1", "2"], ["C0", "C1"])


@pytest.mark.parametrize(
    ("heights", "offered"),
    [
        ([0.001, 0.1, 1], 21),
        ([1, 0.5], 11),
        ([0.5], 1),
        ([1.0, float("inf")], 2),
        ([1, 3, 5], 3),
        ([True, False], 2),
        (["C0", "C1"], 2),
    ],
    ids=str,
)
def test_between_fractions_there_are_more(
    live: Live, heights: list[Any], offered: int
) -> None:
    control = live(lambda height: bar(1), height=heights)[1]
    texts = texts_of(control)
    assert len(texts) == offered
    assert texts[control.value] == str(heights[(len(heights) - 1) // 2]).removesuffix(
        ".0"
    )


def test_what_is_shown_is_what_is_drawn(live: Live) -> None:
    drawn: list[float] = []

    def note(height: float) -> Figure:
        drawn.append(height)
        return bar(1)

    control = live(note, height=[0.1, 0.3, 1.0])[1]
    drawn.clear()
    for number in range(21):
        control.value = number
    assert [str(height) for height in drawn[:3]] == ["0.1", "0.12", "0.14"]
    assert {0.1, 0.3, 1.0} < set(drawn)


def test_a_mistake_in_a_live_figure_is_one_sentence(live: Live) -> None:
    picture, height = live(flaky := Flaky(), height=[1, 2, 3])
    flaky.broken = True
    height.value = 2
    assert picture.value == (
        '<p role="alert">flaky cannot draw height 3: ArithmeticError: '
        "3 is &lt;b&gt;too&lt;/b&gt; much</p>"
    )
    flaky.broken = False
    height.value = 0
    assert "<img" in picture.value


class Flaky:
    """A function that a reader breaks and repairs while the figure is there."""

    __name__, broken = "flaky", False

    def __call__(self, height: int) -> Figure:
        if self.broken:
            raise ArithmeticError(f"{height} is <b>too</b> much\nand more")
        return bar(height)


def test_a_first_mistake_is_a_traceback_as_in_any_cell(live: Live) -> None:
    with pytest.raises(ArithmeticError):
        live(draws_and_fails, height=[1, 2, 3])


def test_without_ipywidgets_there_is_the_player(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert explore(bar, height=[1, 2])._repr_html_() == html_of(height=[1, 2])


@pytest.mark.parametrize(
    "notebook",
    [None, Notebook(asks=False), object()],
    ids=["no notebook", "nobody to ask", "no kernel"],
)
def test_without_a_reader_there_is_the_player(
    monkeypatch: pytest.MonkeyPatch, notebook: object
) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: notebook)
    monkeypatch.setattr(IPython.display, "display", pytest.fail)
    assert explore(bar, height=[1, 2]).frames


CELL = """\
import matplotlib.pyplot as plt
from course_utils import drawing_board, explore

explore(lambda size: plt.figure(figsize=(size, 1)), size=[1, 2])
"""


def test_a_program_that_runs_a_notebook_stores_the_player_alone() -> None:
    outputs = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
        execute(notebook, Path(__file__).parents[2], timeout=60)
        outputs.append(notebook.cells[0].outputs)
        assert "widgets" not in notebook.metadata
    (output,) = outputs[0]
    assert set(output.data) == {"text/html", "text/plain"}
    assert outputs[0] == outputs[1]


# The board to draw on


def shape_and_ink(picture: torch.Tensor) -> str:
    if picture.sum() > 700:
        raise ValueError("all white")
    return f"{tuple(picture.shape)}, {picture.sum():.0f}"


def test_without_a_reader_the_board_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook(asks=False))
    drawing_board(shape_and_ink)
    said = capsys.readouterr().out
    assert (
        said == "To draw here with a mouse or a finger, run this cell in a notebook.\n"
    )


def test_the_board_shows_what_the_function_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(IPython, "get_ipython", lambda: Notebook(asks=True))
    monkeypatch.setattr(IPython.display, "display", lambda *views: shown.extend(views))
    drawing_board(shape_and_ink)
    page, widget = shown
    field, said = widget.children
    side = int(re.findall(r'<canvas width="(\d+)"', page.data)[0])
    chalk, board = "ff" * side, "00" * side
    field.value = chalk * 8 + board * (side - 8)  # two rows of the drawing
    assert said.value == "(1, 1, 28, 28), 56"
    field.value = chalk * side
    assert said.value == "shape_and_ink cannot answer: ValueError: all white"
    assert set(re.findall(r"board-(\w{8})", page.data)) == set(
        re.findall(r"board-(\w{8})", str(field._dom_classes))
    )
