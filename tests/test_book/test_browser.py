"""The finished pages in a real browser, and proof that the checks see damage."""

import functools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from string import ascii_letters

import pytest
from playwright.sync_api import Browser

from publish_as import repository_slug
from test_book import page_checks as checks
from test_book.browsing import (
    SWITCH,
    Visit,
    browser_is_required,
    served,
    visit,
)
from test_book.builds import ROOT, all_pages, chapters

WIDTHS = (360, 768, 1440)
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def site(book_html: Path) -> Iterator[str]:
    with served(book_html) as base:
        yield base


def report(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(dict.fromkeys(problems))


def take_screenshot(seen: Visit, name: str, theme: str, width: int) -> None:
    if folder := os.environ.get("COURSE_SCREENSHOTS"):
        file = Path(folder) / f"{name.replace('/', '-')}-{theme}-{width}.png"
        seen.page.screenshot(path=file, full_page=True)


# The pages come from one theme, so the rules that are slow to check and not about
# colour are checked on one page of each kind. Colours are checked on all pages.
KINDS = (
    all_pages()[0],
    chapters()[0],
    "book/glossary",
    "book/api",
    "book/results",
)


@pytest.mark.parametrize("name", all_pages())
def test_page(browser: Browser, site: str, name: str) -> None:
    # Narrow first: what scrolls on a phone can be reached by key as soon as a page is
    # open, but only a moment after its window has become narrow.
    with visit(browser, site, width=WIDTHS[0]) as seen:
        seen.open(f"{name}.html")
        problems = checks.weight_problems(seen.answers)
        # What is hidden or scrolls on a narrow screen is not what is on a wide one.
        for width in (WIDTHS[0], WIDTHS[-1]) if name in KINDS else ():
            seen.page.set_viewport_size({"width": width, "height": 900})
            problems += checks.access_problems(seen.page, "but colour")
        for check in (
            checks.math_problems,
            checks.picture_problems,
            checks.icon_problems,
            checks.frame_problems,
        ):
            problems += check(seen.page)
        seen.page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
        for theme in THEMES:
            seen.page.evaluate(SWITCH, theme)
            problems += checks.access_problems(seen.page, "of colour")
            for width in WIDTHS:
                problems += checks.overflow_problems(seen.page, width)
                take_screenshot(seen, name, theme, width)
        if name in chapters():
            problems += checks.link_problems(seen.page, chapter_links(site, name))
            problems += checks.copy_problems(seen.page)
            problems += checks.fold_problems(seen.page)
            open_solutions_by_keyboard(seen)
        report(problems + seen.problems)


def chapter_links(site: str, name: str) -> list[str]:
    slug = repository_slug(ROOT)
    colab = f"https://colab.research.google.com/github/{slug}/blob/main"
    return [
        f"{colab}/{name}.ipynb",
        f"https://github.com/{slug}/raw/main/{name}.ipynb",
        f"https://github.com/{slug}/edit/main/{name}.ipynb",
        f"https://github.com/{slug}/issues/new?",
        f"{site}_sources/{name}.ipynb",
    ]


def open_solutions_by_keyboard(seen: Visit) -> None:
    folds = seen.page.locator(".tag_solution details")
    assert folds.count() > 0, "The chapter has no solution"
    for fold in folds.all():
        code = fold.locator(".cell_input").first
        assert not code.is_visible()
        fold.locator("summary").press("Enter")
        assert code.is_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_a_chosen_theme_is_kept(browser: Browser, site: str, theme: str) -> None:
    with visit(browser, site, theme) as seen:
        seen.open(f"{all_pages()[0]}.html")
        assert seen.page.evaluate("document.documentElement.dataset.theme") == theme


def test_search_finds_a_word(browser: Browser, site: str) -> None:
    with visit(browser, site) as seen:
        seen.open("search.html?q=tensor")
        seen.page.locator("#search-results li a").first.wait_for()
        report(checks.access_problems(seen.page) + seen.problems)


def test_theme_switch(browser: Browser, site: str) -> None:
    with visit(browser, site) as seen:
        seen.open(f"{all_pages()[0]}.html")
        switch = seen.page.locator(".theme-switch-button:visible").first
        met = set()
        for _ in range(3):  # light, dark, and what the reader's system prefers
            switch.click()
            met.add(seen.page.evaluate("document.documentElement.dataset.mode"))
        assert met == {"light", "dark", "auto"}
        report(seen.problems)


# From here on: pages with one fault each, which the checks must find.

HEALTHY = """<!doctype html><html lang="en"><head><title>A page</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<style>body {{ color: #111; background: #fff }}</style></head><body>
<div class="skip-link"><a href="#main-content">Skip</a></div>
<main id="main-content"><h1>A page</h1><article><p>Text.</p>{fault}</article></main>
</body></html>"""

OUTSIDE = "http://course.invalid"

# fault, and what the report must say about it
FAULTS: dict[str, tuple[str, str]] = {
    "outside picture": (f'<img src="{OUTSIDE}/a.png" alt="A cat">', "another host"),
    "outside script": (f'<script src="{OUTSIDE}/a.js"></script>', "another host"),
    "outside font": (
        f'<style>@font-face {{font-family: F; src: url("{OUTSIDE}/f.woff2")}} '
        "p {font-family: F}</style>",
        "f.woff2",
    ),
    "console error": ("<script>console.error('lost')</script>", "lost"),
    "page error": ("<script>throw new Error('broke')</script>", "page error: broke"),
    "missing file": ('<script src="no_such.js"></script>', "no_such.js"),
    "too wide": ('<p style="width: 2000px">wide</p>', "wider than 360 px: <p"),
    "picture without alt": ('<img src="data:," width="9" height="9">', "image-alt"),
    "file name as alt": (
        '<img src="data:," alt="../_images/f0da.png">',
        "picture without a description",
    ),
    "low contrast": ('<p style="color: #ccc">pale</p>', "color-contrast"),
    "low contrast in code": (
        '<div class="highlight"><pre><span class="k">if</span> '
        '<span class="c" style="color: #ccc">pale</span></pre></div>',
        "color-contrast",
    ),
    "formula not drawn": ('<span class="math">\\(x\\)</span>', "not drawn: \\(x\\)"),
    "raw formula": ("<p>where $$x^2$$ is</p>", "not drawn: where"),
    "wrong formula": (
        '<span class="math"><mjx-container><mjx-merror title="Undefined \\foo">'
        "?</mjx-merror></mjx-container></span>",
        "Undefined \\foo",
    ),
    "second title": ("<h1>Again</h1>", "2 times h1"),
    "solution in plain sight": (
        '<div class="tag_solution"><details open>42</details></div>',
        "plain sight",
    ),
    "fold that is no solution": (
        '<details class="hide"><summary>S</summary>42</details>',
        "neither a solution",
    ),
    "code without copy button": (
        '<div class="cell_input"><div class="highlight">6 * 7</div></div>',
        "no copy button: 6 * 7",
    ),
    "heavy page": (
        f"<script>/* {''.join(random.Random(0).choices(ascii_letters, k=2_200_000))} */"
        "</script>",
        "the page weighs",
    ),
    "empty icon": ('<i class="fa-solid fa-cat">?</i>', "icon not drawn"),
}


def all_problems(browser: Browser, folder: Path, fault: str) -> list[str]:
    (folder / "page.html").write_text(HEALTHY.format(fault=fault), encoding="utf-8")
    page_only: tuple[Callable[..., list[str]], ...] = (
        functools.partial(checks.access_problems, rules="but colour"),
        functools.partial(checks.access_problems, rules="of colour"),
        checks.math_problems,
        checks.picture_problems,
        checks.icon_problems,
        checks.frame_problems,
        checks.fold_problems,
        checks.copy_problems,
    )
    with served(folder) as base, visit(browser, base) as seen:
        seen.open("page.html", until="load")  # nothing on it comes later
        problems = [problem for check in page_only for problem in check(seen.page)]
        problems += checks.weight_problems(seen.answers)
        return problems + checks.overflow_problems(seen.page, 360) + seen.problems


def test_healthy_page_has_no_problems(browser: Browser, tmp_path: Path) -> None:
    report(all_problems(browser, tmp_path, fault=""))


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(browser: Browser, tmp_path: Path, name: str) -> None:
    fault, words = FAULTS[name]
    problems = all_problems(browser, tmp_path, fault)
    assert any(words in problem for problem in problems), problems


def test_missing_link_is_found(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(HEALTHY.format(fault=""), encoding="utf-8")
    with served(tmp_path) as base, visit(browser, base) as seen:
        seen.open("page.html")
        wanted = f"{OUTSIDE}/chapter.ipynb"
        assert checks.link_problems(seen.page, [wanted]) == [f"no link to {wanted}"]


def test_continuous_integration_needs_a_browser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for setting, value in (("CI", "true"), ("COURSE_REQUIRE_BROWSER", "1")):
        monkeypatch.delenv("CI", raising=False)
        monkeypatch.delenv("COURSE_REQUIRE_BROWSER", raising=False)
        assert not browser_is_required()
        monkeypatch.setenv(setting, value)
        assert browser_is_required()
