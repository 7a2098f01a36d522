"""Which device does the work, and where its random numbers start."""

import os
import random

import numpy as np
import torch


def pick_device() -> torch.device:
    """The best device that works here: a GPU if there is one, or else the CPU.

    Of several GPUs it takes the one with the most free memory. A GPU counts only if
    a small calculation on it agrees with the CPU. The environment variable
    ``COURSE_DEVICE`` (``cpu``, ``cuda:1``, ``mps`` ...) decides instead.

    >>> device = pick_device()
    """
    if wanted := os.environ.get("COURSE_DEVICE", "").strip():
        return torch.empty(0, device=wanted).device  # an error if it is not there
    kind = str(torch.accelerator.current_accelerator())  # cuda, mps, xpu ...
    gpus = [torch.device(kind, i) for i in range(torch.accelerator.device_count())]
    for gpu in sorted(gpus, key=_free_memory, reverse=True):
        if (problem := _problem_with(gpu)) is None:
            return gpu
        print(f"{gpu} is passed over: {problem}.")
    return torch.device("cpu")


def describe_device(device: torch.device | str | None = None) -> str:
    """What a device is, in words; without an argument, the one `pick_device` picks.

    >>> describe_device("cpu")  # doctest: +ELLIPSIS
    'CPU with ... PyTorch ...'
    """
    device = torch.device(device or pick_device())
    if device.type == "cpu":
        threads = torch.get_num_threads()
        name = f"CPU with {threads} thread{'s' if threads > 1 else ''}"
    elif device.type == "mps":
        name = "Apple GPU"
    else:
        properties = torch.get_device_module(device).get_device_properties(device)
        name = f"{properties.name} with {properties.total_memory / 2**30:.0f} GiB"
    return f"{name}, PyTorch {torch.__version__.partition('+')[0]}"


def seed_everything(seed: int) -> None:
    """Start Python's, NumPy's and PyTorch's random numbers (all devices) from `seed`.

    >>> seed_everything(0)
    """
    np.random.seed(seed)  # refuses all but whole numbers from 0 to 2**32 - 1
    random.seed(int(seed))
    torch.manual_seed(seed)


def _free_memory(gpu: torch.device) -> int:
    try:
        return int(torch.get_device_module(gpu).mem_get_info(gpu)[0])
    except Exception:  # Apple's GPU or a broken one
        return 0


def _problem_with(gpu: torch.device) -> str | None:
    """What goes wrong in a small calculation on `gpu`; None if all is well."""
    try:
        found = _trial(gpu)
    except Exception as error:  # a driver may raise anything
        reason = str(error).partition("\n")[0]
        return f"a small calculation fails on it ({reason})"
    # Wide enough for TF32, the reduced precision of newer GPUs' convolutions.
    if not torch.allclose(found, _trial(torch.device("cpu")), rtol=0.01, atol=0.005):
        return "a small calculation on it gives wrong numbers"
    return None


def _trial(device: torch.device) -> torch.Tensor:
    """A convolution, computed on `device`."""
    numbers = torch.arange(192, dtype=torch.float32, device="cpu")
    image = numbers.sin().reshape(1, 3, 8, 8).to(device)
    kernel = numbers[:54].cos().reshape(2, 3, 3, 3).to(device)
    return torch.nn.functional.conv2d(image, kernel).cpu()
