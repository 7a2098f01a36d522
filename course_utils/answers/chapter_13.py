"""The exercises of chapter 13: the bug clinic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import SGD
from torch.optim.lr_scheduler import StepLR
from torch.optim.optimizer import register_optimizer_step_post_hook

from course_utils.exercises import Exercise, Mistakes

Batches = list[tuple[Tensor, Tensor]]
Part = tuple[Tensor, Tensor]
TRAIN, VAL, TEST = 72, 41, 43  # no batch of 32 has the size of another part
AND = " and "


# 13.3: the blue face


def _seen_by_torch(turn: Callable[[Tensor], Any]) -> Any:
    """What a function makes of a photo of 2 rows and 4 columns, all numbers apart."""
    return turn(torch.arange(24).reshape(2, 4, 3))


# 13.4: who stands still?


class _Odd(nn.Module):
    """One layer in use, one beside it, one frozen, one behind dead ReLUs.

    The slopes of `pair` are some number and the same below zero: they add up to 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first, self.spare = nn.Linear(4, 4), nn.Linear(4, 4)
        self.frozen, self.dead = nn.Linear(4, 4), nn.Linear(4, 4)
        self.last, self.pair = nn.Linear(4, 3), nn.Parameter(torch.ones(2))
        self.frozen.requires_grad_(False)
        nn.init.constant_(self.dead.bias, -100)

    def forward(self, images: Tensor) -> Tensor:
        x = self.frozen(self.first(images))
        silent = F.relu(self.dead(x))
        answer: Tensor = self.last(x + silent + self.pair[0] - self.pair[1])
        return answer


def _slopes(
    model: nn.Module, images: Tensor, labels: Tensor, clear: bool = True
) -> dict[str, Tensor | None]:
    if clear:
        model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def _still(slopes: dict[str, Tensor | None]) -> list[str]:
    return [name for name, grad in slopes.items() if grad is None or not grad.any()]


def _tried_on_odd(find: Callable[..., Any]) -> Any:
    """The names found in a network that still has old slopes; as places, to count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, images = _Odd(), torch.randn(6, 4)
    labels = torch.arange(6) % 3
    model.spare(images).sum().backward()
    found = find(model, images, labels)
    names = [name for name, _ in model.named_parameters()]
    if found is None or found is ...:
        return found
    return [int(name in list(found)) for name in names]


# 13.5: a look that leaves no trace


def _look(
    model: nn.Module,
    loader: Batches,
    *,
    mode: bool = False,
    graph: bool = False,
    restore: bool = True,
) -> Tensor:
    was_training = model.training
    model.train(mode)
    with torch.set_grad_enabled(graph):
        answers = torch.cat([model(images) for images, _ in loader])
    if restore:
        model.train(was_training)
    return answers


def _left_in_train(model: nn.Module, loader: Batches) -> Tensor:
    answers = _look(model, loader)
    model.train()
    return answers


def _looked(look: Callable[..., Any]) -> Any:
    """The answers, whether they record a graph, and the modes that are left behind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        loader = [(3 * torch.randn(n, 3), torch.zeros(n).long()) for n in (5, 5, 2)]
        found = []
        for training in (True, False):
            answers = look(model.train(training), loader)
            if answers is None or answers is ...:
                return answers
            recorded = isinstance(answers, Tensor) and answers.requires_grad
            found += [answers, int(recorded), int(model.training)]
    return found


# 13.6: the broken notebook


