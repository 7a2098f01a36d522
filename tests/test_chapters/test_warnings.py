"""A call that PyTorch is about to drop does not pass in a chapter."""

import os
import re
import subprocess
import sys
from pathlib import Path

from nbformat import v4, write

from test_chapters.chapters import ROOT

OLD = {
    "of PyTorch": "import torch\nwith torch.cuda.amp.autocast():\n    pass",
    "of the cell's own": "import warnings\nwarnings.warn('old', DeprecationWarning)",
}
IN_ORDER = "import torch\nwith torch.autocast('cpu'):\n    pass"


def test_deprecated_calls(tmp_path: Path) -> None:
    # What nbval ignores: there a warning would go by unseen.
    unseen = {"tags": ["nbval-ignore-output"]}
    sources = [IN_ORDER, *OLD.values(), IN_ORDER]
    cells = [v4.new_code_cell(source, metadata=unseen) for source in sources]
    write(v4.new_notebook(cells=cells), tmp_path / "chapter.ipynb")
    run = [sys.executable, "-m", "pytest", "--nbval", "-p", "conftest", "-rA"]
    done = subprocess.run(
        [*run, "-p", "no:cacheprovider", str(tmp_path / "chapter.ipynb")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    outcomes = re.findall(r"^(PASSED|FAILED) .*Cell (\d)", done.stdout, re.MULTILINE)
    assert sorted(outcomes, key=lambda pair: pair[1]) == [
        ("PASSED", "0"),
        ("FAILED", "1"),
        ("FAILED", "2"),
        ("PASSED", "3"),
    ], done.stdout
    assert "FutureWarning" in done.stdout
    assert "DeprecationWarning" in done.stdout
