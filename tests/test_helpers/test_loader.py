"""BatchLoader against a slow loader that treats one picture after another."""

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


def pictures(count: int = 10, *shape: int) -> Tensor:
    random = torch.Generator().manual_seed(1)
    size = (count, *(shape or (3, 6, 5)))
    return torch.randint(256, size, dtype=torch.uint8, generator=random)


def pair(count: int = 10, *shape: int) -> tuple[Tensor, Tensor]:
    return pictures(count, *shape), torch.arange(count, dtype=torch.uint8)


def order(loader: BatchLoader) -> list[int]:
    return [int(label) for _, labels in loader for label in labels]


@given(count=st.integers(1, 40), size=st.integers(1, 15), drop=st.booleans())
@settings(max_examples=40, deadline=None)
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


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'seed' and 'epoch'.*\['lr'\]"):
        BatchLoader(pair(), 2).load_state_dict({"lr": 1})


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_that_of_totensor_and_normalize(
    channels: int, shuffle: bool
) -> None:
    mean, std = [0.5, 0.4, 0.3][:channels], [0.2, 0.3, 0.4][:channels]
    data = pair(9, channels, 6, 5)
    loader = BatchLoader(data, 4, shuffle=shuffle, mean=mean, std=std)
    for inputs, labels in loader:
        m, s = (torch.tensor(n).view(-1, 1, 1) for n in (mean, std))
        assert inputs.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert torch.allclose(inputs, (data[0][labels] / 255 - m) / s, atol=1e-5)


def test_without_mean_and_std_pictures_lie_between_0_and_1() -> None:
    data = pair()
    inputs, labels = next(iter(BatchLoader(data, 10)))
    assert torch.allclose(inputs, data[0][labels] / 255)


def by_hand(picture: Tensor, down: int, right: int, padding: int) -> Tensor:
    """One picture with a black border, from which its old size is cut out."""
    height, width = picture.shape[-2:]
    framed = torch.zeros(
        3, height + 2 * padding, width + 2 * padding, dtype=torch.uint8
    )
    framed[:, padding : padding + height, padding : padding + width] = picture
    return framed[:, down : down + height, right : right + width]


@given(padding=st.integers(0, 5), seed=st.integers(0, 1000), count=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_shifts_equal_crops_made_one_by_one(
    padding: int, seed: int, count: int
) -> None:
    batch = pictures(count)
    shifted = RandomShift(padding)(batch, torch.Generator().manual_seed(seed))
    drawn = torch.Generator().manual_seed(seed)
    down, right = torch.randint(2 * padding + 1, (2, count), generator=drawn).tolist()
    for number in range(count):
        crop = by_hand(batch[number], down[number], right[number], padding)
        assert torch.equal(shifted[number], crop)


@given(seed=st.integers(0, 1000), chance=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=40, deadline=None)
def test_flips_equal_flips_made_one_by_one(seed: int, chance: float) -> None:
    batch = pictures(8)
    untouched = batch.clone()
    flipped = RandomFlip(chance)(batch, torch.Generator().manual_seed(seed))
    drawn = torch.rand(8, generator=torch.Generator().manual_seed(seed)) < chance
    for number in range(8):
        turned = batch[number].flip(-1) if drawn[number] else batch[number]
        assert torch.equal(flipped[number], turned)
    assert torch.equal(batch, untouched)


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


def test_labels_follow_their_pictures() -> None:
    images = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 4, 4)
    loader = BatchLoader((images, torch.arange(200)), 16, shuffle=True)
    for inputs, labels in loader:
        assert torch.equal((inputs[:, 0, 0, 0] * 255).round().long(), labels)


def test_the_data_stays_as_it_is() -> None:
    floats = torch.rand(6, 2), torch.zeros(6)
    whole = pair(6)
    kept = [part.clone() for part in (*floats, *whole)]
    for data in (floats, whole):
        for inputs, labels in BatchLoader(data, 4, mean=0.5, std=0.5):
            inputs.zero_()
            labels.zero_() if labels.is_floating_point() else None
    assert all(map(torch.equal, kept, (*floats, *whole)))


