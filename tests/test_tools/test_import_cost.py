"""Importing the helpers costs no more than PyTorch and Matplotlib, which all use."""

import subprocess
import sys

EXPENSIVE = {
    *("IPython", "ipywidgets", "pooch", "requests", "scipy", "tensorboard"),
    *("torchvision", "tqdm"),
}


def test_importing_the_helpers_costs_little_beyond_torch() -> None:
    code = (
        "import sys, torch, matplotlib.pyplot; before = set(sys.modules); "
        "import course_utils; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "course_utils" in loaded
    assert not loaded & EXPENSIVE
