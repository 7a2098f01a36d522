"""Batches from memory: shuffled, augmented and normalised where the model is."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class RandomFlip:
    """Mirror some images of a batch left to right, each with a chance of its own.

    >>> mirrored = RandomFlip()(torch.zeros(8, 3, 32, 32))
    """

    chance: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise ValueError(f"chance lies between 0 and 1; this one is {self.chance}")

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """A batch with some of the images mirrored; the given one stays as it is."""
        if images.ndim < 4:  # one image, as a transform gets it
            return self(images[None], generator)[0]
        drawn = torch.rand(len(images), generator=generator) < self.chance
        chosen = drawn.nonzero().squeeze(1).to(images.device)
        return images.index_copy(0, chosen, images.index_select(0, chosen).flip(-1))


@dataclass(frozen=True)
class RandomShift:
    """Shift each image of a batch by up to `padding` pixels; the border is black.

    >>> shifted = RandomShift(4)(torch.zeros(8, 3, 32, 32))
    """

    padding: int = 4

    def __call__(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """A batch with every image shifted; the given one stays as it is."""
        if images.ndim < 4:  # one image, as a transform gets it
            return self(images[None], generator)[0]
        count, *channels, height, width = images.shape
        shifts = torch.randint(2 * self.padding + 1, (2, count), generator=generator)
        down, right = shifts.to(images.device)[:, :, None, None]
        padded = F.pad(images, [self.padding] * 4)
        # A row of a shifted image is a run of pixels in `padded`: where does it start?
        runs = padded.flatten().unfold(0, width, 1)
        planes = torch.arange(count * math.prod(channels)).reshape(count, -1, 1)
        rows = planes.to(images.device) * padded.shape[-2] + down
        rows = rows + torch.arange(height, device=images.device)
        starts = rows * padded.shape[-1] + right
        return runs.index_select(0, starts.flatten()).reshape(images.shape)


class BatchLoader:
    """Batches of a data set that fits in memory, in place of a `DataLoader`.

    Each step treats a whole batch at once, on the device of the model. `dataset` is one
    of the course's data sets or a pair of tensors. `mean` and `std` refer to images
    between 0 and 1, one number or one a channel. `augment` is one step or several, each
    called with a batch before it is normalised: `RandomFlip`, `RandomShift`, or a
    function of yours that takes a batch and gives one back. Order and augmentation
    depend on `seed` and on the number of the epoch alone; a step of yours that does so
    too takes the random numbers as `generator`.

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
        mean: float | Sequence[float] = 0,
        std: float | Sequence[float] = 1,
        augment: Callable[..., Tensor] | Sequence[Callable[..., Tensor]] | None = None,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        steps = augment if isinstance(augment, (list, tuple)) else [augment]
        self.augment = [] if augment is None else list(steps)
        images, labels = _images_and_labels(dataset, self.augment)
        self.device = torch.device(device)
        self.images, self.labels = images.to(self.device), labels.to(self.device)
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last
        self.seed, self.epoch = seed, 0
        numbers = _scale_and_offset(images, mean, std)
        self.scale, self.offset = (n.to(self.device) for n in numbers)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.labels), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch of (inputs, labels)."""
        self.epoch += 1
        mixed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0]
        generator = Generator().manual_seed(int(mixed))  # on the CPU for any device
        takes = ["generator" in inspect.signature(s).parameters for s in self.augment]
        order = torch.arange(len(self.labels))
        if self.shuffle:
            order = torch.randperm(len(self.labels), generator=generator)
        for numbers in order.to(self.device).split(self.batch_size)[: len(self)]:
            images = self.images.index_select(0, numbers)
            labels = self.labels.index_select(0, numbers)
            for step, is_random in zip(self.augment, takes, strict=True):
                options = {"generator": generator} if is_random else {}
                augmented = step(images, **options)
                if len(augmented) != len(images) or augmented.dtype != images.dtype:
                    raise TypeError(f"{step} changed the number or type of its images")
                images = augmented
            inputs = images.to(torch.float32, copy=True)
            inputs.mul_(self.scale).add_(self.offset)
            yield inputs, labels if labels.is_floating_point() else labels.long()

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
        self.seed, self.epoch = state["seed"], state["epoch"]


def _images_and_labels(dataset: Any, steps: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Both tensors, after checks against batches that would be silently wrong."""
    images, labels = (getattr(dataset, name, None) for name in ("images", "labels"))
    if isinstance(dataset, (tuple, list)):
        images, labels = dataset
    if not isinstance(images, Tensor) or not isinstance(labels, Tensor):
        raise TypeError("BatchLoader needs two tensors: stack images of one size")
    if getattr(dataset, "transform", None) is not None:
        raise ValueError("BatchLoader never calls a transform: pass it as augment")
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images have {len(labels)} labels")
    if images.ndim == 4 and min(images.shape[1:3]) > 4 and images.shape[3] in (1, 3):
        raise ValueError("the channels come last: call images.permute(0, 3, 1, 2)")
    if not images.is_floating_point() and images.dtype not in (torch.uint8, torch.bool):
        raise TypeError(f"images are uint8, bool or fractions, not {images.dtype}")
    moves = any(isinstance(step, (RandomFlip, RandomShift)) for step in steps)
    if moves and images.ndim < 4:
        raise ValueError("flips and shifts need a channel axis: pass images[:, None]")
    if moves and labels.ndim > 1:
        raise ValueError("flips and shifts do not move masks: move both in your loop")
    return images, labels


def _scale_and_offset(images: Tensor, mean: Any, std: Any) -> list[Tensor]:
    """What every pixel is multiplied by, and what is added to it then."""
    means, stds = (torch.as_tensor(n, dtype=torch.float64) for n in (mean, std))
    top = 255.0 if images.dtype == torch.uint8 else 1.0
    if not (stds > 0).all():
        raise ValueError(f"every number in std should be above 0; this one is {std}")
    is_given = means.any() or (stds != 1).any()
    if images.ndim == 4 and is_given and max(means.max(), images.max() / top) > 2:
        raise ValueError("mean and std are for images up to 1: divide others by 255")
    shape = (-1, *[1] * (images.ndim - 2))
    return [n.float().reshape(shape) for n in (1 / (top * stds), -means / stds)]
