"""Batches from memory: shuffled, augmented and normalised where the model is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import TensorDataset

Augment: TypeAlias = Callable[..., Tensor]
Numbers: TypeAlias = float | Sequence[float]


@dataclass(frozen=True)
class RandomFlip:
    """Mirror some images of a batch left to right, each with a chance of its own.

    >>> mirrored = RandomFlip()(torch.zeros(8, 3, 32, 32, dtype=torch.uint8))
    """

    chance: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise ValueError(
                f"a chance lies between 0 and 1; this one is {self.chance}"
            )

    def __call__(
        self, images: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A batch with some of the images mirrored; the given one stays as it is."""
        if images.ndim < 4:  # one image, as a transform gets it
            return self(images[None], generator)[0]
        drawn = torch.rand(len(images), generator=generator) < self.chance
        chosen = drawn.nonzero().squeeze(1).to(images.device)
        return images.index_copy(0, chosen, images.index_select(0, chosen).flip(-1))


@dataclass(frozen=True)
class RandomShift:
    """Shift each image of a batch by up to `padding` pixels in both directions.

    The same as a random crop of the old size from the image with a black border.

    >>> shifted = RandomShift(4)(torch.zeros(8, 3, 32, 32, dtype=torch.uint8))
    """

    padding: int = 4

    def __call__(
        self, images: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A batch with every image shifted; the given one stays as it is."""
        if images.ndim < 4:  # one image, as a transform gets it
            return self(images[None], generator)[0]
        height, width = images.shape[-2:]
        places = 2 * self.padding + 1
        shifts = torch.randint(places, (2, len(images)), generator=generator)
        down, right = shifts.to(images.device)
        # Every crop that there is, and none of them copied.
        padded = F.pad(images, [self.padding] * 4)
        crops = padded.unfold(-2, height, 1).unfold(-2, width, 1)
        batch = torch.arange(len(images), device=images.device)
        return crops[batch, ..., down, right, :, :]


class BatchLoader:
    """Batches of a data set that fits in memory, in place of a `DataLoader`.

    A `DataLoader` fetches, converts and augments one image after another. This loader
    does each step once for the whole batch, on the device of the model, where the data
    lies as small integers from the start.

    `dataset` is one of the course's data sets or a pair of tensors. `mean` and `std`
    refer to images between 0 and 1, one number or one a channel. `augment` is one step
    or several, each called with a batch before it is normalised: `RandomFlip` and
    `RandomShift`, or a function of yours that takes a batch and gives one back. Order
    and augmentation depend on `seed` and on the number of the epoch alone; a step of
    yours that does so too takes the random numbers as `generator`.

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
        mean: Numbers | None = None,
        std: Numbers | None = None,
        augment: Augment | Sequence[Augment] | None = None,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        images, labels = _images_and_labels(dataset)
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(
                f"batch_size is a whole number from 1 up, not {batch_size!r}"
            )
        self.dataset = (
            dataset if hasattr(dataset, "images") else TensorDataset(images, labels)
        )
        self.batch_size = batch_size
        self.shuffle, self.drop_last = shuffle, drop_last
        self.device = torch.device(device)
        self.augment = _steps(augment, images, labels)
        self.seed, self.epoch = seed, 0
        self.scale, self.offset = _normalisation(images, mean, std, self.device)
        self.images, self.labels = images.to(self.device), labels.to(self.device)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (inputs, labels)."""
        self.epoch += 1
        return self._batches(_generator(self.seed, self.epoch))

    def __repr__(self) -> str:
        return (
            f"<BatchLoader: {len(self.labels)} samples of shape "
            f"{tuple(self.images.shape[1:])} in {len(self)} batches of "
            f"{self.batch_size} on {self.device}>"
        )

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps of a loader: its seed and the epochs it has begun."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on after the epoch at which `state_dict` was called."""
        self.seed, self.epoch = int(state["seed"]), int(state["epoch"])

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.arange(len(self.labels))
        if self.shuffle:
            order = torch.randperm(len(self.labels), generator=generator)
        order = order.to(self.device)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            numbers = order[start : start + self.batch_size]
            images = self.images.index_select(0, numbers)
            labels = self.labels.index_select(0, numbers)
            for step in self.augment:
                images = _augmented(step, images, generator)
            inputs = images.to(torch.float32, copy=True)
            inputs.mul_(self.scale).add_(self.offset)
            yield inputs, labels if labels.is_floating_point() else labels.long()


def _images_and_labels(dataset: Any) -> tuple[Tensor, Tensor]:
    """The two tensors that a data set consists of."""
    if getattr(dataset, "transform", None) is not None:
        raise ValueError(
            "this data set has a transform that wants one image at a time, and "
            "BatchLoader never calls it: pass it as augment, or use a DataLoader"
        )
    images, labels = getattr(dataset, "images", None), getattr(dataset, "labels", None)
    if isinstance(dataset, (tuple, list)) and len(dataset) == 2:
        images, labels = dataset
    if not isinstance(images, Tensor) or not isinstance(labels, Tensor):
        raise TypeError(
            "BatchLoader needs all images in one tensor and all labels in another: "
            "bring them to one size and stack them, turn arrays into tensors with "
            "torch.from_numpy, or use torch.utils.data.DataLoader"
        )
    if not len(images) == len(labels) > 0:
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    if images.ndim == 4 and min(images.shape[1:3]) > 4 and images.shape[3] in (1, 3):
        raise ValueError("the channels come last: call images.permute(0, 3, 1, 2)")
    if not images.is_floating_point() and images.dtype not in (torch.uint8, torch.bool):
        raise TypeError(
            f"images are uint8 from 0 to 255, or fractions, and not {images.dtype}"
        )
    return images, labels


def _steps(augment: Any, images: Tensor, labels: Tensor) -> list[Augment]:
    """The steps of the augmentation, in their order."""
    steps = list(augment) if isinstance(augment, (list, tuple)) else [augment]
    steps = [step for step in steps if step is not None]
    for step in steps:
        if not callable(step):
            raise TypeError(f"a step of augment is a function or such, not {step!r}")
        moves = isinstance(step, (RandomFlip, RandomShift))
        if moves and images.ndim < 4:
            raise ValueError(f"{step} needs a channel axis: pass images[:, None]")
        if moves and labels.ndim > 1:
            raise ValueError(
                f"{step} would move the images and not their masks: move both in the "
                "training loop instead"
            )
    return steps


def _augmented(step: Any, images: Tensor, generator: torch.Generator) -> Tensor:
    """The batch after one step."""
    takes_generator = "generator" in inspect.signature(step).parameters
    options = {"generator": generator} if takes_generator else {}
    result: Tensor = step(images, **options)
    if len(result) != len(images) or result.dtype != images.dtype:
        raise TypeError(
            f"{step} was given {len(images)} images of {images.dtype} and gave back "
            f"{len(result)} of {result.dtype}: a step keeps number and type"
        )
    return result


def _normalisation(
    images: Tensor, mean: Numbers | None, std: Numbers | None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What every pixel is multiplied by, and what is added to it then."""
    if (mean is None) != (std is None):
        raise ValueError("to normalise, BatchLoader needs both mean and std")
    top = 255.0 if images.dtype == torch.uint8 else 1.0
    channels = images.shape[1] if images.ndim > 1 else 1
    means = np.ravel(np.asarray(0 if mean is None else mean, dtype=float))
    stds = np.ravel(np.asarray(1 if std is None else std, dtype=float))
    if not {means.shape, stds.shape} <= {(1,), (channels,)}:
        raise ValueError(
            f"the images have {channels} channels, mean has {means.size} numbers and "
            f"std has {stds.size}"
        )
    if not (stds > 0).all():
        raise ValueError(f"every number in std should be above 0; this one is {std}")
    if (
        mean is not None
        and images.ndim == 4
        and max(means.max(), images.max() / top) > 2
    ):
        raise ValueError(
            "mean and std refer to images between 0 and 1: divide others by 255"
        )
    shape = (-1, *[1] * (images.ndim - 2))
    scale = torch.tensor(1 / (top * stds), dtype=torch.float32, device=device)
    offset = torch.tensor(-means / stds, dtype=torch.float32, device=device)
    return scale.reshape(shape), offset.reshape(shape)


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Random numbers for one epoch; always the CPU's, so that devices agree."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(mixed))
