"""All images of a data set in a device's memory, decoded once. What remains to be loaded is sketches and persons.

The processes that load then move no pixels: they draw random numbers, move persons and hand on what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workbench.data.datasets.images import Unreadable
from workbench.data.loader import as_float
from workbench.data.transforms.pixels import Size, Sketch, Stored, draw
from workbench.tensors import Sample

ToDevice = Callable[[Any], Tensor]  # makes (B, 3, H, W) float32 on a device of what the loading processes give


class PixelsAndLabels(Protocol):
    """A data set that gives an image's pixels and its persons apart; `samples[i]` has both."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> Sample: ...
    def size_of(self, i: int, /) -> Size: ...
    def image(self, i: int, /) -> NDArray[np.uint8]: ...
    def sample(self, i: int, /, image: Any) -> Sample: ...


def placed(samples: PixelsAndLabels, device: str, share: float, workers: int) -> tuple[Sequence[Sample], ToDevice]:
    """The data set that a loader reads, and how its images come to be on the device.

    Args:
        share: of the device's free memory that the images may take. Where they take more, they are read for each batch.
        workers: processes that decode.
    """
    if _total(samples) > share * free_memory(device):
        return samples, partial(as_float, device=device)  # pyright: ignore[reportReturnType]
    resident = Resident(samples, device, workers)
    return _Sketched(samples, resident.unreadable), resident


class Resident:
    """The images; called with the sketches of a batch, all of one size, it makes them.

    `unreadable` says of each image that can not be read, by index, why.
    """

    def __init__(self, samples: PixelsAndLabels, device: str, workers: int) -> None:
        memory = torch.empty(_total(samples), dtype=torch.uint8, device=device)
        self.unreadable: dict[int, Unreadable] = {}
        self.images: list[Tensor] = []
        end = 0
        for i, image in enumerate(_decoded(samples, workers)):
            start, end = end, end + _bytes(samples.size_of(i))
            self.images.append(memory[start:end].view(*samples.size_of(i), 3))
            if isinstance(image, Unreadable):
                self.unreadable[i] = image
            else:
                self.images[i].copy_(image)

    def __call__(self, sketches: Sequence[Sketch]) -> Tensor:
        return as_float(torch.stack(draw(sketches, self.images)))


class _Sketched(Sequence[Sample]):
    """The samples with sketches in place of pixels; what is unreadable is so here, too."""

    def __init__(self, samples: PixelsAndLabels, unreadable: dict[int, Unreadable]) -> None:
        self.samples, self.unreadable = samples, unreadable

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        if i in self.unreadable:
            raise Unreadable(self.unreadable[i].file, self.unreadable[i].reason)
        return self.samples.sample(i, Stored(self.samples.size_of(i), i))


class _Images(Dataset[Any]):
    def __init__(self, samples: PixelsAndLabels) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Tensor | Unreadable:
        try:
            return torch.from_numpy(self.samples.image(i))
        except Unreadable as error:
            return error


def _decoded(samples: PixelsAndLabels, workers: int) -> Iterable[Tensor | Unreadable]:
    """The images in order."""
    own = torch.Generator()  # else it draws from the global stream, and the model's numbers would change
    return DataLoader(_Images(samples), batch_size=None, num_workers=workers, collate_fn=_same, generator=own)


def _same(image: Any) -> Any:
    return image


def _bytes(size: Size) -> int:
    return 3 * size[0] * size[1]


def _total(samples: PixelsAndLabels) -> int:
    return sum(_bytes(samples.size_of(i)) for i in range(len(samples)))


def on_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def free_memory(device: str) -> int:
    """Bytes of memory that nobody has taken."""
    if on_gpu(device):
        return torch.cuda.mem_get_info(torch.device(device))[0]
    return psutil.virtual_memory().available
