"""The choice of a device: what is picked, what is passed over and what is said."""

import random
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils import describe_device, device, pick_device, seed_everything

Gpus = Callable[..., None]
RESULT = device._trial(torch.device("cpu"))


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
            answer = found.get(str(gpu).replace(":", ""), RESULT)
            if isinstance(answer, Exception):
                raise answer
            return answer

        card = SimpleNamespace(name="Example 9000", total_memory=16 * 2**30)
        module = SimpleNamespace(
            mem_get_info=mem_get_info, get_device_properties=lambda gpu: card
        )
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: kind)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: len(free))
        monkeypatch.setattr(torch, "get_device_module", lambda gpu: module)
        monkeypatch.setattr(device, "_trial", trial)

    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 0)
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
        (0.9 * RESULT, "a small calculation on it gives wrong numbers"),
        (torch.nan * RESULT, "a small calculation on it gives wrong numbers"),
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
    gpus("cuda", 9, cuda0=RESULT * 1.001)
    assert pick_device() == torch.device("cuda:0")


def test_a_default_device_does_not_reach_the_trial() -> None:
    with torch.device("meta"):
        assert torch.equal(device._trial(torch.device("cpu")), RESULT)


def test_course_device_decides(gpus: Gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus("cuda", 5, 9)
    monkeypatch.setenv("COURSE_DEVICE", " cpu ")
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_an_error_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises((RuntimeError, AssertionError)):
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
