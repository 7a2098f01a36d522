"""The exercises of chapter 12: training well."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils.exercises import Exercise, Mistakes

LOSSES = [2.0, 1.5, 1.4, 1.39, 1.38, 1.2, 1.25, 1.3, 1.19, 1.4, 1.5, 1.6, 1.7]
FALLING = [1.0, 0.9, 0.8, 0.7]
SLOW = [1.0, 0.97, 0.94, 0.91, 0.88, 0.9, 0.91]
TIE = [1.0, 0.5, 0.25, 0.25, 0.25]


def _chance(trials: int, share: float) -> float:
    return 1 - (1 - share) ** trials


def _exponents(count: int, low: float, high: float) -> Tensor:
    start, end = math.log10(low), math.log10(high)
    return start + (end - start) * torch.rand(count)


def _seen_of_rates(draw: Callable[[int, float, float], Any]) -> Any:
    """What is to be seen of many drawn rates: where they begin, lie and end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        rates = draw(4000, 1e-4, 1.0)
        few = draw(3, 0.01, 0.02)
        again = draw(4000, 1e-4, 1.0)
    if not isinstance(rates, Tensor) or rates.shape != (4000,) or len(few) != 3:
        return rates
    shares = [((rates >= 10.0**k) & (rates < 10.0 ** (k + 1))) for k in range(-4, 0)]
    return [
        bool((rates >= 0.99e-4).all() and (rates <= 1.01).all()),
        *[round(4 * share.float().mean().item()) for share in shares],
        bool((few >= 0.0099).all() and (few <= 0.0201).all()),
        len(rates.unique()) > 3000,
        not torch.equal(rates, again),
    ]


def _rate(fall: Callable[[int, int, int], float]) -> Callable[..., float]:
    """A warm-up in a straight line, and then a fall from 1 to 0, times the peak."""

    def rate(step: int, steps: int, warm_up: int, peak: float) -> float:
        if step < warm_up:
            return peak * step / warm_up
        return peak * fall(step, steps, warm_up)

    return rate


