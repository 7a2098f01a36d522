from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from course_utils import standins
from course_utils.sources import download
from course_utils.standins import notice

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty COURSE_DATA, a network that may be used, and little patience."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_OFFLINE", "0")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setattr(download, "RETRIES", 0)
    monkeypatch.setattr(download, "SILENCE", 1)
    monkeypatch.setattr(download, "WINDOW", 0.3)
    monkeypatch.setattr(notice, "_noticed", set())
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed but itself."""
    path = tmp_path_factory.mktemp("tls") / "host.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


# The stand-ins take half a minute to draw, so all tests share them.


@pytest.fixture(scope="session")
def mnist() -> Arrays:
    return standins.standin_mnist()


@pytest.fixture(scope="session")
def cifar10() -> Arrays:
    return standins.standin_cifar10()


@pytest.fixture(scope="session")
def insects() -> dict[str, tuple[list[NDArray[Any]], list[int]]]:
    return standins.standin_ants_bees()


@pytest.fixture(scope="session")
def membranes() -> Arrays:
    return standins.standin_membranes()


@pytest.fixture(scope="session")
def phantoms() -> Arrays:
    return standins.make_phantoms()


@pytest.fixture
def few_images() -> Arrays:
    """As many arrays as CIFAR-10 has, and 24 black images in each part."""
    images, labels = np.zeros((24, 32, 32, 3), np.uint8), np.arange(24) % 10
    return {
        "train_images": images,
        "train_labels": labels.astype(np.uint8),
        "test_images": images,
        "test_labels": labels.astype(np.uint8),
    }
