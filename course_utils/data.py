"""The data sets of the course: images with labels, in three fixed parts."""

from __future__ import annotations

import dataclasses
import operator
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
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

if TYPE_CHECKING:
    from torchvision.models import ResNet  # type: ignore[import-untyped]

REAL, STAND_IN = "real data", "STAND-IN DATA"
DIGITS = tuple("0123456789")
THINGS = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
INSECTS = ("ants", "bees")
TISSUES = ("outside", "grey", "white", "lesion")
_noticed: set[str] = set()


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


def load_mnist() -> Parts:
    """Handwritten digits: 55,000 to train, 5,000 to validate and 10,000 to test with.

    >>> train, validation, test = load_mnist()
    """
    return _labelled(MNIST, standins.standin_mnist, DIGITS, every=12)


def load_cifar10() -> Parts:
    """Small colour pictures of ten things: 45,000, 5,000 and 10,000 of them.

    >>> train, validation, test = load_cifar10()
    """
    return _labelled(CIFAR10, standins.standin_cifar10, THINGS, every=10)


def load_ants_bees() -> Parts:
    """Photographs of ants and bees: 195, 49 and the official 153 to test with.

    They are of various sizes and stay on the disk: a transform has to bring them to
    one size before a loader can put them together in a batch.

    >>> train, validation, test = load_ants_bees()
    """
    parts, kind = _contents(ANTS_BEES, standins.standin_ants_bees)
    known, test = (
        PictureDataset(
            PictureFiles(pictures) if kind == REAL else _as_tensors(pictures),
            torch.tensor(labels),
            INSECTS,
            *(ANTS_BEES.title, part, kind),
        )
        for part, (pictures, labels) in parts.items()
    )
    return _three(known, test, every=5)


def load_membranes() -> Parts:
    """Electron microscopy of cells: slices 0-19, 20-23 and 24-29 of one stack.

    The label of each pixel is 0 on a membrane and 1 inside a cell. Neighbouring
    slices look alike, so each part is a block of slices.

    >>> train, validation, test = load_membranes()
    """
    arrays, kind = _contents(MEMBRANES, standins.standin_membranes)
    images = torch.from_numpy(arrays["images"])[:, None]
    masks = torch.from_numpy(arrays["labels"] > 127).long()
    classes = ("membrane", "cell")
    whole = PictureDataset(images, masks, classes, MEMBRANES.title, source=kind)
    blocks = {"training": (0, 20), "validation": (20, 24), "test": (24, 30)}
    return Parts(*(whole.subset(range(*b), part) for part, b in blocks.items()))


def load_phantoms() -> Parts:
    """Generated volumes in four channels, in which each voxel is one of four tissues.

    >>> train, validation, test = load_phantoms()
    """
    arrays = standins.make_phantoms()
    return Parts(
        *(
            PictureDataset(
                torch.from_numpy(arrays[f"{part}_images"]),
                torch.from_numpy(arrays[f"{part}_labels"]).long(),
                TISSUES,
                *("Phantoms", "training" if part == "train" else part, "generated"),
            )
            for part in Parts._fields
        )
    )


def load_resnet18(pretrained: bool = True) -> ResNet:
    """A ResNet-18 that has learned ImageNet's 1,000 classes, or a blank one.

    >>> model = load_resnet18()
    """
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
        return fetch(source), REAL
    except FetchError as why:
        if source.name not in _noticed:
            _noticed.add(source.name)
            print(_notice(source, str(why)))
        return stand_in(), STAND_IN


def _notice(source: Source, why: str) -> str:
    """A framed text that says what the reader looks at instead, and what to do."""
    what = "Generated pictures take the place of the real ones: all cells run, but"
    results = "results are not those of the real data."
    if source is RESNET18:
        what = "The network starts from random weights: all cells run, but it has"
        results = "not seen ImageNet and learns far less from few pictures."
    paragraphs = (
        f"{STAND_IN}: this is not {source.title}",
        f"{what} {results}",
        f"Why: {why}.",
        "What to do: with a network, and without COURSE_OFFLINE, restart the notebook. "
        f"Or set COURSE_DATA to a folder that holds {source.prepared}.",
    )
    lines = [line for text in paragraphs for line in textwrap.wrap(text, 74)]
    edge = "+" + 76 * "-" + "+"
    return "\n".join([edge, *(f"| {line:<74} |" for line in lines), edge])


def _labelled(
    source: Source, stand_in: Callable[[], Any], classes: Sequence[str], every: int
) -> Parts:
    """The parts of a set of pictures of one size with one label each."""
    arrays, kind = _contents(source, stand_in)
    known, test = (
        PictureDataset(
            _channels_first(arrays[f"{part}_images"]),
            torch.from_numpy(arrays[f"{part}_labels"]).long(),
            classes,
            *(source.title, part, kind),
        )
        for part in ("train", "test")
    )
    return _three(known, test, every)


def _three(known: PictureDataset, test: PictureDataset, every: int) -> Parts:
    """Split what may be learned from into a training and a validation part."""
    rest, held_out = held_out_of(known.labels.numpy(), every)
    train = known.subset(rest, "training")
    return Parts(train, known.subset(held_out, "validation"), test)


def held_out_of(labels: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Split numbers of pictures: one of `every` is held out, of each class alike.

    >>> rest, held_out = held_out_of(np.array([0, 1, 0, 1]), every=2)
    """
    # RandomState: NumPy promises that its stream of numbers never changes.
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.sort(by_class[::every])
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def _channels_first(images: np.ndarray) -> torch.Tensor:
    pixels = torch.from_numpy(images)
    return (
        pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    )


def _as_tensors(pictures: Sequence[np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(p).permute(2, 0, 1).contiguous() for p in pictures]
