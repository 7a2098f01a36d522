"""Checkpoints: one file an epoch, from which a training goes on as if never stopped."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

FOLDER = Path("runs")
FORMAT = "learning-to-see checkpoint 1"
START_ANEW = "choose another name, or delete the file to start anew"


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written, or one that cannot be used."""


class RandomStates:
    """Where Python's, NumPy's and PyTorch's random numbers have got to.

    >>> save_checkpoint("demo", random=RandomStates())
    """

    def state_dict(self) -> dict[str, Any]:
        """The state of every generator, in numbers that a safe load lets in."""
        name, keys, *rest = np.random.get_state(legacy=True)
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        return {
            "python": random.getstate(),
            "numpy": (name, np.asarray(keys).tolist(), *rest),
            "torch": torch.get_rng_state(),
            "cuda": cuda,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let all random numbers go on from there."""
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])
        torch.set_rng_state(state["torch"])
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        for number, gpu_state in enumerate(state["cuda"][:gpus]):
            torch.cuda.set_rng_state(gpu_state, number)


def save_checkpoint(name: str, /, **parts: Any) -> None:
    """Keep the state of all `parts` in the file ``runs/NAME.pt``.

    A part is anything with a `state_dict`, a `DataLoader` or a dictionary. The
    file is whole at every moment: a new one is written beside it and takes its place
    when it is complete, and the one before stays as ``runs/NAME.previous``.

    >>> save_checkpoint("demo", model=model, optimizer=optimizer)
    """
    given = {key: part for key, part in parts.items() if part is not None}
    states = {key: _plain(_state_of(part)) for key, part in given.items()}
    kinds = {key: type(part).__name__ for key, part in given.items()}
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "states": states, "kinds": kinds}, buffer)
    path, new, previous = _files(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(new, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())  # on the disk before it gets the good name
        if path.exists():
            os.replace(path, previous)
        os.replace(new, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()  # a full disk needs the room
        reason = error.strerror or str(error)
        raise CheckpointError(f"{path} cannot be written ({reason})") from error


def load_checkpoint(name: str, /, **parts: Any) -> bool:
    """Give all `parts` the state that ``runs/NAME.pt`` keeps; False if there is none.

    It makes no difference on which device the file was written. If it is damaged,
    the one before is used, and a sentence says so. Names and shapes are compared
    before anything is changed.

    >>> found = load_checkpoint("demo", model=model)
    """
    found = _newest(name)
    if found is None:
        return False
    path, contents = found
    given = {key: part for key, part in parts.items() if part is not None}
    for key, part in given.items():
        _require_fit(path, contents, key, part)
    for key, part in given.items():
        state = contents["states"][key]
        if not state:  # such as a gradient scaler's that was switched off
            continue
        try:
            _restore(part, state)
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise CheckpointError(
                f"the {key} in {path} does not fit yours ({reason}): {START_ANEW}"
            ) from error
    return True


def checkpoint_path(name: str) -> Path:
    """The file in which the checkpoint of this name lies.

    >>> checkpoint_path("lenet")
    PosixPath('runs/lenet.pt')
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            f"a checkpoint's name consists of letters, digits, '.', '-' and '_'; "
            f"{name!r} does not"
        )
    return FOLDER / f"{name}.pt"


def _files(name: str) -> tuple[Path, Path, Path]:
    """The checkpoint, the one being written, and the one before."""
    path = checkpoint_path(name)
    return path, path.with_suffix(".new"), path.with_suffix(".previous")


def _newest(name: str) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint of this name, and its file."""
    path, new, previous = _files(name)
    # Without either, somebody has deleted the checkpoint to start anew. With `new`
    # alone, a process was killed just before it got its name.
    if not (path.exists() or new.exists()):
        return None
    trouble = None
    for candidate in (path, new, previous):
        if not candidate.exists():
            continue
        try:
            contents = _read(candidate)
        except CheckpointError as error:
            trouble = trouble or error
            continue
        if trouble is not None and path.exists():
            print(f"{trouble}; {candidate} takes its place.")
        return candidate, contents
    if trouble is not None and path.exists():
        raise CheckpointError(f"{trouble}: {START_ANEW}")
    return None


def _read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, if it is whole and one of ours."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # PyTorch itself does not look at checksums
        contents = None if damaged else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise nearly anything
        damaged = type(error).__name__
    if damaged:
        raise CheckpointError(f"{path} is no whole checkpoint ({damaged})")
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise CheckpointError(f"{path} is a file of PyTorch, but no checkpoint of fit")
    return contents


def _require_fit(path: Path, contents: dict[str, Any], key: str, part: Any) -> None:
    """Stop with a sentence if the checkpoint's part is not one like this."""
    if key not in contents["states"]:
        raise CheckpointError(f"{path} was written without {key}: {START_ANEW}")
    if isinstance(part, nn.Module):
        differences = _differences(contents["states"][key], part.state_dict())
        if differences:
            raise CheckpointError(
                f"{path} holds a different {key}: {differences}; {START_ANEW}"
            )
    elif (kind := type(part).__name__) != contents["kinds"][key]:
        raise CheckpointError(
            f"the {key} in {path} is {contents['kinds'][key]}, and yours is {kind}: "
            f"{START_ANEW}"
        )


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In which keys and shapes two models differ; empty if in none."""
    shapes = [
        {key: tuple(getattr(value, "shape", ())) for key, value in side.items()}
        for side in (there, here)
    ]
    only_there, only_here = shapes[0].keys() - shapes[1], shapes[1].keys() - shapes[0]
    unlike = [
        f"{key} is {shape} there and {shapes[1][key]} here"
        for key, shape in shapes[0].items()
        if key in shapes[1] and shapes[1][key] != shape
    ]
    parts = []
    if only_there:
        parts.append(f"only the file has {_some(sorted(only_there))}")
    if only_here:
        parts.append(f"only your model has {_some(sorted(only_here))}")
    return ", ".join(parts + ([_some(unlike)] if unlike else []))


def _some(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _state_of(part: Any) -> Any:
    """The part's `state_dict`; a dictionary as it is; of a loader, its generators."""
    if isinstance(part, dict):
        return part
    if hasattr(part, "state_dict"):
        return part.state_dict()
    return {key: source.get_state() for key, source in _generators(part).items()}


def _restore(part: Any, state: Any) -> None:
    if isinstance(part, dict):
        part.update(state)
        return
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
        return
    for key, source in _generators(part).items():
        source.set_state(state[key])


def _generators(loader: Any) -> dict[str, torch.Generator]:
    """The random numbers that a `DataLoader` and its sampler keep to themselves."""
    owners = {"loader": loader, "sampler": getattr(loader, "sampler", None)}
    sources = {key: getattr(owner, "generator", None) for key, owner in owners.items()}
    return {k: g for k, g in sources.items() if isinstance(g, torch.Generator)}


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, the only ones that a safe load lets in."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is dict:
        return {key: _plain(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value
