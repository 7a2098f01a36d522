"""PictureDataset is an ordinary data set of PyTorch that knows what it holds."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2  # type: ignore[import-untyped]

from course_utils.data import Parts, PictureDataset


def digits(count: int = 6) -> PictureDataset:
    images = torch.arange(count * 12).reshape(count, 1, 3, 4).to(torch.uint8)
    labels = torch.arange(count) % 2
    return PictureDataset(
        images, labels, ("even", "odd"), "Digits", "test", "real data"
    )


def cells() -> PictureDataset:
    """Pictures whose pixels are their masks, so that one tells of the other."""
    masks = torch.from_numpy(np.random.RandomState(0).randint(0, 3, (4, 16, 16)))
    images = masks[:, None].to(torch.uint8)
    return PictureDataset(images, masks, ("a", "b", "c"))


@pytest.fixture
def files(tmp_path: Path) -> PictureDataset:
    paths = []
    for number in range(4):
        paths.append(tmp_path / f"{number}.jpg")
        Image.new("RGB", (8 + number, 5), (255, 0, 0)).save(paths[-1])
    labels = torch.tensor([0, 0, 1, 1])
    return PictureDataset(paths, labels, ("ants", "bees"))


def test_it_gives_a_picture_and_its_label() -> None:
    dataset = digits()
    image, label = dataset[1]
    assert len(dataset) == 6
    assert image.dtype == torch.uint8
    assert torch.equal(image, dataset.images[1])
    assert (label, type(label)) == (1, int)
    assert torch.equal(dataset[-1][0], dataset[5][0])
    assert torch.equal(dataset[np.int64(2)][0], dataset[2][0])  # type: ignore[index]


@pytest.mark.parametrize("index", [6, -7, 1000])
def test_it_ends_where_it_ends(index: int) -> None:
    with pytest.raises(IndexError, match=f"{index} is out of bounds"):
        digits()[index]
    assert len(list(digits())) == 6  # type: ignore[call-overload]


def test_what_it_gives_is_the_callers_own() -> None:
    dataset = digits()
    dataset[0][0].fill_(99)
    assert dataset[0][0].max() == 11


def test_a_transform_that_works_in_place_leaves_the_data_alone() -> None:
    for whole in (digits(), cells()):
        before = whole.images.clone(), whole.labels.clone()
        faded = whole.with_transform(lambda *parts: [part.zero_() for part in parts])
        assert len(list(faded)) == len(whole)  # type: ignore[call-overload]
        assert torch.equal(whole.images, before[0])
        assert torch.equal(whole.labels, before[1])


def test_a_transform_of_torchvision_is_applied() -> None:
    steps = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5], [0.5])]
    plain, changed = digits(), digits().with_transform(v2.Compose(steps))
    assert changed[3][0].dtype == torch.float32
    assert torch.allclose(changed[3][0], plain[3][0] / 255 * 2 - 1)
    assert changed.images is not None
    assert plain.transform is None


def test_a_mask_goes_through_the_same_transform_as_its_picture() -> None:
    turned = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomRotation(90)])
    dataset = cells().with_transform(turned)
    for _ in range(10):
        image, mask = dataset[0]
        assert type(image) is type(mask) is torch.Tensor
        assert torch.equal(image[0].long(), mask)


def test_a_subset_knows_all_that_the_whole_knows(files: PictureDataset) -> None:
    for whole in (digits(), files, cells()):
        part = whole.with_transform(v2.Identity()).subset([3, 1], "few")
        assert (len(part), part.part, part.transform is None) == (2, "few", False)
        assert torch.equal(part[0][0], whole[3][0])
        assert part.classes == whole.classes
    assert len(digits().subset(range(0))) == 0
    assert len(digits().subset([])) == 0
    assert len(digits().subset(np.array([0, 5]))) == 2


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray, list])
def test_a_mask_chooses_the_images_where_it_is_true(
    kind: Any, files: PictureDataset
) -> None:
    whole = digits()
    odd = whole.subset(kind([bool(label) for label in whole.labels == 1]))
    assert odd.labels.tolist() == [1, 1, 1]
    assert torch.equal(odd[2][0], whole[5][0])
    assert torch.equal(
        files.subset(kind([False, False, True, False]))[0][0], files[2][0]
    )
    with pytest.raises(IndexError, match="mask"):
        whole.subset(kind([True, False]))


def test_pictures_of_various_sizes_are_read_when_they_are_looked_at(
    files: PictureDataset,
) -> None:
    assert [tuple(image.shape) for image, _ in files][:2] == [(3, 5, 8), (3, 5, 9)]  # type: ignore[attr-defined]
    assert files[0][0][0].float().mean() > 250
    files.images[2].write_bytes(b"\xff\xd8 broken")
    with pytest.raises(OSError, match=r"cannot identify image file .*2\.jpg"):
        files[2]


def test_it_shows_what_it_is(files: PictureDataset) -> None:
    assert repr(digits()) == (
        "Digits, test: 6 pictures of 1 x 3 x 4\n  2 classes (even, odd); real data"
    )
    assert "4 pictures in colour, of various sizes" in repr(files)
    assert "4 pictures of 1 x 16 x 16, each with a mask" in repr(cells())
    assert repr(Parts(digits(), digits(), digits())).count("Digits") == 3


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [-1, 0, 1], [0.0, 0.9, 1.0]])
def test_labels_that_cannot_be_right(labels: list[float]) -> None:
    with pytest.raises(ValueError, match="one label, a whole number up to 1"):
        PictureDataset(torch.zeros(3, 1, 2, 2), torch.tensor(labels), ("a", "b"))


def test_labels_may_come_in_a_list() -> None:
    images = torch.zeros(3, 1, 2, 2)
    dataset = PictureDataset(images, [0, 1, 1], "ab")  # type: ignore[arg-type]
    assert dataset[2][1] == 1


def test_three_parts_have_names(files: PictureDataset) -> None:
    parts = Parts(digits(), files, cells())
    assert (parts.train, parts.val, parts.test) == tuple(parts)


def small(image: torch.Tensor) -> torch.Tensor:
    return image[:, :4, :4]


def test_worker_processes_can_use_it(files: PictureDataset) -> None:
    options: dict[str, Any] = {"num_workers": 1, "multiprocessing_context": "spawn"}
    loader = DataLoader(files.with_transform(small), batch_size=4, **options)
    (images, labels), *_ = loader
    assert images.shape == (4, 3, 4, 4)
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("dataset", [digits(), cells()])
def test_it_can_be_pickled_and_batched(dataset: PictureDataset) -> None:
    dataset = dataset.with_transform(v2.RandomHorizontalFlip(p=1))
    again = pickle.loads(pickle.dumps(dataset))
    images, labels = next(iter(DataLoader(again, batch_size=4)))
    assert isinstance(dataset.images, torch.Tensor)
    assert torch.equal(images, dataset.images[:4].flip(-1))
    assert labels.shape[0] == 4
