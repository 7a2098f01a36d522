"""Importing the helpers costs no more than importing PyTorch."""

import subprocess
import sys

EXPENSIVE = {
    *("IPython", "PIL", "ipywidgets", "matplotlib", "pooch", "scipy", "tensorboard"),
    *("torchvision", "tqdm"),
}


def test_importing_the_helpers_costs_nothing_beyond_torch() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import course_utils; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "course_utils" in loaded
    assert not loaded & EXPENSIVE
