"""What test runs share: no downloads, no old calls, a header saying what is used."""

import os
from collections.abc import Generator
from unittest import mock

import pytest

# In the chapters, a call that a package is about to drop is an error. FutureWarning is
# meant for everybody, DeprecationWarning only where a cell itself makes the call.
WARNINGS = "error::FutureWarning,error::DeprecationWarning:__main__"


def pytest_configure() -> None:
    """Keep tests, and the kernels they start, off the network unless asked for."""
    os.environ.setdefault("COURSE_OFFLINE", "1")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Start a notebook's kernel, which happens within, with these warnings on."""
    if item.path.suffix != ".ipynb":
        return (yield)
    with mock.patch.dict(os.environ, PYTHONWARNINGS=WARNINGS):
        return (yield)


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
