"""Learning digits in one process or in many: the script that chapter 13 takes apart.

    torchrun --standalone --nproc-per-node 2 -m course_utils.scripts.many_gpus

Where every process of a machine finds a GPU, each takes one (nccl). Anywhere else, and
with COURSE_DEVICE=cpu, all of them work on the CPU (gloo). The same command once
more, given by you or by torchrun, goes on from the checkpoint.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from course_utils import (
    PictureDataset,
    load_checkpoint,
    load_mnist,
    save_checkpoint,
)

Dealer: TypeAlias = DistributedSampler[tuple[Any, Any]]


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line asks for, or these arguments."""
    parser = argparse.ArgumentParser(description="Learn digits in many processes.")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--global-batch", type=int, default=256, help="of all together")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument(
        "--pictures", type=int, default=55_000, help="the first so many"
    )
    parser.add_argument("--double", action="store_true", help="64-bit numbers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", default="many-gpus", metavar="NAME")
    parser.add_argument(
        "--die-after", type=int, help="crash when so many steps are done"
    )
    return parser.parse_args(arguments)


def join() -> torch.device:
    """Meet the other processes; the device of this one."""
    place = int(os.environ["LOCAL_RANK"])
    neighbours = int(os.environ["LOCAL_WORLD_SIZE"])
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus >= neighbours and os.environ.get("COURSE_DEVICE") != "cpu":
        torch.cuda.set_device(place)
        device, backend = torch.device("cuda", place), "nccl"
    else:
        device, backend = torch.device("cpu"), "gloo"
    dist.init_process_group(backend, timeout=timedelta(minutes=5))
    return device


def make_network() -> nn.Module:
    """A small convolutional network with 5,994 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(8, 16, 5), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(256, 10)),
    )


def share_of(global_batch: int) -> int:
    """How many pictures of each batch are for one process: all get equally many."""
    share, left_over = divmod(global_batch, dist.get_world_size())
    if left_over or not share:
        raise SystemExit(f"{global_batch} pictures cannot be dealt out equally")
    return share


def train(
    options: argparse.Namespace, digits: PictureDataset, device: torch.device
) -> nn.Module:
    """Learn until the last epoch, from the checkpoint on if there is one."""
    digits = digits.subset(range(options.pictures))
    sampler: Dealer = DistributedSampler(digits, shuffle=True, seed=options.seed)
    loader = DataLoader(digits, share_of(options.global_batch), sampler=sampler)

    torch.manual_seed(options.seed)
    dtype = torch.float64 if options.double else torch.float32
    network = make_network().to(device, dtype)
    model = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(network.parameters(), options.learning_rate, 0.9)
    done = {"epochs": 0}
    parts = {"model": network, "optimizer": optimizer, "done": done}
    load_checkpoint(options.checkpoint, **parts)

    for epoch in range(done["epochs"], options.epochs):
        sampler.set_epoch(epoch)
        for step, (images, labels) in enumerate(loader, epoch * len(loader)):
            if step == options.die_after:
                die_once()
            optimizer.zero_grad()
            logits = model(images.to(device, dtype) / 255)
            loss = F.cross_entropy(logits, labels.to(device))
            loss.backward()  # here the processes average their gradients
            optimizer.step()
        done["epochs"] = epoch + 1
        if dist.get_rank() == 0:
            save_checkpoint(options.checkpoint, **parts)
            print(f"epoch {epoch + 1} is done and kept", flush=True)
    return network


def die_once() -> None:
    """Kill the last process, but not again after the restart."""
    first_life = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if first_life and dist.get_rank() == dist.get_world_size() - 1:
        print(f"process {dist.get_rank()} kills itself", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def accuracy(network: nn.Module, part: PictureDataset, device: torch.device) -> float:
    """Each process answers for some of the pictures; their counts are added up."""
    mine = part.subset(range(dist.get_rank(), len(part), dist.get_world_size()))
    right = torch.zeros((), device=device)
    dtype = next(network.parameters()).dtype
    network.eval()
    with torch.no_grad():
        for images, labels in DataLoader(mine, 200):
            logits = network(images.to(device, dtype) / 255)
            right += (logits.argmax(dim=1) == labels.to(device)).sum()
    dist.all_reduce(right)
    return right.item() / len(part)


def main() -> None:
    """Join the others, train and report."""
    options = read_options()
    device = join()
    digits, _, test = load_mnist()
    network = train(options, digits, device)
    test_accuracy = accuracy(network, test, device)
    if dist.get_rank() == 0:
        print(f"test accuracy: {test_accuracy:.2%}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
