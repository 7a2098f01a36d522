"""The code reads alike everywhere: formatted, linted, typed, nothing too long."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "course_utils").rglob("*.py"))


@pytest.mark.parametrize(
    "command",
    [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]],
    ids=" ".join,
)
def test_the_tools_have_nothing_to_say(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def functions_of(module: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(ROOT)))
def test_no_function_is_longer_than_40_lines(module: Path) -> None:
    lengths = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions_of(module)}
    assert {name: size for name, size in lengths.items() if size > 40} == {}


def test_importing_the_helpers_costs_nothing_beyond_torch() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import course_utils; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new & {'torchvision', 'matplotlib', 'ipywidgets', 'PIL', "
        "'pooch', 'tensorboard', 'tqdm', 'IPython', 'scipy'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_floors_know_nothing_of_one_another() -> None:
    """Only the training loop stands on others, and a script on what all may use."""
    allowed = {
        "training": {"checkpoint", "guards", "history", "metrics"},
        "many_gpus": {""},
    }
    for module in MODULES:
        place = module.relative_to(ROOT / "course_utils").with_suffix("").parts[0]
        if place == "__init__":
            continue
        floor = {place} | allowed.get(place, set())
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, rest = node.module.partition(".")
                used = rest.partition(".")[0]
                assert package != "course_utils" or used in floor, (module, used)
