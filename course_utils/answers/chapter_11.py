"""The exercises of chapter 11: U-Net in three dimensions."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from course_utils.exercises import Exercise

Spacing = Sequence[float]
ROOM = 2, 16, 64, 128, 128  # batch, channels, depth, height, width
SPACE = (1, 2, 3)


def _tissues() -> Tensor:
    return (torch.arange(60).reshape(3, 4, 5) * 7 % 11 % 4).long()


def _millilitres(labels: Tensor, tissue: int, spacing: Spacing) -> Tensor:
    return (labels == tissue).sum() * math.prod(spacing) / 1000


def _pooling(spacing: Spacing, limit: float = 2) -> tuple[int, ...]:
    return tuple(2 if s < limit * min(spacing) else 1 for s in spacing)


def _answers() -> tuple[Tensor, Tensor]:
    """Two volumes of six voxels wide; the second has nothing of class 3."""
    truth = torch.tensor([[0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 2]])
    guess = torch.tensor([[0, 1, 2, 2, 2, 3], [0, 1, 1, 1, 2, 0]])
    shape = 2, 1, 1, 6
    logits = F.one_hot(guess.reshape(shape), 4).movedim(-1, 1).float()
    # Doubled in depth and height, so that the axes can be told apart.
    logits = logits.repeat(1, 1, 2, 3, 1)
    return logits, truth.reshape(shape).repeat(1, 2, 3, 1)


def _dice(
    logits: Tensor, labels: Tensor, *, axes: tuple[int, ...] = SPACE, smooth: int = 0
) -> Tensor:
    """Dice of the four classes, one row each."""
    guesses, rows = logits.argmax(1), []
    for tissue in range(4):
        ours, theirs = guesses == tissue, labels == tissue
        both, sizes = (ours & theirs).sum(axes), ours.sum(axes) + theirs.sum(axes)
        rows.append((2 * both + smooth) / (sizes + smooth))
    return torch.stack(rows)


def _iou(logits: Tensor, labels: Tensor) -> Tensor:
    overlaps = _dice(logits, labels)[1:]
    return (overlaps / (2 - overlaps)).nanmean(0)


def _lesions() -> Tensor:
    """Four lesions: two whose voxels touch at corners, one long and bent, one large."""
    mask = torch.zeros(5, 7, 31, dtype=torch.bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    mask[0:4, 3, 0] = mask[3, 3, 0:30] = mask[0:4, 3, 5] = True
    mask[0:3, 5:7, 7:9] = True
    mask[4, 0, 8] = mask[4, 1, 7] = True
    return mask


def _lone_voxel() -> Tensor:
    """One lesion of one voxel, in the very first place."""
    mask = torch.zeros(3, 4, 5, dtype=torch.bool)
    mask[0, 0, 0] = True
    return mask


def _count(mask: Tensor, rounds: int = 0, first: int = 1, faces: bool = False) -> int:
    """The lesions that are left after so many rounds of spreading, or after enough.

    With `faces`, voxels that touch at an edge or a corner stay apart.
    """
    numbers = first + torch.arange(mask.numel(), dtype=torch.float64)
    numbers = (numbers.reshape(mask.shape) * mask)[None, None]
    sizes = [(3, 1, 1), (1, 3, 1), (1, 1, 3)] if faces else [(3, 3, 3)]
    for _ in range(rounds or mask.numel()):
        sides = [
            F.max_pool3d(numbers, size, stride=1, padding=[n // 2 for n in size])
            for size in sizes
        ]
        before, numbers = numbers, torch.stack(sides).amax(0) * mask
        if torch.equal(before, numbers):
            break
    return len(numbers[numbers > 0].unique())


def _permuted(*order: int) -> Callable[[Tensor], Tensor]:
    return lambda scan: scan.permute(order)


EXERCISES = {
    "11.1": Exercise(
        right=math.prod(ROOM) * 4,
        wrong={
            "These are the numbers; float32 takes 4 bytes for each.": math.prod(ROOM),
            "That is for one volume; the batch has two.": math.prod(ROOM[1:]) * 4,
            "Each of the 16 channels has its own map.": math.prod(ROOM[2:]) * 8,
            "That is one channel of one volume.": math.prod(ROOM[2:]) * 4,
            "float32 has 32 bits, which are 4 bytes.": math.prod(ROOM) * 8,
            "32 is the number of bits; a byte has 8 of them.": math.prod(ROOM) * 32,
            "Those are megabytes; bytes are asked for.": math.prod(ROOM) * 4 / 1e6,
        },
    ),
    "11.2": Exercise(
        right=_permuted(3, 2, 1, 0),
        wrong={
            "The shape is right and the voxels are a jumble: reshape keeps the "
            "order of the numbers; permute moves axes.": (
                lambda scan: scan.reshape(scan.shape[::-1])
            ),
            "The channels are in front; the scan lies on its side: width, height, "
            "depth have to be turned around.": _permuted(3, 0, 1, 2),
            "Height and width have changed places.": _permuted(3, 2, 0, 1),
            "The channels belong in front.": _permuted(2, 1, 0, 3),
            "One axis too many: a single scan has no batch axis.": (
                lambda scan: scan.permute(3, 2, 1, 0)[None]
            ),
        },
        look_at=lambda to_torch: to_torch(torch.arange(120).reshape(2, 3, 5, 4)),
    ),
    "11.3": Exercise(
        right=_millilitres,
        wrong={
            "These are thousands of voxels: multiply by the volume of one voxel.": (
                lambda labels, tissue, spacing: (labels == tissue).sum() / 1000
            ),
            "These are cubic millimetres; divide by 1,000.": (
                lambda *given: 1000 * _millilitres(*given)
            ),
            "The volume of a box is the product of its sides, not their sum.": (
                lambda labels, tissue, spacing: (
                    (labels == tissue).sum() * sum(spacing) / 1000
                )
            ),
            "You add up the class numbers; count the voxels instead.": (
                lambda labels, tissue, spacing: (
                    labels[labels == tissue].sum() * math.prod(spacing) / 1000
                )
            ),
            "That is the volume of all tissues together.": (
                lambda labels, tissue, spacing: _millilitres(labels > 0, True, spacing)
            ),
        },
        look_at=lambda f: [
            f(_tissues(), 3, (1.5, 1.0, 2.0)),
            f(_tissues(), 2, (50.0, 10.0, 10.0)),
        ],
    ),
    "11.4": Exercise(
        right=_pooling,
        wrong={
            "This pools along the thick slices, too.": (lambda spacing: (2, 2, 2)),
            "Good for thick slices along the depth; look at the spacing you are "
            "given.": (lambda spacing: (1, 2, 2)),
            "The other way round: pool by 2 where the voxels are short.": (
                lambda spacing: tuple(3 - n for n in _pooling(spacing))
            ),
            "An axis that is a little longer than the shortest is still pooled: "
            "the limit is twice the smallest spacing.": (
                lambda spacing: _pooling(spacing, 1.001)
            ),
            "Exactly twice the smallest spacing is not less than twice.": (
                lambda spacing: tuple(
                    2 if s <= 2 * min(spacing) else 1 for s in spacing
                )
            ),
            "Compare with the smallest spacing, not with 1 mm.": (
                lambda spacing: tuple(2 if s < 2 else 1 for s in spacing)
            ),
        },
        look_at=lambda f: [
            f(spacing)
            for spacing in ((5, 1, 1), (1.5, 1, 1), (1, 1, 2), (3, 3, 3), (0.5, 0.9, 2))
        ],
    ),
    "11.5": Exercise(
        right=lambda *given: _dice(*given)[1:].nanmean(0),
        wrong={
            "Class 0, the outside, is counted; leave it out.": (
                lambda *given: _dice(*given).nanmean(0)
            ),
            "A class that is nowhere gives 0 / 0, NaN, and spoils the mean.": (
                lambda *given: _dice(*given)[1:].mean(0)
            ),
            "A class that is nowhere counts as 0; leave it out of the mean.": (
                lambda *given: _dice(*given)[1:].nan_to_num().mean(0)
            ),
            "One number for the whole batch: keep axis 0 when you sum.": (
                lambda *given: _dice(*given, axes=(0, *SPACE))[1:].nanmean()
            ),
            "One number for each class; the mean is over classes, for each volume.": (
                lambda *given: _dice(*given)[1:].nanmean(1)
            ),
            "Half of what it should be: Dice counts what both share twice.": (
                lambda *given: _dice(*given)[1:].nanmean(0) / 2
            ),
            "Nothing is added above and below here: leave an absent class out.": (
                lambda *given: _dice(*given, smooth=1)[1:].mean(0)
            ),
            "That is intersection over union: Dice divides by both sizes.": _iou,
            "That is the share of right voxels; Dice is wanted.": (
                lambda logits, labels: (
                    (logits.argmax(1) == labels).float().mean(dim=SPACE)
                )
            ),
        },
        look_at=lambda metric: metric(*_answers()),
    ),
    "11.6": Exercise(
        right=_count,
        wrong={
            "That counts discs, slice by slice; a lesion spans several.": (
                lambda mask: sum(_count(each[None]) for each in mask)
            ),
            "One too many: the 0 outside the mask is no lesion.": (
                lambda mask: _count(mask) + 1
            ),
            "Once is not enough: repeat the spreading.": (lambda mask: _count(mask, 1)),
            "Some lesions are longer: repeat until nothing changes any more.": (
                lambda mask: _count(mask, 10)
            ),
            "A lesion got the number 0, which means outside: count from 1.": (
                lambda mask: _count(mask, first=0)
            ),
            "All became one: set the outside back to 0 after each spreading.": (
                lambda mask: 1
            ),
            "Voxels that touch at an edge or a corner belong together.": (
                lambda mask: _count(mask, faces=True)
            ),
            "These are the voxels of all lesions.": (lambda mask: int(mask.sum())),
        },
        look_at=lambda count: [count(_lesions()), count(_lone_voxel())],
    ),
}
