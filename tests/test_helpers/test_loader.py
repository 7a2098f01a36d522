"""BatchLoader against a slow loader that treats one image after another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from course_utils.data import PictureDataset
from course_utils.loader import BatchLoader, RandomFlip, RandomShift


def many(count: int = 10, *shape: int) -> Tensor:
    random = torch.Generator().manual_seed(1)
    size = (count, *(shape or (3, 6, 5)))
    return torch.randint(256, size, dtype=torch.uint8, generator=random)


def pair(count: int = 10, *shape: int) -> tuple[Tensor, Tensor]:
    return many(count, *shape), torch.arange(count, dtype=torch.uint8)


def order(loader: BatchLoader) -> list[int]:
    return [int(label) for _, labels in loader for label in labels]


@given(count=st.integers(1, 40), size=st.integers(1, 15), drop=st.booleans())
@settings(max_examples=15, deadline=None)
def test_an_epoch_holds_every_sample_once(count: int, size: int, drop: bool) -> None:
    loader = BatchLoader(pair(count), size, shuffle=True, drop_last=drop)
    sizes = [len(labels) for _, labels in loader]
    usual: DataLoader[Any] = DataLoader(
        TensorDataset(*pair(count)), size, drop_last=drop
    )
    assert len(loader) == len(sizes) == len(usual)
    assert sizes == [len(labels) for _, labels in usual]
    if not drop:
        assert sorted(order(loader)) == list(range(count))


def test_without_shuffle_the_order_is_that_of_the_data() -> None:
    assert order(BatchLoader(pair(7), 3)) == list(range(7))


def test_every_epoch_has_an_order_of_its_own_and_a_seed_decides_all_of_them() -> None:
    one, same = (BatchLoader(pair(50), 8, shuffle=True, seed=3) for _ in range(2))
    other = BatchLoader(pair(50), 8, shuffle=True, seed=4)
    first, second = order(one), order(one)
    assert first != second
    assert [first, second] == [order(same), order(same)]
    assert first != order(other)


def test_the_global_random_numbers_are_left_alone() -> None:
    loader = BatchLoader(
        pair(50), 8, shuffle=True, augment=[RandomShift(2), RandomFlip()]
    )
    before = torch.get_rng_state()
    inputs = [inputs for inputs, _ in loader]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(123)
    again = BatchLoader(
        pair(50), 8, shuffle=True, augment=[RandomShift(2), RandomFlip()]
    )
    assert all(map(torch.equal, inputs, (inputs for inputs, _ in again)))


def test_it_goes_on_from_a_state_even_after_an_epoch_that_broke_off() -> None:
    settings: dict[str, Any] = {"shuffle": True, "augment": RandomFlip()}
    loader = BatchLoader(pair(30), 4, seed=5, **settings)
    order(loader)
    next(iter(loader))
    state = loader.state_dict()
    expected = [(x.clone(), y) for x, y in loader]
    resumed = BatchLoader(pair(30), 4, **settings)
    resumed.load_state_dict(state)
    for (x, y), (there, label) in zip(resumed, expected, strict=True):
        assert torch.equal(x, there)
        assert torch.equal(y, label)


def column(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers).reshape(-1, 1, 1)


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, column])
@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_that_of_totensor_and_normalize(
    channels: int, kind: Any
) -> None:
    mean, std = [0.5, 0.4, 0.3][:channels], [0.2, 0.3, 0.4][:channels]
    data = pair(9, channels, 6, 5)
    for inputs, labels in BatchLoader(
        data, 4, shuffle=True, mean=kind(mean), std=kind(std)
    ):
        m, s = (torch.tensor(n).view(-1, 1, 1) for n in (mean, std))
        assert inputs.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert torch.allclose(inputs, (data[0][labels] / 255 - m) / s, atol=1e-5)


def test_without_mean_and_std_images_lie_between_0_and_1() -> None:
    data = pair()
    inputs, labels = next(iter(BatchLoader(data, 10)))
    assert torch.allclose(inputs, data[0][labels] / 255)
    black_and_white = data[0] > 127
    inputs, labels = next(iter(BatchLoader((black_and_white, data[1]), 10)))
    assert torch.equal(inputs, black_and_white.float())
    inputs, labels = next(iter(BatchLoader((data[0] / 255, data[1]), 10)))
    assert torch.equal(inputs, data[0] / 255)


def by_hand(image: Tensor, down: int, right: int, padding: int) -> Tensor:
    """One image with a black border, from which its old size is cut out."""
    height, width = image.shape[-2:]
    framed = torch.zeros(
        3, height + 2 * padding, width + 2 * padding, dtype=torch.uint8
    )
    framed[:, padding : padding + height, padding : padding + width] = image
    return framed[:, down : down + height, right : right + width]


@given(padding=st.integers(0, 5), seed=st.integers(0, 1000), count=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_shifts_equal_crops_made_one_by_one(
    padding: int, seed: int, count: int
) -> None:
    batch = many(count)
    shifted = RandomShift(padding)(batch, torch.Generator().manual_seed(seed))
    drawn = torch.Generator().manual_seed(seed)
    down, right = torch.randint(2 * padding + 1, (2, count), generator=drawn).tolist()
    for number in range(count):
        crop = by_hand(batch[number], down[number], right[number], padding)
        assert torch.equal(shifted[number], crop)


@given(seed=st.integers(0, 1000), chance=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_flips_equal_flips_made_one_by_one(seed: int, chance: float) -> None:
    batch = many(8)
    untouched = batch.clone()
    flipped = RandomFlip(chance)(batch, torch.Generator().manual_seed(seed))
    drawn = torch.rand(8, generator=torch.Generator().manual_seed(seed)) < chance
    for number in range(8):
        turned = batch[number].flip(-1) if drawn[number] else batch[number]
        assert torch.equal(flipped[number], turned)
    assert torch.equal(batch, untouched)


@pytest.mark.parametrize("step", [RandomFlip(1.0), RandomShift(2)])
def test_one_image_is_moved_as_one(step: Any) -> None:
    """As a transform of a data set gets it: all channels move together."""
    image = many(1, 1, 6, 5)[0].expand(3, 6, 5)
    for _ in range(5):
        red, *others = step(image)
        assert all(torch.equal(red, other) for other in others)
    assert torch.equal(RandomFlip(1.0)(image), image.flip(-1))


def test_all_shifts_occur_and_about_half_are_flipped() -> None:
    one = torch.zeros(4000, 1, 9, 9, dtype=torch.uint8)
    one[:, :, 4, 4] = 1
    places = {tuple(p) for p in RandomShift(2)(one)[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(y, x) for y in range(2, 7) for x in range(2, 7)}
    one[:, :, 4, 0] = 2
    share = (RandomFlip()(one)[:, 0, 4, 0] != 2).float().mean()
    assert 0.45 < share < 0.55


def test_a_border_is_as_dark_as_black_is_after_normalisation() -> None:
    data = torch.full((64, 3, 8, 8), 255, dtype=torch.uint8), torch.zeros(64)
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    loader = BatchLoader(
        data, 64, mean=mean.tolist(), std=std.tolist(), augment=RandomShift(3)
    )
    inputs, _ = next(iter(loader))
    for channel in range(3):
        found = inputs[:, channel].unique()
        wanted = torch.tensor([0.0, 1.0]).sub(mean[channel]).div(std[channel])
        assert torch.allclose(found, wanted, atol=1e-5)


def test_every_slice_of_a_volume_is_shifted_alike() -> None:
    slices = many(4, 3, 1, 6, 5).expand(4, 3, 2, 6, 5)
    shifted = RandomShift(2)(slices, torch.Generator().manual_seed(0))
    flat = RandomShift(2)(slices[:, :, 0], torch.Generator().manual_seed(0))
    assert torch.equal(shifted, flat[:, :, None].expand(4, 3, 2, 6, 5))


def test_labels_follow_their_images() -> None:
    images = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    loader = BatchLoader((images, torch.arange(200)), 16, shuffle=True)
    for inputs, labels in loader:
        assert torch.equal((inputs[:, 0, 0, 0] * 255).round().long(), labels)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_data_stays_as_it_is(shuffle: bool) -> None:
    def darken(batch: Tensor) -> Tensor:
        return batch.mul_(0)

    fractions = torch.rand(6, 2), torch.zeros(6)
    whole = many(6), torch.arange(6)
    kept = [part.clone() for part in (*fractions, *whole)]
    for data in (fractions, whole):
        for inputs, labels in BatchLoader(data, 4, shuffle=shuffle, augment=darken):
            inputs.zero_()
            labels.zero_()
    assert all(map(torch.equal, kept, (*fractions, *whole)))


def test_points_and_volumes_work_as_well_as_images() -> None:
    points = torch.randn(5, 2), torch.randn(5)
    inputs, targets = next(iter(BatchLoader(points, 5, mean=[1, 2], std=[3, 4])))
    expected = (points[0] - torch.tensor([1.0, 2])) / torch.tensor([3.0, 4])
    assert torch.allclose(inputs, expected, atol=1e-6)
    assert torch.equal(targets, points[1])
    features = torch.rand(4, 512, 1, 1), torch.arange(4)
    assert len(BatchLoader(features, 2)) == 2
    masks = torch.zeros(4, 2, 3, 3, dtype=torch.uint8)
    volume, mask = next(iter(BatchLoader((torch.rand(4, 4, 2, 3, 3), masks), 2)))
    assert volume.shape == (2, 4, 2, 3, 3)
    assert mask.dtype == torch.int64


def test_it_takes_the_place_of_a_dataloader_in_a_plain_loop() -> None:
    images, labels = pair(12)
    dataset = PictureDataset(images, labels.long() % 2, ("even", "odd"))
    loader = BatchLoader(dataset, 5, shuffle=True, mean=0.5, std=0.5)
    assert loader.batch_size == 5
    assert "12 samples of shape (3, 6, 5) in 3 batches of 5" in repr(loader)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 2))
    for inputs, classes in loader:
        torch.nn.functional.cross_entropy(model(inputs), classes).backward()


def test_a_step_of_ones_own_may_take_the_random_numbers_of_the_epoch() -> None:
    def noise(batch: Tensor, generator: torch.Generator) -> Tensor:
        return batch + torch.randint(9, batch.shape, generator=generator).byte()

    one, same = (BatchLoader(pair(), 4, augment=noise) for _ in range(2))
    first, second = [list(one) for _ in range(2)]
    assert not torch.equal(first[0][0], second[0][0])
    torch.rand(1)
    again = list(same)
    assert all(torch.equal(x, y) for (x, _), (y, _) in zip(first, again, strict=True))


def test_any_callable_on_a_batch_can_augment() -> None:
    def dark(batch: Tensor) -> Tensor:
        return batch // 2

    data = pair()
    inputs, _ = next(iter(BatchLoader(data, 10, augment=dark)))
    assert torch.allclose(inputs, (data[0] // 2) / 255)
    both = BatchLoader(data, 10, augment=[dark, lambda batch: batch[..., :2, :2]])
    assert next(iter(both))[0].shape == (10, 3, 2, 2)


TALL = torch.zeros(9, 8, 8, 3, dtype=torch.uint8)
BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: BatchLoader("mnist", 2), "needs two tensors"),
    (lambda: BatchLoader((np.zeros(3), pair(3)[1]), 2), "needs two tensors"),
    (lambda: BatchLoader((many(3), torch.zeros(2)), 2), "3 images have 2 labels"),
    (lambda: BatchLoader(pair(), 2, mean=0, std=[1, 0, 1]), "should be above 0"),
    (lambda: BatchLoader(pair(), 2, mean=125.3, std=63), "divide others by 255"),
    (
        lambda: BatchLoader((many().float(), pair()[1]), 2, std=0.5),
        "divide others by 255",
    ),
    (
        lambda: BatchLoader((many().float(), pair()[1]), 2, mean=0.5, std=0.5),
        "divide others by 255",
    ),
    (lambda: BatchLoader((many().long(), pair()[1]), 2), "not torch.int64"),
    (lambda: BatchLoader((TALL, pair(9)[1]), 2), r"images.permute\(0, 3, 1, 2\)"),
    (
        lambda: BatchLoader((many(), many()), 2, augment=RandomFlip()),
        "do not move masks",
    ),
    (
        lambda: BatchLoader(pair(9, 6, 5), 2, augment=RandomShift()),
        r"need a channel axis: pass images\[:, None\]",
    ),
    (
        lambda: list(BatchLoader(pair(), 2, augment=lambda batch: batch[:1])),
        "changed the number or type of its images",
    ),
    (
        lambda: list(BatchLoader(pair(), 2, augment=lambda batch: batch / 255)),
        "changed the number or type of its images",
    ),
    (lambda: RandomFlip(50), "between 0 and 1; this one is 50"),
    (
        lambda: BatchLoader(
            PictureDataset(list(many()), torch.zeros(10).long(), "ab"), 2
        ),
        "stack images of one size",
    ),
    (
        lambda: BatchLoader(
            PictureDataset(many(), torch.zeros(10).long(), "ab", transform=list), 2
        ),
        "pass it as augment",
    ),
]


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_mistakes_end_in_one_sentence(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        wrong()
    assert "\n" not in str(caught.value)


WRONG_SIZES: list[dict[str, Any]] = [
    {"batch_size": 0},
    {"batch_size": 2.5},
    {"batch_size": 2, "mean": [0.0, 0.5]},
    {"batch_size": 2, "mean": [0.1, 0.2, 0.3, 0.4], "std": 0.5},
    {"batch_size": 2, "augment": "flip"},
]


@pytest.mark.parametrize("options", WRONG_SIZES, ids=str)
def test_what_pytorch_refuses_gives_no_batch(options: dict[str, Any]) -> None:
    with pytest.raises((TypeError, RuntimeError)):
        next(iter(BatchLoader(pair(), **options)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_batches() -> None:
    given: dict[str, Any] = {"shuffle": True, "mean": 0.5, "std": 0.2}
    given["augment"] = [RandomShift(2), RandomFlip()]
    here, there = (BatchLoader(pair(20), 6, device=d, **given) for d in ("cpu", "cuda"))
    for (x, y), (x_there, y_there) in zip(here, there, strict=True):
        assert x_there.is_cuda
        assert torch.allclose(x, x_there.cpu(), atol=1e-6)
        assert torch.equal(y, y_there.cpu())
