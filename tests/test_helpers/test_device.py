"""The choice of a device: what is picked, what is passed over and what is said."""

import operator
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from course_utils import (
    describe_device,
    device,
    free_memory,
    pick_device,
    seed_everything,
)

Listed = Callable[..., None]


class Card:
    """What PyTorch says of a GPU."""

    name, total_memory = "Example 9000", 16 * 2**30

    def __init__(self, device: torch.device | str) -> None:
        self.uuid = f"id-{torch.device(device).index}"


@pytest.fixture(autouse=True)
def no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSE_DEVICE", raising=False)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Pretend that PyTorch lists these accelerators, and so many CUDA GPUs."""

    def pretend(*kinds: str, gpus: int = 1) -> None:
        for kind in device.ACCELERATORS:
            answer = partial(operator.contains, kinds, kind)
            monkeypatch.setitem(device.ACCELERATORS, kind, answer)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return pretend


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend how the small trial calculation ends on some devices."""
    on_the_cpu = device._trial_gradient("cpu")

    def pretend(**endings: torch.Tensor | Exception) -> None:
        def calculate(where: torch.device | str) -> torch.Tensor:
            ending = endings.get(str(where).replace(":", ""), on_the_cpu)
            if isinstance(ending, Exception):
                raise ending
            return ending

        monkeypatch.setattr(device, "_trial_gradient", calculate)

    return pretend


def test_without_an_accelerator_it_is_the_cpu(listed: Listed) -> None:
    listed()
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("kinds", "picked"),
    [(["cuda", "mps", "xpu"], "cuda:0"), (["mps", "xpu"], "mps"), (["xpu"], "xpu")],
)
def test_the_fastest_kind_wins(
    kinds: list[str], picked: str, listed: Listed, trial: Callable[..., None]
) -> None:
    listed(*kinds)
    trial()
    assert str(pick_device()) == picked


def test_of_several_gpus_the_one_with_most_free_memory(
    listed: Listed, trial: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [2, 7, 5]
    listed("cuda", gpus=3)
    trial()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: Card(gpu))
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda gpu: (free[gpu.index] << 20, 8 << 20)
    )
    assert str(pick_device()) == "cuda:1"


def test_the_drivers_tool_is_asked_first(
    listed: Listed,
    trial: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'GPU-id-0, 1 MiB\\nGPU-id-1, 9 MiB\\n'")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    listed("cuda", gpus=2)
    trial()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: Card(gpu))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: pytest.fail("not asked"))
    assert str(pick_device()) == "cuda:1"


def test_a_gpu_that_cannot_be_asked_comes_last(
    listed: Listed, trial: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(gpu: torch.device) -> tuple[int, int]:
        if gpu.index == 0:
            raise AssertionError("invalid device id")
        return 1 << 20, 8 << 20

    listed("cuda", gpus=2)
    trial()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: Card(gpu))
    monkeypatch.setattr(torch.cuda, "mem_get_info", ask)
    assert str(pick_device()) == "cuda:1"


def test_a_gpu_that_is_listed_but_fails_is_passed_over(
    listed: Listed, trial: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    listed("cuda")
    trial(cuda0=RuntimeError("CUDA error: no kernel image is available\nmore lines"))
    assert pick_device() == torch.device("cpu")
    assert capsys.readouterr().out == (
        "cuda:0 is passed over: a small calculation fails on it "
        "(CUDA error: no kernel image is available).\n"
    )


@pytest.mark.parametrize("wrong", [0.0, torch.nan])
def test_a_device_that_calculates_wrongly_is_passed_over(
    wrong: float,
    listed: Listed,
    trial: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed("mps", "xpu")
    trial(mps=torch.full((2, 3, 3, 3), wrong))
    assert str(pick_device()) == "xpu"
    assert "mps is passed over" in capsys.readouterr().out


def test_a_listed_gpu_is_passed_over_for_real() -> None:
    """Without simulation: a device that this PyTorch cannot calculate on."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a working GPU")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(device.ACCELERATORS, "cuda", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_where_the_caller_has_switched_gradients_off_the_trial_still_works(
    context: Callable[[], AbstractContextManager[None]],
) -> None:
    expected = device._trial_gradient("cpu")
    with context():
        assert torch.equal(device._trial_gradient("cpu"), expected)


def test_the_callers_default_dtype_does_not_reach_the_trial() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert device._trial_gradient("cpu").dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_trial_notices_wrong_numbers() -> None:
    right = device._trial_gradient("cpu")
    assert right.abs().max() > 0.05
    assert not torch.allclose(right, torch.zeros_like(right), rtol=0.01, atol=0.005)


def test_course_device_decides(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    listed("cuda")
    monkeypatch.setenv("COURSE_DEVICE", " cpu ")
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "7", "meta", "cpu cuda"])
def test_nonsense_in_course_device_is_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises(ValueError, match=r"is not a device .* Unset COURSE_DEVICE"):
        pick_device()


