"""Looking at images: what each function takes, draws and refuses."""

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset

from course_utils import BatchLoader, History, PictureDataset
from course_utils.viewing import (
    imshow,
    plot_confusion,
    plot_history,
    show_batch,
    show_masks,
    show_predictions,
)

COLOURS = torch.rand(3, 5, 7)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    plt.close("all")


# imshow


def drawn(picture: Any, **options: Any) -> np.ndarray:
    """The pixels that imshow put on the axes."""
    ax = imshow(picture, **options)
    return np.asarray(ax.images[0].get_array())


FORMS = {
    "channels first": COLOURS,
    "channels last": COLOURS.permute(1, 2, 0),
    "array, channels first": COLOURS.numpy(),
    "array, channels last": COLOURS.permute(1, 2, 0).numpy(),
    "double precision": COLOURS.double(),
    "with a gradient": COLOURS.clone().requires_grad_(),
    "not contiguous": COLOURS.transpose(1, 2).contiguous().transpose(1, 2),
    "nested lists": COLOURS.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_picture_in_many_forms(form: str) -> None:
    expected = COLOURS.permute(1, 2, 0).numpy()
    np.testing.assert_allclose(drawn(FORMS[form]), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (5, 7, 1)])
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bool])
def test_short_floats_and_truth_values(dtype: torch.dtype) -> None:
    picture = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    np.testing.assert_allclose(drawn(picture), [[0, 1], [1, 0]])


def test_values_beyond_0_and_1_are_stretched() -> None:
    np.testing.assert_allclose(drawn(torch.tensor([[-2.0, 0.0, 2.0]])), [[0, 0.5, 1]])
    assert drawn(torch.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]


def test_fractions_a_little_beyond_0_and_1_are_clipped() -> None:
    picture = np.array([[-0.01, 0.0, 0.4, 1.0, 1.01]])
    np.testing.assert_array_equal(drawn(picture), [[0, 0, 0.4, 1, 1]])


def test_a_normalisation_is_undone() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.1)
    column = torch.tensor([mean, std])[:, :, None, None]
    normalised = (COLOURS - column[0]) / column[1]
    expected = COLOURS.permute(1, 2, 0)
    np.testing.assert_allclose(drawn(normalised, mean=mean, std=std), expected, 0, 1e-6)
    as_tensors = drawn(normalised, mean=column[0], std=column[1])
    np.testing.assert_allclose(as_tensors, expected, 0, 1e-6)
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
        (torch.rand(8, 3, 4, 4), r"Invalid shape \(8, 3, 4, 4\) for image data"),
        (torch.rand(5), r"Invalid shape \(5,\) for image data"),
        (torch.rand(2, 5, 7), r"Invalid shape \(2, 5, 7\) for image data"),
        (torch.tensor([[0.5, torch.nan]]), "1 of 2 values are NaN or infinite"),
    ],
    ids=["many", "a row", "2 channels", "NaN"],
)
def test_what_it_cannot_draw_it_names(picture: Any, sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence):
        imshow(picture)


def test_bytes_are_not_normalised_and_stay_as_they_are() -> None:
    bytes_ = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert drawn(bytes_, mean=0.5, std=0.25).tolist() == [[0, 1]]


# show_batch and show_predictions

FOUR = torch.rand(4, 3, 6, 6)
LABELS = torch.tensor([0, 1, 1, 0])
INSECTS = ["ant", "bee"]
SET = PictureDataset(FOUR, LABELS, INSECTS)

BATCHES: dict[str, tuple[Any, ...]] = {
    "a batch": (FOUR, LABELS),
    "an array": (FOUR.numpy(), LABELS.numpy()),
    "pictures of many sizes": ([torch.rand(3, 4 + i, 9 - i) for i in range(4)], LABELS),
    "a data set": (SET,),
    "labels in a list": (FOUR, [0, 1, 1, 0]),
    "a loader": (DataLoader(SET, batch_size=4),),
    "a loader of the course": (BatchLoader(SET, 4),),
}


@pytest.mark.parametrize("form", BATCHES)
def test_pictures_stand_under_the_names_of_their_classes(form: str) -> None:
    axes = show_batch(*BATCHES[form], classes=INSECTS)
    assert [ax.get_title() for ax in axes] == ["ant", "bee", "bee", "ant"]


def test_only_as_many_as_asked_for_are_drawn_in_rows() -> None:
    axes = show_batch(SET, count=3, columns=2)
    assert len(axes) == len(axes[0].figure.axes) == 3
    rows = [ax.get_subplotspec().rowspan.start for ax in axes]  # type: ignore[union-attr]
    assert rows == [0, 0, 1]


def test_without_labels_or_with_masks_there_are_no_titles() -> None:
    assert show_batch(FOUR)[0].get_title() == ""
    with_masks = PictureDataset(FOUR, torch.zeros(4, 6, 6).long(), INSECTS)
    assert show_batch(with_masks)[0].get_title() == ""
    assert show_batch(FOUR, LABELS)[1].get_title() == "1"


SCORES = torch.tensor([[9.0, 0], [9, 0], [0, 9], [0, 1]])


@pytest.mark.parametrize(
    "scores", [SCORES, SCORES.numpy(), SCORES.tolist()], ids=["tensor", "array", "list"]
)
def test_right_and_wrong_answers_have_signs(scores: Any) -> None:
    axes = show_predictions(FOUR, scores, LABELS, classes=INSECTS)
    assert [ax.get_title() for ax in axes] == [
        "✓ ant 100%\ntrue: ant",
        "✗ ant 100%\ntrue: bee",
        "✓ bee 100%\ntrue: bee",
        "✗ bee 73%\ntrue: ant",
    ]


