"""The exercises of chapter 5: data and augmentation."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from course_utils.exercises import Exercise


def _per_channel(numbers: Tensor) -> Tensor:
    return numbers[:, None, None]


def _undone(batch: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return batch * _per_channel(std) + _per_channel(mean)


def _undo_batch(batch: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return _undone(batch, mean, std).clamp(0, 1)


def _normalised() -> tuple[Tensor, Tensor, Tensor]:
    batch = torch.linspace(-3, 3, 2 * 3 * 3 * 4).reshape(2, 3, 3, 4)
    return batch, torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.1])


def _class_names(path: Path) -> list[str]:
    folders = [entry.name for entry in path.iterdir() if entry.is_dir()]
    return sorted(name for name in folders if not name.startswith("."))


def _names_in_a_folder(function: Callable[[Path], Any]) -> Any:
    """What `function` finds in a folder with two classes and four other things."""
    with TemporaryDirectory() as place:
        path = Path(place)
        for name in ("bees", "ants", ".ipynb_checkpoints", ".git"):
            (path / name).mkdir()
        for name in ("notes.txt", ".hidden"):
            (path / name).touch()
        names = function(path)
        if not isinstance(names, list):
            return names
        return ["a Path" if isinstance(name, Path) else str(name) for name in names]


def _paste(one: Tensor, two: Tensor, *place: slice) -> tuple[Tensor, float]:
    return _paste_in_place(one.clone(), two, *place)


def _paste_in_place(one: Tensor, two: Tensor, *place: slice) -> tuple[Tensor, float]:
    rows, columns = place
    one[:, rows, columns] = two[:, rows, columns]
    return one, 1 - two[0, rows, columns].numel() / one[0].numel()


def _pasted(function: Callable[..., Any]) -> Any:
    """The result, and what has become of the first image."""
    one = torch.arange(48.0).reshape(3, 4, 4)
    answer = function(one, one.new_full((3, 4, 4), -1.0), slice(0, 2), slice(1, 4))
    return answer if answer is None or answer is ... else [*answer, one]


def _near_copies(known: Tensor, asked: Tensor, limit: float) -> Tensor:
    return _near(torch.cat([known, known.flip(-1)]), asked, limit)


def _near(known: Tensor, asked: Tensor, limit: float) -> Tensor:
    distances = (asked[:, None].float() - known[None].float()).abs()
    return _below(distances, limit)


def _below(distances: Tensor, limit: float) -> Tensor:
    """Of asked images by known images, the asked ones that are near to any."""
    mean = distances.float().flatten(2).mean(dim=2).abs()
    return (mean.amin(dim=1) < limit).nonzero().flatten()


def _suspects() -> tuple[Tensor, Tensor]:
    """Four known images, and nine asked: copies, brighter, mirrored, new, dark."""
    chance = torch.Generator().manual_seed(4)
    known = torch.randint(20, 230, (4, 3, 6, 6), generator=chance)
    new = torch.randint(20, 230, (3, 3, 6, 6), generator=chance)
    # Two halves that cancel each other out: as bright as known[1], and unlike it.
    far = known[1] + torch.where(torch.arange(6) % 2 == 0, 20, -20)
    copies = [known[2] + 3, known[0] - 4, known[3].flip(-1), known[1].flip(-2), far]
    asked = torch.stack([new[0], *copies, new[1], known[1], new[2] // 4])
    return known.to(torch.uint8), asked.to(torch.uint8)


EXERCISES = {
    "5.1": Exercise(
        right=(352, 72),
        wrong={
            "The 72 images that are left over make a batch, too.": (351, 72),
            "351 batches hold 44,928 images: some are left over.": (351, 128),
            "The last batch is shorter: what do 351 full ones leave?": (352, 128),
            "The other way round: first the batches, then the images.": (72, 352),
            "56 are missing to a full batch; how many are there?": (352, 56),
        },
    ),
    "5.2": Exercise(
        right=(True, False, True, False, False),
        wrong={
            "(a): a car that drives the other way is still a car.": (
                (False, False, True, False, False)
            ),
            "(b): turned by half a turn, a 6 is read as a 9.": (
                (True, True, True, False, False)
            ),
            "(c): seen from above there is no up or down.": (
                (True, False, False, False, False)
            ),
            "(d): ripe means red; a shifted colour may say green.": (
                (True, False, True, True, False)
            ),
            "(e): mirrored, the heart lies on the right, and the label says left.": (
                (True, False, True, False, True)
            ),
            "All five the other way round: True means that the label stays right.": (
                (False, True, False, True, True)
            ),
        },
    ),
    "5.3": Exercise(
        right=_undo_batch,
        wrong={
            "Nearly: keep the numbers between 0 and 1.": _undone,
            "First times std, then plus mean: the steps come in reverse order.": (
                lambda batch, mean, std: (
                    (batch + _per_channel(mean)) * _per_channel(std)
                ).clamp(0, 1)
            ),
            "This normalises once more; to undo it, multiply and add.": (
                lambda batch, mean, std: _undo_batch(batch, -mean / std, 1 / std)
            ),
            "The mean is missing: add it after multiplying.": (
                lambda batch, mean, std: _undo_batch(batch, 0 * mean, std)
            ),
            "Each channel has its own mean and std: do not average them.": (
                lambda batch, mean, std: (batch * std.mean() + mean.mean()).clamp(0, 1)
            ),
            "Mean and std have changed places: times std, then plus mean.": (
                lambda batch, mean, std: _undo_batch(batch, std, mean)
            ),
        },
        look_at=lambda undo: undo(*_normalised()),
    ),
    "5.4": Exercise(
        right=_class_names,
        wrong={
            "The hidden folders are still there: their names begin with a dot.": (
                lambda path: sorted(p.name for p in path.iterdir() if p.is_dir())
            ),
            "There are other hidden folders: leave out all that begin with a dot.": (
                lambda path: sorted(
                    p.name
                    for p in path.iterdir()
                    if p.is_dir() and p.name != ".ipynb_checkpoints"
                )
            ),
            "These are Paths; give their names, entry.name.": (
                lambda path: [path / name for name in _class_names(path)]
            ),
            "A file is no class: ask is_dir().": (
                lambda path: sorted(
                    p.name for p in path.iterdir() if not p.name.startswith(".")
                )
            ),
            "Here is everything: leave out files and what begins with a dot.": (
                lambda path: sorted(p.name for p in path.iterdir())
            ),
            "The right names, not in the order of the alphabet: sort them.": (
                lambda path: sorted(_class_names(path), reverse=True)
            ),
            "The names are wanted, not their number.": (
                lambda path: len(_class_names(path))
            ),
        },
        look_at=_names_in_a_folder,
    ),
    "5.5": Exercise(
        right=_paste,
        wrong={
            "You changed the image that was given to you: paste into a clone.": (
                _paste_in_place
            ),
            "This is the share of the pasted piece; one keeps the rest.": (
                lambda *given: (_paste(*given)[0], 1 - _paste(*given)[1])
            ),
            "Count pixels on both sides: the piece has all its channels here.": (
                lambda one, two, rows, columns: (
                    _paste(one, two, rows, columns)[0],
                    1 - two[:, rows, columns].numel() / one[0].numel(),
                )
            ),
            "The images have changed roles: the piece comes from two.": (
                lambda one, two, rows, columns: _paste(two, one, rows, columns)
            ),
            "Rows and columns have changed places.": (
                lambda one, two, rows, columns: _paste(one, two, columns, rows)
            ),
        },
        look_at=_pasted,
    ),
    "5.6": Exercise(
        right=_near_copies,
        wrong={
            "A mirrored copy got through: compare with known.flip(-1) as well.": _near,
            "That mirrors top to bottom; left to right is flip(-1).": (
                lambda known, asked, limit: _near(
                    torch.cat([known, known.flip(-2)]), asked, limit
                )
            ),
            "Bytes start again at 255 below 0: make floats with float() first.": (
                lambda known, asked, limit: _below(
                    asked[:, None] - torch.cat([known, known.flip(-1)]), limit
                )
            ),
            "Lighter and darker pixels cancel out: take abs() before the mean.": (
                lambda known, asked, limit: _below(
                    asked[:, None].float() - torch.cat([known, known.flip(-1)]), limit
                )
            ),
            "Everything is near: limit counts in bytes, so do not divide by 255.": (
                lambda known, asked, limit: _near_copies(known, asked, 255 * limit)
            ),
            "These are places in known; the places in asked are wanted.": (
                lambda known, asked, limit: _near_copies(asked, known, limit)
            ),
            "This is how many there are; return which.": (
                lambda *given: len(_near_copies(*given))
            ),
            "This says yes or no for each; nonzero().flatten() gives the indices.": (
                lambda known, asked, limit: torch.isin(
                    torch.arange(len(asked)), _near_copies(known, asked, limit)
                )
            ),
        },
        look_at=lambda find: find(*_suspects(), 6.0),
    ),
}
