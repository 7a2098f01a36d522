"""What every test run shares: no downloads, and a header that says what is used."""

import os


def pytest_configure() -> None:
    """Keep tests, and the kernels they start, off the network unless asked for."""
    os.environ.setdefault("COURSE_OFFLINE", "1")


def pytest_report_header() -> list[str]:
    """Say which data and which device this run uses."""
    from course_utils import describe_device

    return [f"course data: {_data_in_use()}", f"course device: {describe_device()}"]


def _data_in_use() -> str:
    from course_utils.data.fetch import folders, offline

    if not offline():
        return "prepared data where there is some, downloads otherwise"
    for folder in folders():
        if any(folder.glob("*.npz")):
            return f"prepared data in {folder}"
    return "stand-ins (set COURSE_DATA to a folder of prepared data to use that)"
