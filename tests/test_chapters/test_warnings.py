"""A call that PyTorch is about to drop does not pass in a chapter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import v4, write

from test_chapters.chapters import ROOT

CALLS = {
    "deprecated": ("import torch\nwith torch.cuda.amp.autocast():\n    pass", 1),
    "a warning of the cell's own": (
        "import warnings\nwarnings.warn('old', DeprecationWarning)",
        1,
    ),
    "in order": ("import torch\nwith torch.autocast('cpu'):\n    pass", 0),
}


@pytest.mark.parametrize("call", CALLS)
def test_deprecated_calls(call: str, tmp_path: Path) -> None:
    source, code = CALLS[call]
    # What nbval ignores: there a warning would go by unseen.
    cell = v4.new_code_cell(source, metadata={"tags": ["nbval-ignore-output"]})
    write(v4.new_notebook(cells=[cell]), tmp_path / "chapter.ipynb")
    run = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "conftest"]
    done = subprocess.run(
        [*run, "-p", "no:cacheprovider", str(tmp_path / "chapter.ipynb")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert ("Warning" in done.stdout) == bool(code), done.stdout
