"""Persons in any number of pictures of any sizes: files are decoded in threads while the network looks at others.

    for seen in found_in(reads, find, (640, 640)):
        print(seen.image.shape, len(seen.found))

What finds persons is a function, so nothing here knows a network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.images import Unreadable
from workbench.data.inferred import Inferred, inferred_from
from workbench.data.picture import Picture, pixels_of
from workbench.data.transforms.geometry import Letterbox
from workbench.tensors import Detections

FindPersonsIn = Callable[[NDArray[np.uint8]], Sequence[Detections]]  # in network inputs (B, H, W, 3), BGR
ReadPixels = Callable[[], NDArray[np.uint8]]  # gives (H, W, 3), BGR; may raise `Unreadable`
BATCH = 8  # pictures that go through a network together
_THREADS = 4  # that read files
_AHEAD = 2  # batches that are read while the network is busy


@dataclass(frozen=True, slots=True)
class SeenPicture:
    """A picture (H, W, 3), BGR, and the persons in it, in its own pixels."""

    image: NDArray[np.uint8]
    found: Detections


@dataclass(frozen=True, slots=True)
class _Fitted:
    image: NDArray[np.uint8]
    letterbox: Letterbox
    canvas: NDArray[np.uint8]


def found_in(
    reads: Iterable[ReadPixels], find: FindPersonsIn, size: tuple[int, int], batch: int = BATCH
) -> Iterator[SeenPicture | Unreadable]:
    """What is found in each picture, in their order; for one that can not be read, why.

    Args:
        reads: each gives a picture; they are called in threads, and few of them ahead.
        find: the persons of network inputs, in pixels of these.
        size: height and width of a network input.
        batch: pictures that `find` is given at once.
    """
    fitted = _read_ahead(reads, size, batch)
    while lot := list(islice(fitted, batch)):
        canvases = [one.canvas for one in lot if isinstance(one, _Fitted)]
        persons = iter(find(np.stack(canvases)) if canvases else ())
        for one in lot:
            if isinstance(one, Unreadable):
                yield one
            else:
                yield SeenPicture(one.image, one.letterbox.detections_back(next(persons)))


def _read_ahead(reads: Iterable[ReadPixels], size: tuple[int, int], batch: int) -> Iterator[_Fitted | Unreadable]:
    rest = iter(reads)
    pool = ThreadPoolExecutor(_THREADS, "read")
    waiting: deque[Future[_Fitted | Unreadable]] = deque()
    try:
        while True:
            waiting.extend(pool.submit(_fitted, size, read) for read in islice(rest, _AHEAD * batch - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _fitted(size: tuple[int, int], read: ReadPixels) -> _Fitted | Unreadable:
    try:
        image = read()
    except Unreadable as error:
        return error
    letterbox = Letterbox.of((image.shape[0], image.shape[1]), size)
    return _Fitted(image, letterbox, letterbox.image(image))


def inferred_in(
    pictures: Sequence[Picture],
    find: FindPersonsIn,
    size: tuple[int, int],
    skeleton: Skeleton,
    classes: Sequence[str],
    batch: int = BATCH,
) -> list[Inferred]:
    """The persons in each picture, under the names of the published face.

    Args:
        find, size, batch: as of `found_in`.
        skeleton, classes: which key points and classes `find` knows.

    Raises:
        Refused: one is no picture, or can not be read.
    """
    alone = len(pictures) == 1
    reads = [partial(pixels_of, one, "image" if alone else f"image {i}") for i, one in enumerate(pictures)]
    results: list[Inferred] = []
    for picture, seen in zip(pictures, found_in(reads, find, size, batch), strict=True):
        if isinstance(seen, Unreadable):
            raise Refused(f"image: {seen}; give a whole image, such as a JPEG or PNG file") from seen
        high, wide = seen.image.shape[:2]
        results.append(inferred_from(seen.found, skeleton, (high, wide), classes, picture))
    return results
