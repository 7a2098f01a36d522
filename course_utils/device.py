"""Which machine does the work: the choice of a device, its seeds and its memory."""

import gc
import os
import random
import sys
import traceback
from collections.abc import Callable, Iterator

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
        name = f"CPU with {torch.get_num_threads()} threads"
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
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed!r}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def free_memory() -> None:
    """Give back the memory that nothing uses any more, on every device.

    After an error, Python keeps the failed call's variables for its traceback: a
    batch and its gradients may hang on to gigabytes. This lets go of them too, so
    that a cell which ran out of memory can be run again with a smaller batch.

    >>> free_memory()
    """
    error = getattr(sys, "last_value", None)
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    gc.collect()
    for kind, is_available in ACCELERATORS.items():
        if is_available():
            getattr(torch, kind).empty_cache()


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
    if len(devices) < 2:  # asking costs a context of some 300 MB on each GPU
        return devices
    return sorted(devices, key=_free_bytes, reverse=True)


def _free_bytes(device: torch.device) -> int:
    try:
        return torch.cuda.mem_get_info(device)[0]
    except RuntimeError:  # a GPU that cannot even be asked comes last
        return 0


def _trouble_with(device: torch.device) -> str | None:
    """What goes wrong in a small calculation on `device`; None if all is well."""
    if device.type == "cpu":
        return None
    if not ACCELERATORS[device.type]():
        return f"PyTorch finds no {device.type} device on this machine"
    try:
        there = _trial_gradient(device)
    except Exception as error:  # whatever a driver may raise, the course goes on
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"a small calculation fails on it ({reason.rstrip('.')})"
    # Wide enough for TF32, the reduced precision of newer GPUs' convolutions.
    if not torch.allclose(there, _trial_gradient("cpu"), rtol=0.01, atol=0.005):
        return "a small calculation on it gives wrong numbers"
    return None


def _trial_gradient(device: torch.device | str) -> torch.Tensor:
    """The gradient of a small convolution, computed on `device`: forward and back."""
    picture = torch.arange(192.0).sin().reshape(1, 3, 8, 8).to(device)
    kernel = torch.arange(54.0).cos().reshape(2, 3, 3, 3).to(device).requires_grad_()
    F.conv2d(picture, kernel).relu().mean().backward()
    assert kernel.grad is not None
    return kernel.grad.cpu()