def test_asking_for_a_device_that_is_not_there_is_an_error(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed()
    monkeypatch.setenv("COURSE_DEVICE", "cuda:1")
    with pytest.raises(RuntimeError, match="asks for cuda:1, but PyTorch finds no"):
        pick_device()


def test_asking_for_a_device_that_fails_is_an_error(
    listed: Listed, trial: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed("cuda")
    trial(cuda=RuntimeError("out of order."))
    monkeypatch.setenv("COURSE_DEVICE", "cuda")
    with pytest.raises(RuntimeError, match=r"fails on it \(out of order\)\. Unset"):
        pick_device()


def test_a_device_in_words() -> None:
    assert describe_device("cpu").startswith("CPU with ")
    assert torch.__version__.partition("+")[0] in describe_device("cpu")
    assert describe_device("mps").startswith("Apple GPU")


@pytest.mark.parametrize(("count", "words"), [(1, "1 thread,"), (2, "2 threads,")])
def test_one_thread_is_not_many(
    count: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    assert describe_device("cpu").startswith(f"CPU with {words}")


def test_a_gpu_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: Card(gpu))
    assert describe_device("cuda:0").startswith("Example 9000 with 16 GiB, PyTorch ")


def test_the_same_seed_gives_the_same_numbers() -> None:
    def draw() -> tuple[float, float]:
        seed_everything(3)
        return float(np.random.rand()), torch.rand(()).item()

    assert draw() == draw()
    seed_everything(np.int64(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(ValueError, match="a seed is a whole number"):
        seed_everything(seed)  # type: ignore[arg-type]


class Batch:
    """Something large, of which we can tell whether it is still there."""

    alive = 0

    def __init__(self) -> None:
        Batch.alive += 1

    def __del__(self) -> None:
        Batch.alive -= 1


def fail_with_a_batch() -> None:
    batch = Batch()
    raise MemoryError(f"{batch} is too large")


def as_it_is() -> None:
    fail_with_a_batch()


def as_a_cause() -> None:
    try:
        fail_with_a_batch()
    except MemoryError as error:
        raise RuntimeError("out of memory") from error


def as_a_context() -> None:
    try:
        fail_with_a_batch()
    except MemoryError:
        raise RuntimeError("out of memory") from None


def in_a_group() -> None:
    try:
        fail_with_a_batch()
    except MemoryError as error:
        raise ExceptionGroup("several", [error]) from None


@pytest.mark.parametrize("fail", [as_it_is, as_a_cause, as_a_context, in_a_group])
def test_free_memory_lets_go_of_what_a_failed_call_held(
    fail: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        fail()
    except Exception as error:
        # What Python and IPython do when an error reaches the top: remember it, and
        # look at every frame's variables to print the traceback.
        monkeypatch.setattr(sys, "last_value", error, raising=False)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            assert frame.f_locals is not None
        del frame
    assert Batch.alive == 1
    free_memory()
    assert Batch.alive == 0


def test_free_memory_is_not_caught_in_a_circle_of_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__context__, other.__context__ = other, one
    monkeypatch.setattr(sys, "last_value", one, raising=False)
    free_memory()


def test_free_memory_says_when_only_a_restart_helps(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    listed("cuda")
    monkeypatch.setattr(torch.cuda, "empty_cache", fail)
    with pytest.raises(RuntimeError, match=r"cuda has stopped .* restart the kernel"):
        free_memory()


def test_free_memory_works_in_a_notebook() -> None:
    """In a real kernel, whose IPython looks at every frame and keeps tracebacks."""
    cells = [
        "import torch, weakref\nfrom course_utils import free_memory\nheld = []",
        "def step():\n    batch = torch.zeros(9)\n    held.append(weakref.ref(batch))\n"
        "    raise MemoryError",
        "step()",
        "this is a syntax error",
        "free_memory()\nassert held[0]() is None",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells]
    )
    for cell in notebook.cells[2:4]:
        cell.metadata["tags"] = ["raises-exception"]
    NotebookClient(notebook, kernel_name="python3").execute()
