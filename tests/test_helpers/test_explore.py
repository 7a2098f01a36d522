"""Figures to play with: every choice drawn, in one piece of HTML that asks nobody."""

import base64
import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from course_utils import drawing_board, explore


def bar(height: int, colour: str = "C0") -> Figure:
    "A bar whose height you choose."
    figure, ax = plt.subplots(figsize=(1, 1))
    ax.bar(0, height, color=colour)
    ax.set_ylim(0, 5)
    return figure


def html_of(**choices: object) -> str:
    return explore(bar, **choices)._repr_html_()  # type: ignore[arg-type]


def data_in(html: str) -> Any:
    """What the script of a player knows: its images, their places and titles."""
    found = re.search(r"const data = (\{.*\});", html)
    assert found is not None
    return json.loads(found[1])


def test_every_combination_is_a_small_frame_and_no_figure_is_left_open() -> None:
    images = data_in(html_of(height=[1, 2, 3], colour=["C0", "C1"]))["pictures"]
    assert len(images) == 6
    assert all(image.startswith("data:image/png;base64,iVBOR") for image in images)
    assert max(map(len, images)) < 4000
    assert plt.get_fignums() == []


def test_the_same_choices_give_the_same_html() -> None:
    assert html_of(height=[1, 2]) == html_of(height=[1, 2])


def test_numbers_get_a_slider_and_words_a_list() -> None:
    html = html_of(height=[1, 2.5], colour=["C0", "C1"])
    assert html.count('type="range"') == 1
    assert "<select><option selected>C0</option><option>C1</option></select>" in html


@pytest.mark.parametrize(
    "heights", [np.arange(3), [0.25, 1.0], [np.float32(0.5)], range(3)]
)
def test_numbers_of_any_kind_get_a_slider(heights: Iterable[Any]) -> None:
    assert html_of(height=heights).count('type="range"') == 1


def test_it_first_stands_in_the_middle() -> None:
    html = html_of(height=[1, 2, 3], colour=["C0", "C1", "C2", "C3"])
    (middle,) = data_in(html_of(height=[2], colour=["C1"]))["pictures"]
    assert f'<img src="{middle}"' in html
    assert "<output>2</output>" in html


def test_equal_frames_are_stored_once() -> None:
    data = data_in(html_of(height=[1, 2, 1, 1]))
    assert data["places"] == [0, 1, 0, 0]
    assert len(data["pictures"]) == 2


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


@pytest.mark.parametrize(("heights", "count"), [([], 0), (range(300), 300)])
def test_too_few_or_too_many_frames_are_refused(
    heights: Iterable[int], count: int
) -> None:
    with pytest.raises(ValueError, match=f"^{count} frames: offer 1 to 200$"):
        explore(bar, height=heights)


# The board to draw on


def mlp() -> nn.Sequential:
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Dropout(0.1))
    return nn.Sequential(nn.Flatten(), hidden, nn.Linear(32, 10))


def layers_in(page: str) -> Any:
    """The network that a board holds."""
    found = re.search(r"const layers = (\[.*\]);", page)
    assert found is not None
    return json.loads(found[1])


def test_the_board_holds_the_network() -> None:
    model = mlp().eval()
    numbers = torch.rand(500, 784)
    scores = model(numbers).detach()
    for layer in layers_in(drawing_board(model).page):
        whole = np.frombuffer(base64.b64decode(layer["weight"]), dtype=np.int8)
        rows = torch.tensor(whole).reshape(-1, layer["inputs"])
        step, bias = torch.tensor(layer["step"]), torch.tensor(layer["bias"])
        numbers = numbers.relu() @ (step[:, None] * rows).T + bias
    assert (numbers - scores).abs().max() < 0.1 * scores.std()
    assert (numbers.argmax(dim=1) == scores.argmax(dim=1)).float().mean() > 0.98


def test_the_same_network_gives_the_same_board_in_few_bytes() -> None:
    page = drawing_board(mlp()).page
    assert page == drawing_board(mlp()).page
    assert len(page) < 4 / 3 * 784 * 32 + 16_000


def test_the_board_asks_no_other_host() -> None:
    page = drawing_board(mlp()).page
    assert not re.search(r"https?://|src=|@import|url\(", page)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(100, 10)),
        nn.Sequential(nn.Flatten(), nn.Linear(784, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(784, 9), nn.Tanh(), nn.Linear(9, 10)),
    ],
    ids=["no layer", "other images", "other classes", "other activation"],
)
def test_other_networks_are_refused(model: nn.Sequential) -> None:
    with pytest.raises(ValueError, match="MLP from 784 pixels to 10 digits"):
        drawing_board(model)
