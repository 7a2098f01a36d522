"""What the notebooks of Learning to See share. Everything public is listed here."""

import os

# Must be set before torch is imported. Two threads that wait for each other in a loop
# block a busy machine: beside other work, a training step of LeNet took 264 ms
# (median) with two threads, and 18 ms when they sleep while they wait.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from course_utils.checkpoint import load_checkpoint, save_checkpoint
from course_utils.data import (
    PictureDataset,
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
from course_utils.exercises import check, expect
from course_utils.explore import drawing_board, explore
from course_utils.history import History
from course_utils.loader import BatchLoader, RandomFlip, RandomShift
from course_utils.metrics import (
    accuracy,
    class_report,
    confusion,
    dice,
    iou,
    pixel_accuracy,
    top_k_accuracy,
    v_rand,
    wilson_interval,
)
from course_utils.training import evaluate, fit
from course_utils.viewing import (
    imshow,
    plot_confusion,
    plot_history,
    show_batch,
    show_kernels,
    show_masks,
    show_predictions,
)

__all__ = [
    "BatchLoader",
    "History",
    "PictureDataset",
    "RandomFlip",
    "RandomShift",
    "accuracy",
    "check",
    "class_report",
    "confusion",
    "describe_device",
    "dice",
    "drawing_board",
    "evaluate",
    "expect",
    "explore",
    "fit",
    "free_memory",
    "imshow",
    "iou",
    "load_ants_bees",
    "load_checkpoint",
    "load_cifar10",
    "load_membranes",
    "load_mnist",
    "load_phantoms",
    "load_resnet18",
    "pick_device",
    "pixel_accuracy",
    "plot_confusion",
    "plot_history",
    "save_checkpoint",
    "seed_everything",
    "show_batch",
    "show_kernels",
    "show_masks",
    "show_predictions",
    "top_k_accuracy",
    "v_rand",
    "wilson_interval",
]
