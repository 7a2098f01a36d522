"""Batches from memory: shuffled, augmented and normalised where the model is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Augment = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class RandomFlip:
    """Mirror some pictures of a batch left to right, each with a chance of its own.

    >>> mirrored = RandomFlip()(torch.zeros(8, 3, 32, 32, dtype=torch.uint8))
    """

    chance: float = 0.5

    def __call__(
        self, pictures: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A batch with some of the pictures mirrored; the given one stays as it is."""
        drawn = torch.rand(len(pictures), generator=generator) < self.chance
        chosen = drawn.nonzero().squeeze(1).to(pictures.device)
        mirrored = pictures.index_select(0, chosen).flip(-1)
        return pictures.index_copy(0, chosen, mirrored)


@dataclass(frozen=True)
class RandomShift:
    """Shift each picture of a batch by up to `padding` pixels in both directions.

    The same as a random crop of the old size from the picture with a black border.

    >>> shifted = RandomShift(4)(torch.zeros(8, 3, 32, 32, dtype=torch.uint8))
    """

    padding: int = 4

    def __call__(
        self, pictures: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A batch with every picture shifted; the given one stays as it is."""
        height, width = pictures.shape[-2:]
        padded = F.pad(pictures, [self.padding] * 4)
        rows, row_length = padded.shape[-2:]
        places = 2 * self.padding + 1
        shifts = torch.randint(places, (2, len(pictures), 1, 1), generator=generator)
        down, right = shifts.to(pictures.device)
        # The padded batch is one long row of numbers, and a row of a crop is `width`
        # numbers from it: all we need is the place where each of them starts.
        planes = torch.arange(padded[..., 0, 0].numel(), device=pictures.device)
        lines = torch.arange(height, device=pictures.device) * row_length
        starts = (planes * rows * row_length).view(len(pictures), -1, 1) + lines
        starts = (starts + down * row_length + right).flatten()
        cut = padded.flatten().unfold(0, width, 1).index_select(0, starts)
        return cut.view(pictures.shape)


class BatchLoader:
    """Batches of a data set that fits in memory, in place of a `DataLoader`.

    A `DataLoader` fetches, converts and augments one picture after another. This
    loader does each step once for the whole batch, on the device of the model, where
    the data lies as small integers from the start (if there is room for it).

    `dataset` is one of the course's data sets or a pair of tensors. `mean` and `std`
    refer to pictures between 0 and 1, one number or one a channel. `augment` is one
    step or several, each called with a batch before it is normalised: `RandomFlip`
    and `RandomShift`, which treat every picture on its own, or anything else that
    takes a batch and gives one back. Order, flips and shifts depend on `seed` and on
    the number of the epoch alone, and are the same on every device.

    >>> pair = torch.zeros(50, 3, 32, 32, dtype=torch.uint8), torch.zeros(50).long()
    >>> loader = BatchLoader(pair, 16, shuffle=True, mean=0.5, std=0.25,
    ...                      augment=[RandomFlip(), RandomShift(4)])
    >>> [len(labels) for inputs, labels in loader]
    [16, 16, 16, 2]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        *,
        shuffle: bool = False,
        device: torch.device | str = "cpu",
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        augment: Augment | Sequence[Augment] | None = None,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        pictures, labels = _pictures_and_labels(dataset)
        steps = _steps(augment, labels)
        self.dataset = (
            torch.utils.data.TensorDataset(pictures, labels)
            if isinstance(dataset, (tuple, list))
            else dataset
        )
        self.batch_size = _batch_size(batch_size)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.device = torch.device(device)
        self.augment = steps
        self.seed, self.epoch = seed, 0
        self._scale, self._offset = _normalisation(pictures, mean, std, self.device)
        self._pictures = _moved(pictures, self.device)
        self._labels = labels.to(self._pictures.device)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self._labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (inputs, labels)."""
        self.epoch += 1
        return self._batches(_generator(self.seed, self.epoch))

    def __repr__(self) -> str:
        count, shape = len(self._labels), tuple(self._pictures.shape[1:])
        return (
            f"<BatchLoader: {count} samples of shape {shape} in {len(self)} batches "
            f"of {self.batch_size} on {self.device}>"
        )

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps of a loader: its seed and the epochs it has begun."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after the epoch at which `state_dict` was called."""
        if not {"seed", "epoch"} <= set(state):
            raise ValueError(
                "a BatchLoader's state holds 'seed' and 'epoch'; "
                f"this one holds {sorted(state)}"
            )
        self.seed, self.epoch = int(state["seed"]), int(state["epoch"])

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = None
        if self.shuffle:
            order = torch.randperm(len(self._labels), generator=generator)
            order = order.to(self._labels.device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            places = slice(start, start + self.batch_size)
            if order is None:
                pictures, labels = self._pictures[places], self._labels[places]
            else:
                pictures = self._pictures.index_select(0, order[places])
                labels = self._labels.index_select(0, order[places])
            pictures = pictures.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            yield self._finished(pictures, generator), _as_targets(labels)

    def _finished(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """The batch augmented, as float32 and normalised."""
        for step in self.augment:
            if isinstance(step, (RandomFlip, RandomShift)):
                pictures = step(pictures, generator)
            else:
                pictures = _checked(step(pictures), pictures, step)
        inputs = pictures.to(torch.float32, copy=True)  # the data itself stays as it is
        if self._scale is not None:
            inputs.mul_(self._scale)
        if self._offset is not None:
            inputs.add_(self._offset)
        return inputs


def _pictures_and_labels(dataset: Any) -> tuple[Tensor, Tensor]:
    """The two tensors that a data set consists of."""
    if isinstance(dataset, (tuple, list)) and len(dataset) == 2:
        pictures, labels = dataset
    elif hasattr(dataset, "images") and hasattr(dataset, "labels"):
        pictures, labels = dataset.images, dataset.labels
    else:
        raise TypeError(
            "BatchLoader takes one of the course's data sets or a pair of tensors "
            f"(pictures, labels), not a {type(dataset).__name__}; for any other "
            "data set use torch.utils.data.DataLoader"
        )
    if getattr(dataset, "transform", None) is not None:
        raise ValueError(
            "this data set has a transform that wants one picture at a time, and "
            "BatchLoader never calls it: pass it as augment, or use a DataLoader"
        )
    _require_tensors(pictures, labels)
    return pictures, labels


def _require_tensors(pictures: Any, labels: Any) -> None:
    """Stop with a sentence unless these are as many pictures as labels."""
    if not isinstance(pictures, (Tensor, np.ndarray)):
        raise ValueError(
            "BatchLoader needs all pictures in one tensor, and these are kept one by "
            "one: resize them to one size and stack them, or use a DataLoader"
        )
    for name, part in (("pictures", pictures), ("labels", labels)):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"the {name} should be a tensor, not a {type(part).__name__}: "
                "turn an array into one with torch.from_numpy"
            )
        if part.ndim == 0 or len(part) == 0:
            raise ValueError(f"there are no {name} to make batches of")
    if len(pictures) != len(labels):
        raise ValueError(f"{len(pictures)} pictures have {len(labels)} labels")


def _batch_size(wanted: Any) -> int:
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        raise ValueError(f"batch_size is a whole number from 1 up, not {wanted!r}")
    return wanted


def _steps(
    augment: Augment | Sequence[Augment] | None, labels: Tensor
) -> tuple[Augment, ...]:
    """The steps of the augmentation, in their order."""
    if augment is None:
        return ()
    steps = tuple(augment) if isinstance(augment, Sequence) else (augment,)
    for step in steps:
        if not callable(step):
            raise TypeError(
                "augment takes a callable or a list of callables, such as "
                f"RandomFlip(), not {step!r}"
            )
        if labels.ndim > 1 and isinstance(step, (RandomFlip, RandomShift)):
            raise ValueError(
                f"the labels are maps of shape {tuple(labels.shape[1:])}, and "
                f"{type(step).__name__} would move the pictures without them: "
                "move both in the training loop instead"
            )
    return steps


def _normalisation(
    pictures: Tensor, mean: Any, std: Any, device: torch.device
) -> tuple[Tensor | None, Tensor | None]:
    """What every pixel is multiplied by, and what is added to it then."""
    top = 1.0 if pictures.is_floating_point() else 255.0
    if mean is None and std is None:
        scale = None if top == 1.0 else torch.tensor(1 / top, device=device)
        return scale, None
    if mean is None or std is None:
        raise ValueError("to normalise, BatchLoader needs both mean and std")
    channels = pictures.shape[1] if pictures.ndim > 1 else 1
    shape = (channels, *[1] * (pictures.ndim - 2))
    try:
        means, stds = (
            np.broadcast_to(np.asarray(n, float), channels).reshape(shape)
            for n in (mean, std)
        )
    except ValueError:
        raise ValueError(
            f"the pictures have {channels} channels, but mean has {np.size(mean)} "
            f"numbers and std has {np.size(std)}"
        ) from None
    if not (stds > 0).all():
        raise ValueError(f"every number in std should be above 0; this one is {std}")
    scale, offset = (
        torch.tensor(n, dtype=torch.float32, device=device)
        for n in (1 / (top * stds), -means / stds)
    )
    return scale, offset


def _moved(pictures: Tensor, device: torch.device) -> Tensor:
    """The pictures on the device, unless they would fill half of its free memory."""
    pictures = pictures.contiguous()
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if pictures.nbytes > free / 2:
            return pictures
    return pictures.to(device)


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Random numbers for one epoch; always the CPU's, so that devices agree."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))


def _checked(result: Any, given: Tensor, step: Augment) -> Tensor:
    """What a step gave back, if it is a batch of the same length and kind."""
    same = isinstance(result, Tensor) and result.dtype == given.dtype
    if not same or len(result) != len(given):
        got = getattr(result, "dtype", type(result).__name__)
        name = getattr(step, "__name__", type(step).__name__)
        raise TypeError(
            f"a step of augment gives back as many pictures of the same kind as it "
            f"was given, {len(given)} of {given.dtype}; {name} returned {got} "
            f"of shape {tuple(getattr(result, 'shape', ()))}"
        )
    return result  # type: ignore[no-any-return]


def _as_targets(labels: Tensor) -> Tensor:
    """Labels as a loss wants them: classes as int64, other numbers as they are."""
    return labels if labels.is_floating_point() else labels.long()
