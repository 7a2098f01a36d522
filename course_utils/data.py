"""The data sets of the course: images with labels, in three fixed parts."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import standins
from course_utils.sources import (
    ANTS_BEES,
    CIFAR10,
    MEMBRANES,
    MNIST,
    RESNET18,
    FetchError,
    Source,
    fetch,
)
from course_utils.standins.notice import STAND_IN, announce

if TYPE_CHECKING:
    from torchvision.models import ResNet  # type: ignore[import-untyped]

THINGS = ["airplane", "automobile", "bird", "cat", "deer"]
THINGS += ["dog", "frog", "horse", "ship", "truck"]


class PictureFiles:
    """Images of any size that stay on the disk until somebody looks at one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor:
        from PIL import Image

        path = self.paths[number]
        try:
            with Image.open(path) as image:
                pixels = np.array(image.convert("RGB"))
        except OSError as error:
            raise OSError(f"{path.name} cannot be read ({error}): remove it") from None
        return _channels_first(pixels)


@dataclasses.dataclass(repr=False, eq=False)
class PictureDataset(Dataset[tuple[Any, Any]]):
    """Images with their labels: one part (training, validation, test) of a set.

    `images` holds the pixels, channels first: one tensor, or where sizes differ a
    sequence of tensors. `labels` holds a class number for each image, or a mask of the
    image's height and width. A `transform` gets the image, and the mask too if there is
    one, so that both are turned and cropped alike.

    >>> dataset = PictureDataset(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]), "ab")
    >>> image, label = dataset[1]
    >>> image.shape, label
    (torch.Size([3, 8, 8]), 1)
    """

    images: Tensor | Sequence[Tensor] | PictureFiles
    labels: Tensor
    classes: Sequence[str]
    name: str = "pictures"
    part: str = "all"
    source: str = "your own"
    transform: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        self.labels = torch.as_tensor(self.labels)
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"{len(self.images)} pictures do not go with {len(self.labels)} labels"
            )
        if self.labels.is_floating_point():
            raise TypeError("labels are whole numbers: call labels.long()")
        low, high = (self.labels.min(), self.labels.max()) if len(self) else (0, 0)
        if low < 0 or high >= len(self.classes):
            raise ValueError(
                f"with {len(self.classes)} classes, labels are 0 to "
                f"{len(self.classes) - 1}; here they go from {low} to {high}"
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
        return both[0].as_subclass(Tensor), both[1].as_subclass(Tensor)

    def with_transform(self, transform: Callable[..., Any] | None) -> PictureDataset:
        """The same images, not copied, seen through `transform`."""
        return dataclasses.replace(self, transform=transform)

    def subset(self, indices: Any, part: str | None = None) -> PictureDataset:
        """The images with these numbers, or those where a mask is True.

        >>> labels = torch.tensor([0, 1, 1])
        >>> dataset = PictureDataset(torch.zeros(3, 1, 8, 8), labels, "ab")
        >>> len(dataset.subset([0])), len(dataset.subset(labels == 1))
        (1, 2)
        """
        chosen = torch.as_tensor(indices)
        numbers = torch.arange(len(self))[chosen if len(chosen) else chosen.long()]
        images: Any
        if isinstance(self.images, Tensor):
            images = self.images[numbers]
        elif isinstance(self.images, PictureFiles):
            images = PictureFiles([self.images.paths[i] for i in numbers])
        else:
            images = [self.images[i] for i in numbers]
        labels, part = self.labels[numbers], part or self.part
        return dataclasses.replace(self, images=images, labels=labels, part=part)

    def __repr__(self) -> str:
        size = "in colour, of various sizes"
        if isinstance(self.images, Tensor):
            size = "of " + " x ".join(map(str, self.images.shape[1:]))
        masks = ", each with a mask" if self.labels.ndim > 1 else ""
        return (
            f"{self.name}, {self.part}: {len(self):,} pictures {size}{masks}\n"
            f"  {len(self.classes)} classes ({', '.join(self.classes)}); {self.source}"
        )


class Parts(NamedTuple):
    """The three parts of a data set: to learn from, to choose by, to report on."""

    train: PictureDataset
    val: PictureDataset
    test: PictureDataset

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


def load_mnist() -> Parts:
    """Handwritten digits: 55,000 to train, 5,000 to validate, 10,000 to test with."""
    arrays, kind = _contents(MNIST, standins.standin_mnist)
    return _three_parts(MNIST.title, kind, arrays, "0123456789", every=12)


def load_cifar10() -> Parts:
    """Small colour images of ten things: 45,000, 5,000 and 10,000 of them."""
    arrays, kind = _contents(CIFAR10, standins.standin_cifar10)
    return _three_parts(CIFAR10.title, kind, arrays, THINGS, every=10)


def load_ants_bees() -> Parts:
    """Photographs of ants and bees: 195, 49 and the official 153 to test with.

    They are of various sizes and stay on the disk: a transform has to bring them to
    one size before a loader can put them together in a batch.
    """
    parts, kind = _contents(ANTS_BEES, standins.standin_ants_bees)
    arrays = {}
    for part, (images, labels) in parts.items():
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = np.array(labels)
    return _three_parts(
        ANTS_BEES.title, kind, arrays, classes=["ants", "bees"], every=5
    )


def load_membranes() -> Parts:
    """Electron microscopy of cells: slices 0-19, 20-23 and 24-29 of one stack.

    The label of each pixel is 0 on a membrane and 1 inside a cell. Neighbouring slices
    look alike, so each part is a block of slices.
    """
    arrays, kind = _contents(MEMBRANES, standins.standin_membranes)
    images = torch.from_numpy(arrays["images"])[:, None]
    masks = torch.from_numpy(arrays["labels"] > 127).long()
    classes = ["membrane", "cell"]
    whole = PictureDataset(images, masks, classes, MEMBRANES.title, source=kind)
    return Parts(
        whole.subset(range(20), "training"),
        whole.subset(range(20, 24), "validation"),
        whole.subset(range(24, 30), "test"),
    )


def load_phantoms() -> Parts:
    """Generated volumes in four channels; each voxel is one of four tissues."""
    arrays = standins.make_phantoms()
    classes = ["outside", "grey", "white", "lesion"]
    parts = []
    for part in ("train", "validation", "test"):
        images = torch.from_numpy(arrays[f"{part}_images"])
        labels = torch.from_numpy(arrays[f"{part}_labels"]).long()
        part = "training" if part == "train" else part
        parts.append(
            PictureDataset(images, labels, classes, "Phantoms", part, "generated")
        )
    return Parts(*parts)


def load_resnet18(pretrained: bool = True) -> ResNet:
    """A ResNet-18 that has learned ImageNet's 1,000 classes, or a blank one."""
    from torchvision.models import resnet18

    if not pretrained:
        return resnet18()
    with torch.random.fork_rng(devices=[]):  # loading is no reason for other results
        model = resnet18()
    weights, _ = _contents(RESNET18, model.state_dict)
    model.load_state_dict(weights)
    return model


def _contents(source: Source, stand_in: Callable[[], Any]) -> tuple[Any, str]:
    """What a set holds, and whether it is real; if it cannot be had, its stand-in."""
    try:
        return fetch(source), "real data"
    except FetchError as why:
        announce(source, str(why))
        return stand_in(), STAND_IN


def _three_parts(
    title: str, kind: str, arrays: Any, classes: Sequence[str], every: int
) -> Parts:
    """Split what may be learned from into a training and a validation part."""
    known, test = (
        PictureDataset(
            _as_images(arrays[f"{part}_images"]),
            torch.from_numpy(arrays[f"{part}_labels"]).long(),
            classes,
            title,
            part,
            kind,
        )
        for part in ("train", "test")
    )
    rest, held_out = held_out_of(known.labels.numpy(), every)
    train = known.subset(rest, "training")
    return Parts(train, known.subset(held_out, "validation"), test)


def held_out_of(labels: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Split numbers of images: one of `every` is held out, of each class alike."""
    # RandomState: NumPy promises that its stream of numbers never changes.
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.sort(by_class[::every])
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def _as_images(images: Any) -> Tensor | list[Tensor] | PictureFiles:
    """Arrays as tensors, channels first; files stay where they are."""
    if isinstance(images, np.ndarray):
        return _channels_first(images if images.ndim == 4 else images[..., None])
    if isinstance(images[0], Path):
        return PictureFiles(images)
    return [_channels_first(image) for image in images]


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).movedim(-1, -3).contiguous()
