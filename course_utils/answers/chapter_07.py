"""The exercises of chapter 7: LeNet on CIFAR-10."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.exercises import Exercise

MATRIX = torch.tensor([[6, 3, 1], [2, 7, 1], [4, 0, 16]])
RUNS = ([0.70, 0.72, 0.69, 0.71, 0.73], [0.5, 0.6])


def _steps(images: int, batch_size: int, epochs: int) -> int:
    return epochs * math.ceil(images / batch_size)


def _rates(matrix: Tensor, number: int) -> tuple[Tensor, Tensor]:
    right = matrix[number, number]
    return right / matrix[:, number].sum(), right / matrix[number].sum()


def _with_spread(
    spread: Callable[[Tensor], Tensor],
) -> Callable[[list[float]], tuple[float, float]]:
    """The right mean, with a measure of the spread."""

    def summary(runs: list[float]) -> tuple[float, float]:
        numbers = torch.tensor(runs, dtype=torch.float64)
        return numbers.mean().item(), spread(numbers).item()

    return summary


def _cnn(
    *last: nn.Module, padding: int = 1, pool: int = 2, relu: bool = True
) -> nn.Module:
    """SimpleCNN, or a mistaken one."""
    side = (30 + 2 * padding) // pool
    active: type[nn.Module] = nn.ReLU if relu else nn.Identity
    return nn.Sequential(
        *(nn.Conv2d(3, 18, 3, padding=padding), active(), nn.MaxPool2d(pool)),
        *(nn.Flatten(), nn.Linear(18 * side**2, 64), active(), nn.Linear(64, 10)),
        *last,
    )


def _half_active(first: bool) -> nn.Module:
    """SimpleCNN with one of its two ReLUs."""
    model = _cnn()
    assert isinstance(model, nn.Sequential)
    model[5 if first else 1] = nn.Identity()
    return model


def _tried(make: Callable[[], Any]) -> Any:
    """The size of a network, and its answer with weights that depend on shapes only."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model = make()
        if not isinstance(model, nn.Module):
            return model
        for parameter in model.parameters():
            wave = torch.sin(torch.arange(parameter.numel()) * 1.7)
            parameter.copy_(wave.view_as(parameter) / parameter[0].numel() ** 0.5)
        images = torch.sin(torch.arange(2 * 3072) * 0.37).view(2, 3, 32, 32)
        return [sum(p.numel() for p in model.parameters()), model(images)]


def _erase(images: Tensor, places: int = 25) -> Tensor:
    """Black squares of 8 by 8 pixels, each at a place of its own."""
    erased = images.clone()
    for image in erased:
        down, right = torch.randint(places, (2,)).tolist()
        image[:, down : down + 8, right : right + 8] = 0
    return erased


def _erase_red(images: Tensor) -> Tensor:
    erased = images.clone()
    erased[:, :1] = _erase(images[:, :1])
    return erased


def _erase_up_to_the_border(images: Tensor) -> Tensor:
    erased = _erase(images, places=32)
    erased[0, :, 28:, 28:] = 0  # so that one square is cut off, whatever is drawn
    return erased


def _squares(erase: Callable[[Tensor], Any]) -> Any:
    """What is to be seen of a step that blackens squares."""
    given = torch.full((1000, 3, 32, 32), 200, dtype=torch.uint8)
    with torch.random.fork_rng(devices=[]):
        result = erase(given)
    if not isinstance(result, Tensor):
        return result
    black = result == 0
    sizes = black.all(dim=1).flatten(1).sum(dim=1)
    return [
        bool(black.any(dim=1).eq(black.all(dim=1)).all()),
        bool((sizes == 64).all()),
        any(not one.equal(other) for one, other in pairwise(black)),
        bool(black[:, :, 31].any() and black[:, :, :, 31].any()),
        bool((given == 200).all()),
        result.shape == given.shape,
        result.dtype == given.dtype,
    ]


