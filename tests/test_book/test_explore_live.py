"""Figures to play with, moved in a browser: in the book, in JupyterLab, in a file."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Locator, Page, expect

from canonical_form import METADATA
from course_utils import explore
from test_book import page_checks as checks
from test_book.browsing import (
    PATIENCE,
    SWITCH,
    served,
    visit,
)
from test_book.builds import ROOT, chapters

SOURCE = """\
import matplotlib.pyplot as plt
from course_utils import explore


def bar(height, colour):
    "A bar whose height you choose."
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.bar(0, height, color=colour)
    return figure


explore(bar, height=[1.0, 2.0, 4.0], colour=["navy", "red"])
"""
START = "A bar whose height you choose (height 2, colour navy)"


def wait_until(is_so: Callable[[], object], what: str, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(0.05)


def state(figure: Locator) -> tuple[str | None, str | None]:
    """The picture and the words for it."""
    picture = figure.locator("img")
    return picture.get_attribute("src"), picture.get_attribute("alt")


def moves(figure: Locator, act: Callable[[], object]) -> None:
    """Demand that both the picture and the words for it change."""
    before = state(figure)
    act()
    wait_until(
        lambda: all(a != b for a, b in zip(state(figure), before, strict=True)),
        "the figure moved",
    )


def move_by_key_and_touch(figure: Locator) -> None:
    sliders = figure.locator("input[type=range]")
    if sliders.count() == 0:  # all its choices are names
        names = figure.locator("select").first
        now, count = names.evaluate("select => [select.selectedIndex, select.length]")
        moves(figure, lambda: names.select_option(index=(now + 1) % count))
        return
    slider = sliders.first
    box = slider.bounding_box()
    assert box is not None
    moves(figure, lambda: slider.press("End"))  # it never stands there at first
    moves(figure, lambda: slider.press("Home"))
    assert slider.get_attribute("aria-valuetext")
    far = {"x": box["width"] - 4, "y": box["height"] / 2}
    moves(figure, lambda: slider.click(position=far))  # type: ignore[arg-type]
    moves(figure, lambda: slider.press("ArrowLeft"))


# The built book


def test_in_the_book(browser: Browser, book_html: Path) -> None:
    names = [n for n in chapters() if 'class="explore"' in page_of(book_html, n)]
    assert names, "no chapter has a figure to play with"
    with served(book_html) as base, visit(browser, base) as seen:
        for name in names:
            seen.open(f"{name}.html")
            figures = seen.page.locator(".explore").all()
            for figure in figures:
                others = [state(other) for other in figures if other != figure]
                move_by_key_and_touch(figure)
                assert [state(f) for f in figures if f != figure] == others
            for theme in ("light", "dark"):
                seen.page.evaluate(SWITCH, theme)
                assert all(legible(figure) for figure in figures)
        assert checks.access_problems(seen.page, "but colour") == []
        assert seen.problems == []


def test_the_board_in_the_book(browser: Browser, book_html: Path) -> None:
    (name,) = [n for n in chapters() if 'class="board"' in page_of(book_html, n)]
    with served(book_html) as base, visit(browser, base) as seen:
        seen.open(f"{name}.html")
        board = seen.page.locator(".board")
        status = board.locator("[role=status]")
        expect(status).to_contain_text("reads a 2")  # the example, centred
        draw_three(seen.page, board.locator(".board-sheet"))
        expect(status).to_contain_text("reads a 3")
        for theme in ("light", "dark"):
            seen.page.evaluate(SWITCH, theme)
            assert legible(board)
        assert checks.access_problems(seen.page, "but colour") == []
        assert seen.problems == []


def draw_three(page: Page, sheet: Locator) -> None:
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None
    across = (0.35, 0.45, 0.55, 0.63, 0.6, 0.5, 0.6, 0.66, 0.6, 0.48, 0.36)
    down = (0.3, 0.22, 0.22, 0.3, 0.4, 0.47, 0.52, 0.62, 0.74, 0.78, 0.72)
    for number, (x, y) in enumerate(zip(across, down, strict=True)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def page_of(book: Path, name: str) -> str:
    return (book / f"{name}.html").read_text(encoding="utf-8")


LEGIBLE = """figure => {
  const light = colour => colour.match(/[\\d.]+/g).slice(0, 3)
    .reduce((sum, part) => sum + Number(part), 0) / 765;
  const letters = getComputedStyle(figure.querySelector('label')).color;
  for (let box = figure; box; box = box.parentElement) {
    const ground = getComputedStyle(box).backgroundColor;
    if (!/, 0\\)|transparent/.test(ground))
      return Math.abs(light(letters) - light(ground)) > 0.4;
  }
  return light(letters) < 0.6;
}"""


def legible(figure: Locator) -> object:
    """Whether letters stand out from what is behind them."""
    return figure.evaluate(LEGIBLE)


# An exported notebook, opened as a file where there is no network


def bar(height: float, colour: str = "navy") -> Figure:
    "A bar whose height you choose."
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.bar(0, height, color=colour)
    ax.set_ylim(0, 5)
    return figure


def saved_cell(**choices: Iterable[Any]) -> Any:
    """A cell as JupyterLab saves it."""
    player = {"text/html": explore(bar, **choices)._repr_html_()}
    output: Any = nbformat.v4.new_output
    return nbformat.v4.new_code_cell(outputs=[output("execute_result", player)])


def test_in_an_exported_file(browser: Browser, tmp_path: Path) -> None:
    cells = [
        saved_cell(height=[1, 2, 3]),
        saved_cell(height=[1, 2, 4], colour=["navy", "red"]),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    exporter: Any = HTMLExporter
    page, _ = exporter().from_notebook_node(notebook)
    (tmp_path / "exported.html").write_text(page, encoding="utf-8")
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.route(re.compile("^https?:"), lambda route: route.abort())
    tab.goto((tmp_path / "exported.html").as_uri(), wait_until="domcontentloaded")
    first, second = tab.locator(".explore").all()
    still = state(second)
    move_by_key_and_touch(first)
    assert state(second) == still
    moves(second, lambda: second.locator("select").select_option("red"))
    move_by_key_and_touch(second)
    context.close()


# JupyterLab, with a kernel and then without


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Start JupyterLab on this machine only, away from the user's own settings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        f"{name}_DIR": str(folder / "settings")
        for name in ("JUPYTER_CONFIG", "JUPYTER_DATA", "JUPYTER_RUNTIME")
    } | {"IPYTHONDIR": str(folder / "settings"), "PYTHONPATH": str(ROOT)}
    options = [
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
        # The other manager of extensions would ask a package registry.
        *("--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={folder}"),
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options],
        env={**os.environ, **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}/"
        wait_until(lambda: answers(f"{base}api"), "JupyterLab answered")
        yield base
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()  # its kernels notice, and end by themselves
            server.wait()


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


def open_notebook(tab: Page, base: str) -> list[Locator]:
    """Open the notebook with a kernel that is ready; give its first two cells."""
    tab.goto(f"{base}lab/tree/figures.ipynb?reset")
    tab.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    cells = tab.locator(".jp-Notebook .jp-Cell")
    return [cells.nth(0), cells.nth(1)]


def run_cell(tab: Page, cell: Locator) -> None:
    """Run a cell, and again where JupyterLab lost the order: it does so early on."""
    prompt = cell.locator(".jp-InputPrompt")

    def has_run() -> bool:
        if prompt.inner_text().strip() == "[ ]:":
            cell.locator(".jp-InputArea-editor").click()
            tab.keyboard.press("Shift+Enter")
            tab.wait_for_timeout(1000)
        return any(letter.isdigit() for letter in prompt.inner_text())

    wait_until(has_run, "the cell was run")


@contextmanager
def open_in_jupyterlab(
    browser: Browser, folder: Path, *sources: str
) -> Iterator[tuple[Page, str, list[Locator]]]:
    """A notebook with these cells: its tab, the address, and the cells."""
    cells = [nbformat.v4.new_code_cell(text) for text in (*sources, "1 + 1")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    nbformat.write(notebook, folder / "figures.ipynb")
    with jupyterlab(folder) as base:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(PATIENCE)
        tab.route(re.compile(f"^https?:(?!{base[5:]})"), lambda route: route.abort())
        # On a busy machine it may ask which kernel is meant before it knows of any.
        accept = tab.locator(".jp-Dialog .jp-mod-accept")
        tab.add_locator_handler(accept, lambda button: button.click())
        yield tab, base, open_notebook(tab, base)
        tab.close()


BOARD = """\
import torch
from torch import nn
from course_utils import drawing_board

