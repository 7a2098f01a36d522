from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from course_utils import data as load
from course_utils.sources import download
from course_utils.sources.download import Limits


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty COURSE_DATA, a network that may be used, and little patience."""
    data = tmp_path / "data"
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(data))
    monkeypatch.setenv("COURSE_OFFLINE", "0")
    monkeypatch.setattr("pooch.os_cache", lambda name: tmp_path / "cache")
    hasty = Limits(answer=2, silence=1, window=0.5, speed=1_000_000, least=1_000)
    monkeypatch.setattr(download, "LIMITS", hasty)
    monkeypatch.setattr(load, "_noticed", set())
    return data


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed but itself."""
    path = tmp_path_factory.mktemp("tls") / "host.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {path} -out {path}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path
