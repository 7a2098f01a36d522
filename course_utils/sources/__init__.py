"""Where the course's data comes from: fetch it, check it, share it.

On the command line: ``python -m course_utils.sources fetch|status|verify|serve``.
"""

from course_utils.sources.sets import (
    ANTS_BEES,
    CIFAR10,
    MEMBRANES,
    MNIST,
    RESNET18,
    SOURCES,
    FetchError,
    Source,
)
from course_utils.sources.store import fetch, folders, is_offline

__all__ = [
    "ANTS_BEES",
    "CIFAR10",
    "MEMBRANES",
    "MNIST",
    "RESNET18",
    "SOURCES",
    "FetchError",
    "Source",
    "fetch",
    "folders",
    "is_offline",
]
