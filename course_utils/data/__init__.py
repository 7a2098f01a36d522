"""The course's pictures: real ones where they can be had, stand-ins elsewhere."""

from course_utils.data.batches import BatchLoader, RandomFlip, RandomShift
from course_utils.data.load import (
    load_ants_bees,
    load_cifar10,
    load_membranes,
    load_mnist,
    load_phantoms,
    load_resnet18,
)
from course_utils.data.pictures import PictureDataset

__all__ = [
    "BatchLoader",
    "PictureDataset",
    "RandomFlip",
    "RandomShift",
    "load_ants_bees",
    "load_cifar10",
    "load_membranes",
    "load_mnist",
    "load_phantoms",
    "load_resnet18",
]
