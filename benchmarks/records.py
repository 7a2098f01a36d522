"""Where the benchmarks keep what they measured, and how they are called."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "numpy": np.__version__,
        "load": [round(part, 1) for part in os.getloadavg()],
    }


def keep(name: str, results: dict[str, Any]) -> str:
    """Write the results next to this script; the text that was written."""
    text = json.dumps({"machine": machine(), **results}, indent=2) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text, encoding="utf-8")
    return text


def write(name: str, results: dict[str, Any]) -> None:
    """Keep the results and print them."""
    print(keep(name, results))


def stored(name: str) -> dict[str, Any]:
    """The results that were kept under this name; none, if there is no such file."""
    file = RESULTS / name
    kept: dict[str, Any] = {}
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
    return kept


def arguments(*options: tuple[str, Any, str], text: str) -> argparse.Namespace:
    """The command line: options (name, default, meaning) after the script's text."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default, meaning in options:
        kind, said = type(default), f"{meaning} (normally {default})"
        parser.add_argument(f"--{name}", type=kind, default=default, help=said)
    return parser.parse_args()
