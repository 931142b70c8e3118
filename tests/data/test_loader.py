"""Batches: their shapes, and that they are a function of (seed, epoch, index) and of nothing else."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.datasets.images import Unreadable
from workbench.data.loader import RESIZE, Loader, collate, generator, random_resize
from workbench.tensors import Batch, Persons, Sample


def person(count: int, size: tuple[int, int] = (32, 64), image_id: int = 0, ignore: bool = False) -> Sample:
    rng = np.random.default_rng(image_id)
    return Sample(
        image=np.full((*size, 3), image_id % 250 + 1, np.uint8),
        persons=Persons(
            boxes=rng.uniform(1, 30, (count, 4)).astype(np.float32),
            keypoints=rng.uniform(1, 30, (count, 17, 2)).astype(np.float32),
            visible=rng.integers(0, 3, (count, 17)).astype(np.float32),
            areas=rng.uniform(1, 30, count).astype(np.float32),
            labels=np.zeros(count, np.int64),
            keypoint_weights=np.ones((count, 17), np.float32),
        ),
        skeleton=COCO,
        ignore=np.ones(size, np.uint8) if ignore else None,
        image_id=image_id,
    )


class Numbered(Sequence[Sample]):
    """A data set of `count` samples, some of which cannot be read."""

    def __init__(self, count: int, bad: tuple[int, ...] = ()) -> None:
        self.size, self.bad = count, bad

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        if index in self.bad:
            raise Unreadable(f"{index}.jpg", "cut off")
        return person(index % 3, image_id=index)


def jitter(dataset: Sequence[Sample], index: int, rng: np.random.Generator) -> Sample:
    sample = dataset[index]
    return replace(sample, image=sample.image + rng.integers(0, 5, sample.image.shape).astype(np.uint8))


def same(a: Batch, b: Batch) -> bool:
    return (
        a.image_ids == b.image_ids and torch.equal(a.images, b.images) and torch.equal(a.targets.boxes, b.targets.boxes)
    )


def test_collate_pads_images_persons_and_mask() -> None:
    samples = [person(0, (33, 40), 3), person(2, (20, 64), 4, ignore=True), person(1, (20, 20), 5)]
    batch = collate(samples)
    assert batch.images.shape == (3, 3, 64, 64) and batch.images.dtype == torch.float32
    assert batch.images.is_contiguous()
    assert (batch.images[0, :, :33, :40] == 4).all() and batch.images[0].sum() == 4 * 3 * 33 * 40
    t = batch.targets
    assert t.present.tolist() == [[False, False], [True, True], [True, False]]
    assert torch.equal(t.boxes[1], torch.from_numpy(samples[1].persons.boxes))
    assert torch.equal(t.keypoints[2, 0], torch.from_numpy(samples[2].persons.keypoints[0]))
    assert torch.equal(t.visible[1], torch.from_numpy((samples[1].persons.visible > 0).astype(np.float32)))
    assert t.labels.dtype == torch.int64 and t.boxes[0].abs().sum() == 0 and t.keypoint_weights[2, 1].sum() == 0
    assert t.ignore is not None and t.ignore.shape == (3, 64, 64)
    assert t.ignore[0].sum() == 0 and t.ignore[1].sum() == 20 * 64
    assert batch.image_ids == (3, 4, 5)


def test_collate_without_persons_and_with_a_size() -> None:
    batch = collate([person(0), person(0)], (64, 96))
    assert batch.images.shape == (2, 3, 64, 96) and batch.targets.boxes.shape == (2, 1, 4)
    assert not batch.targets.present.any() and batch.targets.ignore is None
    with pytest.raises(Refused, match="32x64 does not fit"):
        collate([person(0)], (32, 32))
    with pytest.raises(Refused):
        collate([])


def test_channels_keep_their_order() -> None:
    sample = person(1)
    sample.image[:] = (1, 2, 3)
    assert collate([sample]).images[0, :, 0, 0].tolist() == [1, 2, 3]


def test_a_batch_is_black_without_one_point_of_colour() -> None:
    samples = [replace(person(1, image_id=i), image=np.zeros((64, 64, 3), np.uint8)) for i in range(2)]
    assert collate(samples).black
    samples[1].image[37, 41, 2] = 1
    assert not collate(samples).black


def test_an_epoch_is_a_permutation_and_is_repeatable() -> None:
    loader = Loader(Numbered(13), 4, seed=1, transform=jitter)
    assert len(loader) == 3
    first, again, second = list(loader(0)), list(loader(0)), list(loader(1))
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    ids = [i for b in first for i in b.image_ids]
    assert len(set(ids)) == 12 and ids != [i for b in second for i in b.image_ids]
    other = list(Loader(Numbered(13), 4, seed=2, transform=jitter)(0))
    assert not all(same(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_workers_change_nothing_and_do_not_touch_the_global_stream() -> None:
    data = Numbered(13, bad=(2, 7))
    alone = Loader(data, 4, seed=3, transform=jitter, drop_last=False)
    pair = Loader(data, 4, seed=3, transform=jitter, drop_last=False, workers=2)
    torch.manual_seed(0)
    expected = torch.manual_seed(0).get_state()
    for epoch in (0, 1):
        next(pair(5))  # an epoch that is left early does not spill into the next one
        made = list(pair(epoch))
        assert len(made) == len(pair) == 4
        assert all(same(a, b) for a, b in zip(alone(epoch), made, strict=True))
        assert sum(len(b.image_ids) for b in made) == 11
    assert torch.equal(torch.get_rng_state(), expected)
    assert alone.unreadable == pair.unreadable == {"2.jpg": "cut off", "7.jpg": "cut off"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
@pytest.mark.parametrize("early", [False, True])
def test_a_loader_that_is_dropped_is_gone_at_once(early: bool) -> None:
    """Left to the garbage collector, its workers are not told to end, and each is waited for, five seconds long."""
    loader = Loader(Numbered(13), 4, seed=3, workers=2)
    batches = loader(0)
    next(batches)
    if not early:
        list(batches)
    batches.close()
    gone, collects = weakref.ref(loader), gc.isenabled()
    gc.disable()
    try:
        del batches, loader
        assert gone() is None
    finally:
        if collects:
            gc.enable()


def test_ranks_share_one_order() -> None:
    whole = Loader(Numbered(12), 4, seed=0)
    ranks = [Loader(Numbered(12), 2, seed=0, rank=r, world=2) for r in (0, 1)]
    assert [len(r) for r in ranks] == [3, 3]
    for step, left, right in zip(whole(2), *(r(2) for r in ranks), strict=True):
        assert step.image_ids[::2] == left.image_ids and step.image_ids[1::2] == right.image_ids
    uneven = [Loader(Numbered(5), 2, seed=0, rank=r, world=2, drop_last=False, shuffle=False) for r in (0, 1)]
    assert sorted(i for r in uneven for b in r(0) for i in b.image_ids) == [0, 1, 2, 3, 4]


def test_more_images_than_there_are_wrap_round() -> None:
    loader = Loader(Numbered(5), 5, seed=0, images=15)
    rounds = [b.image_ids for b in loader(0)]
    assert len(rounds) == 3 and all(sorted(ids) == [0, 1, 2, 3, 4] for ids in rounds)
    assert len(set(rounds)) > 1


def test_each_position_has_its_own_numbers() -> None:
    drawn = {generator(0, 0, p, i).integers(1 << 40) for p in (1, 2, 3) for i in range(5)}
    assert len(drawn) == 15 and generator(1, 0, RESIZE).integers(1 << 40) != generator(0, 1, RESIZE).integers(1 << 40)


def test_refusals() -> None:
    with pytest.raises(Refused, match="no image"):
        Loader(Numbered(0), 1, seed=0)
    with pytest.raises(Refused, match="3 images an epoch"):
        Loader(Numbered(3), 4, seed=0)
    with pytest.raises(Refused, match=r"not one image.*0.jpg: cut off"):
        list(Loader(Numbered(2, bad=(0, 1)), 1, seed=0, shuffle=False)(0))


def test_random_resize_scales_everything() -> None:
    batch = collate([person(2, (64, 96), 1, ignore=True), person(1, (64, 96), 2)])
    sizes = {random_resize(batch, 32, 128, generator(0, 0, RESIZE, step)).images.shape[-2:] for step in range(40)}
    assert sizes == {(32, 32), (64, 96), (96, 128), (128, 192)}  # the width follows, rounded down to 32
    made = next(
        b for step in range(40)
        if (b := random_resize(batch, 32, 128, generator(0, 0, RESIZE, step))).images.shape[-2:] == (96, 128)
    )  # fmt: skip
    old, new, sx, sy = batch.targets, made.targets, 128 / 96, 96 / 64
    assert torch.allclose(new.boxes, old.boxes * torch.tensor([sx, sy, sx, sy]))
    assert torch.allclose(new.keypoints, old.keypoints * torch.tensor([sx, sy]))
    assert torch.allclose(new.areas, old.areas * sx * sy)
    assert new.ignore is not None and new.ignore.shape == (2, 96, 128) and new.ignore[0].min() == 1
    assert old.ignore is not None and old.ignore.shape == (2, 64, 96), "the batch that was given stays as it is"
    with pytest.raises(Refused, match="no multiple"):
        random_resize(batch, 40, 50, generator(0, 0, RESIZE))


def test_what_a_gpu_is_to_read_is_pinned_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor.data_ptr())
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = collate([person(2, ignore=True)])
    targets = [getattr(batch.targets, f.name) for f in fields(batch.targets)]
    assert same(batch.pin_memory(), batch) and sorted(seen) == sorted(t.data_ptr() for t in [batch.images, *targets])
    sketches, bare = [object()], replace(batch.targets, ignore=None)
    pinned = replace(batch, images=sketches, targets=bare).pin_memory()
    assert pinned.images is sketches and pinned.targets.ignore is None


@pytest.mark.parametrize("pinned", [False, True])
def test_processes_pin_where_they_are_asked_to(pinned: bool) -> None:
    workers = Loader(Numbered(8), 4, seed=0, workers=1, pinned=pinned)._workers
    assert workers is not None and workers.pin_memory is pinned
