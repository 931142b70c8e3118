"""The embedded data set: rendered multi-person scenes, made on the fly or cached, deterministic by (seed, index).

Every scene is its own random stream, so samples do not depend on the order, the number of workers or the data set's
length. `start` shifts the stream: training from 0 and validation from 10,000,000 never share a scene. At the level
"easy" the sides are told by colour (left warm, right cold), so mirrored images would contradict the labels.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple
from zipfile import BadZipFile

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.files import make_once
from workbench.core.keypoints import Skeleton
from workbench.core.processes import end_with_parent, usable_cores
from workbench.core.skeletons import COCO
from workbench.data.datasets.annotations import EvaluationRules
from workbench.data.synthetic.scene import RENDERER_VERSION, SCENE_LEVELS, SMALLEST, render, scene_persons
from workbench.tensors import Persons, Sample


def _position(i: int, count: int) -> int:
    """Index 0..count-1 of i, which may count from the end."""
    if not -count <= i < count:
        raise IndexError(f"index {i}: the data set has {count} images")
    return i % count


@dataclass(frozen=True)
class SyntheticScenes:
    """`count` scenes of one level, rendered when asked for; `image_id` is `start + i`.

    Raises:
        Refused: unknown level, size below 32, negative seed, count or start.
    """

    skeleton: ClassVar[Skeleton] = COCO
    evaluation: ClassVar[EvaluationRules] = "coco"
    level: str = "easy"  # "easy" or "hard"
    size: int = 128  # side of the square images in pixels
    seed: int = 0
    count: int = 1000
    start: int = 0

    def __post_init__(self) -> None:
        if self.level not in SCENE_LEVELS:
            raise Refused(f"level {self.level!r}: no such level of scenes; choose one of {', '.join(SCENE_LEVELS)}")
        if self.size < SMALLEST:
            raise Refused(f"size {self.size}: scenes need at least {SMALLEST} pixels")
        for name in ("seed", "count", "start"):
            if getattr(self, name) < 0:
                raise Refused(f"{name} {getattr(self, name)}: must be 0 or more")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        return render(self.level, self.size, self.seed, self.start + _position(i, self.count))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(self.count))

    def coco(self) -> dict[str, Any]:
        """Ground truth in COCO's format; renders every scene once."""
        return _coco(self.size, self)


# --------------------------------------------------------------------------------------------------------- COCO
def _annotation(sample: Sample, person: int, number: int) -> dict[str, Any]:
    persons = sample.persons
    x1, y1, x2, y2 = (float(v) for v in persons.boxes[person])
    marked = np.concatenate([persons.keypoints[person], persons.visible[person][:, None]], 1).astype(float)
    flat = [int(v) if i % 3 == 2 else float(v) for i, v in enumerate(marked.ravel())]
    return {
        "id": number, "image_id": sample.image_id, "category_id": 1, "iscrowd": 0, "keypoints": flat,
        "num_keypoints": int((persons.visible[person] > 0).sum()), "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": float(persons.areas[person]),
    }  # fmt: skip


def _coco(size: int, samples: Iterable[Sample]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        images.append({
            "id": sample.image_id, "width": size, "height": size, "file_name": f"{sample.image_id:012d}.png",
            "crowdIndex": sample.crowd_index,
        })  # fmt: skip
        for person in range(len(sample)):
            annotations.append(_annotation(sample, person, len(annotations) + 1))
    limbs = [[a + 1, b + 1] for a, b in COCO.limbs]
    person = {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(COCO.keypoints),
              "skeleton": limbs}  # fmt: skip
    return {"images": images, "annotations": annotations, "categories": [person]}


# -------------------------------------------------------------------------------------------------------- cache
_IMAGES: Final = "images.npy"
_LABELS: Final = "labels.npz"
_PER_PERSON: Final = ("boxes", "keypoints", "visible", "areas")  # the other fields are alike in all scenes
_CHUNK: Final = 256  # scenes a worker renders per call
_NO_IMAGE: Final = np.zeros((0, 0, 3), np.uint8)
_NOBODY: Final = scene_persons(
    boxes=np.zeros((0, 4), np.float32),
    keypoints=np.zeros((0, len(COCO), 2), np.float32),
    visible=np.zeros((0, len(COCO)), np.float32),
    areas=np.zeros(0, np.float32),
)


@dataclass
class CachedScenes:
    """Scenes read from a folder that `cached` wrote: equal to the rendered ones, opened when first asked for."""

    skeleton: ClassVar[Skeleton] = COCO
    evaluation: ClassVar[EvaluationRules] = "coco"
    level: str
    size: int
    seed: int
    count: int
    start: int
    folder: Path
    _images: NDArray[np.uint8] | None = field(default=None, init=False, repr=False, compare=False)
    _labels: dict[str, NDArray[Any]] | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # A memory map would be pickled as all of its pixels: workers open their own.
        return self.__dict__ | {"_images": None, "_labels": None}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Sample:
        return self.sample(i, self.image(i))

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(self.count))

    def coco(self) -> dict[str, Any]:
        """Ground truth in COCO's format, from the labels alone."""
        return _coco(self.size, (self.sample(i, _NO_IMAGE) for i in range(self.count)))

    def size_of(self, _: int) -> tuple[int, int]:
        """Height and width of an image."""
        return self.size, self.size

    def image(self, i: int) -> NDArray[np.uint8]:
        """The pixels alone, (H, W, 3)."""
        images = self._images
        if images is None:
            images = self._images = np.load(self.folder / _IMAGES, mmap_mode="r")
        return np.array(images[_position(i, self.count)])

    def sample(self, i: int, image: Any) -> Sample:
        """The persons of an image, with it or with what stands for it."""
        i = _position(i, self.count)
        if self._labels is None:
            with np.load(self.folder / _LABELS) as stored:
                self._labels = {name: stored[name] for name in stored.files}
        labels = self._labels
        rows = slice(int(labels["first"][i]), int(labels["first"][i + 1]))
        return Sample(
            image=image,
            persons=scene_persons(**{name: labels[name][rows].copy() for name in _PER_PERSON}),
            skeleton=self.skeleton,
            image_id=self.start + i,
            crowd_index=float(labels["crowd_index"][i]),
        )


