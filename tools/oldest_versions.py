"""The oldest versions that pyproject.toml promises, as constraints for pip.

    python tools/oldest_versions.py > FILE

`torch>=2.6` there becomes `torch==2.6` here, so that `make test-oldest` tests what is
promised and nothing has to be kept in step by hand. Tools, such as pytest, stay new.
"""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\w.]+)")


def oldest_versions() -> list[str]:
    """One line name==version for each package that the course runs on."""
    requirements = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    found = [LOWER_BOUND.fullmatch(line) for line in requirements]
    if not all(found):
        raise SystemExit(f"{PROJECT}: every dependency has to read name>=version")
    return [f"{each['name']}=={each['version']}" for each in found if each]


if __name__ == "__main__":
    print(*oldest_versions(), sep="\n")
