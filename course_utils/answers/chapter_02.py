"""The exercises of chapter 2: a network that learns."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from course_utils.exercises import Exercise, Mistakes

Net = Callable[[torch.Tensor], torch.Tensor]
Step = Callable[..., Any]


# One step of training.


def _step(order: str) -> Step:
    """A training step that takes its parts in this order: c(lear), b(ack), s(tep)."""

    def step(
        model: nn.Module, x: Any, y: Any, loss_function: Any, optimizer: Any
    ) -> Any:
        loss = loss_function(model(x), y)
        parts = {"c": optimizer.zero_grad, "b": loss.backward, "s": optimizer.step}
        for part in order:
            parts[part]()
        return loss.item()

    return step


def _step_with_classes(
    model: nn.Module, x: Any, y: Any, loss_function: Any, optimizer: Any
) -> Any:
    """A step that returns the predictions instead of the loss."""
    _step("cbs")(model, x, y, loss_function, optimizer)
    return model(x).argmax(dim=1)


def _two_steps(train_step: Step) -> Any:
    """The loss of the second of two steps, and where the parameters end."""
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.5, -1.0], [1.0, 0.5]]))
        model.bias.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x = torch.tensor([[1.0, 2], [0, -1], [2, 1]])
    y = torch.tensor([0, 1, 0])
    with torch.enable_grad():
        for _ in range(2):
            loss = train_step(model, x, y, nn.CrossEntropyLoss(), optimizer)
    if loss is None or loss is ...:
        return None
    return [loss, model.weight.detach().clone(), model.bias.detach().clone()]


# A network with three mistakes.


class _Repaired(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden: Any = nn.ModuleList([nn.Linear(2, 8), nn.Linear(8, 8)])
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = layer(x).relu()
        scores: torch.Tensor = self.last(x)
        return scores


class _Unregistered(_Repaired):
    def __init__(self) -> None:
        super().__init__()
        layers = list(self.hidden)
        del self.hidden
        self.hidden = layers


class _Straight(_Repaired):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = layer(x)
        scores: torch.Tensor = self.last(x)
        return scores


class _CutOff(_Repaired):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).relu()


def _with_one_hidden_layer() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))


def _with_two_classes() -> nn.Module:
    hidden = [nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(8, 2))


# A network that knows no more than its last layer has this many parameters: 8 * 3 + 3.
LAST_LAYER = 27


def _examined(make_network: Callable[[], Any]) -> Any:
    """The number of parameters, of scores, and whether it bends and can go below 0."""
    network = make_network()
    if network is None or network is ...:
        return None
    parameters = sum(parameter.numel() for parameter in network.parameters())
    if parameters <= LAST_LAYER:  # the rest is random, and need not be looked at
        return [LAST_LAYER, 3, True, True]
    places = torch.linspace(-3, 3, 25)
    # Several random networks: one of them might bend where nobody looks.
    bends = goes_below = False
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
            scores = network(torch.stack([places, places], dim=1))
        turns = scores[2:] - 2 * scores[1:-1] + scores[:-2]
        bends |= bool(turns.abs().max() > 1e-3)
        goes_below |= bool(scores.min() < 0)
    return [parameters, scores.shape[1], bends, goes_below]


# A layer of your own.


class _Scale(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.factor: torch.Tensor = nn.Parameter(torch.ones(number))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class _ScaleNotRegistered(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        del self.factor
        self.factor = torch.ones(number, requires_grad=True)


class _ScaleOfOne(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(1)


class _Shift(_Scale):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.factor


class _ScaleFromZero(_Scale):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.factor = nn.Parameter(torch.zeros(number))


def _scaled(make: Callable[[int], Any]) -> Any:
    """How many numbers the layer learns, and what it makes of two rows of three."""
    layer = make(3)
    if layer is None or layer is ...:
        return None
    out = layer(torch.arange(6.0).reshape(2, 3))
    return [sum(p.numel() for p in layer.parameters()), out]


# A ring around a ring.


def _rings(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two rings about the same middle: class 0 inside, class 1 around it."""
    y = torch.arange(number) % 2
    angle = torch.arange(number) * 2.4
    radius = 1 + y + 0.2 * torch.sin(torch.arange(number) * 1.7)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), y


def _trained(net: Net) -> Callable[..., Net]:
    """A training that leads to this network."""
    return lambda x, y: net


def _by_radius(points: torch.Tensor) -> torch.Tensor:
    return torch.stack([1.5 - points.norm(dim=1), points.norm(dim=1) - 1.5], 1)