def cache_name(scenes: SyntheticScenes) -> str:
    """Folder name that says all that decides the pixels."""
    s = scenes
    return f"figures-v{RENDERER_VERSION}-{s.level}-{s.size}px-seed{s.seed}-{s.start}+{s.count}"


def cached(scenes: SyntheticScenes, folder: Path, workers: int | None = None) -> CachedScenes:
    """The same samples from a memory-mapped file below `folder`; rendered first when they are not there yet.

    Several processes may ask at once: one renders, the others wait. The files appear whole or not at all.

    Args:
        workers: processes that render; 0 renders in this one, None is one per core: who asks waits meanwhile.
    """
    target = Path(folder) / cache_name(scenes)
    make_once(target, partial(_build, scenes, usable_cores() if workers is None else workers), partial(_whole, scenes))
    return CachedScenes(scenes.level, scenes.size, scenes.seed, scenes.count, scenes.start, target)


def _whole(scenes: SyntheticScenes, folder: Path) -> bool:
    """Whether the files of a folder are as long as they were written, and of these scenes."""
    try:
        images = np.load(folder / _IMAGES, mmap_mode="r" if scenes.count else None)
        with (folder / _LABELS).open("rb") as file, np.load(file) as stored:
            count = len(stored["first"]) - 1
            there = set(stored.files) == {"first", "crowd_index", *_PER_PERSON} and stored.zip.testzip() is None
            there = there and {len(stored[name]) for name in _PER_PERSON} == {int(stored["first"][-1])}
    except (OSError, ValueError, EOFError, KeyError, IndexError, TypeError, BadZipFile):
        return False
    return there and count == scenes.count and images.shape == (scenes.count, scenes.size, scenes.size, 3)


def _build(scenes: SyntheticScenes, workers: int, folder: Path) -> None:
    """Renders the scenes and writes their images and labels to a new folder."""
    folder.mkdir()
    shape = (scenes.count, scenes.size, scenes.size, 3)
    if scenes.count:
        np.lib.format.open_memmap(folder / _IMAGES, "w+", np.uint8, shape).flush()
    else:
        np.save(folder / _IMAGES, np.zeros(shape, np.uint8))  # a file of length 0 cannot be mapped
    parts = list(_render_all(scenes, folder / _IMAGES, workers))
    people = np.concatenate([np.zeros(1, np.int64), *(p.counts for p in parts)])
    everybody = Persons.concatenated([_NOBODY, *(p.persons for p in parts)]).arrays()
    labels: dict[str, Any] = {name: everybody[name] for name in _PER_PERSON}
    crowd = np.concatenate([np.zeros(0), *(p.crowd_index for p in parts)])
    np.savez(folder / _LABELS, first=np.cumsum(people), crowd_index=crowd, **labels)


class _Rendered(NamedTuple):
    """The labels of some scenes: all persons, how many each scene has (S,), and its crowd index (S,)."""

    persons: Persons
    counts: NDArray[np.int64]
    crowd_index: NDArray[np.float64]


def _render_all(scenes: SyntheticScenes, images: Path, workers: int) -> Iterator[_Rendered]:
    starts = range(0, scenes.count, _CHUNK)
    jobs = [(scenes, images, first, min(first + _CHUNK, scenes.count)) for first in starts]
    if workers < 1 or len(jobs) < 2:
        yield from map(_render_part, jobs)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, initializer=_begin_rendering) as pool:
        yield from pool.map(_render_part, jobs)


def _begin_rendering() -> None:
    """In a process of its own. Without a parent it would wait for ever for what to render."""
    end_with_parent()
    cv2.setNumThreads(0)


def _render_part(job: tuple[SyntheticScenes, Path, int, int]) -> _Rendered:
    """Render scenes first..last-1 into the image file; gives their labels."""
    scenes, path, first, last = job
    images = np.load(path, mmap_mode="r+")
    samples: list[Sample] = []
    for i in range(first, last):
        sample = scenes[i]
        images[i] = sample.image
        sample.image = _NO_IMAGE
        samples.append(sample)
    images.flush()
    counts = np.array([len(s) for s in samples], np.int64)
    crowd = np.array([s.crowd_index for s in samples])
    return _Rendered(Persons.concatenated([s.persons for s in samples]), counts, crowd)
