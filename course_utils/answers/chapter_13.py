"""The exercises of chapter 13: many GPUs."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from course_utils.exercises import Exercise

GRADIENTS = [torch.tensor([1.0, -2.0]), torch.tensor([4.0, 0.5]), torch.ones(2)]
COUNTS = [10, 25, 5]
VALUES = torch.tensor([[1.0, 4.0, -2.0, 3.0], [0.5, 7.0, 2.0, 6.0], [9.0, 8.0, 1.0, 0]])
DEALS = [(10, 3, 0), (10, 3, 2), (8, 2, 1), (7, 4, 3)]
ORDER = [7, 2, 9, 0, 5, 1, 8, 3, 6, 4, 12, 10, 11]
RESUMED = [(4, 1, 2, 0), (4, 1, 2, 1), (6, 0, 3, 2), (4, 3, 2, 0)]


def _merge(gradients: Sequence[Tensor], counts: Sequence[int]) -> Tensor:
    parts = [g * n for g, n in zip(gradients, counts, strict=True)]
    return torch.stack(parts).sum(dim=0) / sum(counts)


def _deal(pictures: int, world_size: int, rank: int) -> list[int]:
    share = math.ceil(pictures / world_size)
    return [(rank + k * world_size) % pictures for k in range(share)]


def _merge_statistics(means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    mean = means.mean()
    return mean, (variances + means**2).mean() - mean**2


def _talking(weights: int, n: int, gigabits: float) -> float:
    return 2 * (n - 1) / n * 4 * weights * 8 / (gigabits * 1e9)


def _remaining(
    order: list[int], batch: int, steps: int, world_size: int, rank: int
) -> list[list[int]]:
    starts = range(steps * batch, len(order) - batch + 1, batch)
    return [order[start : start + batch][rank::world_size] for start in starts]


EXERCISES = {
    "13.1": Exercise(
        right=(256, 0.1, 2048, 0.8),
        wrong={
            "32 is your share; the global batch is that of all 8 together.": (
                (32, 0.1, 2048, 0.8)
            ),
            "Your global batch is that of the recipe, so the rate stays, too: the "
            "number of GPUs does not matter.": (256, 0.8, 2048, 0.8),
            "The rate goes with the global batch, not with the number of GPUs: "
            "compare it with the recipe's 256.": (256, 0.8, 2048, 6.4),
            "Hers is eight times the recipe's batch; by the rule the rate grows "
            "with it.": (256, 0.1, 2048, 0.1),
            "The loader's number is the share of one process; the global batch is "
            "that of all 8 together.": (32, 0.1, 256, 0.1),
            "Her loader's 256 is the share of one process, and there are 8.": (
                (256, 0.1, 256, 0.1)
            ),
            "You take the recipe for one of 8 GPUs; it speaks of a batch of 256.": (
                (256, 0.0125, 2048, 0.1)
            ),
        },
    ),
    "13.2": Exercise(
        right=_merge,
        wrong={
            "That is the plain mean: it lets a picture of a small share count for "
            "more.": lambda gradients, counts: torch.stack(gradients).mean(dim=0),
            "Divide by the number of all pictures in the end.": (
                lambda gradients, counts: _merge(gradients, counts) * sum(counts)
            ),
            "You divide by the number of shares; divide by that of the pictures.": (
                lambda gradients, counts: (
                    _merge(gradients, counts) * sum(counts) / len(counts)
                )
            ),
            "That is a sum of means: weight each by the pictures behind it.": (
                lambda gradients, counts: torch.stack(gradients).sum(dim=0)
            ),
            "Each gradient is a mean already: make it a sum again, times its count, "
            "before you add.": lambda gradients, counts: (
                torch.stack(gradients).sum(dim=0) / sum(counts)
            ),
        },
        # Copies, so that an answer that works in place is caught.
        look_at=lambda merge: merge([g.clone() for g in GRADIENTS], list(COUNTS)),
    ),
    "13.3": Exercise(
        right=_deal,
        wrong={
            "Some processes get fewer: where pictures do not suffice, go on from the "
            "first again.": lambda n, size, rank: list(range(rank, n, size)),
            "Pictures are left over and nobody sees them: round the share up.": (
                lambda n, size, rank: [rank + k * size for k in range(n // size)]
            ),
            "Some of these numbers are too large: after the last picture comes the "
            "first again.": lambda n, size, rank: [
                rank + k * size for k in range(math.ceil(n / size))
            ],
            "Those are blocks of neighbours; deal like cards, one to each in turn.": (
                lambda n, size, rank: [
                    (rank * math.ceil(n / size) + k) % n
                    for k in range(math.ceil(n / size))
                ]
            ),
            "Every process gets everything: that is N times the same work.": (
                lambda n, size, rank: list(range(n))
            ),
        },
        look_at=lambda deal: [deal(*case) for case in DEALS],
    ),
    "13.4": Exercise(
        right=_merge_statistics,
        wrong={
            "The mean of the variances leaves out how far the means lie apart.": (
                lambda means, variances: (means.mean(), variances.mean())
            ),
            "That is the mean of squares: subtract the squared mean.": (
                lambda means, variances: (means.mean(), (variances + means**2).mean())
            ),
            "Close: here `var` has to divide by the number of shares, not by one "
            "less (correction=0).": (
                lambda means, variances: (
                    means.mean(),
                    variances.mean() + means.var(),
                )
            ),
            "That is how the means differ; within a share values differ, too.": (
                lambda means, variances: (means.mean(), means.var(correction=0))
            ),
            "That is the standard deviation; the variance is asked for.": (
                lambda means, variances: (
                    means.mean(),
                    _merge_statistics(means, variances)[1].sqrt(),
                )
            ),
        },
        look_at=lambda merge: merge(
            VALUES.mean(dim=1), VALUES.var(dim=1, correction=0)
        ),
    ),
    "13.5": Exercise(
        right=_talking,
        wrong={
            "The link is counted in bits and the weights in bytes: a factor of 8.": (
                lambda *given: _talking(*given) / 8
            ),
            "Each weight has 4 bytes.": lambda *given: _talking(*given) / 4,
            "The gradient goes round twice: once to add up, once to hand out.": (
                lambda *given: _talking(*given) / 2
            ),
            "A GPU need not send what it has itself: a factor (n - 1) / n.": (
                lambda weights, n, gigabits: (
                    _talking(weights, n, gigabits) * n / (n - 1)
                )
            ),
            "You multiply by n - 1: the pieces are the smaller the more GPUs there "
            "are, so divide by n.": (
                lambda weights, n, gigabits: _talking(weights, n, gigabits) * n
            ),
            "A gigabit is a thousand million bits.": (
                lambda *given: _talking(*given) * 1e9
            ),
        },
        look_at=lambda talking: [
            talking(25_000_000, 8, 10),
            talking(138_000_000, 2, 100),
            talking(11_000_000_000, 64, 400),
        ],
    ),
    "13.6": Exercise(
        right=_remaining,
        wrong={
            "The last global batch is not full: leave it out.": (
                lambda order, batch, steps, world_size, rank: [
                    order[start : start + batch][rank::world_size]
                    for start in range(steps * batch, len(order), batch)
                ]
            ),
            "The right batches, dealt out in blocks: deal like cards, with a step of "
            "world_size.": lambda order, batch, steps, world_size, rank: [
                whole[rank * batch // world_size :][: batch // world_size]
                for whole in _remaining(order, batch, steps, 1, 0)
            ],
            "You deal out first and cut batches of the global size from each hand: "
            "cut global batches first, then deal out each of them.": (
                lambda order, batch, steps, world_size, rank: _remaining(
                    order[rank::world_size], batch, steps, 1, 0
                )
            ),
            "One batch is missing: `steps` are done, so go on with number `steps`.": (
                lambda order, batch, steps, *who: _remaining(
                    order, batch, steps + 1, *who
                )
            ),
            "That is the whole epoch: the first `steps` batches are done.": (
                lambda order, batch, steps, *who: _remaining(order, batch, 0, *who)
            ),
            "Every process sees the whole batch: deal it out.": (
                lambda order, batch, steps, *who: _remaining(order, batch, steps, 1, 0)
            ),
        },
        look_at=lambda remaining: [remaining(list(ORDER), *case) for case in RESUMED],
    ),
}
