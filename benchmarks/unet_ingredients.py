"""What each ingredient of chapter 10's U-Net buys, over several seeds.

    COURSE_DATA=... python benchmarks/unet_ingredients.py [--seeds 3]

The network, the crops and the losses are those of the chapter: their definitions are
taken out of its notebook and run. Every variant leaves out or adds one thing, and is
trained from each seed, with as many steps as in the chapter. Then the threshold with
the best V-Rand on the validation slices is chosen, for one look at each slice and for
the mean of eight, and with this threshold the test slices are looked at. Each finished
run is written to benchmarks/results/unet_ingredients.json at once: started again, the
script goes on after the last one. With one thread it takes half an hour and more.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from from_chapter import defined_in
from records import arguments
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F
from variants import Numbers, run_all
from variants import train as train_in_one_cycle

from course_utils import dice, load_membranes

NAMES = (
    *("block", "UNet", "turn", "turn_back", "bend", "prepare", "Crops", "BentCrops"),
    *("dice_loss", "border_weights", "probability_of_cell", "one_look", "eight_looks"),
    *("components", "grow_cells", "count_pairs", "rand_score", "v_rand"),
)
THRESHOLDS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99]
EPOCHS, RATE = 10, 0.004
HEAVY = 2  # in the masks: membrane that keeps two cells apart
Loss = Callable[[Tensor, Tensor], Tensor]


def chapter(**changed: Any) -> dict[str, Any]:
    """The chapter's definitions, with others in place of some of them."""
    changed["device"] = torch.device("cpu")
    return defined_in("10_unet_on_membranes", NAMES, **changed)


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """The chapter's loss; in the masks, heavy membrane is membrane."""
    return F.cross_entropy(logits, (masks == 1).long())


def weighted(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy in which heavy membrane weighs six times as much."""
    each = F.cross_entropy(logits, (masks == 1).long(), reduction="none")
    weights = 1 + 5 * (masks == HEAVY)
    return (each * weights).sum() / weights.sum()


def with_dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy and Dice loss, added up."""
    loss: Tensor = chapter()["dice_loss"](logits, (masks == 1).long())
    return cross_entropy(logits, masks) + loss


def stay(x: Tensor, way: Any) -> Tensor:
    """In place of `turn`."""
    return x


# Which crops, what takes the place of the chapter's own, and the loss.
VARIANTS: dict[str, tuple[str, dict[str, Any], Loss]] = {
    "turned": ("Crops", {}, cross_entropy),
    "turned and bent": ("BentCrops", {}, cross_entropy),
    "neither": ("Crops", {"turn": stay}, cross_entropy),
    "turned and bent, Dice loss too": ("BentCrops", {}, with_dice),
    "turned and bent, border weights": ("BentCrops", {}, weighted),
}


def heavy_membrane(masks: Tensor) -> Tensor:
    """The masks with 2 where exercise 10.2 gives a membrane pixel more weight."""
    numbers = np.stack([ndimage.label(mask)[0] for mask in masks.numpy()])
    weights = chapter()["border_weights"](torch.from_numpy(numbers))
    return masks.where(weights == 1, HEAVY)


def train(variant: str, seed: int, part: Any) -> nn.Module:
    """The chapter's training, with this variant's difference."""
    name, changed, loss_function = VARIANTS[variant]
    own = chapter(**changed)
    torch.manual_seed(seed)
    model: nn.Module = own["UNet"]().to(memory_format=torch.channels_last)
    crops = own[name](part)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    train_in_one_cycle(model, crops, loss_function, optimizer, EPOCHS)
    return model.eval()


def judge(model: nn.Module, val: Any, test: Any) -> Numbers:
    """V-Rand at one half and at the threshold that is best on the validation slices."""
    own, found = chapter(), {}
    v_rand = own["v_rand"]
    for look in ("one look", "eight looks"):
        chances = functools.partial(own[look.replace(" ", "_")], model)
        on_val, on_test = chances(val.images), chances(test.images)
        best, threshold = v_rand(on_val, val.labels, THRESHOLDS)
        half = dice((on_test > 0.5).long(), test.labels)[1].item()
        found |= {
            f"val, {look}, at one half": v_rand(on_val, val.labels, [0.5])[0],
            f"val, {look}": best,
            f"threshold, {look}": threshold,
            f"test, {look}": v_rand(on_test, test.labels, [threshold])[0],
            f"test, Dice of cells at one half, {look}": half,
        }
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Train what is not there yet, and write each run when it is finished."""
    options = arguments(("seeds", 3, "how many seeds"), text=__doc__ or "")
    torch.set_num_threads(1)
    part, val, test = load_membranes()
    marked, classes = heavy_membrane(part.labels), (*part.classes, "heavy membrane")
    part = replace(part, labels=marked, classes=classes)

    def measure(variant: str, seed: int) -> Numbers:
        return judge(train(variant, seed, part), val, test)

    run_all("unet_ingredients.json", VARIANTS, options.seeds, measure, data=part.source)


if __name__ == "__main__":
    main()
