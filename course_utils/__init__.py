"""What the notebooks of Learning to See share. Everything public is listed here."""

from course_utils.checks import check, expect
from course_utils.data import (
    BatchLoader,
    PictureDataset,
    RandomFlip,
    RandomShift,
    load_ants_bees,
    load_cifar10,
    load_membranes,
    load_mnist,
    load_phantoms,
    load_resnet18,
)
from course_utils.device import (
    describe_device,
    free_memory,
    pick_device,
    seed_everything,
)
from course_utils.explore import explore
from course_utils.viewing import imshow

__all__ = [
    "BatchLoader",
    "PictureDataset",
    "RandomFlip",
    "RandomShift",
    "check",
    "describe_device",
    "expect",
    "explore",
    "free_memory",
    "imshow",
    "load_ants_bees",
    "load_cifar10",
    "load_membranes",
    "load_mnist",
    "load_phantoms",
    "load_resnet18",
    "pick_device",
    "seed_everything",
]
