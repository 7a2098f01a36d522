"""Which machine does the work: the choice of a device, its seeds and its memory."""

import gc
import os
import random
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from numbers import Integral
from types import TracebackType

import numpy as np
import torch
from torch.nn import functional as F

# Fastest first; each is listed with the question whether this machine has it.
ACCELERATORS: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "xpu": torch.xpu.is_available,
}


def pick_device() -> torch.device:
    """The best device that works here: a CUDA GPU, Apple's, Intel's, or the CPU.

    Of several CUDA GPUs it takes the one with the most free memory. A device counts
    only if a small calculation on it agrees with the CPU's; one that is listed but
    fails is passed over with a sentence that says why. The environment variable
    ``COURSE_DEVICE`` (``cpu``, ``cuda:1``, ``mps`` ...) decides instead.

    >>> device = pick_device()
    >>> model = torch.nn.Linear(3, 2).to(device)
    """
    wanted = os.environ.get("COURSE_DEVICE", "").strip()
    if wanted:
        return _device_by_name(wanted)
    for device in _accelerators():
        trouble = _trouble_with(device)
        if trouble is None:
            return device
        print(f"{device} is passed over: {trouble}.")
    return torch.device("cpu")


def describe_device(device: torch.device | str | None = None) -> str:
    """What a device is, in words; without an argument, the one `pick_device` picks.

    >>> describe_device("cpu")  # doctest: +SKIP
    'CPU with 2 threads, PyTorch 2.15.0'
    """
    device = torch.device(device) if device is not None else pick_device()
    if device.type == "cpu":
        threads = torch.get_num_threads()
        name = f"CPU with {threads} thread{'s' if threads > 1 else ''}"
    elif device.type == "mps":
        name = "Apple GPU"
    else:
        properties = getattr(torch, device.type).get_device_properties(device)
        name = f"{properties.name} with {properties.total_memory / 2**30:.0f} GiB"
    return f"{name}, PyTorch {torch.__version__.partition('+')[0]}"


def seed_everything(seed: int) -> None:
    """Start Python's, NumPy's and PyTorch's random numbers (all devices) from `seed`.

    >>> seed_everything(0)
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed!r}")
    random.seed(int(seed))
    np.random.seed(int(seed))
    torch.manual_seed(int(seed))


def free_memory() -> None:
    """Give back the memory that nothing uses any more, on every device.

    After an error, Python keeps the failed call's variables for its traceback: a
    batch and its gradients may hang on to gigabytes. This lets go of them too, so
    that a cell which ran out of memory can be run again with a smaller batch.

    >>> free_memory()
    """
    for failed in _kept_tracebacks():
        traceback.clear_frames(failed)
        for frame, _ in traceback.walk_tb(failed):
            # Up to Python 3.12 a frame keeps a snapshot of its variables once
            # somebody has asked for them; asking again after clearing empties it.
            frame.f_locals  # noqa: B018
    gc.collect()
    for kind, is_available in ACCELERATORS.items():
        if is_available():
            _empty_cache(kind)


def _kept_tracebacks() -> Iterator[TracebackType]:
    """Tracebacks that Python and IPython keep of the last error and of its causes."""
    errors, seen = [getattr(sys, "last_value", None)], set()
    while errors:
        error = errors.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        if error.__traceback__ is not None:
            yield error.__traceback__
        errors += [
            error.__cause__,
            error.__context__,
            *getattr(error, "exceptions", []),
        ]
    notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # After a SyntaxError, only IPython remembers the error before it.
    shown = getattr(getattr(notebook, "InteractiveTB", None), "tb", None)
    if shown is not None:
        yield shown


def _empty_cache(kind: str) -> None:
    try:
        getattr(torch, kind).empty_cache()
    except RuntimeError:
        raise RuntimeError(
            f"{kind} has stopped after an earlier error and frees nothing any more: "
            "restart the kernel"
        ) from None


def _device_by_name(name: str) -> torch.device:
    """The device that ``COURSE_DEVICE`` names, if there is one and it works."""
    way_out = "Unset COURSE_DEVICE to let the course choose."
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", *ACCELERATORS):
        raise ValueError(
            f"COURSE_DEVICE is {name!r}, which is not a device the course knows "
            f"(cpu, cuda, cuda:1, mps, xpu). {way_out}"
        )
    trouble = _trouble_with(device)
    if trouble is not None:
        raise RuntimeError(f"COURSE_DEVICE asks for {name}, but {trouble}. {way_out}")
    return device


def _accelerators() -> Iterator[torch.device]:
    """Every accelerator that is listed here, the most promising first."""
    for kind, is_available in ACCELERATORS.items():
        if is_available():
            yield from _cuda_devices() if kind == "cuda" else [torch.device(kind)]


def _cuda_devices() -> list[torch.device]:
    """The CUDA GPUs, the one with the most free memory first."""
    devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    if len(devices) < 2:
        return devices
    free = _free_megabytes_by_uuid()
    return sorted(
        devices, key=lambda device: _free_megabytes(device, free), reverse=True
    )


def _free_megabytes_by_uuid() -> dict[str, int]:
    """What the driver's own tool says of each GPU; nothing where it is missing.

    Asking through PyTorch would start a session of some 300 MB on every GPU, and on a
    server thirty learners do so at once.
    """
    command = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = re.findall(r"^GPU-(\S+), (\d+) MiB$", answer.stdout, re.MULTILINE)
    return {uuid: int(megabytes) for uuid, megabytes in rows}


def _free_megabytes(device: torch.device, known: dict[str, int]) -> int:
    try:
        uuid = str(torch.cuda.get_device_properties(device).uuid)
        return known.get(uuid) or torch.cuda.mem_get_info(device)[0] // 2**20
    except Exception:  # a GPU that cannot even be asked comes last
        return 0


def _trouble_with(device: torch.device) -> str | None:
    """What goes wrong in a small calculation on `device`; None if all is well."""
    if device.type == "cpu":
        return None
    if not ACCELERATORS[device.type]():
        return f"PyTorch finds no {device.type} device on this machine"
    here = _trial_gradient("cpu")
    try:
        there = _trial_gradient(device)
    except Exception as error:  # whatever a driver may raise, the course goes on
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"a small calculation fails on it ({reason.rstrip('.')})"
    # Wide enough for TF32, the reduced precision of newer GPUs' convolutions.
    if not torch.allclose(there, here, rtol=0.01, atol=0.005):
        return "a small calculation on it gives wrong numbers"
    return None


# The trial needs gradients also where the caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def _trial_gradient(device: torch.device | str) -> torch.Tensor:
    """The gradient of a convolution and a matrix product, computed on `device`."""
    numbers = torch.arange(192, dtype=torch.float32, device="cpu")
    picture = numbers.sin().reshape(1, 3, 8, 8).to(device)
    kernel = numbers[:54].cos().reshape(2, 3, 3, 3).to(device).requires_grad_()
    matrix = numbers[:36].sin().reshape(36, 1).to(device)
    maps = F.conv2d(picture, kernel).relu().flatten(start_dim=2)
    (maps @ matrix).square().mean().backward()
    assert kernel.grad is not None
    return kernel.grad.cpu()
