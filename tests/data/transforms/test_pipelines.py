"""The augmentations give the reference's numbers, and their choices are the generator's alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.data.transforms import geometry, pipelines, pixels
from workbench.data.transforms.pipelines import Augment, Fit, Letterbox, MixUp
from workbench.tensors import Sample

GOLDEN = {k: v for k, v in np.load(Path(__file__).parents[2] / "golden" / "data" / "transforms.npz").items()}
SIZE = (64, 64)
FIELDS = {"img": "image", "keypoints": "keypoints", "keypoints_visible": "visible", "bbox": "boxes", "area": "areas"}
USED: set[str] = set()


def gold(key: str) -> np.ndarray:
    USED.add(key)
    return GOLDEN[key]


def given(name: str) -> Sample:
    keypoints = gold(f"{name}keypoints")
    return Sample(
        image=gold(f"{name}img") if f"{name}img" in GOLDEN else np.zeros((64, 64, 3), np.uint8),
        boxes=gold(f"{name}bbox"),
        keypoints=keypoints,
        visible=gold(f"{name}keypoints_visible"),
        areas=gold(f"{name}area"),
        labels=np.zeros(len(keypoints), np.int64),
        keypoint_weights=np.ones(keypoints.shape[:2], np.float32),
    )


def close(made: np.ndarray, expected: np.ndarray) -> bool:
    return made.shape == expected.shape and np.allclose(made, expected, rtol=0, atol=2e-4 * max(1, abs(expected).max()))


def agree(made: Sample, name: str) -> None:
    """Every array of the reference under that name; images exactly."""
    for key, field in FIELDS.items():
        if f"{name}{key}" in GOLDEN:
            expected, value = gold(f"{name}{key}"), getattr(made, field)
            assert np.array_equal(value, expected) if key == "img" else close(value, expected), f"{name}{key}"
            assert value.dtype == (np.uint8 if key == "img" else np.float32), f"{name}{key} is {value.dtype}"


@pytest.mark.parametrize("i", range(3))
def test_letterbox(i: int) -> None:
    image, center, scale = geometry.letterbox(gold(f"resize{i}_in_img"), SIZE)
    assert np.array_equal(image, gold(f"resize{i}_out_img"))
    assert close(center, gold(f"resize{i}_input_center")) and close(scale, gold(f"resize{i}_input_scale"))
    assert close(geometry.window(center, scale, 0.0, SIZE)[:2], gold(f"resize{i}_warp_mat"))


@pytest.mark.parametrize("i", range(3))
def test_warp_of_the_main_stages(i: int) -> None:
    dx, dy, scale, degrees, sx, sy = gold(f"pers{i}_params_off_xy_scale_rotdeg_shear_xy")
    matrix = geometry.warp_matrix(SIZE, (dx, dy), scale, degrees, (sx, sy))
    assert close(matrix, gold(f"pers{i}_out_warp_mat"))
    agree(geometry.warp(given(f"pers{i}_in_"), matrix, SIZE), f"pers{i}_out_")


@pytest.mark.parametrize("i", range(2))
def test_fit_of_the_last_stage(i: int) -> None:
    dx, dy, scale, degrees = gold(f"aff{i}_params_off_xy_scale_rotdeg")
    sample = given(f"aff{i}_in_")
    matrix = geometry.fit_matrix(80, 48, SIZE, (dx, dy), scale, degrees)
    assert close(matrix[:2], gold(f"aff{i}_out_warp_mat"))
    agree(geometry.warp(sample, matrix, SIZE), f"aff{i}_out_")


@pytest.mark.parametrize("i", range(3))
def test_mosaic(i: int) -> None:
    x, y = gold(f"mosaic{i}_center_ratio_xy")
    agree(geometry.mosaic([given(f"mosaic_in{j}_") for j in range(4)], SIZE, (x, y)), f"mosaic{i}_out_")


@pytest.mark.parametrize("i", range(3))
def test_mixup(i: int) -> None:
    jitter, flip, top, left = gold(f"mixup{i}_jitter_fliprand_dy_dx")
    made = geometry.mixup(given(f"mixup{i}_in_"), given(f"mixup{i}_aux_"), jitter, flip > 0.5, int(top), int(left))
    agree(made, f"mixup{i}_out_")


@pytest.mark.parametrize("i", range(3))
def test_hsv(i: int) -> None:
    hue, saturation, value = gold(f"hsv{i}_gains").tolist()
    assert np.array_equal(pixels.shifted(gold("hsv_in"), hue, saturation, value), gold(f"hsv{i}_out"))


def test_flip_and_filter() -> None:
    agree(geometry.mirrored(given("flip_in_")), "flip_out_hw_order_")
    agree(geometry.kept(given("filter_in_")), "filter_out_")


def test_the_reference_mirrors_boxes_and_points_with_the_height() -> None:
    """On an image that is not square it takes the height for the width; ours differs by exactly that."""
    name, made = "flip_out_nonsquare_input_size_bug_", geometry.mirrored(given("flip_in_"))
    height, width = made.image.shape[:2]
    assert np.array_equal(made.image, gold(f"{name}img")) and close(made.areas, gold(f"{name}area"))
    assert np.array_equal(made.visible, gold(f"{name}keypoints_visible"))
    assert close(made.keypoints - np.array([width - height, 0]), gold(f"{name}keypoints"))
    assert close(made.boxes - np.array([width - height, 0] * 2), gold(f"{name}bbox"))


def test_no_golden_array_is_left_out() -> None:
    if len(USED) > 100:  # the whole file ran in this process
        assert set(GOLDEN) == USED


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
            boxes=np.concatenate([corner, corner + 20], 1).astype(np.float32),
            keypoints=keypoints.astype(np.float32),
            visible=np.full((self.persons, 17), 2, np.float32),
            areas=np.full(self.persons, 200, np.float32),
            labels=np.arange(self.persons),
            keypoint_weights=rng.integers(0, 2, (self.persons, 17)).astype(np.float32),
            ignore=ignore,
            image_id=index,
        )


PIPELINES: dict[str, Callable[[tuple[int, int]], Augment | Letterbox]] = {
    "coco_main": pipelines.coco_main,
    "coco_main_t": lambda size: pipelines.coco_main(size, mixup=False),
    "crowdpose_main": pipelines.crowdpose_main,
    "coco_final": pipelines.coco_final,
    "coco_final_moves": lambda size: pipelines.coco_final(size, moves=True),
    "crowdpose_final": pipelines.crowdpose_final,
    "light": pipelines.light,
    "letterbox": lambda size: Letterbox(size=size),
}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("size", [(64, 64), (64, 96), (96, 32)])
def test_every_pipeline_at_every_shape(name: str, size: tuple[int, int]) -> None:
    pipeline, data = PIPELINES[name](size), Scenes()
    for seed in range(12):
        made = pipeline(data, seed % 7, np.random.default_rng(seed))
        again = pipeline(data, seed % 7, np.random.default_rng(seed))
        assert made.image.shape == (*size, 3) and made.image.dtype == np.uint8
        assert np.array_equal(made.image, again.image) and np.array_equal(made.keypoints, again.keypoints)
        assert made.image.flags.c_contiguous and made.image_id == seed % 7
        rows = len(made)
        assert made.keypoints.shape == (rows, 17, 2) and made.visible.shape == made.keypoint_weights.shape == (rows, 17)
        assert made.areas.shape == made.labels.shape == (rows,) and made.labels.dtype == np.int64
        for array in (made.boxes, made.keypoints, made.visible, made.areas, made.keypoint_weights):
            assert array.dtype == np.float32
        high, wide = size
        # a mirror brings the edge at `wide` to -1: as published, clipping counts edges and the mirror counts pixels
        assert (made.boxes >= (-1, 0, -1, 0)).all() and (made.boxes <= (wide, high, wide, high)).all()
        seen = made.keypoints[made.visible > 0]
        assert (seen >= (-1, 0)).all() and (seen <= (wide, high)).all()
        if isinstance(pipeline, Augment):
            assert (made.ignore is not None) == pipeline.ignore
        if made.ignore is not None:
            assert made.ignore.shape == size and set(np.unique(made.ignore)) <= {0, 1}


@pytest.mark.parametrize("name", ["coco_main", "coco_final_moves", "light"])
def test_another_generator_gives_another_picture(name: str) -> None:
    pipeline = PIPELINES[name]((64, 64))
    pictures = {pipeline(Scenes(), 0, np.random.default_rng(seed)).image.tobytes() for seed in range(6)}
    assert len(pictures) > 4


def test_pipelines_leave_the_data_set_alone() -> None:
    sample = Scenes()[0]
    before = {f: np.copy(getattr(sample, f)) for f in ("image", "boxes", "keypoints", "visible", "areas", "ignore")}
    for make in PIPELINES.values():
        for seed in range(5):
            make((64, 64))([sample], 0, np.random.default_rng(seed))
    assert all(np.array_equal(getattr(sample, f), v) for f, v in before.items())


@pytest.mark.parametrize("name", ["coco_main_t", "coco_final_moves", "light", "letterbox"])
def test_points_stay_on_what_they_mark(name: str) -> None:
    """Key points are drawn as bright pixels on dark ground: after the whole pipeline they are still the bright ones."""
    pipeline = PIPELINES[name]((192, 224))
    if isinstance(pipeline, Augment):
        pipeline = replace(pipeline, hsv=None)
    bright = []
    for seed in range(20):
        made = pipeline(Scenes(1), seed % 7, np.random.default_rng(seed))
        for x, y in made.keypoints[made.visible > 0]:
            around = made.image[max(round(y) - 2, 0) : round(y) + 3, max(round(x) - 2, 0) : round(x) + 3, 0]
            bright.append(around.max() > 60 if around.size else True)
    assert len(bright) > 100 and np.mean(bright) > 0.95


def test_the_mask_moves_with_the_image() -> None:
    """The mask marks the only bright part of an image that is not square; so it must do after fit and mirror."""
    sample = Scenes(0)[0]
    assert sample.ignore is not None
    sample.image[:] = np.where(sample.ignore[..., None] > 0, 255, 0)
    for seed in range(8):
        pipeline = replace(pipelines.coco_final((64, 96), moves=True), hsv=None)
        made = pipeline([sample], 0, np.random.default_rng(seed))
        assert made.ignore is not None
        inside, outside = made.image[made.ignore > 0, 0], made.image[made.ignore == 0, 0]
        assert inside.min() > 114 and outside.max() <= 191 and inside.size > 50


def test_mirror_swaps_left_and_right() -> None:
    sample = Scenes(1)[0]
    twice = geometry.mirrored(geometry.mirrored(sample))
    assert np.allclose(twice.keypoints, sample.keypoints, atol=1e-4) and np.array_equal(twice.image, sample.image)
    once = geometry.mirrored(sample)
    assert np.array_equal(once.keypoint_weights[:, 5], sample.keypoint_weights[:, 6])
    assert once.keypoints[0, 5, 0] == pytest.approx(99 - sample.keypoints[0, 6, 0], abs=1e-4)
    assert not any(
        np.array_equal(pipelines.light((64, 64))([sample], 0, np.random.default_rng(s)).keypoint_weights[0],
                       once.keypoint_weights[0]) for s in range(20)
    ), "the light pipeline does not mirror"  # fmt: skip


def test_letterbox_and_back() -> None:
    for size in ((64, 64), (64, 160), (320, 96)):
        for index in range(7):
            sample = Scenes()[index]
            boxed = Letterbox(size=size)([sample], 0, np.random.default_rng(0))
            image, center, scale = geometry.letterbox(sample.image, size)
            assert np.array_equal(boxed.image, image)
            back = geometry.unletterbox(boxed.keypoints, size, center, scale)
            assert np.allclose(back, sample.keypoints, atol=1e-3)


def test_mixup_is_skipped_without_persons() -> None:
    sample = Scenes()[0]
    assert MixUp()(sample, Scenes(0), np.random.default_rng(0)) is sample


def test_bounds_of_what_is_drawn() -> None:
    drawn = np.array(pipelines._within_one(np.random.default_rng(0), 4000))
    assert abs(drawn).max() <= 1 and 0.5 < drawn.std() < 0.58 and abs(drawn.mean()) < 0.03
    grey = [Scenes(0)[0] for _ in range(3)]
    for sample in grey:
        sample.image[:] = (100, 110, 120)
    shifted = {tuple(pipelines.Hsv()(grey[0], np.random.default_rng(s)).image[0, 0].tolist()) for s in range(200)}
    assert (100, 110, 120) in shifted and len(shifted) > 50
    assert {c[2] for c in shifted} <= set(range(90, 151)), "the value moves by at most 30"


def test_published_settings() -> None:
    main, crowd = pipelines.coco_main(), pipelines.crowdpose_main()
    assert main == Augment() and main.size == (640, 640) and main.mixup == MixUp(scale=(0.8, 1.6))
    assert main.warp == pipelines.Warp(shift=0.1, scale=(0.75, 1.0), rotate=10, shear=2)
    assert crowd.warp == pipelines.Warp(shift=0.2, scale=(0.5, 1.5), rotate=30, shear=2)
    assert pipelines.coco_main((416, 416), mixup=False).mixup is None
    assert pipelines.coco_final(moves=True).fit == Fit(shift=0.2, scale=(0.75, 1.5), rotate=30)
    assert pipelines.coco_final().fit == pipelines.crowdpose_final().fit == pipelines.unmoved()


def test_what_does_not_end_at_the_size_is_refused() -> None:
    with pytest.raises(Refused, match="multiples of 32"):
        Augment(size=(100, 640))
    wrong: tuple[Callable[[], Augment], ...] = (
        lambda: Augment(fit=Fit()),
        lambda: Augment(warp=None),
        lambda: Augment(mosaic=None),
        lambda: Augment(warp=None, fit=Fit()),
    )
    for make in wrong:
        with pytest.raises(Refused, match="mosaic and warp together"):
            make()
