"""What the finished pages need and Jupyter Book has no setting for."""

import importlib.util
import inspect
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Union

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.ext.autodoc.mock import _MockObject
from sphinx.util.inspect import stringify_signature

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = "notebooks/"
FOLDS = {"content": "solution", "source": "code"}

# What course_utils imports at its top.
MOCKED = ["matplotlib", "numpy", "PIL", "pooch", "torch", "torchvision", "tqdm"]
INNER_MODULE = re.compile(r"\btorch(\.[a-z_]+)+\.(?=\w)")

# The package sphinx-mathjax-offline would copy 23 MB into the site. A page can ask
# for one script, its fonts and the small TeX extensions, and for no more.
MATHJAX_PARTS = (
    "tex-chtml.js",
    "output/chtml/fonts/woff-v2",
    "input/tex/extensions",
)


def packaged_mathjax() -> Path:
    """Find MathJax in the installed package."""
    # The package's name has hyphens, so no import statement can name it.
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError(
            "The book needs the package sphinx-mathjax-offline to show formulas "
            "without a network: install it with  pip install -e '.[book]'"
        )
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy what the pages use of MathJax into the finished site."""
    if error is not None or app.builder.format != "html":
        return
    source, target = packaged_mathjax(), Path(app.outdir, "_static", "mathjax")
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target / part)


def name_folds(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Say what a fold holds, also to a screen reader.

    MyST-NB names every fold "Toggle hidden content", which hides "Show the solution"
    from everybody who listens to the page.
    """
    if "body" not in context:
        return
    spoken = ' aria-label="Toggle hidden content"'
    context["body"] = context["body"].replace(spoken, "")
    for word, name in FOLDS.items():
        for verb in ("Show", "Hide"):
            context["body"] = context["body"].replace(
                f">{verb} the {word}</p>", f">{verb} the {name}</p>"
            )


def drop_idle_mathjax(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Leave MathJax out of a page without formulas.

    Sphinx loads it on the first page too, since pages listed there have formulas.
    """
    if 'class="math ' not in context.get("body", ""):
        scripts = context["script_files"]
        scripts[:] = [file for file in scripts if "mathjax/" not in str(file.filename)]


def tell_place(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Say above a chapter's title how far into the course it is."""
    chapters = sorted(name for name in app.env.found_docs if name.startswith(CHAPTERS))
    if page in chapters and "body" in context:
        place = f"Chapter {chapters.index(page) + 1} of {len(chapters)}"
        meter = f'<progress value="{chapters.index(page) + 1}" max="{len(chapters)}"'
        line = f'<p class="chapter-place">{place} {meter} aria-label="{place}">'
        context["body"] = context["body"].replace(
            "<h1>", f"{line}</progress></p>\n<h1>", 1
        )


def find_helpers(app: Sphinx) -> None:
    """Let autodoc import the helpers, and nothing that they stand on.

    A book is built without PyTorch, and is to be the same where PyTorch is.
    """
    sys.path.insert(0, str(ROOT))
    app.config.autodoc_mock_imports = MOCKED
    # Sphinx's stand-ins for a package cannot be part of `Tensor | None` by themselves.
    for operator in ("__or__", "__ror__"):
        setattr(_MockObject, operator, lambda one, other: Union[one, other])  # noqa: UP007


def tell_signature(
    app: Sphinx,
    what: str,
    name: str,
    thing: Any,
    options: object,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Say how to call a helper in words that fit on a phone.

    A class whose base is one of Sphinx's stand-ins would seem to take `*args`.
    """
    if what == "class" and "*args" in (signature or ""):
        _self, *others = inspect.signature(thing.__init__).parameters.values()
        signature = stringify_signature(inspect.Signature(others))
    if signature:
        signature = INNER_MODULE.sub("", signature).replace("<factory>", "[]")
    return signature, result


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    find_helpers(app)
    app.connect("autodoc-process-signature", tell_signature)
    app.connect("html-page-context", name_folds)
    app.connect("html-page-context", tell_place)
    # After Sphinx has added its scripts, which it does with the usual priority, 500.
    app.connect("html-page-context", drop_idle_mathjax, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
