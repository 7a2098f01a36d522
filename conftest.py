"""What test runs share: no downloads, old calls as errors, files side by side."""

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parent

# In the chapters, a call that a package is about to drop is an error. FutureWarning is
# meant for everybody, DeprecationWarning only where a cell itself makes the call.
WARNINGS = "error::FutureWarning,error::DeprecationWarning:__main__"

# More processes than this do not help: the longest chapter alone takes two minutes.
MOST_PROCESSES = 4

# Files with tests that take long, in about so many seconds. Chapters have theirs in
# benchmarks/results/notebooks.json. A file that is not named here starts late.
LONG_FILES = {
    "test_browser.py": 150,
    "test_submissions.py": 60,
    "test_training_killed.py": 50,
    "test_bug_clinic.py": 50,
    "test_many_gpus.py": 50,
    "test_exercises.py": 40,
    "test_build.py": 40,
}


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Test files side by side with pytest-xdist, unless the command line forbids it.

    Here and not in pyproject.toml, so that `-p no:xdist` works too.
    """
    options = config.option
    if not hasattr(options, "numprocesses") or hasattr(config, "workerinput"):
        return
    cores = os.cpu_count() or 1
    if options.numprocesses is None and can_be_shared(config) and cores > 1:
        options.numprocesses = min(cores, MOST_PROCESSES)
    if not options.numprocesses:
        return
    if options.dist == "no":
        options.dist = "loadfile"  # the cells of a notebook share one kernel
    options.loadscopereorder = False  # this file orders them, see below
    if isinstance(options.numprocesses, int):
        threads = max(1, cores // options.numprocesses)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))


def can_be_shared(config: pytest.Config) -> bool:
    """Whether there is more than one file to test, and nobody watches the process."""
    options = config.option
    watched = options.usepdb or options.trace or options.capture == "no"
    paths = [config.invocation_params.dir / arg.split("::")[0] for arg in config.args]
    one_file = len(paths) == 1 and paths[0].is_file()
    return not (watched or one_file or options.collectonly or options.dist != "no")


def pytest_configure() -> None:
    """Keep tests, and the kernels they start, off the network unless asked for."""
    os.environ.setdefault("COURSE_OFFLINE", "1")
    # As course_utils does, for tests and kernels that import torch first.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Begin with the longest files, so that all processes end at the same time."""
    if hasattr(config, "workerinput"):
        seconds = seconds_of_files()
        items.sort(key=lambda item: -seconds.get(item.path.name, 0))


def seconds_of_files() -> dict[str, float]:
    """How long a file takes, by its name."""
    results = ROOT / "benchmarks" / "results" / "notebooks.json"
    chapters = json.loads(results.read_text(encoding="utf-8"))["real data"]
    measured = {f"{name}.ipynb": took["seconds"] for name, took in chapters.items()}
    return measured | LONG_FILES


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Start a notebook's kernel, which happens within, with these warnings on."""
    if item.path.suffix != ".ipynb":
        return (yield)
    with mock.patch.dict(os.environ, PYTHONWARNINGS=WARNINGS):
        return (yield)


@pytest.fixture(autouse=True)
def examples_in_docstrings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Run the examples of docstrings in an empty folder, without windows."""
    if isinstance(request.node, pytest.DoctestItem):
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        monkeypatch.chdir(request.getfixturevalue("tmp_path"))
        yield
        plt.close("all")
    else:
        yield


def pytest_report_header() -> list[str]:
    """Say which data and which device this run uses."""
    from course_utils import describe_device

    return [f"course data: {_data_in_use()}", f"course device: {describe_device()}"]


def _data_in_use() -> str:
    from course_utils.sources import folders, is_offline

    if not is_offline():
        return "prepared data where there is some, downloads otherwise"
    for folder in folders():
        if any(folder.glob("*.npz")):
            return f"prepared data in {folder}"
    return "stand-ins (set COURSE_DATA to a folder of prepared data to use that)"