def test_without_labels_only_the_guess_is_told() -> None:
    axes = show_predictions(FOUR, SCORES, classes=INSECTS)
    assert axes[3].get_title() == "bee 73%"


# show_masks


def test_a_mask_is_outlined_with_a_line_style_for_each_class() -> None:
    mask = torch.tensor([0, 1, 2]).repeat_interleave(4).expand(12, 12)
    plain, outlined = show_masks(
        torch.rand(1, 12, 12), mask, classes=["air", "fat", "bone"]
    )
    assert not plain.collections
    fat, bone = outlined.collections
    assert fat.get_linestyle() != bone.get_linestyle()
    legend = outlined.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["fat", "bone"]


@pytest.mark.parametrize("value", [True, False], ids=str)
def test_a_mask_of_one_class_is_drawn(value: bool) -> None:
    _, ax = show_masks(torch.rand(8, 8), torch.full((1, 8, 8), value))
    assert len(ax.collections) == value


# plot_history and plot_confusion

HISTORY = History(
    train_loss=[0.9, 0.5, 0.4],
    val_loss=[0.8, 0.6, 0.7],
    train_score=[0.5, 0.7, 0.8],
    val_score=[0.4, 0.6, 0.7],
)


def test_a_history_has_a_panel_for_each_measure() -> None:
    loss, right = plot_history(HISTORY)
    assert [loss.get_title(), right.get_title()] == ["loss", "accuracy"]
    training, validation, best = loss.lines
    assert list(np.asarray(training.get_xdata())) == [1, 2, 3]
    assert training.get_linestyle() != validation.get_linestyle()
    assert list(np.asarray(best.get_xdata())) == [2, 2]
    assert best.get_label() == right.lines[2].get_label() == "best: epoch 2"


NAN = float("nan")


def test_a_score_has_its_name_and_what_was_not_measured_no_curve() -> None:
    history = History(
        train_loss=[0.9, 0.5],
        val_loss=[NAN, NAN],
        train_score=[NAN, NAN],
        val_score=[0.4, 0.6],
        score_name="dice",
    )
    loss, score = plot_history(history)
    assert [line.get_label() for line in loss.lines] == ["train", "best: epoch 2"]
    assert [line.get_label() for line in score.lines] == ["val", "best: epoch 2"]
    assert score.get_title() == "dice"


def test_a_confusion_matrix_shows_counts_shaded_by_row() -> None:
    ax = plot_confusion(torch.tensor([[900, 100], [0, 0]]), INSECTS)
    assert [text.get_text() for text in ax.texts] == ["900", "100", "0", "0"]
    assert [text.get_color() for text in ax.texts[:2]] == ["white", "black"]
    shades = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shades, [[0.9, 0.1], [0.0, 0.0]])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == INSECTS
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_a_confusion_matrix_of_rates_shows_rates() -> None:
    ax = plot_confusion([[0.9, 0.1], [0.125, 0.375]])
    assert [text.get_text() for text in ax.texts] == ["0.9", "0.1", "0.12", "0.38"]
    shades = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shades, [[0.9, 0.1], [0.25, 0.75]])


# What they have in common

CALLS: dict[str, Any] = {
    "show_batch": lambda: show_batch(FOUR),
    "show_predictions": lambda: show_predictions(FOUR, SCORES, LABELS),
    "show_masks": lambda: show_masks(FOUR[0], FOUR[0, 0] > 0.5),
    "plot_history": lambda: plot_history(HISTORY),
    "plot_confusion": lambda: plot_confusion([[1, 2], [3, 4]]),
}
ONE: dict[str, Any] = {
    "imshow": lambda **where: imshow(COLOURS, **where),
}


@pytest.mark.parametrize("name", ONE)
def test_one_drawing_goes_on_the_given_axes(name: str) -> None:
    _, ax = plt.subplots()
    assert ONE[name](ax=ax) is ax
    assert plt.get_fignums() == [1]


@pytest.mark.parametrize("name", [*CALLS, *ONE])
def test_each_call_opens_one_figure_that_fits_a_page(name: str) -> None:
    (CALLS | ONE)[name]()
    assert len(plt.get_fignums()) == 1
    assert plt.gcf().get_size_inches().max() <= 9
    plt.gcf().canvas.draw()


MASK = torch.zeros(6, 6, dtype=torch.long)


REFUSED: dict[str, tuple[Any, str]] = {
    "no image": (lambda: show_batch([]), "no image to draw"),
    "an empty data set": (lambda: show_batch(Subset(SET, [])), "no image to draw"),
    "few labels": (lambda: show_batch(FOUR, [1]), "shorter"),
    "few scores": (lambda: show_predictions(FOUR, SCORES[:3]), "shorter"),
    "a label below 0": (
        lambda: show_batch(FOUR, [0, -1, 1, 0], classes=INSECTS),
        "label -1 is not the number of a class",
    ),
    "a label above all": (
        lambda: show_batch(FOUR, [0, 2, 1, 0], classes=INSECTS),
        "label 2 is not",
    ),
    "a fraction as label": (
        lambda: show_predictions(FOUR, SCORES, [0, 0.5, 1, 0], classes=INSECTS),
        "label 0.5 is not",
    ),
    "NaN as scores": (
        lambda: show_predictions(FOUR, SCORES * torch.nan),
        "some scores are NaN",
    ),
    "probabilities for a mask": (
        lambda: show_masks(FOUR[0], FOUR[0, 0]),
        r"a mask needs a whole number for each pixel, in shape \(6, 6\)",
    ),
    "a mask of another size": (
        lambda: show_masks(FOUR[0], MASK[:3, :3]),
        "a mask needs a whole number for each pixel",
    ),
    "one name": (
        lambda: plot_confusion([[1, 2], [3, 4]], ["ant"]),
        "does not match the number of labels",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_drawn_is_named(name: str) -> None:
    call, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        call()
