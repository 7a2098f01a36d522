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
        return _find("COURSE_DEVICE", wanted)
    for gpu in sorted(_gpus(), key=_free_memory, reverse=True):
        problem = _problem_with(gpu)
        if problem is None:
            return gpu
        print(f"{gpu} is passed over: {problem}.")
    return torch.device("cpu")


def describe_device(device: torch.device | str | None = None) -> str:
    """What a device is, in words; without an argument, the one `pick_device` picks.

    >>> describe_device("cpu")  # doctest: +ELLIPSIS
    'CPU with ... PyTorch ...'
    """
    device = pick_device() if device is None else _find("device", str(device))
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


def _gpus() -> list[torch.device]:
    """The GPUs of this machine: of NVIDIA, AMD, Apple or Intel."""
    if not torch.accelerator.is_available():
        return []
    kind = str(torch.accelerator.current_accelerator())
    return [torch.device(kind, i) for i in range(torch.accelerator.device_count())]


def _find(what: str, name: str) -> torch.device:
    """The device of this name, if this machine has it."""
    gpus = _gpus()
    names = ["cpu", *(gpu.type for gpu in gpus[:1]), *map(str, gpus)]
    if name not in names:
        found = ", ".join(names)
        raise ValueError(f"{what} is {name!r}, but this machine has only {found}")
    return torch.device(name)


def _free_memory(gpu: torch.device) -> int:
    try:
        return int(torch.get_device_module(gpu).mem_get_info(gpu)[0])
    except Exception:  # Apple's GPU or a broken one
        return 0


def _problem_with(gpu: torch.device) -> str | None:
    """What goes wrong in a small calculation on `gpu`; None if all is well."""
    expected = _trial_gradient(torch.device("cpu"))
    try:
        found = _trial_gradient(gpu)
    except Exception as error:  # a driver may raise anything
        reason = str(error).partition("\n")[0]
        return f"a small calculation fails on it ({reason})"
    # Wide enough for TF32, the reduced precision of newer GPUs' convolutions.
    if not torch.allclose(found, expected, rtol=0.01, atol=0.005):
        return "a small calculation on it gives wrong numbers"
    return None


# The trial needs gradients even where the caller has switched them off.
@torch.inference_mode(False)
@torch.enable_grad()
def _trial_gradient(device: torch.device) -> torch.Tensor:
    """The gradient of a convolution, computed on `device`."""
    numbers = torch.arange(192, dtype=torch.float32, device="cpu")
    image = numbers.sin().reshape(1, 3, 8, 8).to(device)
    kernel = numbers[:54].cos().reshape(2, 3, 3, 3).to(device).requires_grad_()
    loss = torch.nn.functional.conv2d(image, kernel).relu().square().mean()
    return torch.autograd.grad(loss, kernel)[0].cpu()
