"""Checks of an open page: each returns a list of problems, empty when all is well."""

import gzip
import re
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Response

Rules = Literal["all", "of colour", "but colour"]
PICTURE_FILE = re.compile(r"\S+\.(png|jpe?g|svg|gif|webp)|\S*[/\\]\S*", re.IGNORECASE)

INLINE_PICTURE = re.compile(rb"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")

OVERFLOWING = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = node => {
    for (let box = node.parentElement; box && box !== document.body;
         box = box.parentElement)
      if (getComputedStyle(box).overflowX !== 'visible') return true;
    return false;
  };
  return [...document.body.querySelectorAll('*')]
    .filter(node => node.getBoundingClientRect().right > width + 1 && !scrolls(node))
    .map(node => node.outerHTML.slice(0, 120));
}"""

MATH = """() => {
  const unrendered = [...document.querySelectorAll('.math')]
    .filter(node => !node.querySelector('mjx-container'))
    .map(node => node.textContent.trim());
  const wrong = [...document.querySelectorAll('mjx-merror')]
    .map(node => node.getAttribute('title') || node.textContent);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const raw = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent;
    const aside = walker.currentNode.parentElement.closest(
      'pre, code, script, style, textarea, .math, mjx-container');
    if (!aside && /\\\\[(\\[]|\\$\\$/.test(text)) raw.push(text.trim());
  }
  return {unrendered, wrong, raw};
}"""

PICTURES = """() => [...document.querySelectorAll('article img')]
  .map(picture => ({alt: picture.getAttribute('alt'),
                    source: picture.getAttribute('src').slice(0, 80)}))"""

LINKS = "() => [...document.querySelectorAll('a[href]')].map(link => link.href)"

ICONS = """async () => {
  await document.fonts.ready;
  const seen = [...document.querySelectorAll('[class*="fa-"]')]
    .filter(icon => icon.checkVisibility());
  const bare = seen.filter(
    icon => ['none', 'normal'].includes(getComputedStyle(icon, '::before').content));
  const fonts = seen.length
    && !document.fonts.check('900 16px "Font Awesome 6 Free"') ? ['the font'] : [];
  return [...fonts, ...bare.map(icon => icon.className)];
}"""

FOLDS = """() => ({
  open: [...document.querySelectorAll('.tag_solution')]
    .filter(cell => !cell.querySelector('details:not([open])'))
    .map(cell => cell.textContent.trim().slice(0, 80)),
  others: [...document.querySelectorAll('details.hide')]
    .filter(fold => !fold.closest('.tag_solution, .tag_hide-input'))
    .map(fold => fold.textContent.trim().slice(0, 80)),
})"""

UNCOPYABLE = """() => [...document.querySelectorAll('.cell_input div.highlight')]
  .filter(block => !block.querySelector('button.copybtn'))
  .map(block => block.textContent.trim().slice(0, 80))"""

FRAME = """() => ({
  language: document.documentElement.lang,
  titles: [...document.querySelectorAll('h1')]
    .filter(title => title.checkVisibility()).length,
  mains: document.querySelectorAll('main').length,
  skips: document.querySelectorAll('.skip-link a[href="#main-content"]').length,
})"""


# Thousands of words of code have a few dozen colours, which follow from their classes.
ALIKE = """() => {
  const seen = new Set();
  for (const word of document.querySelectorAll('.highlight span[class]')) {
    const block = word.closest('.highlight').parentElement;
    const kind = `${word.className} in ${block.className}`;
    word.toggleAttribute('data-alike', seen.has(kind));
    seen.add(kind);
  }
}"""


def weight_problems(answers: list[Response], limit: int = 1_500_000) -> list[str]:
    """Say what a page asks of a reader who pays for each byte, if it is too much.

    Counted is what travels: web servers compress text. Frames of a figure to play with
    stand in the page's own text and are not counted.
    """
    sizes = {answer.url: travelling(answer) for answer in answers}
    total = sum(sizes.values())
    heaviest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
    parts = ", ".join(f"{sizes[url] / 1e6:.2f} MB {url}" for url in heaviest)
    return [f"the page weighs {total / 1e6:.2f} MB: {parts}"] if total > limit else []


def travelling(answer: Response) -> int:
    """How many bytes of an answer a web server sends."""
    body = INLINE_PICTURE.sub(b"", answer.body())
    is_text = re.search("text|javascript|json|svg", answer.headers["content-type"])
    return len(gzip.compress(body) if is_text else body)


def overflow_problems(page: Page, width: int) -> list[str]:
    """Say what makes the page scroll sideways at one width."""
    page.set_viewport_size({"width": width, "height": 900})
    return [f"wider than {width} px: {node}" for node in page.evaluate(OVERFLOWING)]


def math_problems(page: Page) -> list[str]:
    """Say which formulas are still TeX, or are wrong TeX."""
    found: dict[str, list[str]] = page.evaluate(MATH)
    return [
        *(f"formula not drawn: {text}" for text in found["unrendered"] + found["raw"]),
        *(f"formula with an error: {text}" for text in found["wrong"]),
    ]


def access_problems(page: Page, rules: Rules = "all") -> list[str]:
    """Say what axe-core finds serious or critical.

    Colours take it four fifths of the time, so of all words of code that have the same
    class only the first is looked at. Colours change with the theme and not with the
    width of the page, all else with the width and not with the theme.
    """
    # No preload: axe would ask for imported style sheets at wrong addresses.
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
    if rules == "of colour":
        options["runOnly"] = ["color-contrast"]
    elif rules == "but colour":
        options["rules"] = {"color-contrast": {"enabled": False}}
    context = None
    if rules == "of colour":
        page.evaluate(ALIKE)
        context = {"exclude": [["[data-alike]"]]}
    violations = Axe().run(page, context, options).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['html'][:160]}"
        for violation in violations
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


def picture_problems(page: Page) -> list[str]:
    """Say which pictures have no words for those who cannot see them."""
    return [
        f"picture without a description: {picture['source']} (alt: {picture['alt']})"
        for picture in page.evaluate(PICTURES)
        if not (picture["alt"] or "").strip() or PICTURE_FILE.fullmatch(picture["alt"])
    ]


def link_problems(page: Page, wanted: list[str]) -> list[str]:
    """Say which links are missing; the end of an address may differ."""
    links: list[str] = page.evaluate(LINKS)
    return [
        f"no link to {address}"
        for address in wanted
        if not any(link.startswith(address) for link in links)
    ]


def icon_problems(page: Page) -> list[str]:
    """Say which icons are empty."""
    return [f"icon not drawn: {name}" for name in page.evaluate(ICONS)]


def fold_problems(page: Page) -> list[str]:
    """Say which solutions lie open, and what else is folded but drawings."""
    found: dict[str, list[str]] = page.evaluate(FOLDS)
    return [
        *(f"solution in plain sight: {text}" for text in found["open"]),
        *(
            f"folded, but neither a solution nor a drawing: {text}"
            for text in found["others"]
        ),
    ]


def copy_problems(page: Page) -> list[str]:
    """Say which code cells have no button to copy them."""
    return [f"no copy button: {text}" for text in page.evaluate(UNCOPYABLE)]


def frame_problems(page: Page) -> list[str]:
    """Say what a screen reader would miss about the page as a whole."""
    found: dict[str, Any] = page.evaluate(FRAME)
    problems = [] if found["language"] == "en" else ["the page names no language"]
    for part, name in (("titles", "h1"), ("mains", "main"), ("skips", "skip link")):
        if found[part] != 1:
            problems.append(f"{found[part]} times {name} and not once")
    return problems
