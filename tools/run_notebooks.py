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

from normal_form import (
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


class Watch:
    """Times the cells, and shows on a terminal how far the notebook has come."""

    def __init__(self, label: str, cells: int) -> None:
        self.label, self.cells = label, cells
        self.place, self.begun = 0, time.perf_counter()
        self.cell_begun = self.begun
        self.times: dict[int, float] = {}

    def start(self, cell: NotebookNode, cell_index: int) -> None:
        """Note that a cell begins; nbclient calls this."""
        self.place, self.cell_begun = cell_index, time.perf_counter()

    def finish(self, cell: NotebookNode, cell_index: int, **_: object) -> None:
        """Note that a cell has ended; nbclient calls this."""
        self.times[cell_index] = time.perf_counter() - self.cell_begun
        if sys.stdout.isatty():
            print(f"\r{self.label}: {len(self.times)}/{self.cells}", end="", flush=True)

    def summary(self, notebook: NotebookNode) -> str:
        """Say how long the cells took, and which was the slowest."""
        total = time.perf_counter() - self.begun
        text = f"{len(self.times)} cells in {total:.1f} s"
        if self.times:
            slowest = max(self.times, key=self.times.__getitem__)
            where = name_cell(notebook, slowest)
            text += f", slowest {where} with {self.times[slowest]:.1f} s"
        return text


def execute(notebook: NotebookNode, folder: Path, watch: Watch, timeout: int) -> None:
    """Run all cells of a notebook in a fresh kernel of this Python."""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        extra_arguments=KERNEL_ARGUMENTS,
        record_timing=False,
        store_widget_state=False,
        on_cell_start=watch.start,
        on_cell_executed=watch.finish,
    )
    # Without folders to look in, "python3" is the Python that runs this tool, even
    # where a user has registered another kernel under that name.
    client.create_kernel_manager().kernel_spec_manager = KernelSpecManager(
        kernel_dirs=[]
    )
    try:
        client.execute(cwd=str(folder))
    except (RuntimeError, CellExecutionError, CellTimeoutError) as error:
        raise NotebookError(explain(error, notebook, watch)) from None
    except AssertionError:
        # How nbclient ends after Ctrl-C: its kernel is gone before it cleans up.
        raise KeyboardInterrupt from None


def explain(error: Exception, notebook: NotebookNode, watch: Watch) -> str:
    """Say in one sentence why a run ended early, and in which cell."""
    where = name_cell(notebook, watch.place)
    match error:
        case CellExecutionError():
            return f"{where} failed with {one_line(f'{error.ename}: {error.evalue}')}"
        case CellTimeoutError():
            took = f"{time.perf_counter() - watch.cell_begun:.0f} s"
            return f"{where} was stopped after {took}; --timeout S allows more."
        case DeadKernelError():
            return f"the kernel died in {where}; it may have run out of memory."
    return f"the kernel did not start: {one_line(str(error))}"


def run(path: Path, timeout: int) -> str:
    """Run a notebook and write it back; say how long it took."""
    before = load(path)
    notebook = parse(before)
    code_cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    watch = Watch(path.name, code_cells)
    execute(notebook, path.resolve().parent, watch, timeout)
    notebook = normalise(notebook)
    if found := output_faults(notebook):
        raise NotebookError(" ".join(found))
    if load(path) != before:
        raise NotebookError(
            "was edited while it ran, so nothing was written; run it again."
        )
    save(path, serialise(notebook))
    return watch.summary(notebook)


def report(path: Path, lines: list[str]) -> None:
    """Print what there is to say about a notebook, over its progress line."""
    start = "\r" if sys.stdout.isatty() else ""
    for line in lines:
        print(f"{start}{path.name}: {line}", flush=True)


def handle(path: Path, check: bool, timeout: int) -> bool:
    """Check or run one notebook and report on it; true when all is well."""
    try:
        found = faults(load(path)) if check else []
        done = [] if check else [run(path, timeout)]
    except NotebookError as error:
        found, done = [str(error)], []
    report(path, found or done)
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