def test_points_and_volumes_work_as_well_as_pictures() -> None:
    points = torch.randn(5, 2), torch.randn(5)
    inputs, targets = next(iter(BatchLoader(points, 5, mean=[1, 2], std=[3, 4])))
    expected = (points[0] - torch.tensor([1.0, 2])) / torch.tensor([3.0, 4])
    assert torch.allclose(inputs, expected, atol=1e-6)
    assert torch.equal(targets, points[1])
    masks = torch.zeros(4, 2, 3, 3, dtype=torch.uint8)
    volume, mask = next(iter(BatchLoader((torch.rand(4, 4, 2, 3, 3), masks), 2)))
    assert volume.shape == (2, 4, 2, 3, 3)
    assert mask.dtype == torch.int64


def test_it_takes_the_place_of_a_dataloader_in_a_plain_loop() -> None:
    images, labels = pair(12)
    dataset = PictureDataset(images, labels.long() % 2, ("even", "odd"))
    loader = BatchLoader(dataset, 5, shuffle=True, mean=0.5, std=0.5)
    assert loader.dataset is dataset
    assert (loader.batch_size, len(loader.dataset)) == (5, 12)
    assert isinstance(BatchLoader((images, labels), 5).dataset, TensorDataset)
    assert "12 samples of shape (3, 6, 5) in 3 batches of 5" in repr(loader)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 2))
    for inputs, classes in loader:
        torch.nn.functional.cross_entropy(model(inputs), classes).backward()


def test_any_callable_on_a_batch_can_augment() -> None:
    def dark(batch: Tensor) -> Tensor:
        return batch // 2

    data = pair()
    inputs, _ = next(iter(BatchLoader(data, 10, augment=dark)))
    assert torch.allclose(inputs, (data[0] // 2) / 255)
    both = BatchLoader(data, 10, augment=[dark, lambda batch: batch[..., :2, :2]])
    assert next(iter(both))[0].shape == (10, 3, 2, 2)


BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: BatchLoader(pair(), 0), "whole number from 1 up, not 0"),
    (lambda: BatchLoader(pair(), 2.5), "not 2.5"),  # type: ignore[arg-type]
    (lambda: BatchLoader("mnist", 2), "pair of tensors .* not a str"),
    (lambda: BatchLoader((np.zeros(3), pair(3)[1]), 2), "torch.from_numpy"),
    (lambda: BatchLoader(pair(0), 2), "no pictures"),
    (lambda: BatchLoader((pictures(3), torch.zeros(2)), 2), "3 pictures have 2 labels"),
    (lambda: BatchLoader(pair(), 2, mean=0.5), "both mean and std"),
    (lambda: BatchLoader(pair(), 2, mean=[0, 1], std=1), "3 channels, but mean has 2"),
    (lambda: BatchLoader(pair(), 2, mean=0, std=0), "should be above 0"),
    (lambda: BatchLoader(pair(), 2, augment="flip"), "list of callables"),  # type: ignore[arg-type]
    (
        lambda: BatchLoader((pictures(), pictures()), 2, augment=RandomFlip()),
        "RandomFlip would move the pictures without them",
    ),
    (
        lambda: list(BatchLoader(pair(), 2, augment=lambda batch: batch[:1])),
        "as many pictures",
    ),
    (
        lambda: list(BatchLoader(pair(), 2, augment=lambda batch: batch / 255)),
        "float32",
    ),
]


@pytest.mark.parametrize(("wrong", "sentence"), BAD)
def test_mistakes_end_in_one_sentence(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_pictures_of_different_sizes_are_refused_with_a_way_out() -> None:
    sizes = [pictures(1, 3, 4, n)[0] for n in (4, 5)]
    with pytest.raises(ValueError, match="resize them to one size"):
        BatchLoader(PictureDataset(sizes, torch.zeros(2).long(), "ab"), 2)


def test_a_transform_for_single_pictures_is_not_passed_over_in_silence() -> None:
    dataset = PictureDataset(pictures(), torch.zeros(10).long(), "ab")
    with pytest.raises(ValueError, match="pass it as augment"):
        BatchLoader(dataset.with_transform(lambda picture: picture), 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_batches() -> None:
    given: dict[str, Any] = {"shuffle": True, "mean": 0.5, "std": 0.2}
    given["augment"] = [RandomShift(2), RandomFlip()]
    here, there = (BatchLoader(pair(20), 6, device=d, **given) for d in ("cpu", "cuda"))
    for (x, y), (x_there, y_there) in zip(here, there, strict=True):
        assert x_there.is_cuda
        assert torch.allclose(x, x_there.cpu(), atol=1e-6)
        assert torch.equal(y, y_there.cpu())
