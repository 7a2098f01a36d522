"""Pictures and their labels, as an ordinary data set of PyTorch."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset


class PictureFiles:
    """Pictures of any size that stay on the disk until somebody looks at one."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        from PIL import Image

        path = self.paths[number]
        try:
            with Image.open(path) as picture:
                pixels = np.array(picture.convert("RGB"))
        except OSError as error:
            raise OSError(f"{path.name} cannot be read ({error}): remove it") from None
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


@dataclasses.dataclass(repr=False, eq=False)
class PictureDataset(Dataset[tuple[Any, Any]]):
    """Pictures with their labels: one part (training, validation, test) of a set.

    `images` holds the pixels, channels first: one tensor, or where sizes differ a
    sequence of tensors. `labels` holds a number for each picture, or a mask of the
    picture's height and width. A `transform` gets the picture, and the mask too if
    there is one, so that both are turned and cropped alike.

    >>> train, validation, test = load_mnist()
    >>> image, label = train[0]
    """

    images: torch.Tensor | list[torch.Tensor] | PictureFiles
    labels: torch.Tensor
    classes: Sequence[str]
    name: str = "pictures"
    part: str = "all"
    source: str = "your own"
    transform: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"{len(self.images)} pictures do not go with {len(self.labels)} labels"
            )
        if self.labels.numel() and not (
            self.labels.min() >= 0 and self.labels.max() < len(self.classes)
        ):
            raise ValueError(
                f"with {len(self.classes)} classes, labels are 0 to "
                f"{len(self.classes) - 1}; here they go from "
                f"{int(self.labels.min())} to {int(self.labels.max())}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no picture {number} among {len(self)}")
        # A copy: what a transform does to it must not change the data set.
        image, label = self.images[number].clone(), self.labels[number].clone()
        if label.ndim == 0:
            return (self.transform(image) if self.transform else image), int(label)
        if self.transform is None:
            return image, label
        from torchvision import tv_tensors  # type: ignore[import-untyped]

        both = self.transform(tv_tensors.Image(image), tv_tensors.Mask(label))
        return both[0].as_subclass(torch.Tensor), both[1].as_subclass(torch.Tensor)

    def with_transform(self, transform: Callable[..., Any] | None) -> PictureDataset:
        """The same pictures, not copied, seen through `transform`.

        >>> augmented = train.with_transform(v2.RandomHorizontalFlip())
        """
        return dataclasses.replace(self, transform=transform)

    def subset(
        self, indices: Sequence[int] | np.ndarray, part: str | None = None
    ) -> PictureDataset:
        """The pictures with these numbers, as a data set that knows all the same.

        >>> few = train.subset(range(500))
        """
        numbers = torch.as_tensor(indices, dtype=torch.int64)
        images: torch.Tensor | list[torch.Tensor] | PictureFiles
        if isinstance(self.images, torch.Tensor):
            images = self.images[numbers]
        elif isinstance(self.images, PictureFiles):
            images = PictureFiles(self.images.paths[i] for i in numbers.tolist())
        else:
            images = [self.images[i] for i in numbers.tolist()]
        labels = self.labels[numbers]
        part = part or self.part
        return dataclasses.replace(self, images=images, labels=labels, part=part)

    def __repr__(self) -> str:
        size = "in colour, of various sizes"
        if isinstance(self.images, torch.Tensor):
            size = "of " + " x ".join(map(str, self.images.shape[1:]))
        masks = ", each with a mask" if self.labels.ndim > 1 else ""
        return (
            f"{self.name}, {self.part}: {len(self):,} pictures {size}{masks}\n"
            f"  {len(self.classes)} classes ({', '.join(self.classes)}); {self.source}"
        )


class Parts(NamedTuple):
    """The three parts of a data set: to learn from, to choose by, to report on."""

    train: PictureDataset
    validation: PictureDataset
    test: PictureDataset

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))