@dataclass(frozen=True)
class _Program:
    """The repaired program of the chapter, with one of its bugs put back."""

    bug: str = ""

    def __call__(
        self, train: Part, val: Part, test: Part, epochs: int = 4
    ) -> tuple[nn.Module, list[tuple[Any, float]], float]:
        model, history = self.network(), []
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
        scheduler = StepLR(optimizer, step_size=2, gamma=0.1)
        best, best_accuracy = model.state_dict(), -1.0
        for epoch in range(epochs):
            if self.bug != "no train" or epoch == 0:
                model.train()
            loss = self.learn(model, train, optimizer, scheduler)
            if self.bug not in ("schedule", "no schedule"):
                scheduler.step()
            accuracy = self.measure(model, test if self.bug == "test" else val)
            if accuracy > best_accuracy:
                best_accuracy, best = accuracy, model.state_dict()
                if self.bug != "best":
                    best = deepcopy(best)
            history.append((loss, accuracy))
        last = deepcopy(model)
        model.load_state_dict(best)
        reported = self.measure(last if self.bug == "reported" else model, test)
        return model, history, reported

    def network(self) -> nn.Sequential:
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)),
            *(nn.ReLU(), nn.MaxPool2d(2)),
            nn.Conv2d(1 if self.bug == "channels" else 8, 16, 3, padding=1),
            *(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Dropout(0.2), nn.Linear(16 * 2 * 2, 4)),
        )

    def learn(
        self, model: nn.Module, train: Part, optimizer: SGD, scheduler: StepLR
    ) -> Any:
        pictures, labels = train
        running_loss: Any = 0.0
        order = torch.randperm(len(pictures))
        for start in range(0, len(pictures), 32):
            places = order[start : start + 32]
            images, truth = pictures[places] / 255, labels[places]
            if self.bug == "labels":
                truth = labels[start : start + 32]
            loss = F.cross_entropy(model(images), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if self.bug == "schedule":
                scheduler.step()
            if self.bug != "no sum":
                value = loss if self.bug == "kept" else loss.item()
                running_loss += value * len(truth)
        return running_loss / len(pictures)

    def measure(self, model: nn.Module, part: Part) -> float:
        if self.bug != "no eval":
            model.eval()
        with torch.set_grad_enabled(self.bug == "graph"):
            right = model(part[0] / 255).argmax(dim=1) == part[1]
        return float(right.float().mean())


def _stripes(count: int, chance: torch.Generator) -> Part:
    """Pictures of stripes, as the chapter makes them."""
    labels = torch.randint(4, (count,), generator=chance)
    row, column = torch.arange(8)[:, None], torch.arange(8)
    lines = [row + 0 * column, 0 * row + column, row + column, row - column]
    start = torch.randint(4, (count, 1, 1), generator=chance)
    ink = (torch.stack(lines)[labels] + start).remainder(4) < 2
    noise = torch.randint(60, (count, 8, 8), generator=chance)
    return (195 * ink + noise).to(torch.uint8)[:, None], labels


class _Record:
    """What a training did, as its layers and its optimizer tell."""

    def __init__(self, **parts: Part) -> None:
        self.rates: list[float] = []
        self.looks: list[dict[str, Tensor]] = []  # the weights at each validation
        self.tested = 0  # pictures of the test part
        self.learns, self.measures = set[bool](), set[bool]()  # modes
        self.graphs = self.shared = False
        self.labels: list[bool] = []  # does the loss pull towards the right label?
        self.model: nn.Module | None = None
        self.known = {
            _key(picture): (name, int(label))
            for name, (pictures, labels) in parts.items()
            for picture, label in zip(pictures / 255, labels, strict=True)
        }

    def part(self, pictures: Tensor) -> str:
        """The part that pictures come from: as we know them, or by their number."""
        by_number = {VAL: "val", TEST: "test"}.get(len(pictures), "train")
        return self.known.get(_key(pictures[0]), (by_number, 0))[0]

    def note_step(self, optimizer: Any, *_: Any) -> None:
        self.rates.append(float(optimizer.param_groups[0]["lr"]))

    def note_call(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        pictures = _pictures(inputs)
        if pictures is None:
            return
        if self.model is None:
            self.model = module  # the whole network calls before its first layer
        if module is not self.model:
            return
        part = self.part(pictures)
        if torch.is_grad_enabled() and part == "train":
            self.learns.add(module.training)
            return
        self.measures |= {layer.training for layer in module.modules()}
        self.graphs |= torch.is_grad_enabled()
        self.tested += len(pictures) * (part == "test")
        if len(pictures) == VAL:
            self.looks.append(deepcopy(module.state_dict()))

    def note_answer(
        self, module: nn.Module, inputs: tuple[Any, ...], answer: Any
    ) -> None:
        pictures = _pictures(inputs)
        if module is self.model and pictures is not None and answer.requires_grad:
            answer.register_hook(partial(self.note_slope, pictures))

    def note_slope(self, pictures: Tensor, slopes: Tensor) -> None:
        """Of the scores of a picture, the loss wants to raise that of its label."""
        for picture, slope in zip(pictures, slopes, strict=True):
            _, label = self.known.get(_key(picture), ("", None))
            if label is not None and slope.min() < 0:
                self.labels.append(int(slope.argmin()) == label)

    def note_load(self, module: nn.Module, state: Any) -> None:
        if module is self.model:
            own = {weight.data_ptr() for weight in module.state_dict().values()}
            self.shared |= any(weight.data_ptr() in own for weight in state.values())

    @contextmanager
    def listening(self) -> Iterator[None]:
        load = nn.Module.load_state_dict

        def noted_load(module: nn.Module, state: Any, *rest: Any, **named: Any) -> Any:
            self.note_load(module, state)
            return load(module, state, *rest, **named)

        hooks = [
            register_module_forward_pre_hook(self.note_call),
            register_module_forward_hook(self.note_answer),
            register_optimizer_step_post_hook(self.note_step),
        ]
        try:
            with patch.object(nn.Module, "load_state_dict", noted_load):
                yield
        finally:
            for hook in hooks:
                hook.remove()


def _key(picture: Tensor) -> bytes:
    """What a picture between 0 and 1 is recognised by."""
    return bytes((255 * picture.detach()).round().to(torch.uint8).flatten().tolist())


def _pictures(inputs: tuple[Any, ...]) -> Tensor | None:
    pictures = inputs[0] if inputs else None
    if isinstance(pictures, Tensor) and pictures.shape[1:] == (1, 8, 8):
        return pictures
    return None


def _heard(train_model: Callable[..., Any]) -> Any:
    """The diagnosis; our own programs, which never change, are examined once."""
    if isinstance(train_model, _Program):
        return _known(train_model)
    return _diagnosis(train_model)


@cache
def _known(program: _Program) -> Any:
    return _diagnosis(program)


def _diagnosis(train_model: Callable[..., Any]) -> Any:
    """The first bug that a program shows, in a word, and how many others it shows.

    Its validation labels are all wrong, so the better it learns, the worse it does
    there: the best epoch is an early one, and a program that keeps another shows it.
    """
    chance = torch.Generator().manual_seed(0)
    train, val, test = (_stripes(n, chance) for n in (TRAIN, VAL, TEST))
    record, epochs = _Record(train=train, val=val, test=test), 4
    contrary = (val[0], (val[1] + 1).remainder(4))
    with torch.random.fork_rng(devices=[]), record.listening():
        torch.manual_seed(1)
        try:
            answer = train_model(train, contrary, test, epochs)
        except RuntimeError as error:
            if "channels" in str(error):
                return "channels"
            raise
    if answer is None or answer is ...:
        return answer
    model, history, reported = answer
    with torch.no_grad():
        right = model.eval()(test[0] / 255).argmax(dim=1) == test[1]
    off = abs(float(reported) - right.float().mean().item())
    bugs = _bugs(record, epochs, model, list(history))
    if bugs:
        return bugs[0] if len(bugs) == 1 else f"{bugs[0]}{AND}{len(bugs) - 1}"
    return "reported" if off > 1e-4 else "healthy"


def _bugs(
    record: _Record, epochs: int, model: nn.Module, history: list[Any]
) -> list[str]:
    steps = len(record.rates) // epochs
    losses, accuracies = [row[0] for row in history], [row[1] for row in history]
    in_first, in_last = record.rates[:steps], record.rates[-steps:]
    kept = any(isinstance(loss, Tensor) and loss.requires_grad for loss in losses)
    right = sum(record.labels) / len(record.labels) if record.labels else 0.0
    strayed = right < 0.5 if record.labels else bool(losses[-1] > 1.0)
    best = not record.shared and _is_best(record, model, accuracies)
    tests = [
        ("schedule", len(set(in_first)) > 1),
        ("no schedule", in_first == in_last),
        ("no eval", True in record.measures),
        ("no train", False in record.learns),
        ("graph", record.graphs),
        ("kept", kept),
        ("no sum", not any(losses)),
        ("labels", strayed),
        ("test", record.tested > TEST),
        ("best", not best),
    ]
    return [bug for bug, found in tests if found]


def _is_best(record: _Record, model: nn.Module, accuracies: list[float]) -> bool:
    """Whether the weights are those of an epoch with the best accuracy.

    Only what is learned is compared: a look in train mode moves batch norm's means.
    """
    if len(record.looks) != len(accuracies):
        return True  # validated in batches: we did not see at which weights
    weights, best = dict(model.named_parameters()), max(accuracies)
    return any(
        accuracy == best and all(torch.equal(then[k], weights[k]) for k in weights)
        for then, accuracy in zip(record.looks, accuracies, strict=True)
    )


@dataclass(frozen=True)
class _Counted(Exercise):
    """An exercise that names the first of several mistakes and counts the others."""

    def _hint(self, seen: Any) -> str | None:
        first, _, others = str(seen).partition(AND)
        hint = super()._hint(first)
        if hint is None or not others:
            return hint
        more = "one more bug" if others == "1" else f"{others} more bugs"
        return f"{hint} (Besides, {more} to find.)"


EXERCISES = {
    "13.1": Exercise(
        right=784,
        wrong={
            "That is what the layer was made for; the pictures bring another.": 400,
            "That is the number of pictures in the batch; no layer knows it.": 64,
            "That is how many numbers the layer gives out.": 120,
            "Only the first number is asked for.": (784, 120),
        },
    ),
    "13.2": Exercise(
        right=[3, 5, 1, 2, 4],
        wrong={
            "A and B have changed places: which of the two begins at ln 2?": [
                5,
                3,
                1,
                2,
                4,
            ],
            "C and D have changed places: what makes a validation too good?": [
                3,
                5,
                2,
                1,
                4,
            ],
            "D and E have changed places: which mistake holds on to memory?": [
                3,
                5,
                1,
                4,
                2,
            ],
            "B and C have changed places: a loss has a lowest value.": [3, 1, 5, 2, 4],
        },
    ),
    "13.3": Exercise(
        right=lambda photo: photo.permute(2, 0, 1).flip(0),
        wrong={
            "The axes are right, and blue is still first: faces stay blue.": (
                lambda photo: photo.permute(2, 0, 1)
            ),
            "Red is first now, and the colours are still the last axis.": (
                lambda photo: photo.flip(2)
            ),
            "The shape is right and the photo is torn: reshape moves no axis.": Mistakes(
                [
                    lambda photo: photo.reshape(3, *photo.shape[:2]).flip(0),
                    lambda photo: photo.reshape(3, *photo.shape[:2]),
                ]
            ),
            "Rows and columns have changed places: the photo lies on its side.": (
                lambda photo: photo.permute(2, 1, 0).flip(0)
            ),
            "You have turned round the rows: the photo stands on its head.": (
                lambda photo: photo.flip(0).permute(2, 0, 1)
            ),
            "Left and right have changed places, and blue is still first.": (
                lambda photo: photo.permute(2, 0, 1).flip(2)
            ),
        },
        look_at=_seen_by_torch,
    ),
    "13.4": Exercise(
        right=lambda model, images, labels: _still(_slopes(model, images, labels)),
        wrong={
            "Some have a slope that is 0 everywhere: they stand still, too.": (
                lambda model, images, labels: [
                    name
                    for name, grad in _slopes(model, images, labels).items()
                    if grad is None
                ]
            ),
            "Some have no slope at all: their .grad is None.": (
                lambda model, images, labels: [
                    name
                    for name, grad in _slopes(model, images, labels).items()
                    if grad is not None and not grad.any()
                ]
            ),
            "A slope from earlier has misled you: forget the old ones first.": (
                lambda model, images, labels: _still(
                    _slopes(model, images, labels, clear=False)
                )
            ),
            "These are the ones that do move.": (
                lambda model, images, labels: [
                    name
                    for name, grad in _slopes(model, images, labels).items()
                    if grad is not None and grad.any()
                ]
            ),
            "Those were told to stand still; others do it without being told.": (
                lambda model, images, labels: [
                    name for name, p in model.named_parameters() if not p.requires_grad
                ]
            ),
            "Slopes of +1 and -1 add up to 0, and both weights move.": (
                lambda model, images, labels: [
                    name
                    for name, grad in _slopes(model, images, labels).items()
                    if grad is None or grad.sum() == 0
                ]
            ),
        },
        look_at=_tried_on_odd,
    ),
    "13.5": Exercise(
        right=_look,
        wrong={
            "The answers still record a graph: what did you forget to switch off?": (
                lambda model, loader: _look(model, loader, graph=True)
            ),
            "The answer for a picture depends on its batch: which mode is this?": (
                lambda model, loader: _look(model, loader, mode=True)
            ),
            "The model came in train mode and was left in eval mode.": (
                lambda model, loader: _look(model, loader, restore=False)
            ),
            "The model came in eval mode and was left in train mode.": (
                lambda model, loader: _left_in_train(model, loader)
            ),
            "The last, smaller batch is missing.": (
                lambda model, loader: _look(model, loader[:-1])
            ),
            "These are the classes; the answers themselves are wanted.": (
                lambda model, loader: _look(model, loader).argmax(dim=1)
            ),
        },
        look_at=_looked,
    ),
    "13.6": _Counted(
        right=_Program(),
        wrong={
            "It stops at the second convolution: how many maps come in?": _Program(
                "channels"
            ),
            "The rate falls within the first epoch: print it after each batch.": _Program(
                "schedule"
            ),
            "While it measures, layers are in train mode: a picture is judged by "
            "its neighbours.": _Program("no eval"),
            "The losses in your list still carry a graph: add plain numbers.": _Program(
                "kept"
            ),
            "The loss stays near ln 4: do the labels follow the shuffled pictures?": _Program(
                "labels"
            ),
            "The test pictures choose the epoch: look at them once, at the end.": _Program(
                "test"
            ),
            "The weights that come back are not those of the best epoch: are they "
            "a copy?": _Program("best"),
            "From the second epoch on it trains in eval mode: say train() again.": _Program(
                "no train"
            ),
            "It records a graph while it measures, which costs time and memory.": _Program(
                "graph"
            ),
            "The rate never falls: do optimizer and scheduler still take steps?": _Program(
                "no schedule"
            ),
            "The mean loss is 0: nobody adds to the running loss.": _Program("no sum"),
            "The last number is not the accuracy on the test part of the model "
            "that comes back.": _Program("reported"),
        },
        look_at=_heard,
    ),
}
