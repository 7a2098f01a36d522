"""What the third dimension buys in chapter 11, over several seeds.

    python benchmarks/third_dimension.py [--seeds 3]

Networks, patches and loss are those of the chapter: their definitions are taken out of
its notebook and run. Every variant is trained from each seed, with as many steps and
the same schedule as in the chapter; its last weights are judged on the validation and
on the test volumes, whole. Each finished run is written to
benchmarks/results/third_dimension.json at once: started again, the script goes on
after the last one. With one thread a run takes half a minute and more.
"""

from __future__ import annotations

from typing import Any

import torch
from from_chapter import defined_in
from records import arguments
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from variants import Numbers, run_all
from variants import train as train_in_one_cycle

from course_utils import dice, load_phantoms

NAMES = (
    *("LAYERS", "double_conv", "Up", "UNet", "Patches", "Slices"),
    *("DiceAndCrossEntropy", "answer"),
)
EPOCHS, RATE = 18, 0.02
# Dimensions, decoder, whether Dice is in the loss, share of patches around lesions.
VARIANTS = {
    "2-D": (2, "trilinear", True, 0.5),
    "3-D, trilinear": (3, "trilinear", True, 0.5),
    "3-D, transposed": (3, "transposed", True, 0.5),
    "trilinear, cross-entropy alone": (3, "trilinear", False, 0.5),
    "trilinear, patches from anywhere": (3, "trilinear", True, 0.0),
}


def chapter() -> dict[str, Any]:
    """The chapter's definitions."""
    return defined_in("11_unet_in_3d", NAMES, device=torch.device("cpu"))


def normalised() -> dict[str, tuple[Tensor, Tensor]]:
    """Volumes and labels of each part, by the numbers of the training volumes."""
    parts = dict(zip(("train", "val", "test"), load_phantoms(), strict=True))
    std, mean = torch.std_mean(parts["train"].images, dim=(0, 2, 3, 4), keepdim=True)
    return {name: ((p.images - mean) / std, p.labels) for name, p in parts.items()}


def train(variant: str, seed: int, volumes: tuple[Tensor, Tensor]) -> nn.Module:
    """The chapter's training, with this variant's difference."""
    dims, decoder, with_dice, around = VARIANTS[variant]
    own = chapter()
    torch.manual_seed(seed)
    model: nn.Module = own["UNet"](dims, decoder)
    flat = dims == 2
    layout = torch.channels_last if flat else torch.channels_last_3d
    model = model.to(memory_format=layout)
    if flat:
        batches = DataLoader(own["Slices"](*volumes, 512, around), 16, shuffle=True)
    else:
        batches = DataLoader(own["Patches"](*volumes, 128, around), 4, shuffle=True)
    loss_function = own["DiceAndCrossEntropy"]() if with_dice else F.cross_entropy
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    train_in_one_cycle(model, batches, loss_function, optimizer, EPOCHS, pct_start=0.1)
    return model


def judge(model: nn.Module, volumes: Tensor, labels: Tensor) -> Numbers:
    """Dice of lesions, and the mean over the three tissues."""
    overlap = dice(chapter()["answer"](model, volumes), labels)[1:]
    return {
        "lesions": round(overlap[2].item(), 4),
        "mean of tissues": round(overlap.mean().item(), 4),
    }


def main() -> None:
    """Train what is not there yet, and write each run when it is finished."""
    options = arguments(("seeds", 3, "how many seeds"), text=__doc__ or "")
    torch.set_num_threads(1)
    parts = normalised()

    def measure(variant: str, seed: int) -> Numbers:
        model = train(variant, seed, parts["train"])
        return {
            f"{part}, {what}": number
            for part in ("val", "test")
            for what, number in judge(model, *parts[part]).items()
        }

    run_all("third_dimension.json", VARIANTS, options.seeds, measure)


if __name__ == "__main__":
    main()
