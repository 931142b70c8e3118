"""Pipelines: what each makes at every shape, and that their choices are the generator's alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from tests.data.transforms.scenes import PIPELINES, Scenes, final, main
from workbench.core.augmentation import Augmentation, AugmentationStep, Fit, Flip, Hsv, MixUp, Mosaic, Warp
from workbench.core.errors import Refused
from workbench.data.transforms import geometry
from workbench.data.transforms.pipelines import EvaluationPipeline, Pipeline, StepInputs, augmented, normal_within_one


def without_colours(pipeline: Pipeline) -> Pipeline:
    return replace(pipeline, steps=tuple(step for step in pipeline.steps if not isinstance(step, Hsv)))


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (96, 32)])
def test_every_pipeline_at_every_shape(name: str, size: tuple[int, int]) -> None:
    pipeline, data = PIPELINES[name](size), Scenes()
    for seed in range(12):
        made = pipeline(data, seed % 7, np.random.default_rng(seed))
        again = pipeline(data, seed % 7, np.random.default_rng(seed))
        assert made.image.shape == (*size, 3) and made.image.dtype == np.uint8
        assert np.array_equal(made.image, again.image)
        assert np.array_equal(made.persons.keypoints, again.persons.keypoints)
        assert made.image.flags.c_contiguous and made.image_id == seed % 7
        rows = len(made)
        persons = made.persons
        assert persons.keypoints.shape == (rows, 17, 2)
        assert persons.visible.shape == persons.keypoint_weights.shape == (rows, 17)
        assert persons.areas.shape == persons.labels.shape == (rows,)
        for name, array in persons.arrays().items():
            assert array.dtype == (np.int64 if name == "labels" else np.float32)
        high, wide = size
        # a mirror brings the edge at `wide` to -1: as published, clipping counts edges and the mirror counts pixels
        assert (persons.boxes >= (-1, 0, -1, 0)).all() and (persons.boxes <= (wide, high, wide, high)).all()
        seen = persons.keypoints[persons.visible > 0]
        assert (seen >= (-1, 0)).all() and (seen <= (wide, high)).all()
        if isinstance(pipeline, Pipeline):
            assert (made.ignore is not None) == pipeline.ignore
        if made.ignore is not None:
            assert made.ignore.shape == size and set(np.unique(made.ignore)) <= {0, 1}


@pytest.mark.parametrize("name", ["rtmo main", "rtmo-ml final", "light main"])
def test_another_generator_gives_another_picture(name: str) -> None:
    pipeline = PIPELINES[name]((64, 64))
    pictures = {pipeline(Scenes(), 0, np.random.default_rng(seed)).image.tobytes() for seed in range(6)}
    assert len(pictures) > 4


def test_pipelines_leave_the_data_set_alone() -> None:
    sample = Scenes()[0]
    arrays = {"image": sample.image, "ignore": sample.ignore, **sample.persons.arrays()}
    before = {name: np.copy(array) for name, array in arrays.items()}
    for make in PIPELINES.values():
        for seed in range(5):
            make((64, 64))([sample], 0, np.random.default_rng(seed))
    assert all(np.array_equal(arrays[name], value) for name, value in before.items())


@pytest.mark.parametrize("name", ["rtmo-t main", "rtmo-ml final", "light main", "none main", "evaluation"])
def test_points_stay_on_what_they_mark(name: str) -> None:
    """Key points are drawn as bright pixels on dark ground: after the whole pipeline they are still the bright ones."""
    pipeline = PIPELINES[name]((192, 224))
    if isinstance(pipeline, Pipeline):
        pipeline = without_colours(pipeline)
    bright = []
    for seed in range(20):
        made = pipeline(Scenes(1), seed % 7, np.random.default_rng(seed))
        for x, y in made.persons.keypoints[made.persons.visible > 0]:
            around = made.image[max(round(y) - 2, 0) : round(y) + 3, max(round(x) - 2, 0) : round(x) + 3, 0]
            bright.append(around.max() > 60 if around.size else True)
    assert len(bright) > 100 and np.mean(bright) > 0.95


def test_the_mask_moves_with_the_image() -> None:
    """The mask marks the only bright part of an image that is not square; so it must do after fit and mirror."""
    sample = Scenes(0)[0]
    assert sample.ignore is not None
    sample.image[:] = np.where(sample.ignore[..., None] > 0, 255, 0)
    for seed in range(8):
        pipeline = without_colours(final("rtmo-ml", (64, 96)))
        made = pipeline([sample], 0, np.random.default_rng(seed))
        assert made.ignore is not None
        inside, outside = made.image[made.ignore > 0, 0], made.image[made.ignore == 0, 0]
        assert inside.min() > 114 and outside.max() <= 191 and inside.size > 50


def test_mirror_swaps_left_and_right() -> None:
    sample = Scenes(1)[0]
    twice = geometry.mirrored(geometry.mirrored(sample))
    assert np.array_equal(twice.image, sample.image)
    assert np.allclose(twice.persons.keypoints, sample.persons.keypoints, atol=1e-4)
    once = geometry.mirrored(sample)
    assert np.array_equal(once.persons.keypoint_weights[:, 5], sample.persons.keypoint_weights[:, 6])
    assert once.persons.keypoints[0, 5, 0] == pytest.approx(99 - sample.persons.keypoints[0, 6, 0], abs=1e-4)
    light = [main("light", (64, 64))([sample], 0, np.random.default_rng(s)).persons for s in range(20)]
    mirrored = [np.array_equal(one.keypoint_weights[0], once.persons.keypoint_weights[0]) for one in light]
    assert not any(mirrored), "the light pipeline does not mirror"


def test_letterbox_and_back() -> None:
    for size in ((64, 64), (64, 160), (320, 96)):
        for index in range(7):
            sample = Scenes()[index]
            boxed = EvaluationPipeline(size=size)([sample], 0, np.random.default_rng(0))
            placed = geometry.Letterbox.of((sample.image.shape[0], sample.image.shape[1]), size)
            assert np.array_equal(boxed.image, placed.image(sample.image))
            assert np.allclose(placed.back(boxed.persons.keypoints), sample.persons.keypoints, atol=1e-3)


def test_mixup_is_skipped_without_persons() -> None:
    sample = Scenes()[0]
    given = StepInputs(Scenes(0), (64, 64), np.random.default_rng(0))
    assert augmented(MixUp(), sample, given) is sample


def test_bounds_of_what_is_drawn() -> None:
    drawn = np.array(normal_within_one(np.random.default_rng(0), 4000))
    assert abs(drawn).max() <= 1 and 0.5 < drawn.std() < 0.58 and abs(drawn.mean()) < 0.03
    grey = [Scenes(0)[0] for _ in range(3)]
    for sample in grey:
        sample.image[:] = (100, 110, 120)
    inputs = [StepInputs(grey, (64, 64), np.random.default_rng(s)) for s in range(200)]
    shifted = {tuple(augmented(Hsv(), grey[0], given).image[0, 0].tolist()) for given in inputs}
    assert (100, 110, 120) in shifted and len(shifted) > 50
    assert {c[2] for c in shifted} <= set(range(90, 151)), "the value moves by at most 30"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pipeline(size=(100, 640)), "multiples of 32"),
        (lambda: Augmentation(main=(Mosaic(),)), "put a Warp after it"),
        (lambda: Augmentation(final=(Fit(), Mosaic(), Hsv(), Warp())), "put a Warp after it"),
        (lambda: Warp(scale=(1.0, 0.5)), "a lower and an upper bound"),
        (lambda: Fit(scale=(0.0, 1.0)), "a lower and an upper bound"),
        (lambda: MixUp(flip=1.5), r"a number in 0\.\.1"),
        (lambda: Flip(probability=-0.1), r"a number in 0\.\.1"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        make()


@dataclass(frozen=True, kw_only=True)
class Unknown(AugmentationStep):
    """A step of which nobody says what it does."""


def test_a_step_that_nobody_carries_out_is_refused() -> None:
    with pytest.raises(Refused, match="Unknown: nothing says what this step does"):
        Pipeline(size=(64, 64), steps=(Unknown(),))(Scenes(), 0, np.random.default_rng(0))


@pytest.mark.parametrize("steps", [(), (Warp(),), (MixUp(), Warp()), (Hsv(),), (Flip(), Fit())])
def test_an_image_is_fitted_whole_before_a_step_that_wants_the_size(steps: tuple[AugmentationStep, ...]) -> None:
    made = Pipeline(size=(64, 96), steps=steps)(Scenes(), 3, np.random.default_rng(0))
    assert made.image.shape == (64, 96, 3)
    apart = Pipeline(size=(64, 96))(Scenes(), 3, np.random.default_rng(0))
    still = Pipeline(size=(64, 96), steps=(Fit(shift=0.0, scale=(1.0, 1.0), rotate=0.0),))
    fitted = still(Scenes(), 3, np.random.default_rng(0))
    assert np.array_equal(apart.image, fitted.image)
    assert all(np.array_equal(a, fitted.persons.arrays()[name]) for name, a in apart.persons.arrays().items())
