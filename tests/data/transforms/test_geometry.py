"""Geometry gives the reference's numbers."""

import numpy as np
import pytest

from tests.data.transforms.golden import GOLDEN, SIZE, agree, close, given, gold
from workbench.data.transforms import geometry


@pytest.mark.parametrize("i", range(3))
def test_letterbox(i: int) -> None:
    image = gold(f"resize{i}_in_img")
    placed = geometry.Letterbox.of((image.shape[0], image.shape[1]), SIZE)
    assert np.array_equal(placed.image(image), gold(f"resize{i}_out_img"))
    assert close(placed.center, gold(f"resize{i}_input_center"))
    assert close(placed.extent, gold(f"resize{i}_input_scale"))
    assert close(placed.matrix[:2], gold(f"resize{i}_warp_mat"))


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


def test_flip_and_filter() -> None:
    agree(geometry.mirrored(given("flip_in_")), "flip_out_hw_order_")
    agree(geometry.kept(given("filter_in_")), "filter_out_")


def test_the_reference_mirrors_boxes_and_points_with_the_height() -> None:
    """On an image that is not square it takes the height for the width; ours differs by exactly that."""
    name, made = "flip_out_nonsquare_input_size_bug_", geometry.mirrored(given("flip_in_"))
    height, width = made.image.shape[:2]
    assert np.array_equal(made.image, gold(f"{name}img")) and close(made.persons.areas, gold(f"{name}area"))
    assert np.array_equal(made.persons.visible, gold(f"{name}keypoints_visible"))
    assert close(made.persons.keypoints - np.array([width - height, 0]), gold(f"{name}keypoints"))
    assert close(made.persons.boxes - np.array([width - height, 0] * 2), gold(f"{name}bbox"))


def test_no_golden_array_is_left_out() -> None:
    """Every group of arrays has its test above, those of colours theirs in `test_pixels`."""
    groups = {key.split("_")[0] for key in GOLDEN}
    numbered = {"aff": 2, "pers": 3, "resize": 3, "mosaic": 3, "mixup": 3, "hsv": 3}
    assert groups == {"flip", "filter", "mosaic", "hsv"}.union(
        *({f"{n}{i}" for i in range(k)} for n, k in numbered.items())
    )
