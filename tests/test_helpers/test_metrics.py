"""metrics: equal to slow, obvious versions and to the usual packages."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_utils import metrics
from course_utils.metrics import (
    accuracy,
    class_report,
    confusion,
    connected_components,
    dice,
    iou,
    pixel_accuracy,
    top_k_accuracy,
    v_rand,
    wilson_interval,
)

T = torch.tensor
CLASSES = 4
numbers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)
small_masks = st.integers(1, 7).flatmap(
    lambda width: st.lists(
        st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=7
    )
)


def answers(seed: int = 0, count: int = 500) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of ten classes, right somewhat more often than by chance, and labels."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (count,), generator=random)
    scores = torch.randn(count, 10, generator=random)
    scores[torch.arange(count), labels] += 1.5
    return scores, labels


def masks(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells as noise leaves them: chances from 0 to 1, and the true mask."""
    random = torch.Generator().manual_seed(seed)
    wide = torch.rand(1, 1, 66, 70, generator=random)
    smooth = torch.nn.functional.avg_pool2d(wide, 5, 1)[0, 0]
    truth = (smooth - smooth.mean()).abs() > 0.025
    noise = torch.rand(truth.shape, generator=random) - 0.5
    return (0.5 + 0.3 * (2.0 * truth - 1) + 0.6 * noise).clamp(0, 1), truth


# Accuracy


@given(numbers)
def test_accuracy_is_the_share_of_right_answers(pairs: list[tuple[int, int]]) -> None:
    predicted, actual = T(pairs).T
    right = sum(guess == label for guess, label in pairs)
    assert accuracy(predicted, actual) == right / len(pairs)


def test_scores_and_class_numbers_count_alike() -> None:
    scores, labels = answers()
    assert accuracy(scores, labels) == accuracy(scores.argmax(dim=1), labels)
    assert accuracy(scores.half(), labels) == pytest.approx(0.5, abs=0.1)


def test_pixels_count_one_by_one() -> None:
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 1] = 1
    assert pixel_accuracy(scores, T([[[1, 1], [1, 2]]])) == 0.75


@pytest.mark.parametrize("k", [1, 2, 5, 10])
def test_top_k_looks_at_the_k_highest_scores(k: int) -> None:
    scores, labels = answers()
    ranked = [
        sorted(range(10), key=lambda c, row=row: -float(row[c]))[:k]  # type: ignore[misc]
        for row in scores
    ]
    hits = [int(label) in best for label, best in zip(labels, ranked, strict=True)]
    assert top_k_accuracy(scores, labels, k) == sum(hits) / len(hits)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_a_gpu_measures_the_same() -> None:
    scores, labels = answers()
    cells, truth = masks()
    there = scores.cuda(), labels.cuda()
    assert accuracy(*there) == accuracy(scores, labels)
    assert top_k_accuracy(*there) == top_k_accuracy(scores, labels)
    torch.testing.assert_close(dice(*there).cpu(), dice(scores, labels))
    assert v_rand(cells.cuda(), truth.cuda()) == v_rand(cells, truth)


def test_no_answers_have_no_accuracy() -> None:
    assert math.isnan(accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)))


# Confusion and what follows from it


@given(numbers)
def test_rows_are_true_classes_and_columns_predictions(
    pairs: list[tuple[int, int]],
) -> None:
    predicted, actual = T(pairs).T
    matrix = confusion(predicted, actual, CLASSES)
    for row, column in itertools.product(range(CLASSES), repeat=2):
        assert matrix[row, column] == pairs.count((column, row))


@given(numbers)
def test_rates_of_a_class_are_those_of_their_definitions(
    pairs: list[tuple[int, int]],
) -> None:
    predicted, actual = T(pairs).T
    report = class_report(predicted, actual, CLASSES)
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


def test_the_number_of_classes_comes_from_scores_names_or_the_highest_number() -> None:
    labels = T([0, 1])
    assert confusion(torch.rand(2, 5), labels).shape == (5, 5)
    assert confusion(labels, labels, ["ant", "bee", "cow"]).shape == (3, 3)
    assert confusion(labels, labels).shape == (2, 2)
    assert confusion(labels[:0], labels[:0], 2).tolist() == [[0, 0], [0, 0]]


def test_a_report_shows_as_a_table() -> None:
    report = class_report(T([0, 1, 1]), T([0, 1, 0]), ["ant", "bee", "cow"])
    assert repr(report).splitlines() == [
        "class  precision   recall       f1    count",
        "ant       100.0%    50.0%    66.7%        2",
        "bee        50.0%   100.0%    66.7%        1",
        "cow            -        -        -        0",
    ]
    assert repr(class_report(T([0]), T([0]))).splitlines()[1].startswith("0 ")


