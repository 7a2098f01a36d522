"""The data sets of the course: images with labels, in three fixed parts."""

import dataclasses
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from course_utils import sources, standins
from course_utils.standins.notice import STAND_IN, announce

THINGS = ["airplane", "automobile", "bird", "cat", "deer"]
THINGS += ["dog", "frog", "horse", "ship", "truck"]


@dataclasses.dataclass(repr=False, eq=False)
class PictureDataset(Dataset[tuple[Any, Any]]):
    """Images with their labels: one part (training, validation, test) of a set.

    `images` holds the pixels, channels first: one tensor, or where sizes differ a list
    of tensors or files. `labels` holds a class number for each image, or a mask of its
    size. A `transform` gets the image, and the mask too, so that both are turned alike.

    >>> dataset = PictureDataset(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]), "ab")
    >>> image, label = dataset[1]
    >>> image.shape, label
    (torch.Size([3, 8, 8]), 1)
    """

    images: Any
    labels: Tensor
    classes: Sequence[str]
    name: str = "pictures"
    part: str = "all"
    source: str = "your own"
    transform: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        given = torch.as_tensor(self.labels)
        self.labels = labels = given.long()
        in_range = ((labels >= 0) & (labels < len(self.classes))).all()
        if len(labels) != len(self.images) or given.is_floating_point() or not in_range:
            last = len(self.classes) - 1
            raise ValueError(f"each image needs one label, a whole number up to {last}")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number = operator.index(index)
        image = self.images[number]
        if isinstance(image, Path):
            import PIL.Image

            image = _channels_first(np.array(PIL.Image.open(image).convert("RGB")))
        # Copies: what a transform does to them must not change the data set.
        image, label = image.clone(), self.labels[number].clone()
        if label.ndim == 0:
            return (self.transform(image) if self.transform else image), int(label)
        if self.transform:
            from torchvision.tv_tensors import Image, Mask  # type: ignore[import-untyped]

            image, label = self.transform(Image(image), Mask(label))
        return image.as_subclass(Tensor), label.as_subclass(Tensor)

    def with_transform(self, transform: Callable[..., Any] | None) -> Self:
        """The same images, not copied, seen through `transform`."""
        return dataclasses.replace(self, transform=transform)

    def subset(self, indices: Any, part: str | None = None) -> Self:
        """The images with these numbers, or where a mask (`labels == 1`) is True."""
        chosen = torch.as_tensor(indices)
        rows = torch.arange(len(self))[chosen if len(chosen) else chosen.long()]
        is_tensor = isinstance(self.images, Tensor)
        images = self.images[rows] if is_tensor else [self.images[row] for row in rows]
        labels, part = self.labels[rows], part or self.part
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
    return _three_parts(sources.MNIST, standins.standin_mnist, "0123456789", every=12)


def load_cifar10() -> Parts:
    """Small colour images of ten things: 45,000, 5,000 and 10,000 of them."""
    return _three_parts(sources.CIFAR10, standins.standin_cifar10, THINGS, every=10)


def load_ants_bees() -> Parts:
    """Photographs of ants and bees: 195, 49 and the official 153 to test with.

    They stay on the disk, in various sizes: a transform has to give them one size.
    """
    stand_in, classes = standins.standin_ants_bees, ["ants", "bees"]
    return _three_parts(sources.ANTS_BEES, stand_in, classes, every=5)


def load_membranes() -> Parts:
    """Electron microscopy of cells: slices 0-19, 20-23 and 24-29 of one stack.

    Neighbouring slices look alike, so each part is a block of slices.
    """
    arrays, kind = _contents(sources.MEMBRANES, standins.standin_membranes)
    images, masks = (torch.from_numpy(arrays[what]) for what in ("images", "labels"))
    title, classes = sources.MEMBRANES.title, ["membrane", "cell"]
    whole = PictureDataset(images[:, None], masks > 127, classes, title, source=kind)
    train = whole.subset(range(20), "training")
    val = whole.subset(range(20, 24), "validation")
    return Parts(train, val, whole.subset(range(24, 30), "test"))


def load_phantoms() -> Parts:
    """Generated volumes in four channels; each voxel is one of four tissues."""
    arrays = {key: torch.from_numpy(a) for key, a in standins.make_phantoms().items()}
    classes, parts = ["outside", "grey", "white", "lesion"], []
    for part in ("train", "validation", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        about = "Phantoms", part.replace("train", "training"), "generated"
        parts.append(PictureDataset(images, labels, classes, *about))
    return Parts(*parts)


def load_resnet18(pretrained: bool = True) -> torch.nn.Module:
    """A ResNet-18 that has learned ImageNet's 1,000 classes, or a blank one."""
    from torchvision.models import resnet18  # type: ignore[import-untyped]

    # Loading weights is no reason for other random numbers afterwards.
    with torch.random.fork_rng(devices=[], enabled=pretrained):
        model: torch.nn.Module = resnet18()
    if pretrained:
        model.load_state_dict(_contents(sources.RESNET18, model.state_dict)[0])
    return model


def _contents(source: sources.Source, stand_in: Callable[[], Any]) -> tuple[Any, str]:
    """What a set holds, and whether it is real; if it cannot be had, its stand-in."""
    try:
        return sources.fetch(source), "real data"
    except sources.FetchError as why:
        announce(source, str(why))
        return stand_in(), STAND_IN


def _three_parts(
    source: sources.Source, stand_in: Any, classes: Sequence[str], every: int
) -> Parts:
    """Split what may be learned from into a training and a validation part."""
    contents, kind = _contents(source, stand_in)
    sets = []
    for part in ("train", "test"):
        if part in contents:  # photographs of various sizes: files, or drawn ones
            images, labels = contents[part]
            images = [i if isinstance(i, Path) else _channels_first(i) for i in images]
        else:
            images, labels = contents[f"{part}_images"], contents[f"{part}_labels"]
            images = _channels_first(images if images.ndim == 4 else images[..., None])
        sets.append(PictureDataset(images, labels, classes, source.title, part, kind))
    known, test = sets
    rest, held = held_out_of(known.labels.numpy(), every)
    return Parts(known.subset(rest, "training"), known.subset(held, "validation"), test)


def held_out_of(labels: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Split numbers of images: one of `every` is held out, of each class alike."""
    # RandomState: NumPy promises that its stream of numbers never changes.
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.sort(by_class[::every])
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).movedim(-1, -3).contiguous()
