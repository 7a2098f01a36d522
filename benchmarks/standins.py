"""What the chapters' recipes reach on the stand-ins, over several seeds.

    python benchmarks/standins.py [--only mnist] [--seeds 5]

The stand-ins are meant to be about as hard as the real data, so that a chapter's
checkpoints hold on both. Each set is measured by a short recipe; the results are
merged into benchmarks/results/standins.json. `--only` names one of mnist, cifar10,
ants_bees and membranes; without it all are measured, which takes half an hour.
"""

from __future__ import annotations

from typing import Any

import torch
from records import arguments, stored, write
from time_to_accuracy import accuracy, lenet
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18
from torchvision.transforms import v2

from course_utils import BatchLoader, load_resnet18, standins
from course_utils.loader import RandomFlip

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
Pair = tuple[Tensor, Tensor]


def pairs(arrays: dict[str, Any]) -> tuple[Pair, Pair]:
    """The training and the test part as tensors, channels first."""
    images, labels, test_images, test_labels = map(torch.from_numpy, arrays.values())
    if images.ndim == 3:
        return (images[:, None], labels), (test_images[:, None], test_labels)
    first = (0, 3, 1, 2)
    return (images.permute(first), labels), (test_images.permute(first), test_labels)


def train(model: nn.Module, loader: BatchLoader, epochs: int, rate: float = 0) -> None:
    """Train with Adam, or with SGD and one cycle if a rate is given."""
    schedule: Any = None
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    if rate:
        optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=epochs * len(loader)
        )
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()


def mnist(seeds: int) -> dict[str, list[float]]:
    """MLP 784-256-128-10, 8 epochs of Adam."""
    (known, test), found = pairs(standins.standin_mnist()), []
    norm: Any = {"mean": 0.13, "std": 0.31}
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = nn.Sequential(
            *(nn.Flatten(), nn.Linear(784, 256), nn.ReLU()),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)),
        )
        train(model, BatchLoader(known, 128, shuffle=True, seed=seed, **norm), 8)
        found.append(accuracy(model, BatchLoader(test, 1000, **norm)))
    return {"MLP": found}


def cifar10(seeds: int) -> dict[str, list[float]]:
    """LeNet, 10 epochs of batches of 128 with flips, one cycle up to 0.1."""
    (known, test), found = pairs(standins.standin_cifar10()), []
    norm: Any = {"mean": (0.44, 0.46, 0.43), "std": (0.21, 0.20, 0.23)}
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = lenet()
        loader = BatchLoader(
            known, 128, shuffle=True, augment=RandomFlip(), seed=seed, **norm
        )
        train(model, loader, 10, rate=0.1)
        found.append(accuracy(model, BatchLoader(test, 1000, **norm)))
    return {"LeNet": found}


def ants_bees(seeds: int) -> dict[str, list[float]]:
    """A small CNN from scratch, and a linear layer on frozen ResNet-18 features."""
    crop = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(224)])
    known, test = (
        (
            torch.stack([crop(torch.from_numpy(p).permute(2, 0, 1)) for p in pictures]),
            torch.tensor(labels),
        )
        for pictures, labels in standins.standin_ants_bees().values()
    )
    torch.manual_seed(0)
    networks = {"ImageNet": load_resnet18(), "random": resnet18()}
    found = {
        f"ResNet-18 with {name} weights, frozen": linear(network, known, test, seeds)
        for name, network in networks.items()
    }
    found["CNN from scratch"] = [from_scratch(known, test, s) for s in range(seeds)]
    return found


def linear(network: Any, known: Pair, test: Pair, seeds: int) -> list[float]:
    """The accuracy of a linear layer on features that do not learn."""
    network.fc = nn.Identity()
    network.eval()
    with torch.no_grad():
        x, x_test = (
            torch.cat([network(x) for x, _ in BatchLoader(part, 32, **IMAGENET)])
            for part in (known, test)
        )
    mean, std, found = x.mean(0), x.std(0) + 1e-6, []
    for seed in range(seeds):
        torch.manual_seed(seed)
        layer, features = nn.Linear(512, 2), ((x - mean) / std, known[1])
        train(layer, BatchLoader(features, 16, shuffle=True, seed=seed), 25, rate=0.01)
        right = layer((x_test - mean) / std).argmax(1) == test[1]
        found.append(right.float().mean().item())
    return found


def from_scratch(known: Pair, test: Pair, seed: int) -> float:
    """Three convolutions, 8 epochs on pictures of half the size."""
    torch.manual_seed(seed)
    small = v2.Resize(112, antialias=True)
    model = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(64 * 5 * 5, 64), nn.ReLU(), nn.Linear(64, 2)),
    )
    norm: Any = {"mean": 0.5, "std": 0.25}
    loader = BatchLoader(
        (small(known[0]), known[1]),
        *(16,),
        shuffle=True,
        augment=RandomFlip(),
        seed=seed,
        **norm,
    )
    train(model, loader, 8)
    return accuracy(model, BatchLoader((small(test[0]), test[1]), 64, **norm))