def _half_way(points: torch.Tensor) -> torch.Tensor:
    right = _by_radius(points)
    return torch.where((points[:, :1] > 1.2), right.flip(1), right)


def _quality(train: Callable[..., Any]) -> Any:
    """How many columns the net gives, and how well it does, in four grades."""
    with torch.enable_grad():
        net = train(*_rings(200))
    if net is None or net is ...:
        return None
    x, y = _rings(501)
    with torch.no_grad():
        out = net(x)
    if out is None or out is ...:
        return None
    share = (out.argmax(dim=1) == y).float().mean().item()
    grade = sum(share > limit for limit in (0.3, 0.7, 0.95))
    return [out.shape[1], grade]


EXERCISES = {
    "2.1": Exercise(
        right=50_890,
        wrong={
            "Those are the weights; each output has a bias as well.": 50_816,
            "The first layer is right; the second has biases, too: 10.": 50_880,
            "The second layer is right; the first has biases, too: 64.": 50_826,
            "A weight joins an input to a unit of its own layer: the layers' weights "
            "are added, not multiplied.": 501_760,
            "ReLU has no parameters.": 50_954,
            "Those are the weights of the first layer alone.": 50_176,
            "That is the first layer alone; add the second.": 50_240,
        },
    ),
    "2.2": Exercise(
        right=[(32, 16), (32, 16), (32, 3)],
        wrong={
            "Those are the shapes of the weights. The points stay in the rows: 32 go "
            "in, and 32 come out.": [(16, 2), (16, 2), (3, 16)],
            "The number of points comes first and stays 32; each point becomes a row "
            "of outputs.": [(16, 32), (16, 32), (3, 32)],
            "The number of points never changes: 32 go into each part, and 32 come "
            "out.": [(32, 16), (32, 16), (16, 3)],
            "ReLU changes numbers, not the shape.": [(32, 16), (32, 2), (32, 3)],
            "ReLU is a part, too: three parts, three shapes.": [(32, 16), (32, 3)],
            "You begin with the input; tell what comes out of each part.": (
                [(32, 2), (32, 16), (32, 16)]
            ),
            "The input is not asked for: tell what comes out of each part.": (
                [(32, 2), (32, 16), (32, 16), (32, 3)]
            ),
        },
    ),
    "2.3": Exercise(
        right=_step("cbs"),
        wrong={
            "The second step used the gradients of both steps: clear the old ones "
            "first.": _step("bs"),
            "Nothing has moved, for step() found no gradients: it comes after "
            "backward(), and zero_grad() comes before it.": Mistakes(
                (_step("bcs"), _step("csb"), _step("cb"), _step("c"))
            ),
            "step() comes before backward() and uses the gradients of the step "
            "before.": _step("scb"),
            "The parameters are right; return the loss.": _step_with_classes,
        },
        look_at=_two_steps,
    ),
    "2.4": Exercise(
        right=_Repaired,
        wrong={
            "PyTorch does not know the hidden layers: a list of them has to be an "
            "nn.ModuleList.": _Unregistered,
            "The scores still lie on a straight line: put a ReLU after each hidden "
            "layer.": _Straight,
            "No score can be negative: leave the last layer without a ReLU.": _CutOff,
            "There should be two hidden layers of 8 units.": _with_one_hidden_layer,
            "There should be three scores, one for each class.": _with_two_classes,
        },
        look_at=_examined,
    ),
    "2.5": Exercise(
        right=_Scale,
        wrong={
            "The factors work, but parameters() is empty: use nn.Parameter.": (
                _ScaleNotRegistered
            ),
            "There is one factor for all; each input should have its own.": _ScaleOfOne,
            "This adds the factors; multiply by them.": _Shift,
            "The factors should start at 1, not at 0.": _ScaleFromZero,
        },
        look_at=_scaled,
    ),
    "2.6": Exercise(
        right=_trained(_by_radius),
        wrong={
            "About as good as guessing: is there an activation between the layers, and "
            "does the loss fall?": (
                _trained(lambda points: torch.stack([points[:, 0], -points[:, 0]], 1))
            ),
            "On the way, but not above 95 %: train longer, or use more units.": (
                _trained(_half_way)
            ),
            "There is one number for each point; give two scores, one for each "
            "class.": _trained(lambda points: _by_radius(points)[:, :1]),
            "Nearly all are wrong: the classes have changed places.": (
                _trained(lambda points: _by_radius(points).flip(1))
            ),
        },
        look_at=_quality,
    ),
}
