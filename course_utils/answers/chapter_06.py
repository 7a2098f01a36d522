"""The exercises of chapter 6: a training loop and what it tells."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.exercises import Exercise

Batches = list[tuple[Tensor, Tensor]]
TABLE = torch.tensor([[8, 2, 0], [1, 9, 10], [0, 0, 5]])
LOGITS = torch.tensor(
    [
        [5.0, 0.0, 0.0],  # right and very sure
        [0.0, 3.0, 0.0],  # wrong, sure
        [9.0, 8.5, 8.0],  # wrong, not sure, but with a large logit
        [0.0, 0.0, 4.0],  # wrong, surest
        [0.0, 2.0, 1.5],  # wrong, hardly sure, and the true class nearly out of sight
        [0.0, 6.0, 0.0],  # right
        [0.0, 5.0, 4.0],  # wrong at 0.73, and the true class has less than 0.01
        [1.6, 3.0, 0.0],  # wrong at 0.77, and the true class has 0.19
    ]
)
LABELS = torch.tensor([0, 0, 1, 1, 0, 1, 0, 0])


def _fair_mean(accuracies: Sequence[float], sizes: Sequence[int]) -> float:
    right = [a * n for a, n in zip(accuracies, sizes, strict=True)]
    return sum(right) / sum(sizes)


def _error_rates(table: Tensor) -> Tensor:
    return 1 - table.diagonal() / table.sum(dim=1)


def _find(
    value: Callable[[Tensor, Tensor], Tensor], among_all: bool = False
) -> Callable[[Tensor, Tensor, int], Tensor]:
    """Find the mistakes with the largest values."""

    def find(logits: Tensor, labels: Tensor, count: int) -> Tensor:
        asked = (logits.argmax(dim=1) != labels) | among_all
        places = asked.nonzero()[:, 0]
        values = value(logits, labels)[places]
        return places[values.argsort(descending=True)][:count]

    return find


def _sureness(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.softmax(dim=1).amax(dim=1)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def _places_among_mistakes(logits: Tensor, labels: Tensor, count: int) -> Tensor:
    sure = _sureness(logits, labels)[logits.argmax(dim=1) != labels]
    return sure.argsort(descending=True)[:count]


def _loop(
    mode: bool = True, clear: bool = True, step: bool = True, weigh: bool = True
) -> Callable[..., float]:
    """A training loop, whole or with something left out."""

    def train_one_epoch(
        model: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer
    ) -> float:
        if mode:
            model.train()
        total, count = 0.0, 0
        for x, y in batches:
            if clear:
                optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            if step:
                optimizer.step()
            size = len(y) if weigh else 1
            total, count = total + loss.item() * size, count + size
        return total / count

    return train_one_epoch


def _tried(train_one_epoch: Callable[..., Any]) -> list[Any]:
    """What the function returns, and what it leaves the model as."""
    model = nn.Linear(2, 3)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.1, 0.2], [-0.3, 0.4], [0.5, -0.6]]))
        model.bias.zero_()
    x = torch.linspace(-2, 2, 20).reshape(10, 2).sin()
    y = torch.arange(10) % 3
    batches = list(zip(x.split(4), y.split(4), strict=True))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss = train_one_epoch(model.eval(), batches, optimizer)
    keeps = isinstance(loss, Tensor) and loss.requires_grad
    if keeps:
        loss = loss.item()
    return [loss, model.weight.detach(), model.training, keeps]


EXERCISES = {
    "6.1": Exercise(
        right=3440,
        wrong={
            "The last batch of an epoch is shorter, and it is a batch too.": 3432,
            "That is one epoch; there are 8.": 430,
            "That is the number of epochs; a step is taken for each batch.": 8,
            "That is the number of digits; a step is taken for each batch.": 440_000,
            "There are no half batches: each epoch has whole ones.": 3437.5,
            "Round up in each epoch: every epoch ends with a short batch.": 3438,
        },
    ),
    "6.2": Exercise(
        right=_fair_mean,
        wrong={
            "That is the mean of batch means: a short batch counts too much.": (
                lambda accuracies, sizes: sum(accuracies) / len(accuracies)
            ),
            "Divide by the number of digits, not by the number of batches.": (
                lambda means, sizes: _fair_mean(means, sizes) * sum(sizes) / len(sizes)
            ),
            "That is the number of right answers; now divide it.": (
                lambda accuracies, sizes: _fair_mean(accuracies, sizes) * sum(sizes)
            ),
        },
        look_at=lambda f: [f([0.5, 0.75, 1.0], [8, 8, 2]), f([1.0, 0.0], [128, 8])],
    ),
    "6.3": Exercise(
        right=_error_rates,
        wrong={
            "These are the shares that were right; the wrong ones are asked for.": (
                lambda table: table.diagonal() / table.sum(dim=1)
            ),
            "You divide by the columns, the answers; a true class is a row.": (
                lambda table: 1 - table.diagonal() / table.sum(dim=0)
            ),
            "You divide by all digits; each class has its own number of them.": (
                lambda table: 1 - table.diagonal() / table.sum()
            ),
            "These are counts; divide by the number of digits of the class.": (
                lambda table: table.sum(dim=1) - table.diagonal()
            ),
            "That is one number for all; each class has its own.": (
                lambda table: 1 - table.diagonal().sum() / table.sum()
            ),
        },
        look_at=lambda rates: rates(TABLE.clone()),
    ),
    "6.4": Exercise(
        right=_find(_sureness),
        wrong={
            "Large logits are not yet sure: compare after softmax.": (
                _find(lambda logits, labels: logits.amax(dim=1))
            ),
            "That is the wrong end: the surest mistake comes first.": (
                _find(lambda logits, labels: -_sureness(logits, labels))
            ),
            "That is the largest loss; asked is the surest guess, among the "
            "mistakes.": _find(_loss, among_all=True),
            "That is the largest loss; asked is the surest wrong guess.": _find(_loss),
            "Right answers are among these; look among the mistakes only.": (
                _find(_sureness, among_all=True)
            ),
            "These are places among the mistakes: look up which digits they are.": (
                _places_among_mistakes
            ),
        },
        look_at=lambda find: [find(LOGITS.clone(), LABELS.clone(), n) for n in (5, 8)],
    ),
    "6.5": Exercise(
        right=_loop(),
        wrong={
            "The model is still in eval mode: say model.train().": _loop(mode=False),
            "The gradients pile up from batch to batch: zero_grad() is missing.": (
                _loop(clear=False)
            ),
            "The weights have not moved: is there a step for each batch?": (
                _loop(step=False)
            ),
            "A mean of batch means: weigh each loss by the size of its batch.": (
                _loop(weigh=False)
            ),
            "The running loss is 0: nothing was added to it.": (
                lambda *given: 0.0 * _loop()(*given)
            ),
            "The model is still in eval mode, and this is a mean of batch means.": (
                _loop(mode=False, weigh=False)
            ),
            "Your loss is a tensor that keeps the graph: add up loss.item().": (
                lambda *given: torch.tensor(_loop()(*given), requires_grad=True)
            ),
            "You return the sum; divide by the number of samples.": (
                lambda *given: _loop()(*given) * sum(len(y) for _, y in given[1])
            ),
        },
        look_at=_tried,
    ),
}