# Class 1 adds up the ink on the left, class 2 that on the right.
layer = nn.Linear(784, 10)
with torch.no_grad():
    layer.weight.zero_()
    layer.bias.zero_()
    halves = layer.weight.reshape(10, 28, 28)
    halves[1, :, :14] = 1
    halves[2, :, 14:] = 1
drawing_board(nn.Sequential(nn.Flatten(), layer))
"""


def test_in_jupyterlab(browser: Browser, tmp_path: Path) -> None:
    with open_in_jupyterlab(browser, tmp_path, SOURCE, BOARD) as (tab, base, cells):
        figure, board = cells
        run_cell(tab, figure)
        check_player(figure)
        run_cell(tab, board)
        check_board(tab, board)
        tab.keyboard.press("Control+s")
        saved = tmp_path / "figures.ipynb"
        wait_until(lambda: "data-explore" in saved.read_text(), "it was saved")
        # Opened again, both work without a kernel that has run their cells.
        tab.goto("about:blank")
        for session in tab.request.get(f"{base}api/sessions").json():
            tab.request.delete(f"{base}api/sessions/{session['id']}")
        figure, board = open_notebook(tab, base)
        check_player(figure)
        check_board(tab, board)


def check_board(tab: Page, board: Locator) -> None:
    """Draw with the mouse and with keys, and read what the page says to it."""
    sheet, status = board.locator(".board-sheet"), board.locator("[role=status]")
    sheet.wait_for()
    expect(status).to_contain_text("reads a ")  # the example
    centre = board.locator("input")
    centre.uncheck()
    draw_down(tab, sheet, across=0.75)
    expect(status).to_contain_text("reads a 2")
    board.get_by_role("button", name="wipe the board").click()
    expect(status).to_contain_text("The board is empty")
    draw_down(tab, sheet, across=0.25)
    expect(status).to_contain_text("reads a 1")
    assert columns_with_ink(board)[1] < 14
    centre.check()
    left, right = columns_with_ink(board)
    assert left + right in (27, 28)  # in the middle
    sheet.press("Backspace")
    draw_down(tab, sheet, across=0.5, down=0.03)
    expect(status).to_contain_text("too small")
    sheet.press("Delete")
    centre.uncheck()
    sheet.focus()
    for key in [*5 * ["ArrowRight"], " ", *8 * ["ArrowDown"]]:
        tab.keyboard.press(key)
    expect(status).to_contain_text("reads a ")


def columns_with_ink(board: Locator) -> tuple[int, int]:
    """The first and the last column of the network's image that has ink."""
    pixels = board.locator(".board-seen").evaluate(
        "seen => Array.from(seen.getContext('2d').getImageData(0, 0, 28, 28).data)"
    )
    columns = [at % 28 for at, value in enumerate(pixels[::4]) if value]
    return min(columns), max(columns)


def draw_down(tab: Page, sheet: Locator, across: float, down: float = 0.6) -> None:
    """Draw a line downwards, at this part of the board's width."""
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None
    x = box["x"] + across * box["width"]
    tab.mouse.move(x, box["y"] + 0.2 * box["height"])
    tab.mouse.down()
    tab.mouse.move(x, box["y"] + (0.2 + down) * box["height"], steps=4)
    tab.mouse.up()


def check_player(cell: Locator) -> None:
    """Move the player with keys, which JupyterLab must not take for its own."""
    player = cell.locator(".explore")
    player.wait_for()
    assert state(player)[1] == START
    slider = player.locator("input")
    moves(player, lambda: slider.press("ArrowDown"))
    moves(player, lambda: slider.press("ArrowRight"))
    assert "jp-mod-active" in str(cell.get_attribute("class"))
    moves(player, lambda: player.locator("select").press("ArrowDown"))
