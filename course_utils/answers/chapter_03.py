"""The exercises of chapter 3: losses and optimizers."""

import math

import torch
from torch.nn import functional as F

from course_utils.exercises import Exercise


def _without_shift(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    grown = logits.exp()
    share = grown / grown.sum(dim=1, keepdim=True)
    return -share[range(len(labels)), labels].log().mean()


def _shifted_softmax(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return _without_shift(logits - logits.max(dim=1, keepdim=True).values, labels)


MODERATE_LOGITS = torch.tensor([[1.0, 2, 0], [0.5, -1, 3], [2, 2.5, -0.5]])
HUGE_LOGITS = torch.tensor([[1000.0, 999, 0], [0, 1000, 0]])


def _decayed(w: float, gradient: float, learning_rate: float, decay: float) -> float:
    return w - learning_rate * (gradient + decay * w)


Runs = dict[float, list[float]]


def _ends(runs: Runs) -> Runs:
    """The trainings that have not diverged."""
    return {rate: run for rate, run in runs.items() if math.isfinite(run[-1])}


def _last(runs: Runs) -> dict[float, float]:
    return {rate: run[-1] for rate, run in runs.items()}


def _lowest(numbers: dict[float, float]) -> float:
    return min(numbers, key=lambda rate: numbers[rate])


def _choose_rate(runs: Runs) -> float:
    return _lowest(_last(_ends(runs)))


# nan stands first, where min() never gives it up. 0.3 was lower once than it ends.
SOME_RUNS: Runs = {
    3.0: [0.9, 4.5, math.nan, math.nan],
    0.3: [0.6, 0.2, 0.1, 0.65],
    0.1: [0.5, 0.4, 0.3, 0.3],
    0.01: [0.7, 0.7, 0.6, 0.6],
}
OTHER_RUNS: Runs = {
    0.001: [0.7, 0.6, 0.5],
    0.01: [0.6, 0.3, 0.2],
    0.1: [0.4, 0.1, 0.3],
    1.0: [0.05, 9.0, math.inf],
}


EXERCISES = {
    "3.1": Exercise(
        right=lambda one_hot: one_hot.argmax(dim=1),
        wrong={
            "That is one number for the whole table; say along which axis.": (
                lambda one_hot: one_hot.argmax()
            ),
            "That gives one number a class: the classes lie along axis 1.": (
                lambda one_hot: one_hot.argmax(dim=0)
            ),
            "Those are the largest numbers, all 1; you want their places.": (
                lambda one_hot: one_hot.max(dim=1).values
            ),
            "The right places, but in a column; leave out keepdim.": (
                lambda one_hot: one_hot.argmax(dim=1, keepdim=True)
            ),
        },
        look_at=lambda turn: turn(
            torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        ),
    ),
    "3.2": Exercise(
        right=F.cross_entropy,
        wrong={
            "Right for small logits; at 1000, exp overflows. Subtract each row's "
            "largest logit first.": _without_shift,
            "It does not overflow any more, but a probability comes out as 0, and "
            "its log as minus infinity: use log(a / b) = log a - log b.": (
                _shifted_softmax
            ),
            "That is the logarithm with base 10; torch.log is the natural one.": (
                lambda *given: F.cross_entropy(*given) / math.log(10)
            ),
            "The sign: the log of a probability is negative, a loss is not.": (
                lambda *given: -F.cross_entropy(*given)
            ),
            "That is the sum over the examples; take their mean.": (
                lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum")
            ),
            "That is one loss for each example; take their mean.": (
                lambda logits, labels: F.cross_entropy(logits, labels, reduction="none")
            ),
            "Softmax is applied twice here.": (
                lambda logits, labels: F.cross_entropy(logits.softmax(1), labels)
            ),
            "Softmax along the wrong axis: the classes lie along dim=1.": (
                lambda logits, labels: (
                    -logits.log_softmax(0)[range(len(labels)), labels].mean()
                )
            ),
        },
        look_at=lambda loss: [
            loss(MODERATE_LOGITS.clone(), torch.tensor([1, 0, 0])),
            loss(HUGE_LOGITS.clone(), torch.tensor([1, 0])),
        ],
    ),
    "3.3": Exercise(
        right=math.log(math.e + 9) - 1,
        wrong={
            "That is the lowest loss for logits; after a softmax, no output is larger "
            "than 1.": 0.0,
            "That is the loss when all ten outputs are equal; they can do better: one "
            "1 and nine 0s.": math.log(10),
            "That is for two classes; here there are nine wrong ones.": (
                math.log(math.e + 1) - 1
            ),
            "That is for three classes; here there are nine wrong ones.": (
                math.log(math.e + 2) - 1
            ),
            "There are ten outputs, one 1 and nine 0s: the sum is e + 9.": (
                math.log(math.e + 10) - 1
            ),
            "That is the probability; the loss is minus its logarithm.": (
                math.e / (math.e + 9)
            ),
            "e to the power 0 is 1, not 0: the nine 0s count in the sum.": 1.0,
            "That is the logarithm with base 10; take the natural one.": (
                math.log10((math.e + 9) / math.e)
            ),
        },
        tolerance=0.006,
    ),
    "3.4": Exercise(
        right=1.0,
        wrong={
            "That is the first step, the same as SGD's; the velocity grows.": 0.1,
            "That is the second step; the velocity goes on growing.": 0.19,
            "That is the velocity; multiply it by the learning rate.": 10.0,
            "0.9 is what each step keeps; ask where v = 0.9 * v + 1 stands still.": 0.9,
            "It does not grow for ever: each step loses a tenth of the old sum.": (
                math.inf
            ),
        },
        tolerance=0.01,
    ),
    "3.5": Exercise(
        right=_decayed,
        wrong={
            "The learning rate scales the slope of the penalty, too.": (
                lambda w, gradient, rate, decay: w - rate * gradient - decay * w
            ),
            "Here the weight grows; the penalty should pull it towards 0.": (
                lambda w, gradient, rate, decay: w - rate * (gradient - decay * w)
            ),
            "The pull is decay times the weight, not the same for all.": (
                lambda w, gradient, rate, decay: w - rate * (gradient + decay)
            ),
            "That is the penalty itself; the step needs its slope.": (
                lambda w, gradient, rate, decay: (
                    w - rate * (gradient + decay * w**2 / 2)
                )
            ),
            "The slope of w² is 2w, and the penalty has a half before it.": (
                lambda w, gradient, rate, decay: w - rate * (gradient + 2 * decay * w)
            ),
            "That is plain SGD: the penalty is missing.": (
                lambda w, gradient, rate, decay: w - rate * gradient
            ),
            "That is the gradient with its pull; now take the step.": (
                lambda w, gradient, rate, decay: gradient + decay * w
            ),
        },
        look_at=lambda step: [step(3.0, 0.5, 0.1, 0.2), step(-2.0, 1.0, 0.5, 0.1)],
    ),
    "3.6": Exercise(
        right=_choose_rate,
        wrong={
            "One of these has diverged: no comparison with nan is true, so min() may "
            "keep it. Leave out what is not finite.": (
                lambda runs: _lowest(_last(runs))
            ),
            "That run was lowest for a moment; compare the losses at the end.": (
                lambda runs: _lowest({rate: min(run) for rate, run in runs.items()})
            ),
            "Those that diverged are out; now compare the losses at the end, not the "
            "lowest ones.": (
                lambda runs: _lowest(
                    {rate: min(run) for rate, run in _ends(runs).items()}
                )
            ),
            "That is the loss; return the learning rate it belongs to.": (
                lambda runs: min(_last(_ends(runs)).values())
            ),
            "That is the largest loss at the end; you want the smallest.": (
                lambda runs: max(_ends(runs), key=lambda rate: runs[rate][-1])
            ),
            "That is the smallest learning rate; you want the smallest loss.": (
                lambda runs: min(_ends(runs))
            ),
        },
        look_at=lambda choose: [choose(dict(SOME_RUNS)), choose(dict(OTHER_RUNS))],
    ),
}