class SmallUNet(nn.Module):
    """Three steps down and up again, starting with 16 channels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        sizes = [width, 2 * width, 4 * width, 8 * width]
        self.down = nn.ModuleList(map(block, [1, *sizes[:-1]], sizes))
        self.widen = nn.ModuleList(
            nn.ConvTranspose2d(2 * n, n, 2, stride=2) for n in sizes[2::-1]
        )
        self.up = nn.ModuleList(block(2 * n, n) for n in sizes[2::-1])
        self.answer = nn.Conv2d(width, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2, H, W): membrane or cell."""
        seen = []
        for number, step in enumerate(self.down):
            x = step(F.max_pool2d(x, 2) if number else x)
            seen.append(x)
        for widen, step, kept in zip(self.widen, self.up, seen[2::-1], strict=True):
            x = step(torch.cat([widen(x), kept], 1))
        logits: Tensor = self.answer(x)
        return logits


def block(before: int, after: int) -> nn.Sequential:
    """Two convolutions with batch norm."""
    return nn.Sequential(
        *(nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)),
        *(nn.ReLU(), nn.Conv2d(after, after, 3, padding=1, bias=False)),
        *(nn.BatchNorm2d(after), nn.ReLU()),
    )


def membranes(seeds: int) -> dict[str, list[float]]:
    """A small U-Net, 300 steps of 8 crops, tested on six slices; V-Rand at its best."""
    arrays = standins.standin_membranes()
    images = torch.from_numpy(arrays["images"])[:, None].float() / 255
    cells = torch.from_numpy(arrays["labels"] > 0).long()
    found: dict[str, list[float]] = {
        "pixels right": [],
        "membrane IoU": [],
        "V-Rand": [],
    }
    for seed in range(seeds):
        model = trained_unet(images[:24], cells[:24], seed)
        with torch.no_grad():
            chances = torch.cat([model(x[None]).softmax(1)[:, 1] for x in images[24:]])
        for name, value in judged(chances, cells[24:]).items():
            found[name].append(value)
        print(f"seed {seed}", {name: values[-1] for name, values in found.items()})
    return found


def trained_unet(
    images: Tensor, cells: Tensor, seed: int, steps: int = 300
) -> SmallUNet:
    """Train on random crops of 128 by 128 pixels, turned and mirrored."""
    torch.manual_seed(seed)
    model = SmallUNet()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        crops = [crop(images, cells) for _ in range(8)]
        inputs, labels = (torch.stack(part) for part in zip(*crops, strict=True))
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def crop(images: Tensor, cells: Tensor, size: int = 128) -> Pair:
    """One random crop in one of its eight positions."""
    which, turns = (int(torch.randint(n, ())) for n in (len(images), 4))
    top, left = torch.randint(images.shape[-1] - size + 1, (2,)).tolist()
    part = torch.cat([images[which], cells[which][None].float()])
    part = part[:, top : top + size, left : left + size].rot90(turns, (1, 2))
    part = part.flip(-1) if torch.rand(()) < 0.5 else part
    return part[:1], part[1].long()


def judged(chances: Tensor, cells: Tensor) -> dict[str, float]:
    """Pixel accuracy and IoU at one half; V-Rand at the best of five thresholds."""
    guess, truth = chances > 0.5, cells > 0
    both, either = (~guess & ~truth).sum(), (~guess | ~truth).sum()
    by_threshold = [
        sum(map(v_rand, chances > t, truth)) / len(truth)
        for t in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    return {
        "pixels right": (guess == truth).float().mean().item(),
        "membrane IoU": (both / either).item(),
        "V-Rand": max(by_threshold),
    }


def v_rand(guess: Tensor, truth: Tensor) -> float:
    """How well two divisions into cells agree, counted inside the true cells."""
    inside = truth.flatten()
    ours, theirs = (areas(cells).flatten()[inside] for cells in (guess, truth))
    _, both = torch.stack([ours, theirs]).unique(dim=1, return_counts=True)
    parts = [areas_.unique(return_counts=True)[1] for areas_ in (ours, theirs)]
    joint, *single = (n.double().square().sum().item() for n in (both, *parts))
    return 2 * joint / sum(single)


def areas(cells: Tensor) -> Tensor:
    """A number for each connected area (side by side, not corner to corner)."""
    places = torch.arange(cells.numel()).view(cells.shape)
    across = torch.stack([places[:, 1:], places[:, :-1]])[
        :, cells[:, 1:] & cells[:, :-1]
    ]
    down = torch.stack([places[1:], places[:-1]])[:, cells[1:] & cells[:-1]]
    neighbours, root = torch.cat([across, down], 1), places.flatten()
    while True:
        low, high = root[neighbours].sort(0).values
        if torch.equal(low, high):
            return root.view(cells.shape)
        root = root.scatter_reduce(0, high, low, "amin")
        while not torch.equal(root, root[root]):
            root = root[root]


RECIPES = {f.__name__: f for f in (mnist, cifar10, ants_bees, membranes)}


def main() -> None:
    """Measure one set or all of them, and keep what is known of the others."""
    options = arguments(
        ("only", "all", "the set to measure"),
        ("seeds", 5, "how many seeds"),
        text=__doc__ or "",
    )
    results = stored("standins.json")
    for name, recipe in RECIPES.items():
        if options.only in ("all", name):
            found = recipe(options.seeds)
            results[name] = {
                "recipe": recipe.__doc__,
                **{k: [round(v, 4) for v in values] for k, values in found.items()},
            }
            results.pop("machine", None)
            write("standins.json", results)


if __name__ == "__main__":
    main()
