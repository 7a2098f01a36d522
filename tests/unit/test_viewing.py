"""imshow: what it takes, what it draws and what it refuses."""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course_utils import imshow

COLOURS = torch.rand(3, 5, 7)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def drawn(picture: Any, **options: Any) -> np.ndarray:
    """The pixels that imshow put on the axes."""
    ax = imshow(picture, **options)
    pixels = np.asarray(ax.images[0].get_array())
    plt.close(ax.figure)  # type: ignore[arg-type]
    return pixels


FORMS = {
    "channels first": COLOURS,
    "channels last": COLOURS.permute(1, 2, 0),
    "array, channels first": COLOURS.numpy(),
    "array, channels last": COLOURS.permute(1, 2, 0).numpy(),
    "a batch of one": COLOURS[None],
    "double precision": COLOURS.double(),
    "with a gradient": COLOURS.clone().requires_grad_(),
    "not contiguous": COLOURS.transpose(1, 2).contiguous().transpose(1, 2),
    "nested lists": COLOURS.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_picture_in_many_forms(form: str) -> None:
    expected = COLOURS.permute(1, 2, 0).numpy()
    np.testing.assert_allclose(drawn(FORMS[form]), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (5, 7, 1), (1, 1, 5, 7)])
def test_grey_pictures_have_no_channel_axis_when_drawn(shape: tuple[int, ...]) -> None:
    assert drawn(torch.rand(shape)).shape == (5, 7)


def test_where_both_layouts_fit_tensors_are_channels_first_and_arrays_last() -> None:
    picture = torch.rand(3, 9, 3)
    np.testing.assert_allclose(drawn(picture), picture.permute(1, 2, 0))
    np.testing.assert_allclose(drawn(picture.numpy()), picture)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_whole_numbers_are_bytes(dtype: torch.dtype) -> None:
    bytes_ = torch.tensor([[0, 51], [102, 255]], dtype=dtype)
    np.testing.assert_allclose(drawn(bytes_), [[0, 0.2], [0.4, 1]])


def test_a_dark_picture_of_bytes_stays_dark() -> None:
    assert drawn(torch.ones(4, 4, dtype=torch.uint8)).max() == pytest.approx(1 / 255)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.bool])
def test_short_floats_and_truth_values(dtype: torch.dtype) -> None:
    picture = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    np.testing.assert_allclose(drawn(picture), [[0, 1], [1, 0]])


def test_values_beyond_0_and_1_are_stretched() -> None:
    np.testing.assert_allclose(drawn(torch.tensor([[-2.0, 0.0, 2.0]])), [[0, 0.5, 1]])
    assert drawn(torch.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]
    int8 = torch.tensor([[-128, 127]], dtype=torch.int8)
    assert drawn(int8).tolist() == [[0, 1]]


def test_a_normalisation_is_undone() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    column = torch.tensor([mean, std])[:, :, None, None]
    normalised = (COLOURS - column[0]) / column[1]
    expected = COLOURS.permute(1, 2, 0)
    np.testing.assert_allclose(drawn(normalised, mean=mean, std=std), expected, 0, 1e-6)
    grey = (COLOURS[0] - 0.5) / 0.2
    np.testing.assert_allclose(
        drawn(grey, mean=[0.5], std=[0.2]), COLOURS[0], rtol=0, atol=1e-6
    )


def test_pil_pictures_and_titles() -> None:
    ax = imshow(Image.new("RGB", (7, 5), "red"), "all red")
    assert ax.get_title() == "all red"
    assert np.asarray(ax.images[0].get_array())[0, 0].tolist() == [1, 0, 0]


def test_it_draws_where_it_is_told() -> None:
    _, axes = plt.subplots(1, 2)
    assert imshow(COLOURS, ax=axes[1]) is axes[1]
    assert not axes[0].images


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (torch.rand(8, 3, 4, 4), r"one picture and got 8 .* batch\[0\]"),
        (torch.rand(5), r"a picture has the shape .* got \(5,\)"),
        (torch.rand(0, 4), r"no side of length 0; got \(0, 4\)"),
        (torch.rand(2, 5, 7), r"1, 3 or 4 channels.*\(2, 5, 7\) has neither"),
        (torch.tensor([[0.5, torch.nan]]), "1 of the picture's 2 values are NaN"),
        (torch.ones(2, 2, dtype=torch.complex64), "draws numbers, not a .*complex64"),
        (None, "draws numbers, not a NoneType"),
        ("cat.jpg", "draws numbers, not a str"),
    ],
)
def test_what_it_cannot_draw_it_names(picture: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        imshow(picture)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mean": [0.5]}, "needs both mean and std"),
        ({"mean": [0.5, 0.5], "std": [1, 1]}, "has 3 channels, but mean has 2 numbers"),
    ],
)
def test_a_wrong_normalisation_is_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        imshow(COLOURS, **options)


@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.sampled_from([None, 1, 3, 4]),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1e-3, 1.0, 300.0]),
)
def test_every_picture_of_numbers_is_drawn_between_0_and_1(
    sides: tuple[int, int], channels: int | None, seed: int, scale: float
) -> None:
    shape = sides if channels is None else (channels, *sides)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    pixels = drawn(values * scale)
    assert pixels.shape[:2] == sides or channels is None
    assert pixels.min() >= 0
    assert pixels.max() <= 1