def _half_turn(step: int, steps: int, warm_up: int) -> float:
    return (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


def _seen_of_schedule(rate: Callable[..., Any]) -> Any:
    steps = 0, 5, 10, 19, 20, 40, 60, 99, 100
    rates = [rate(step, 100, 20, 0.4) for step in steps]
    return [*rates, rate(3, 10, 4, 2.0), rate(6, 10, 4, 2.0)]


def _best_and_stop(
    losses: Sequence[float], patience: int, least: float, mistake: str = ""
) -> tuple[int, int]:
    best, best_epoch, stale = math.inf, 0, 0
    for epoch, loss in enumerate(losses, start=1):
        limit = best - least
        if loss < limit or (loss == limit and mistake == "ties count"):
            best, best_epoch = loss, epoch
            if mistake != "all failures are counted":
                stale = 0
        else:
            stale += 1
        if stale == patience:
            return best_epoch, epoch
        if mistake == "against the epoch before":
            best = loss
        if mistake == "against the smallest":
            best = min(best, loss)
    return (0, 0) if mistake == "nothing at the end" else (best_epoch, len(losses))


def _stop(mistake: str) -> Callable[..., tuple[int, int]]:
    return partial(_best_and_stop, mistake=mistake)


def _smallest(losses: Sequence[float], patience: int, least: float) -> tuple[int, int]:
    stop = _best_and_stop(losses, patience, least)[1]
    seen = list(losses[:stop])
    return seen.index(min(seen)) + 1, stop


def _shifted(best: int, stop: int) -> Callable[..., tuple[int, int]]:
    def wrong(*given: Any) -> tuple[int, int]:
        kept, end = _best_and_stop(*given)
        return kept + best, end + stop

    return wrong


def _seen_of_stops(stop: Callable[..., Any]) -> Any:
    """What comes back; 0 stands for nothing where patience never runs out."""
    cases = [(LOSSES, 3, 0.05), (LOSSES, 2, 0.0), (SLOW, 2, 0.05), (TIE, 2, 0.5)]
    at_the_end = stop(FALLING, 2, 0.0)
    if at_the_end is None or (isinstance(at_the_end, tuple) and None in at_the_end):
        at_the_end = (0, 0)
    return [*[stop(*case) for case in cases], at_the_end]


Slopes = Callable[[nn.Module, Tensor, Tensor, int], Any]


def _in_parts(
    weigh: Callable[[int, int, int], float], clear: str = "once", last: bool = True
) -> Slopes:
    """Slopes part by part; `weigh` gets a part's length, the batch's and the size."""

    def slopes(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> Any:
        if clear == "once":
            model.zero_grad()
        parts = list(zip(images.split(size), labels.split(size), strict=True))
        for x, y in parts if last else parts[:-1]:
            if clear == "each":
                model.zero_grad()
            loss = F.cross_entropy(model(x), y)
            (loss * weigh(len(y), len(labels), size)).backward()
        return [p.grad for p in model.parameters()]

    return slopes


def _share(part: int, whole: int, size: int) -> float:
    return part / whole


def _seen_of_slopes(slopes: Slopes) -> Any:
    """The slopes that are left in the model, which held others before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        images, labels = torch.randn(10, 4), torch.arange(10) % 3
    F.cross_entropy(5 * model(images), labels).backward()
    before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    given = slopes(model, images, labels, 4)
    left = [p.grad for p in model.parameters() if p.grad is not None]
    if given is ... or (given is None and all(map(torch.equal, left, before))):
        return None
    return torch.cat([slope.flatten() for slope in left])


EXERCISES = {
    "12.1": Exercise(
        right=2.64,
        wrong={
            "That is the time before; now the two savings.": 19.2,
            "That is the loader alone; the schedule saves, too.": 10.56,
            "That is the schedule alone; the loader saves, too.": 4.8,
            "45 % are taken off, so 55 % are left.": 2.16,
            "A quarter of the pictures is needed, not three quarters.": 7.92,
            "45 % are taken off, and a quarter of the pictures is left.": 6.48,
            "Those are microseconds.": 2_640_000.0,
            "Savings in percent do not add up: multiply what is left.": (
                Mistakes([5.76, -3.84])
            ),
        },
    ),
    "12.2": Exercise(
        right=_chance,
        wrong={
            "The share comes as a fraction: 0.1 is a tenth.": (
                lambda trials, share: 1 - (1 - share / 100) ** trials
            ),
            "With 20 trials of 0.1 this gives 2, and no chance is above 1: ask "
            "how likely it is that all miss.": (lambda trials, share: trials * share),
            "Even ten trials may all miss a tenth: ask how likely that is.": (
                lambda trials, share: min(1.0, trials * share)
            ),
            "That is the chance that all of them miss.": (
                lambda trials, share: (1 - share) ** trials
            ),
            "That is the chance that every one of them hits.": (
                lambda trials, share: share**trials
            ),
            "That is the chance that not all hit; asked is at least one.": (
                lambda trials, share: 1 - share**trials
            ),
            "That is exactly one hit; two are welcome, too.": (
                lambda trials, share: trials * share * (1 - share) ** (trials - 1)
            ),
        },
        look_at=lambda chance: [chance(9, 0.1), chance(3, 0.1), chance(20, 0.1)],
    ),
    "12.3": Exercise(
        right=lambda count, low, high: 10 ** _exponents(count, low, high),
        wrong={
            "Nine tenths of these lie between 0.1 and 1: draw the exponent evenly.": (
                lambda count, low, high: low + (high - low) * torch.rand(count)
            ),
            "Good from 0.0001 to 1; other bounds are asked for as well.": (
                lambda count, low, high: 10 ** (-4 * torch.rand(count))
            ),
            "All of your rates are the same: draw one for each place.": (
                lambda count, low, high: torch.full((count,), high)
            ),
            "Twice the same rates: nothing was drawn. Let chance choose them.": (
                lambda count, low, high: torch.logspace(
                    math.log10(low), math.log10(high), count
                )
            ),
            "Those are the exponents: raise 10 to them.": _exponents,
            "Logarithms of base 10 belong to powers of 10, not to exp.": (
                lambda count, low, high: torch.exp(_exponents(count, low, high))
            ),
        },
        look_at=_seen_of_rates,
    ),
    "12.4": Exercise(
        right=_rate(_half_turn),
        wrong={
            "The cosine begins at step 0, so the rate jumps at the end of the "
            "warm-up: let it begin at the peak.": _rate(
                lambda step, steps, warm_up: (1 + math.cos(math.pi * step / steps)) / 2
            ),
            "The rate is not 0 at the end: the cosine has steps - warm_up steps.": (
                _rate(lambda step, steps, start: _half_turn(step - start, steps, 0))
            ),
            "At step 0 the rate is 0; at `warm_up` it is the peak.": (
                lambda step, steps, warm_up, peak: _rate(_half_turn)(
                    step + (step < warm_up), steps, warm_up, peak
                )
            ),
            "That is a quarter of a turn of the cosine, from 1 to 0: half a turn "
            "goes from 1 to -1, so shift and halve it.": _rate(
                lambda step, steps, warm_up: math.cos(
                    math.pi / 2 * (step - warm_up) / (steps - warm_up)
                )
            ),
            "After the warm-up this falls in a straight line.": _rate(
                lambda step, steps, warm_up: (steps - step) / (steps - warm_up)
            ),
            "This comes back to the peak: take half a turn of the cosine, pi.": _rate(
                lambda step, steps, start: _half_turn(2 * step - start, steps, start)
            ),
            "The shape is right; it should be peak times as high.": (
                lambda step, steps, warm_up, peak: _rate(_half_turn)(
                    step, steps, warm_up, 1.0
                )
            ),
            "The warm-up is missing: from 0 in a straight line.": (
                lambda step, steps, warm_up, peak: _rate(_half_turn)(
                    max(step, warm_up), steps, warm_up, peak
                )
            ),
        },
        look_at=_seen_of_schedule,
    ),
    "12.5": Exercise(
        right=_best_and_stop,
        wrong={
            "Compare with the best loss so far, not with the epoch before.": (
                _stop("against the epoch before")
            ),
            "Compare with the last epoch that counted as better, not with the "
            "smallest loss.": _stop("against the smallest"),
            "A loss that is lower by exactly `least` does not count yet.": (
                _stop("ties count")
            ),
            "If patience never runs out, return the last epoch as the second "
            "number.": _stop("nothing at the end"),
            "Every small gain counts here: ask for more than `least`.": (
                lambda losses, patience, least: _best_and_stop(losses, patience, 0.0)
            ),
            "Keep the last epoch that counted as better, which need not have the "
            "smallest loss of all.": _smallest,
            "The count of epochs without a gain begins anew with every gain.": (
                _stop("all failures are counted")
            ),
            "Both are one too small: epochs are counted from 1.": _shifted(-1, -1),
            "You stop one epoch too late.": _shifted(0, 1),
            "The two have changed places: first the epoch that is kept.": (
                lambda *given: _best_and_stop(*given)[::-1]
            ),
        },
        look_at=_seen_of_stops,
    ),
    "12.6": Exercise(
        right=_in_parts(_share),
        wrong={
            "Each part's loss is a mean already; their sum is too large: weigh "
            "each part by its share of the batch.": (
                _in_parts(lambda part, whole, size: 1.0)
            ),
            "The last part is shorter and weighs as much as the others: weigh by "
            "length.": _in_parts(lambda part, whole, size: 1 / math.ceil(whole / size)),
            "Only the last part is left: clear the slopes once, before the first.": (
                _in_parts(_share, clear="each")
            ),
            "The model came with old slopes: clear them before the first part.": (
                _in_parts(_share, clear="never")
            ),
            "The last, shorter part is missing.": _in_parts(_share, last=False),
            "The last part has fewer pictures than `size`: weigh by its length.": (
                _in_parts(lambda part, whole, size: size / whole)
            ),
        },
        look_at=_seen_of_slopes,
    ),
}
