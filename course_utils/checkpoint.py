"""Checkpoints: one file an epoch, from which a training goes on as if never stopped."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import random
import re
import secrets
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path("runs")
FORMAT = "learning-to-see checkpoint 2"
START_ANEW = "choose another name, or delete the file to start anew"


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, or one that cannot be used."""


class RandomStates:
    """Where the random numbers of Python, NumPy and PyTorch have got to."""

    def state_dict(self) -> dict[str, Any]:
        """The state of every generator, in numbers that a safe load lets in."""
        name, keys, *rest = np.random.get_state(legacy=True)
        states = {
            "python": random.getstate(),
            "numpy": (name, np.asarray(keys).tolist(), *rest),
            "cpu": torch.get_rng_state(),
        }
        for kind in ("cuda", "mps", "xpu"):
            if getattr(torch, kind).is_available():
                states[kind] = getattr(torch, kind).get_rng_state()
        return states

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let all random numbers go on from there."""
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["cpu"])
        for kind in ("cuda", "mps", "xpu"):
            if kind in state and getattr(torch, kind).is_available():
                getattr(torch, kind).set_rng_state(state[kind])


def save_checkpoint(name: str, /, **parts: Any) -> None:
    """Keep the state of all `parts` in the file ``runs/NAME.pt``.

    A part is a dictionary, a `DataLoader` or anything with a `state_dict`. The file is
    whole at every moment: a new one is written beside it and then takes its place.

    >>> save_checkpoint("demo", model=torch.nn.Linear(2, 1), done={"epochs": 3})
    """
    path = checkpoint_path(name)
    given = {key: part for key, part in parts.items() if part is not None}
    content = {
        "format": FORMAT,
        "kinds": {key: type(part).__name__ for key, part in given.items()},
        "states": {key: _plain(_state_of(part)) for key, part in given.items()},
    }
    buffer = io.BytesIO()
    try:
        torch.save(content, buffer)
        buffer.seek(0)
        torch.load(buffer, "cpu", weights_only=True)
    except Exception as error:  # whatever pickle raises for what it does not know
        raise CheckpointError(
            f"{path} cannot be written, as nobody could read it again: keep numbers, "
            f"texts, lists, dictionaries and tensors alone ({_reason(error)})"
        ) from error
    # Each call writes a file of its own, so that two processes cannot mix theirs.
    new = path.with_suffix(f".{secrets.token_hex(8)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        with open(new, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets the good name
        os.replace(new, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()  # a full disk needs the room
        reason = error.strerror or str(error)
        raise CheckpointError(f"{path} cannot be written ({reason})") from error


def load_checkpoint(name: str, /, **parts: Any) -> bool:
    """Give all `parts` the state that ``runs/NAME.pt`` keeps; False if there is none.

    It makes no difference on which device the file was written. Where one part does not
    fit, all of them stay as they were.

    >>> model, done = torch.nn.Linear(2, 1), {}
    >>> save_checkpoint("demo", model=model, done={"epochs": 3})
    >>> load_checkpoint("demo", model=model, done=done), done
    (True, {'epochs': 3})
    """
    path = checkpoint_path(name)
    if not path.exists():
        return False
    content = _read(path)
    given = {key: part for key, part in parts.items() if part is not None}
    before = {key: copy.deepcopy(_state_of(part)) for key, part in given.items()}
    try:
        for key, part in given.items():
            if key not in content["states"]:
                raise ValueError(f"it was written without {key}")
            kind = content["kinds"][key]
            if kind != type(part).__name__ and not isinstance(part, torch.nn.Module):
                raise ValueError(f"there it is a {kind}")
            _restore(part, content["states"][key])
    except Exception as error:  # PyTorch's classes raise several kinds
        for other, state in before.items():
            _restore(given[other], state)
        raise CheckpointError(
            f"the {key} in {path} does not fit yours ({_reason(error)}): {START_ANEW}"
        ) from error
    return True


def checkpoint_path(name: str) -> Path:
    """The file in which the checkpoint of this name lies.

    >>> checkpoint_path("lenet").as_posix()
    'runs/lenet.pt'
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(
            "the name of a checkpoint has up to 100 letters, digits, '.', '-' and '_'; "
            f"{name!r} does not fit"
        )
    return FOLDER / f"{name}.pt"


def _reason(error: Exception) -> str:
    """An error in one line. Of PyTorch's long lists, the second line says the most."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(line.strip() for line in lines[:2]).rstrip(".")


def _remove_leftovers(path: Path) -> None:
    """Remove what processes left behind that were killed while they wrote."""
    for leftover in path.parent.glob(f"{path.stem}.*.new"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                leftover.unlink()


def _read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, if it is whole and one of ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # PyTorch itself does not look at checksums
                raise ValueError("a checksum is wrong")
        content = torch.load(path, "cpu", weights_only=True)
        if content["format"] != FORMAT:
            raise ValueError("it has another format")
    except Exception as error:  # a damaged file may raise nearly anything
        raise CheckpointError(
            f"{path} is damaged, or no checkpoint of this course ({_reason(error)}): "
            f"{START_ANEW}"
        ) from error
    return content  # type: ignore[no-any-return]


def _state_of(part: Any) -> Any:
    """The part's `state_dict`; a dictionary as it is; of a loader, its generators."""
    if isinstance(part, dict):
        return part
    if hasattr(part, "state_dict"):
        return part.state_dict()
    if isinstance(part, (bool, int, float, str, list, tuple, torch.Tensor)):
        raise ValueError(f"{part!r} cannot be given back: put it into a dictionary")
    return {name: source.get_state() for name, source in _generators(part).items()}


def _restore(part: Any, state: Any) -> None:
    """Give a part its state back."""
    if isinstance(part, dict):
        part.clear()
        part.update(state)
    elif hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    else:
        for name, source in _generators(part).items():
            source.set_state(state[name])


def _generators(loader: Any) -> dict[str, torch.Generator]:
    """The random numbers that a `DataLoader` and its sampler keep to themselves."""
    owners = {"loader": loader, "sampler": getattr(loader, "sampler", None)}
    found = {name: getattr(owner, "generator", None) for name, owner in owners.items()}
    return {k: v for k, v in found.items() if isinstance(v, torch.Generator)}


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, the only ones that a safe load lets in."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: _plain(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
