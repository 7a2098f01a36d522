"""The exercises of chapter 1: tensors and autograd."""

from collections.abc import Callable

import torch

from course_utils.exercises import Exercise, Mistakes

Curve = Callable[[float], float]


def _checkerboard(size: int) -> torch.Tensor:
    place = torch.arange(size)
    return (place[:, None] + place).remainder(2)


def _stripes(size: int) -> torch.Tensor:
    return (torch.arange(size) % 2).expand(size, size)


def _weighted(photo: torch.Tensor) -> torch.Tensor:
    return photo / 255 * torch.tensor([0.299, 0.587, 0.114])[:, None, None]


def _grey(photo: torch.Tensor) -> torch.Tensor:
    return _weighted(photo).sum(dim=0)


def _small_photo() -> torch.Tensor:
    return (torch.arange(60).reshape(3, 4, 5) * 37 % 256).to(torch.uint8)


def _slope(f: Curve, x: float, h: float) -> float:
    return (f(x + h) - f(x - h)) / (2 * h)


def _cubic(x: float) -> float:
    return x**3 - 2 * x


def _points(a: float, b: float, c: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-1, 1, 21)
    return x, a * x**2 + b * x + c


def _fit(columns: list[torch.Tensor], y: torch.Tensor) -> torch.Tensor:
    solution: torch.Tensor = torch.linalg.lstsq(torch.stack(columns, dim=1), y).solution
    return solution


def _parabola(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return _fit([x**2, x, torch.ones_like(x)], y)


def _short_descent(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    numbers = torch.zeros(3)
    columns = torch.stack([x**2, x, torch.ones_like(x)], dim=1)
    for _ in range(100):
        difference = columns @ numbers - y
        numbers = numbers - 0.2 * (columns * difference[:, None]).mean(dim=0)
    return numbers


def _line(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.zeros(1), _fit([x, torch.ones_like(x)], y)])


EXERCISES = {
    "1.1": Exercise(
        right=(8, 7, 6),
        wrong={
            "The longer shape keeps all its axes: the result has three.": (7, 6),
            "The middle axis is 1 against 7: the 1 stretches.": (8, 1, 6),
            "The last axis is 6 against 1: the 1 stretches.": (8, 7, 1),
            "Compare from the right: 6 and 1, then 1 and 7. No clash.": "error",
        },
    ),
    "1.2": Exercise(
        right=_checkerboard,
        wrong={
            "The top left square should be 0.": (lambda size: 1 - _checkerboard(size)),
            "These are stripes: rows and columns must both count.": (
                Mistakes([_stripes, lambda size: _stripes(size).T])
            ),
            "Good for odd sizes, but with an even size every row starts alike.": (
                lambda size: (torch.arange(size * size) % 2).reshape(size, size)
            ),
            "Good for even sizes; a board may have an odd size, too.": (
                lambda size: torch.tensor([[0, 1], [1, 0]]).repeat(size // 2, size // 2)
            ),
        },
        look_at=lambda board: (board(4), board(5)),
    ),
    "1.3": Exercise(
        right=_grey,
        wrong={
            "This is the plain average; the eye sees green as brighter than blue.": (
                lambda photo: (photo / 255).mean(dim=0)
            ),
            "The greys run from 0 to 255; divide by 255 to reach 0 to 1.": (
                lambda photo: 255 * _grey(photo)
            ),
            "One axis of length 1 is left over: sum over the channels without it.": (
                lambda photo: _grey(photo)[None]
            ),
            "The channels are weighted; now add them up.": _weighted,
            "Red and blue have changed places: channel 0 is red.": (
                lambda photo: _grey(photo.flip(0))
            ),
            "Nearly all is black: // drops the fraction; divide with /.": (
                lambda photo: _grey(photo // 255 * 255)
            ),
        },
        look_at=lambda grey: grey(_small_photo()),
    ),
    "1.4": Exercise(
        right=_slope,
        wrong={
            "That looks to one side only; step h to the left as well.": (
                lambda f, x, h: (f(x + h) - f(x)) / h
            ),
            "Twice too steep: from x - h to x + h it is a way of 2 * h.": (
                lambda f, x, h: (f(x + h) - f(x - h)) / h
            ),
            "This is how far the curve rises; divide by how far you went.": (
                lambda f, x, h: f(x + h) - f(x - h)
            ),
            "Python divides by 2 and then multiplies by h: write (2 * h).": (
                lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h
            ),
            "The sign is turned around.": (lambda f, x, h: -_slope(f, x, h)),
            "Where the curve falls, its slope is negative.": (
                lambda f, x, h: abs(_slope(f, x, h))
            ),
        },
        look_at=lambda slope: [slope(_cubic, 2.0, 0.1), slope(_cubic, 0.5, 0.2)],
    ),
    "1.5": Exercise(
        right=8.0,
        wrong={
            "The second backward does not overwrite the first: it adds to it.": 2.0,
            "That is the first slope alone; the second backward adds its own.": 6.0,
            "The slope of 2w is 2, whatever w is.": 12.0,
            "That is the sum of the two values; .grad holds slopes.": 15.0,
        },
    ),
    "1.6": Exercise(
        right=_parabola,
        wrong={
            "The right numbers the other way round: return a, b, c.": (
                lambda x, y: _parabola(x, y).flip(0)
            ),
            "The numbers still stand at 0: is a step taken after each backward?": (
                lambda x, y: torch.zeros(3)
            ),
            "On the way, but not there: take more steps, or longer ones.": (
                _short_descent
            ),
            "Only c has moved: has the prediction the same shape as y?": (
                lambda x, y: torch.stack([y.new_zeros(()), y.new_zeros(()), y.mean()])
            ),
            "This is the best straight line: the term a * x**2 is missing.": _line,
            "The numbers exploded to NaN: take a smaller learning rate.": (
                lambda x, y: torch.full((3,), torch.nan)
            ),
        },
        look_at=lambda fit: [fit(*_points(2, -1, 0.5)), fit(*_points(-1, 0.5, 2))],
        tolerance=0.02,
    ),
}
