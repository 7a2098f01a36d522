"""The page of chapter 14, which answers without Python, says what Python says."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from canonical_form import load, parse
from test_book.browsing import NO_BROWSER, browser_is_required, browser_path, launch

CHAPTER = Path(__file__).parents[2] / "notebooks" / "14_shipping_a_model.ipynb"
ANSWER = re.compile(r"Python says (\w+) (\d+)%, this page says (\w+) (\d+)%, \w+ \d+%")


def stored_page() -> str:
    """The HTML that the chapter stores, as the book shows it."""
    found = [
        output.data["text/html"]
        for cell in parse(load(CHAPTER)).cells
        for output in cell.get("outputs", [])
        if "try-model" in output.get("data", {}).get("text/html", "")
    ]
    assert len(found) == 1
    return "".join(found[0])


def said(page: Page) -> str:
    return page.locator("[role=status]").inner_text()


def test_page_answers_from_a_file_as_python_does(tmp_path: Path) -> None:
    if browser_path() is None:
        if browser_is_required():
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    file = tmp_path / "page.html"
    file.write_text(stored_page(), encoding="utf-8")
    asked: list[str] = []
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        page = chromium.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(file.as_uri())
        buttons = page.locator(".try-model button")
        assert buttons.count() == 11
        for number in range(11):
            buttons.nth(number).click()
            answer = ANSWER.match(said(page))
            assert answer, said(page)
            python, python_chance, here, chance = answer.groups()
            assert python == here
            assert abs(int(python_chance) - int(chance)) <= 1

        own = tmp_path / "own.svg"
        own.write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60">'
            '<rect width="90" height="60" fill="green"/></svg>',
            encoding="utf-8",
        )
        page.set_input_files("input[type=file]", own)
        page.get_by_text("This page says").wait_for()
        chromium.close()
    assert not [url for url in asked if url.startswith("http")]


@pytest.mark.parametrize("word", ["http://", "https://", "import(", "fetch("])
def test_page_asks_nobody_else(word: str) -> None:
    assert word not in stored_page()
