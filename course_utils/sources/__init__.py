"""Where data comes from: hosts, mirrors, prepared files."""

from course_utils.sources.archives import DamagedError
from course_utils.sources.fetch import folders, obtain
from course_utils.sources.fetch import offline as is_offline
from course_utils.sources.sources import (
    ANTS_BEES,
    CIFAR10,
    MEMBRANES,
    MNIST,
    RESNET18,
    FetchError,
    Source,
)


def fetch(source):
    try:
        return obtain(source)
    except DamagedError as e:
        raise FetchError(str(e)) from None
