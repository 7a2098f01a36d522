"""pyproject.toml is the one place for dependencies; all other lists follow it."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in PROJECT["optional-dependencies"].items()
}
EVERY_REQUIREMENT = RUNTIME + [each for extra in EXTRAS.values() for each in extra]


def pinned(path: Path) -> dict[str, Version]:
    """The versions of a file of name==version lines; anything else is an error."""
    lines = [
        line for line in path.read_text().splitlines() if line[:1] not in ("", "#")
    ]
    pairs = [re.fullmatch(r"([\w.-]+)==([\w.+!]+)", line) for line in lines]
    assert all(pairs), [
        line for line, pair in zip(lines, pairs, strict=True) if not pair
    ]
    return {canonicalize_name(pair[1]): Version(pair[2]) for pair in pairs if pair}


TESTED = pinned(ROOT / "constraints.txt")
COLAB = pinned(Path(__file__).with_name("colab_2026_08.txt"))


@pytest.mark.parametrize("requirement", EVERY_REQUIREMENT, ids=lambda r: r.name)
def test_every_dependency_has_a_tested_version_that_fits(
    requirement: Requirement,
) -> None:
    tested = TESTED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(tested)


@pytest.mark.parametrize("requirement", RUNTIME, ids=lambda r: r.name)
def test_colab_has_every_runtime_dependency_already(requirement: Requirement) -> None:
    assert requirement.specifier.contains(COLAB[canonicalize_name(requirement.name)])


def test_colabs_python_is_supported() -> None:
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains("3.13")


def test_the_package_sets_no_upper_limits() -> None:
    for requirement in RUNTIME:
        assert {part.operator for part in requirement.specifier} == {">="}


def test_the_extras_are_the_ones_that_the_makefile_installs() -> None:
    assert set(EXTRAS) == {"book", "lab", "test", "lint", "bench"}


def test_conda_and_binder_install_from_pyproject() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = (part["pip"] for part in conda["dependencies"] if isinstance(part, dict))
    assert pip == ["--constraint constraints.txt", "--editable .[book,lab,test,lint]"]
    others = [part for part in conda["dependencies"] if isinstance(part, str)]
    assert [part.partition("=")[0] for part in others] == ["python", "pip"]
    binder = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert binder == ["--constraint ../constraints.txt", "--editable .[lab]"]


def test_no_file_names_a_host_to_install_from() -> None:
    for name in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|index-url|find-links", text), name


def test_the_book_is_published_only_after_green_tests() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    jobs = workflow["jobs"]
    publish = jobs.pop("publish")
    assert set(publish["needs"]) == set(jobs) - {"lint"}
    assert all(jobs[name]["needs"] == "lint" for name in publish["needs"])
    deploying = [name for name, job in jobs.items() if "deploy-pages" in str(job)]
    assert deploying == []


def test_this_python_is_supported() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(
        version
    )
