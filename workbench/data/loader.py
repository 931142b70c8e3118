"""From samples to batches. Data is a function of (seed, epoch, index), whatever the number of workers.

Each random choice has a generator of its own, derived from what it is for: `generator`. A job that is resumed, or
moved to more workers, sees the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader

from workbench.core.errors import DataFault, Refused
from workbench.data.datasets.images import Unreadable
from workbench.data.transforms.pixels import Sketch, pasted
from workbench.tensors import Batch, Persons, Sample, Targets

STRIDE = 32  # every side of a network input is a multiple of it
_LATTICE = 16  # pixels from one that is looked at first to the next: hardly ever are all of these black
ORDER, IMAGE, RESIZE = 1, 2, 3  # what a generator is for

Transform = Callable[[Sequence[Sample], int, np.random.Generator], Sample]


def generator(seed: int, epoch: int, purpose: int, position: int = 0) -> np.random.Generator:
    """The random numbers of one purpose: `ORDER` of an epoch, one `IMAGE` (by position), the `RESIZE` of one step.

    The purpose keeps the streams apart: numpy takes seeds [a, b] and [a, b, 0] for the same one.
    """
    return np.random.default_rng([purpose, seed, epoch, position])


def collate(samples: Sequence[Sample], size: tuple[int, int] | None = None) -> Batch:
    """Stack samples into one batch.

    Images are padded with 0 at the bottom and the right to `size` (height, width) or, without it, to the largest
    image of the batch rounded up to a multiple of 32. Persons are padded to the largest number of an image, at least 1.

    Raises:
        Refused: no samples, or an image larger than `size`.
    """
    packed = pack(samples, size)
    return replace(packed, images=as_float(packed.images))


def pack(samples: Sequence[Sample], size: tuple[int, int] | None = None) -> Batch:
    """`collate` with the images still (B, H, W, 3) uint8: a quarter of the bytes to hand between processes.

    Of sketches it makes a list of sketches.
    """
    if not samples:
        raise Refused("a batch of no samples; give at least one")
    height, width = _canvas(samples, size)
    counts = np.array([len(s) for s in samples])
    present = np.arange(max(counts.max(), 1)) < counts[:, None]  # (B, G)
    everybody = Persons.concatenated([s.persons for s in samples])
    columns = {name: _padded(rows, present) for name, rows in everybody.arrays().items()}
    columns["visible"] = columns["visible"].gt(0).float()
    targets = Targets(**columns, present=torch.from_numpy(present), ignore=_ignore(samples, height, width))
    images: Any = [s.image for s in samples]
    black = False
    if isinstance(images[0], Sketch):
        images = [i if i.size == (height, width) else pasted([(i, 0, 0)], (height, width), 0) for i in images]
    else:
        images = torch.from_numpy(_stacked(images, height, width))
        black = not (images[:, ::_LATTICE, ::_LATTICE].any() or images.any())
    return Batch(images=images, targets=targets, image_ids=tuple(s.image_id for s in samples), black=black)


def as_float(images: Tensor, device: str | None = None) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float32, contiguous, values kept; on `device` or where they are."""
    images = images.to(device, non_blocking=True)
    batch, height, width, channels = images.shape
    return torch.empty(batch, channels, height, width, device=images.device).copy_(images.permute(0, 3, 1, 2))


def _canvas(samples: Sequence[Sample], size: tuple[int, int] | None) -> tuple[int, int]:
    height = max(s.image.shape[0] for s in samples)
    width = max(s.image.shape[1] for s in samples)
    if size is None:
        return -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE
    if height > size[0] or width > size[1]:
        raise Refused(f"an image of {height}x{width} does not fit the batch's {size[0]}x{size[1]}; resize it before")
    return size


def _stacked(images: Sequence[NDArray[np.uint8]], height: int, width: int) -> NDArray[np.uint8]:
    if all(image.shape[:2] == (height, width) for image in images):
        return np.stack(images)
    canvas = np.zeros((len(images), height, width, *images[0].shape[2:]), np.uint8)
    for place, image in zip(canvas, images, strict=True):
        place[: image.shape[0], : image.shape[1]] = image
    return canvas


