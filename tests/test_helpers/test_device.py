"""The choice of a device: what is picked, what is passed over and what is said."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils import describe_device, device, pick_device, seed_everything

Gpus = Callable[..., None]
GRADIENT = device._trial_gradient(torch.device("cpu"))


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Gpus:
    """Pretend that there are GPUs, with so much free memory, that all work well.

    An error in place of a number is raised when the free memory is asked for.
    """

    def pretend(
        kind: str, *free: int | Exception, **found: torch.Tensor | Exception
    ) -> None:
        def mem_get_info(gpu: torch.device) -> tuple[int, int]:
            answer = free[gpu.index]
            if isinstance(answer, Exception):
                raise answer
            return answer, 99

        def trial(gpu: torch.device) -> torch.Tensor:
            answer = found.get(str(gpu).replace(":", ""), GRADIENT)
            if isinstance(answer, Exception):
                raise answer
            return answer

        card = SimpleNamespace(name="Example 9000", total_memory=16 * 2**30)
        module = SimpleNamespace(
            mem_get_info=mem_get_info, get_device_properties=lambda gpu: card
        )
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: kind)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: len(free))
        monkeypatch.setattr(torch, "get_device_module", lambda gpu: module)
        monkeypatch.setattr(device, "_trial_gradient", trial)

    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    return pretend


def test_without_a_gpu_it_is_the_cpu(gpus: Gpus) -> None:
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_a_gpu_of_any_kind_is_picked(kind: str, gpus: Gpus) -> None:
    gpus(kind, AttributeError("module 'torch.mps' has no attribute 'mem_get_info'"))
    assert pick_device() == torch.device(kind, 0)


def test_of_several_gpus_the_one_with_most_free_memory(gpus: Gpus) -> None:
    gpus("cuda", RuntimeError("CUDA error: device not ready"), 2, 7, 5)
    assert pick_device() == torch.device("cuda:2")


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (
            RuntimeError("CUDA error: no kernel image\nmore lines"),
            "a small calculation fails on it (CUDA error: no kernel image)",
        ),
        (0.9 * GRADIENT, "a small calculation on it gives wrong numbers"),
        (torch.nan * GRADIENT, "a small calculation on it gives wrong numbers"),
    ],
    ids=["fails", "wrong", "NaN"],
)
def test_a_gpu_that_calculates_wrongly_is_passed_over(
    result: torch.Tensor | Exception,
    sentence: str,
    gpus: Gpus,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gpus("cuda", 9, 5, cuda0=result)
    assert pick_device() == torch.device("cuda:1")
    assert capsys.readouterr().out == f"cuda:0 is passed over: {sentence}.\n"


def test_the_rounding_of_a_fast_gpu_is_no_error(gpus: Gpus) -> None:
    gpus("cuda", 9, cuda0=GRADIENT * 1.001)
    assert pick_device() == torch.device("cuda:0")


def another_default() -> AbstractContextManager[object]:
    return torch.device("meta")


@pytest.mark.parametrize(
    "setting", [torch.no_grad, torch.inference_mode, another_default]
)
def test_settings_of_the_caller_do_not_reach_the_trial(
    setting: Callable[[], AbstractContextManager[object]],
) -> None:
    with setting():
        assert torch.equal(device._trial_gradient(torch.device("cpu")), GRADIENT)


def test_course_device_decides(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus("cuda", 5, 9)
    for wish, picked in ((" cpu ", "cpu"), ("cuda:0", "cuda:0"), ("cuda", "cuda")):
        monkeypatch.setenv("COURSE_DEVICE", wish)
        assert str(pick_device()) == picked


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:2"])
def test_a_device_that_is_not_there_is_named_in_one_sentence(
    name: str, gpus: Gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus("cuda", 5, 9)
    sentence = f"is '{name}', but this machine has only cpu, cuda, cuda:0, cuda:1"
    with pytest.raises(ValueError, match=f"^device {sentence}$"):
        describe_device(name)
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises(ValueError, match=f"^COURSE_DEVICE {sentence}$"):
        pick_device()


def test_a_device_in_words(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    version = torch.__version__.partition("+")[0]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert describe_device() == f"CPU with 2 threads, PyTorch {version}"
    gpus("mps", 1)
    assert describe_device("mps") == f"Apple GPU, PyTorch {version}"
    gpus("cuda", 1)
    gpu = f"Example 9000 with 16 GiB, PyTorch {version}"
    assert describe_device(torch.device("cuda")) == describe_device() == gpu


def test_a_seed_starts_all_random_numbers() -> None:
    def draw() -> tuple[float, float, float]:
        seed_everything(3)
        return random.random(), float(np.random.rand()), torch.rand(()).item()

    assert draw() == draw()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None])
def test_a_seed_is_a_whole_number(seed: int) -> None:
    with pytest.raises((ValueError, TypeError)):
        seed_everything(seed)