EXERCISES = {
    "7.1": Exercise(
        right=296_130,
        wrong={
            "The 18 biases of the convolution are missing.": 296_112,
            "The 10 biases of the last layer are missing.": 296_120,
            "The biases are missing: one for each kernel and each unit.": 296_038,
            "A kernel has 3 x 3 weights for each of the three colours, not once.": (
                295_806
            ),
            "That is without the pooling: it leaves 18 maps of 16 x 16.": 1_180_866,
            "That is the convolution; two dense layers follow.": 504,
            "Those are the dense layers; the convolution has some too.": 295_626,
            "That is LeNet's number.": 62_006,
        },
        # The last three digits as well, because a count has to be exact.
        look_at=lambda count: [count, count % 1000],
    ),
    "7.2": Exercise(
        right=_steps,
        wrong={
            "The last batch of an epoch is shorter, and it is a step all the same.": (
                lambda images, size, epochs: epochs * (images // size)
            ),
            "Each epoch ends with a short batch: round up before you multiply.": (
                lambda images, size, epochs: math.ceil(epochs * images / size)
            ),
            "Each epoch ends with a short batch, and it is a step too: round up, "
            "and before you multiply.": (
                lambda images, size, epochs: epochs * images // size
            ),
            "There are no parts of a step: round up to whole batches.": (
                lambda images, size, epochs: epochs * images / size
            ),
            "That is one epoch; the schedule lasts for all of them.": (
                lambda images, size, epochs: math.ceil(images / size)
            ),
            "The schedule goes by batches, not by epochs.": (
                lambda images, size, epochs: epochs
            ),
        },
        look_at=lambda f: [f(45_000, 128, 10), f(100, 30, 4), f(64, 32, 5)],
    ),
    "7.3": Exercise(
        right=_rates,
        wrong={
            "The two have changed places: rows are true classes, columns are "
            "predicted ones, and precision looks along the column.": (
                lambda matrix, number: _rates(matrix.T, number)
            ),
            "Both are the precision; recall divides by the sum of the row.": (
                lambda matrix, number: (_rates(matrix, number)[0],) * 2
            ),
            "Both are the recall; precision divides by the sum of the column.": (
                lambda matrix, number: (_rates(matrix, number)[1],) * 2
            ),
            "You divide by all images; take one column, then one row.": (
                lambda matrix, number: (matrix[number, number] / matrix.sum(),) * 2
            ),
            "The right ones belong to the sum below the line, too.": (
                lambda matrix, number: (
                    matrix[number, number] / (matrix[:, number].sum() - 6),
                    matrix[number, number] / (matrix[number].sum() - 6),
                )
            ),
        },
        look_at=lambda rates: rates(MATRIX, 0),
    ),
    "7.4": Exercise(
        right=_with_spread(torch.std),
        wrong={
            "Divide by n - 1, not by n: with few runs, n makes the spread too small.": (
                _with_spread(lambda runs: runs.std(correction=0))
            ),
            "The square root is missing.": _with_spread(torch.var),
            "Divide by n - 1 first, and take the square root of the result.": (
                _with_spread(lambda runs: runs.std() / (len(runs) - 1) ** 0.5)
            ),
            "That is how sure you are of the mean; here the spread of the runs is "
            "asked for.": _with_spread(lambda runs: runs.std() / len(runs) ** 0.5),
            "That is from worst to best, which grows with every further run.": (
                _with_spread(lambda runs: runs.max() - runs.min())
            ),
            "Differences from the mean add up to 0: square them first.": (
                _with_spread(lambda runs: (runs - runs.mean()).mean())
            ),
        },
        look_at=lambda summary: [summary(list(runs)) for runs in RUNS],
    ),
    "7.5": Exercise(
        right=_cnn,
        wrong={
            "Without padding the maps shrink to 30 x 30: set padding=1.": (
                lambda: _cnn(padding=0)
            ),
            "The dense layer is four times too large: where is the pooling?": (
                lambda: _cnn(pool=1)
            ),
            "The shapes are right; leave the softmax to the loss, which has its own.": (
                lambda: _cnn(nn.Softmax(dim=1))
            ),
            "The shapes are right, but without ReLU the whole is one linear map.": (
                lambda: _cnn(relu=False)
            ),
            "A ReLU is missing between the two dense layers.": (
                lambda: _half_active(first=True)
            ),
            "A ReLU is missing after the convolution.": (
                lambda: _half_active(first=False)
            ),
            "The last layer gives scores: a ReLU after it cuts off half of them.": (
                lambda: _cnn(nn.ReLU())
            ),
        },
        look_at=_tried,
    ),
    "7.6": Exercise(
        right=_erase,
        wrong={
            "All squares lie at one place: draw a place for each image.": (
                lambda images: _erase(images, places=1)
            ),
            "The images you were given have changed: work on a clone.": (
                lambda images: images.copy_(_erase(images))
            ),
            "The squares are not black: blacken all three channels at one place.": (
                _erase_red
            ),
            "Some squares are cut off at the border: the last place at which 8 "
            "pixels fit is 24.": _erase_up_to_the_border,
            "No square reaches the last row or column: there are 25 places, and "
            "torch.randint(25, ...) draws from 0 to 24.": lambda images: _erase(
                images, places=24
            ),
            "No square is black: is the result of your change given back?": (
                lambda images: images.clone()
            ),
        },
        look_at=_squares,
    ),
}
