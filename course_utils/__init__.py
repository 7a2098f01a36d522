"""What the notebooks of Learning to See share. Everything public is listed here."""

from course_utils.checks import check, expect
from course_utils.device import (
    describe_device,
    free_memory,
    pick_device,
    seed_everything,
)
from course_utils.explore import explore
from course_utils.viewing import imshow

__all__ = [
    "check",
    "describe_device",
    "expect",
    "explore",
    "free_memory",
    "imshow",
    "pick_device",
    "seed_everything",
]
