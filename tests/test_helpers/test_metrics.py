"""metrics: equal to slow, obvious versions and to the usual packages."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import accuracy, class_report, confusion, dice, iou, wilson_interval

T = torch.tensor
CLASSES = 4
numbers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)


def answers(seed: int = 0, count: int = 500) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of ten classes, right somewhat more often than by chance, and labels."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=random)
    scores = torch.randn(count, 10, generator=random)
    scores[torch.arange(count), labels] += 1.5
    return scores, labels


# Accuracy


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_accuracy_is_the_share_of_right_answers(pairs: list[tuple[int, int]]) -> None:
    predicted, actual = T(pairs).T
    right = sum(guess == label for guess, label in pairs)
    assert accuracy(predicted, actual) == right / len(pairs)


def test_scores_and_class_numbers_count_alike() -> None:
    scores, labels = answers()
    assert accuracy(scores, labels) == accuracy(scores.argmax(dim=1), labels)
    assert accuracy(scores.half(), labels) == pytest.approx(0.5, abs=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_a_gpu_measures_the_same() -> None:
    scores, labels = answers()
    there = scores.cuda(), labels.cuda()
    assert accuracy(*there) == accuracy(scores, labels)
    torch.testing.assert_close(dice(*there).cpu(), dice(scores, labels))


def test_pixels_count_one_by_one() -> None:
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 1] = 1
    assert accuracy(scores, T([[[1, 1], [1, 2]]])) == 0.75


def test_no_answers_have_no_accuracy() -> None:
    assert math.isnan(accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)))
    assert math.isnan(accuracy(T([1, 2]), T([-100, -100])))


def test_labels_of_minus_100_are_left_out() -> None:
    predicted, actual = T([0, 1, 2, 2, 1]), T([0, -100, 1, 2, -100])
    assert accuracy(predicted, actual) == 2 / 3
    assert confusion(predicted, actual).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert class_report(predicted, actual, "abc").count.tolist() == [1, 1, 1]
    small = T([156, 1], dtype=torch.uint8)  # -100 as an unsigned byte is 156
    assert accuracy(small * 0, small) == 0
    assert accuracy(T([156, 0]), small) == 0.5


@pytest.mark.parametrize("kind", [list, np.array, T])
def test_lists_and_arrays_count_as_tensors_do(kind: Any) -> None:
    scores, labels = kind([[0.1, 0.9], [0.8, 0.2]]), kind([1, 1])
    assert accuracy(scores, labels) == 0.5
    assert confusion(scores, labels).tolist() == [[0, 0], [1, 1]]
    assert dice(kind([1, 0]), labels).tolist() == [0, pytest.approx(2 / 3)]
    assert class_report(kind([1, 0]), labels, "ab").recall[1] == 0.5


# Confusion and what follows from it


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_rows_are_true_classes_and_columns_predictions(
    pairs: list[tuple[int, int]],
) -> None:
    predicted, actual = T(pairs).T
    matrix = confusion(predicted, actual, CLASSES)
    for row, column in itertools.product(range(CLASSES), repeat=2):
        assert matrix[row, column] == pairs.count((column, row))


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_rates_of_a_class_are_those_of_their_definitions(
    pairs: list[tuple[int, int]],
) -> None:
    predicted, actual = T(pairs).T
    report = class_report(predicted, actual, "abcd")
    for c in range(CLASSES):
        called = {i for i, (guess, _) in enumerate(pairs) if guess == c}
        are = {i for i, (_, label) in enumerate(pairs) if label == c}
        both, either = len(called & are), len(called | are)
        of_both = ratio(2 * both, len(called) + len(are))
        assert float(report.precision[c]) == ratio(both, len(called))
        assert float(report.recall[c]) == ratio(both, len(are))
        assert float(report.f1[c]) == of_both
        assert report.count[c] == len(are)
        assert float(dice(predicted, actual, CLASSES)[c]) == of_both
        assert float(iou(predicted, actual, CLASSES)[c]) == ratio(both, either)


def ratio(part: int, whole: int) -> Any:
    return pytest.approx(part / whole if whole else math.nan, nan_ok=True)


def test_a_class_that_is_absent_has_nan_and_a_mean_can_leave_it_out() -> None:
    predicted, actual = T([[0, 1], [1, 1]]), T([[0, 1], [1, 1]])
    assert dice(predicted, actual, 3)[:2].tolist() == [1, 1]
    assert dice(predicted, actual, 3)[2].isnan()
    assert iou(predicted, actual, 3).nanmean() == 1


def test_an_empty_mask_found_where_none_is_scores_0() -> None:
    empty, full = (
        torch.zeros(4, 4, dtype=torch.bool),
        torch.ones(4, 4, dtype=torch.bool),
    )
    assert dice(full, empty).tolist() == [0, 0]
    assert dice(empty, empty, 2)[0] == 1
    assert dice(empty, empty, 2)[1].isnan()


def test_the_number_of_classes_comes_from_scores_or_the_highest_number() -> None:
    labels = T([0, 1])
    assert confusion(torch.rand(2, 5), labels).shape == (5, 5)
    assert confusion(labels, labels, 3).shape == (3, 3)
    assert confusion(labels, labels).shape == (2, 2)
    assert confusion(labels[:0], labels[:0], 2).tolist() == [[0, 0], [0, 0]]
    assert confusion(labels[:0], labels[:0]).shape == (0, 0)
    assert confusion(labels, T([-100, -100])).shape == (0, 0)


def test_a_report_shows_as_a_table() -> None:
    report = class_report(T([0, 1, 1]), T([0, 1, 0]), ["ant", "bee", "cow"])
    assert repr(report).splitlines() == [
        "class  precision   recall       f1    count",
        "ant       100.0%    50.0%    66.7%        2",
        "bee        50.0%   100.0%    66.7%        1",
        "cow            -        -        -        0",
    ]


# Wilson's interval


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.data())
def test_its_ends_lie_z_standard_deviations_from_what_was_seen(
    total: int, data: st.DataObject
) -> None:
    right = data.draw(st.integers(0, total))
    z = 1.959964
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total + 1e-12
    assert right / total - 1e-12 <= high <= 1
    for end in (low, high):
        gap, spread = abs(right - total * end), math.sqrt(total * end * (1 - end))
        assert gap == pytest.approx(z * spread, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, T])
def test_small_integers_do_not_overflow(kind: Any) -> None:
    assert wilson_interval(kind(144), kind(153)) == wilson_interval(144, 153)
    large = wilson_interval(60_000, 100_000)
    assert wilson_interval(np.int32(60_000), np.int32(100_000)) == large  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [(0.94, 153), (3, 4.5)])
def test_rates_are_no_counts(counts: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        wilson_interval(*counts)


@pytest.mark.parametrize("counts", [(1, 0), (-1, 5), (6, 5), (0, 0)], ids=str)
def test_counts_that_make_no_rate_are_refused(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        wilson_interval(*counts)


# What cannot be measured is named

WRONG: dict[str, tuple[Any, Any, str]] = {
    "labels in fractions": (T([0, 1]), T([0.0, 0.9]), "give class numbers"),
    "labels one-hot": (torch.rand(2, 3), torch.rand(2, 3), "give class numbers"),
    "too few labels": (
        torch.rand(4, 3),
        T([0, 1, 2]),
        r"\(4, 3\) and labels \(3,\) do not fit",
    ),
    "classes last": (torch.rand(2, 8, 8, 3), torch.ones(2, 8, 8).long(), "axis 1"),
    "one score each": (torch.rand(2), T([0, 1]), r"\(scores > 0\).long\(\)"),
    "one channel": (torch.rand(2, 1, 4, 4), torch.ones(2, 4, 4).long(), "one score"),
    "NaN": (T([[0.5, math.nan]]), T([0]), "the scores hold NaN"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("metric", [accuracy, confusion, dice])
def test_what_does_not_fit_is_named(metric: Any, name: str) -> None:
    predictions, labels, sentence = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=sentence):
        metric(predictions, labels)


@pytest.mark.parametrize(
    ("predicted", "actual", "sentence"),
    [
        ([0, 1], [0, 2], "there are 2 classes, and one has the number 2"),
        ([0, 3], [0, 1], "there are 2 classes, and one has the number 3"),
        ([0, 1], [-1, 1], "only supports 1-d non-negative"),
    ],
)
def test_numbers_without_a_class_are_named(
    predicted: list[int], actual: list[int], sentence: str
) -> None:
    with pytest.raises((ValueError, RuntimeError), match=sentence):
        confusion(T(predicted), T(actual), 2)


# The usual packages agree (they are compared with where they are installed)


def installed(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed to compare with")


def test_torchmetrics_agrees() -> None:
    theirs = installed("torchmetrics.functional.classification")
    scores, labels = answers()
    rates = {"num_classes": 10, "average": None}
    pairs = {
        "accuracy": (
            accuracy(scores, labels),
            theirs.multiclass_accuracy(scores, labels, num_classes=10, average="micro"),
        ),
        "confusion": (
            confusion(scores, labels),
            theirs.multiclass_confusion_matrix(scores, labels, num_classes=10),
        ),
        "dice": (
            dice(scores, labels),
            theirs.multiclass_f1_score(scores, labels, **rates),
        ),
        "iou": (
            iou(scores, labels),
            theirs.multiclass_jaccard_index(scores, labels, **rates),
        ),
    }
    for ours, expected in pairs.values():
        torch.testing.assert_close(torch.as_tensor(ours), expected, check_dtype=False)


def test_scikit_learn_agrees() -> None:
    theirs = installed("sklearn.metrics")
    scores, labels = answers()
    predicted = scores.argmax(dim=1)
    report = class_report(scores, labels, "0123456789")
    expected = theirs.precision_recall_fscore_support(labels, predicted)
    ours = (report.precision, report.recall, report.f1, report.count)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_array_equal(
        confusion(scores, labels), theirs.confusion_matrix(labels, predicted)
    )