def _padded(rows: np.ndarray, present: np.ndarray) -> Tensor:
    """The rows of all images, one after the other, into (B, G, ...), zero where nobody is."""
    padded = np.zeros((*present.shape, *rows.shape[1:]), np.int64 if rows.dtype.kind == "i" else np.float32)
    padded[present] = rows
    return torch.from_numpy(padded)


def _ignore(samples: Sequence[Sample], height: int, width: int) -> Tensor | None:
    if all(s.ignore is None for s in samples):
        return None
    masks = [np.zeros((1, 1), np.uint8) if s.ignore is None else s.ignore for s in samples]
    return torch.from_numpy(_stacked(masks, height, width)).float()


def random_resize(batch: Batch, low: int, high: int, rng: np.random.Generator) -> Batch:
    """The batch at a random size: height a multiple of 32 in low..high, width in the batch's proportion.

    Draw `rng` as `generator(seed, epoch, RESIZE, step)`: the same on every rank. Areas scale with both sides, the
    ignore mask stays soft. RTMO, section 9: 480..800 for s, m, l and 320..640 for t; the very first step keeps its
    size.

    Raises:
        Refused: no multiple of 32 lies in low..high.
    """
    if not 0 < -(-low // STRIDE) <= high // STRIDE:
        raise Refused(f"random size {low}..{high} holds no multiple of {STRIDE}; give for example 480..800")
    steps = int(rng.integers(-(-low // STRIDE), high // STRIDE, endpoint=True))
    old_h, old_w = batch.images.shape[-2:]
    size = STRIDE * steps, STRIDE * max(int(steps * old_w / old_h), 1)
    return resize(batch, size)


def resize(batch: Batch, size: tuple[int, int]) -> Batch:
    """The batch with images, boxes, key points, areas and mask brought to `size` (height, width)."""
    old_h, old_w = batch.images.shape[-2:]
    if size == (old_h, old_w):
        return batch
    targets, sx, sy = batch.targets, size[1] / old_w, size[0] / old_h
    ignore = targets.ignore
    if ignore is not None:
        ignore = interpolate(ignore[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    scaled = replace(
        targets,
        boxes=targets.boxes * targets.boxes.new_tensor([sx, sy, sx, sy]),
        keypoints=targets.keypoints * targets.keypoints.new_tensor([sx, sy]),
        areas=targets.areas * (sx * sy),
        ignore=ignore,
    )
    images = interpolate(batch.images, size, mode="bilinear", align_corners=False)
    return replace(batch, images=images, targets=scaled)


class Loader:
    """`loader(epoch)` gives the batches of an epoch, the same ones each time it is asked; `len(loader)` is how many.

    Args:
        dataset: any sequence of samples.
        batch: images per batch of this process.
        seed: with the epoch and the position, it decides everything random.
        transform: `transform(dataset, index, rng)` makes the sample; without it the data set's own is used.
        workers: processes that prepare batches; 0 works in this one. The batches do not depend on it.
        shuffle: False for evaluation: positions in the order of the data set.
        drop_last: leave out the last, smaller batch.
        images: images per epoch over all ranks; without it, each once. More than there are wraps round.
        rank, world: this process takes positions rank, rank + world, ... of the same order.
        finish: makes the images (B, 3, H, W) of what `pack` gives, in this process.
        pinned: what worker processes give is laid where a GPU reads it while the host goes on.

    `unreadable` maps each image file that could not be read so far to the reason; its sample is left out of its batch.

    Raises:
        Refused: an empty set, or not one batch in an epoch; when iterated: a batch without one readable image.
    """

    def __init__(
        self,
        dataset: Sequence[Sample],
        batch: int,
        *,
        seed: int,
        transform: Transform | None = None,
        workers: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        images: int | None = None,
        rank: int = 0,
        world: int = 1,
        finish: Callable[[Any], Tensor] = as_float,
        pinned: bool = False,
    ) -> None:
        if not len(dataset):
            raise Refused("the data set holds no image; nothing to load")
        total = len(dataset) if images is None else images
        mine = total // world if drop_last else len(range(rank, total, world))
        self._steps = mine // batch if drop_last else -(-mine // batch)
        if self._steps < 1:
            raise Refused(
                f"{total} images an epoch on {world} process(es) make no batch of {batch}; lower the batch or take more"
            )
        self.unreadable: dict[str, str] = {}
        self._finish = finish
        self._work = _Work(dataset, transform, seed)
        self._plan = _Plan(len(dataset), batch, min(mine, self._steps * batch), seed, shuffle, rank, world)
        self._workers = _processes(self._work, self._plan, workers, pinned) if workers else None

    def __len__(self) -> int:
        return self._steps

    def __call__(self, epoch: int) -> Generator[Batch]:
        self._plan.epoch = epoch
        made = map(self._work.__getitems__, self._plan) if self._workers is None else self._workers
        for packed, unreadable in made:
            self.unreadable.update(unreadable)
            if packed is None:
                file, reason = next(iter(unreadable.items()))
                raise DataFault(f"not one image of a batch can be read, first {file}: {reason}; check the data folder")
            yield replace(packed, images=self._finish(packed.images))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The data set's index for each position of this process, (images,)."""
        return self._plan.order(epoch)


_Task = tuple[int, int, int]  # epoch, position, index
_Made = tuple[Batch | None, dict[str, str]]


@dataclass
class _Plan:
    """The tasks of each batch of the epoch that is set. Its fields are numbers alone.

    If it held its loader, both would go in one round of the garbage collector, which closes the queues of the worker
    processes before they are told to end: each would be waited for, five seconds long.

    Fields:
        count: samples in the data set; images: of an epoch, for this process.
    """

    count: int
    batch: int
    images: int
    seed: int
    shuffle: bool
    rank: int
    world: int
    epoch: int = 0

    def __len__(self) -> int:
        return -(-self.images // self.batch)

    def __iter__(self) -> Iterator[list[_Task]]:
        epoch = self.epoch  # it may be set anew while this one goes on
        tasks = [(epoch, self.rank + self.world * i, int(index)) for i, index in enumerate(self.order(epoch))]
        for start in range(0, len(tasks), self.batch):
            yield tasks[start : start + self.batch]

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The data set's index for each position of this process, (images,)."""
        positions = self.rank + self.world * np.arange(self.images)
        if not self.shuffle:
            return positions % self.count
        rng = generator(self.seed, epoch, ORDER)
        rounds = int(positions[-1]) // self.count + 1
        return np.concatenate([rng.permutation(self.count) for _ in range(rounds)])[positions]


class _Work:
    """Makes one batch; runs in a worker or in this process alike."""

    def __init__(self, dataset: Sequence[Sample], transform: Transform | None, seed: int) -> None:
        self.dataset, self.transform, self.seed = dataset, transform, seed

    def __getitems__(self, tasks: list[_Task]) -> _Made:
        samples: list[Sample] = []
        unreadable: dict[str, str] = {}
        for epoch, position, index in tasks:
            try:
                samples.append(self._sample(epoch, position, index))
            except Unreadable as error:
                unreadable[error.file] = error.reason
        return (pack(samples) if samples else None), unreadable

    def _sample(self, epoch: int, position: int, index: int) -> Sample:
        if self.transform is None:
            return self.dataset[index]
        return self.transform(self.dataset, index, generator(self.seed, epoch, IMAGE, position))


def _processes(work: _Work, plan: _Plan, workers: int, pinned: bool) -> DataLoader:
    """A DataLoader that only moves the work to other processes."""
    return DataLoader(
        work,  # pyright: ignore[reportArgumentType]: whole batches are asked of it, by __getitems__
        batch_sampler=plan,  # pyright: ignore[reportArgumentType]: lists of tasks instead of lists of indices
        collate_fn=_same,  # pyright: ignore[reportArgumentType]: made of a whole batch, not of a list of samples
        num_workers=workers,
        worker_init_fn=_one_thread,
        persistent_workers=True,
        pin_memory=pinned,
        generator=torch.Generator(),  # else it draws from the global stream, and the model's numbers would change
    )


def _same(made: _Made) -> _Made:
    return made


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)  # the workers are the parallelism
