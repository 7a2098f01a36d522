"""Run the chapters and store their outputs in the one form that is committed.

`python tools/run_notebooks.py` runs every chapter and writes it back; with file names
it runs only these; with `--check` it runs nothing and says what is not in order.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from canonical_form import (
    NotebookError,
    faults,
    load,
    name_cell,
    normalise,
    one_line,
    output_faults,
    parse,
    save,
    serialise,
)

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
KERNEL_ARGUMENTS = [
    # A kernel that is stopped complains on this tool's own stderr.
    "--log-level=CRITICAL",
    # Matplotlib writes its own version into every PNG unless it is told not to.
    "--InlineBackend.print_figure_kwargs="
    '{"bbox_inches": "tight", "metadata": {"Software": None}}',
]


def execute(notebook: NotebookNode, folder: Path, timeout: int) -> None:
    """Run all cells of a notebook in a fresh kernel of this Python."""
    started: list[int] = []
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        extra_arguments=KERNEL_ARGUMENTS,
        record_timing=False,
        store_widget_state=False,
        on_cell_start=lambda cell, cell_index: started.append(cell_index),
    )
    # Without folders to look in, "python3" is the Python that runs this tool, even
    # where a user has registered another kernel under that name.
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(
        kernel_dirs=[]
    )
    try:
        client.execute(cwd=str(folder))
    except (RuntimeError, CellExecutionError, CellTimeoutError) as error:
        where = name_cell(notebook, started[-1]) if started else "the first cell"
        raise NotebookError(explain(error, where, timeout)) from None
    except AssertionError:
        # How nbclient ends after Ctrl-C: its kernel is gone before it cleans up.
        raise KeyboardInterrupt from None


def explain(error: Exception, where: str, timeout: int) -> str:
    """Say in one sentence why a run ended early, and in which cell."""
    match error:
        case CellExecutionError():
            return f"{where} failed with {one_line(f'{error.ename}: {error.evalue}')}"
        case CellTimeoutError():
            return f"{where} was stopped after {timeout} s; --timeout S allows more."
        case DeadKernelError():
            return f"the kernel died in {where}; it may have run out of memory."
    return f"the kernel did not start: {one_line(str(error))}"


def run(path: Path, timeout: int) -> str:
    """Run a notebook and write it back; say how long it took."""
    before = load(path)
    notebook = parse(before)
    start = time.perf_counter()
    execute(notebook, path.resolve().parent, timeout)
    seconds = time.perf_counter() - start
    notebook = normalise(notebook)
    if found := output_faults(notebook):
        raise NotebookError(" ".join(found))
    if load(path) != before:
        raise NotebookError(
            "was edited while it ran, so nothing was written; run it again."
        )
    save(path, serialise(notebook))
    return f"ran in {seconds:.1f} s."


def handle(path: Path, check: bool, timeout: int) -> bool:
    """Check or run one notebook and report on it; true when all is well."""
    found = []
    try:
        if check:
            found = faults(load(path))
        else:
            print(f"{path.name}: {run(path, timeout)}", flush=True)
    except NotebookError as error:
        found = [str(error)]
    except OSError as error:
        found = [f"cannot be written: {(error.strerror or str(error)).lower()}."]
    for problem in found:
        print(f"{path.name}: {problem}", flush=True)
    return not found


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--check", action="store_true", help="run nothing, only look")
    parser.add_argument(
        "--timeout", type=int, default=600, metavar="S", help="seconds a cell may take"
    )
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    if not paths:
        print("There are no notebooks in the folder notebooks/.")
        return 1
    # What nbclient logs is said again, in one sentence, by the code above.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    try:
        good = [handle(path, options.check, options.timeout) for path in paths]
    except KeyboardInterrupt:
        print("\nStopped; the notebook that was running is as it was before.")
        return 130
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