# Wilson's interval


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


@pytest.mark.parametrize("counts", [(1, 0), (-1, 5), (6, 5), (0, 0)], ids=str)
def test_counts_that_make_no_rate_are_named(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{counts[0]} right answers of {counts[1]}"):
        wilson_interval(*counts)


# V-Rand


def flooded(mask: np.ndarray) -> np.ndarray:
    """Connected parts, found by walking from pixel to pixel."""
    found = np.zeros(mask.shape, dtype=int)
    for start in zip(*np.nonzero(mask), strict=True):
        waiting = [start] if not found[start] else []
        number = found.max() + 1
        while waiting:
            y, x = waiting.pop()
            inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if inside and mask[y, x] and not found[y, x]:
                found[y, x] = number
                waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return found


def same_parts(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two numberings differ in nothing but the numbers."""
    pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(small_masks)
def test_connected_parts_are_those_that_a_walk_reaches(mask: list[list[bool]]) -> None:
    pixels = np.array(mask)
    parts = connected_components(pixels)
    assert same_parts(parts, flooded(pixels))
    assert ((parts > 0) == pixels).all()


def test_a_long_spiral_is_one_part() -> None:
    spiral = np.zeros((41, 41), dtype=bool)
    y, x, dy, dx = 0, 0, 0, 1
    for length in [40, 40, *(side for side in range(40, 2, -2) for _ in "ab")]:
        for _ in range(length):
            spiral[y, x] = True
            y, x = y + dy, x + dx
        dy, dx = dx, -dy
    assert len(np.unique(connected_components(spiral))) == 2


def test_segments_grow_until_their_borders_have_no_width() -> None:
    segments = np.zeros((5, 9), dtype=int)
    segments[2, 0], segments[2, 8] = 3, 7
    grown = metrics._grown(segments)
    assert set(grown.ravel().tolist()) == {3, 7}
    assert (grown[:, :4] == 3).all()
    assert (grown[:, 5:] == 7).all()


def slow_v_rand(cells: torch.Tensor, truth: torch.Tensor, threshold: float) -> float:
    """The score from its definition: one pair of pixels after the other."""
    segments = metrics._grown(flooded(cells.numpy() > threshold))[truth.numpy()]
    actual = flooded(truth.numpy())[truth.numpy()]
    one_segment = segments[:, None] == segments
    one_cell = actual[:, None] == actual
    both = (one_segment & one_cell).sum()
    chances = [both / one_segment.sum(), both / one_cell.sum()]
    return float(2 / sum(1 / chance for chance in chances))


@pytest.mark.parametrize("seed", range(3))
def test_v_rand_counts_pairs_of_pixels(seed: int) -> None:
    cells, truth = (part[:30, :30] for part in masks(seed))
    every = {t: slow_v_rand(cells, truth, t) for t in (0.3, 0.5, 0.6)}
    for threshold, score in every.items():
        assert v_rand(cells, truth, [threshold])[0] == pytest.approx(score)
    best = v_rand(cells, truth, every)
    assert best[0] == pytest.approx(max(every.values()))
    assert every[best[1]] == max(every.values())


def test_perfect_cells_score_1_whatever_the_width_of_their_borders() -> None:
    truth = torch.ones(12, 12, dtype=torch.long)
    truth[:, 6] = 0
    wide = truth.clone()
    wide[:, 4:9] = 0
    assert v_rand(truth.float(), truth)[0] == 1
    assert v_rand(wide.float(), truth)[0] == 1


def test_cells_that_merge_or_are_split_lower_the_score() -> None:
    truth = torch.ones(10, 11)
    truth[:, 5] = 0
    merged, split = torch.ones(10, 11), truth.clone()
    split[5] = 0
    # Merged: of all pairs in one segment, half are in one cell; all the reverse.
    assert v_rand(merged, truth)[0] == pytest.approx(2 / 3)
    assert 0.6 < v_rand(split, truth)[0] < 0.75


def test_a_slice_without_any_cell_found_is_all_pieces() -> None:
    truth = torch.ones(5, 5)
    assert v_rand(torch.zeros(5, 5), truth)[0] == pytest.approx(2 * 25 / (625 + 25))


def test_a_truth_without_any_cell_has_no_score() -> None:
    assert math.isnan(v_rand(torch.ones(4, 4), torch.zeros(4, 4))[0])


def test_a_stack_adds_up_the_pairs_of_its_slices() -> None:
    cells, truth = masks()
    one = v_rand(cells, truth, [0.5])[0]
    assert v_rand(cells.expand(3, 1, -1, -1), truth.expand(3, -1, -1), [0.5])[0] == (
        pytest.approx(one)
    )
    # A slice with nothing but membrane adds no pair.
    padded = torch.stack([truth, torch.zeros_like(truth)])
    assert v_rand(cells.expand(2, -1, -1), padded, [0.5])[0] == pytest.approx(one)


# What cannot be measured is named

WRONG: dict[str, tuple[Any, Any, str]] = {
    "labels one-hot": (torch.rand(2, 3), torch.rand(2, 3), "labels are class numbers"),
    "too few labels": (
        torch.rand(4, 3),
        T([0, 1, 2]),
        r"do not fit.*\(4, 3\) and \(3,",
    ),
    "classes last": (torch.rand(2, 8, 8, 3), torch.ones(2, 8, 8).long(), "axis 1"),
    "one score each": (torch.rand(2), T([0, 1]), r"\(scores > 0\).long\(\)"),
    "one channel": (torch.rand(2, 1, 4, 4), torch.ones(2, 4, 4).long(), "one score"),
    "NaN": (T([[0.5, math.nan]]), T([0]), "the scores hold NaN"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("metric", [accuracy, pixel_accuracy, confusion, dice, iou])
def test_what_does_not_fit_is_named(metric: Any, name: str) -> None:
    predictions, labels, sentence = WRONG[name]
    with pytest.raises((TypeError, ValueError), match=sentence):
        metric(predictions, labels)


@pytest.mark.parametrize(
    ("predicted", "actual", "sentence"),
    [
        ([0, 1], [0, 2], "2 classes have the numbers 0 to 1, but .* from 0 to 2"),
        ([0, 3], [0, 1], "2 classes have the numbers 0 to 1, but .* from 0 to 3"),
        ([0, 1], [-1, 1], "2 classes have the numbers 0 to 1, but .* from -1 to 1"),
    ],
)
def test_numbers_without_a_class_are_named(
    predicted: list[int], actual: list[int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        confusion(T(predicted), T(actual), 2)


def test_a_k_beyond_the_classes_is_refused() -> None:
    with pytest.raises(RuntimeError, match="k out of range"):
        top_k_accuracy(torch.rand(2, 3), T([0, 1]), 4)


PLAIN = torch.ones(4, 4)


@pytest.mark.parametrize(
    ("cells", "truth", "options", "sentence"),
    [
        (PLAIN * 3, PLAIN, {}, "probabilities from 0 to 1"),
        (PLAIN * math.nan, PLAIN, {}, "look for NaN"),
        (PLAIN[:2], PLAIN, {}, r"\(1, 2, 4\), \(1, 4, 4\)"),
        (PLAIN, PLAIN, {"thresholds": []}, "empty"),
    ],
    ids=["scores", "NaN", "other shape", "no threshold"],
)
def test_what_v_rand_cannot_judge_is_named(
    cells: torch.Tensor, truth: torch.Tensor, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        v_rand(cells, truth, **options)


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
        "top 3": (
            top_k_accuracy(scores, labels, 3),
            theirs.multiclass_accuracy(
                scores, labels, num_classes=10, average="micro", top_k=3
            ),
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
    report = class_report(scores, labels)
    expected = theirs.precision_recall_fscore_support(labels, predicted)
    ours = (report.precision, report.recall, report.f1, report.count)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_array_equal(
        confusion(scores, labels), theirs.confusion_matrix(labels, predicted)
    )


@pytest.mark.parametrize("right", [0, 1, 77, 153])
def test_scipy_agrees_on_the_interval(right: int) -> None:
    theirs = installed("scipy.stats")
    expected = theirs.binomtest(right, 153).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson_interval(right, 153), expected, atol=1e-12)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_scikit_image_agrees_on_v_rand(threshold: float) -> None:
    measure = installed("skimage.measure")
    theirs = installed("skimage.metrics")
    cells, truth = masks()
    ours = connected_components(cells.numpy() > threshold)
    assert same_parts(ours, measure.label(cells.numpy() > threshold, connectivity=1))
    actual, grown = measure.label(truth.numpy(), connectivity=1), metrics._grown(ours)
    table = theirs.contingency_table(actual, grown, ignore_labels=[0]).toarray()
    sides = (table.sum(axis=0) ** 2).sum() + (table.sum(axis=1) ** 2).sum()
    score = v_rand(cells, truth, [threshold])[0]
    assert score == pytest.approx(2 * (table**2).sum() / sides)
    # Its own error leaves out the pairs of a pixel with itself: less for small cells.
    error, _, _ = theirs.adapted_rand_error(actual, grown)
    assert score == pytest.approx(1 - error, abs=2e-3)
