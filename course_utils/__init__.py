"""What the notebooks of Learning to See share. Everything public is listed here."""

import os

# Must be set before torch is imported. Threads that wait for each other in a loop block
# a busy machine: there, a training step of LeNet took 264 ms (median), and 30 ms when
# they fall asleep after a while. On a quiet machine, an epoch takes about 7 % longer.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

from course_utils.checkpoint import load_checkpoint as load_checkpoint
from course_utils.checkpoint import save_checkpoint as save_checkpoint
from course_utils.data import PictureDataset as PictureDataset
from course_utils.data import load_ants_bees as load_ants_bees
from course_utils.data import load_cifar10 as load_cifar10
from course_utils.data import load_membranes as load_membranes
from course_utils.data import load_mnist as load_mnist
from course_utils.data import load_phantoms as load_phantoms
from course_utils.data import load_resnet18 as load_resnet18
from course_utils.device import describe_device as describe_device
from course_utils.device import pick_device as pick_device
from course_utils.device import seed_everything as seed_everything
from course_utils.exercises import check as check
from course_utils.exercises import expect as expect
from course_utils.explore import drawing_board as drawing_board
from course_utils.explore import explore as explore
from course_utils.loader import BatchLoader as BatchLoader
from course_utils.loader import RandomFlip as RandomFlip
from course_utils.loader import RandomShift as RandomShift
from course_utils.metrics import accuracy as accuracy
from course_utils.metrics import class_report as class_report
from course_utils.metrics import confusion as confusion
from course_utils.metrics import dice as dice
from course_utils.metrics import iou as iou
from course_utils.metrics import wilson_interval as wilson_interval
from course_utils.training import History as History
from course_utils.training import evaluate as evaluate
from course_utils.training import fit as fit
from course_utils.viewing import imshow as imshow
from course_utils.viewing import plot_confusion as plot_confusion
from course_utils.viewing import plot_history as plot_history
from course_utils.viewing import show_batch as show_batch
from course_utils.viewing import show_masks as show_masks
from course_utils.viewing import show_predictions as show_predictions
