"""Images whose persons lie on marked pixels, and every pipeline by name."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from workbench.core.augmentation import AUGMENTATIONS
from workbench.core.skeletons import COCO
from workbench.data.transforms.pipelines import EvaluationPipeline, Pipeline
from workbench.tensors import Persons, Sample


class Scenes(Sequence[Sample]):
    """Coloured images of several sizes with a person whose key points lie on a marked pixel."""

    def __init__(self, persons: int = 2) -> None:
        self.persons = persons

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Sample:  # pyright: ignore[reportIncompatibleMethodOverride]
        rng = np.random.default_rng(index)
        height, width = 60 + 10 * index, 100 - 5 * index
        image = np.full((height, width, 3), (0, 60, 60), np.uint8)
        corner = rng.uniform(5, 30, (self.persons, 2))
        keypoints = corner[:, None] + rng.uniform(0, 20, (self.persons, 17, 2))
        for x, y in keypoints.reshape(-1, 2).round().astype(int):
            image[y, x] = 255
        ignore = np.zeros((height, width), np.uint8)
        ignore[: height // 2, : width // 3] = 1
        return Sample(
            image=image,
            persons=Persons(
                boxes=np.concatenate([corner, corner + 20], 1).astype(np.float32),
                keypoints=keypoints.astype(np.float32),
                visible=np.full((self.persons, 17), 2, np.float32),
                areas=np.full(self.persons, 200, np.float32),
                labels=np.arange(self.persons),
                keypoint_weights=rng.integers(0, 2, (self.persons, 17)).astype(np.float32),
            ),
            skeleton=COCO,
            ignore=ignore,
            image_id=index,
        )


def main(name: str, size: tuple[int, int]) -> Pipeline:
    return Pipeline(size=size, steps=AUGMENTATIONS[name].main)


def final(name: str, size: tuple[int, int]) -> Pipeline:
    chosen = AUGMENTATIONS[name]
    return Pipeline(size=size, steps=chosen.final, ignore=chosen.ignore)


PIPELINES: dict[str, Callable[[tuple[int, int]], Pipeline | EvaluationPipeline]] = {
    **{f"{name} {make.__name__}": partial(make, name) for name in AUGMENTATIONS for make in (main, final)},
    "evaluation": lambda size: EvaluationPipeline(size=size),
}
