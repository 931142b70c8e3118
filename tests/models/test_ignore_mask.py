"""The look-up of the ignore mask against the reference, and the exact one."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tests.data.datasets.animals import category
from tests.recorded import close, logit, piece
from workbench.components.losses.varifocal import VariFocal
from workbench.core.augmentation import AugmentationStep, Fit, Flip, MixUp, Mosaic, Warp
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.folder import open_dataset
from workbench.data.loader import collate, resize
from workbench.data.transforms.pipelines import Pipeline
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.models.criterion import MatchedBatch
from workbench.models.ignore_mask import ignore_weight
from workbench.models.variant import Phase
from workbench.tensors import Assignment, Batch, Dense, Detections, Sample

REGIONS = ((10, 8, 22, 20), (70, 10, 24, 18), (12, 68, 20, 24))  # x, y, width, height: a crowd and two without points
PERSON = (56, 56, 30, 30)
STEPS: dict[str, tuple[AugmentationStep, ...]] = {
    "whole": (),
    "fit": (Fit(shift=0.05, rotate=10.0),),
    "warp": (Warp(shift=0.05),),
    "mirror": (Flip(probability=1.0),),
    "all": (Fit(shift=0.02, scale=(1.2, 1.3), rotate=10.0), Warp(shift=0.02), Flip(probability=1.0)),
}
DROPPED: dict[str, tuple[AugmentationStep, ...]] = {"mosaic": (Mosaic(), Warp()), "mix-up": (MixUp(),)}


@pytest.mark.parametrize("shape", ["square", "rect"])
def test_ignore_mask_as_the_reference(shape: str) -> None:
    g = piece(f"obj_weight_mask_{shape}")
    ours = ignore_weight(g["mask"], g["kpts"][None], logit(g["kpt_vis_prob"])[None])
    close(ours[0], g["obj_weight"][:, 0])
    assert 0 < float(ours.mean()) < 1


def test_exact_ignore_mask_reads_the_pixel_of_the_point() -> None:
    mask = torch.zeros(2, 8, 20)
    mask[1, 6, 15] = 1
    at = torch.tensor([[15.0, 6.0], [15.5, 6.0], [6.0, 15.0], [0.0, 0.0]])
    points = at[None, :, None].expand(2, -1, 3, -1)
    weight = ignore_weight(mask, points, torch.ones(2, 4, 3), exact=True)
    close(weight, torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.5, 1.0, 1.0]]))


def test_the_exact_mask_samples_the_pixel_on_masks_that_are_not_square() -> None:
    mask = torch.zeros(1, 40, 80)
    mask[0, 30:, :] = 1
    points = torch.tensor([[[[60.0, 35.0]], [[60.0, 10.0]]]])  # below and above the mask's edge
    seen = torch.full((1, 2, 1), 5.0)
    assert ignore_weight(mask, points, seen, exact=True).tolist() == [[0.0, 1.0]]
    # published: both coordinates are divided by the width, so the lower point is looked up higher
    assert ignore_weight(mask, points, seen).tolist() == [[1.0, 1.0]]


# From annotations to the loss and to the judgement


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Annotated:
    """One image with three regions, each of a colour of its own, and a person that is labelled."""
    root = tmp_path_factory.mktemp("regions")
    picture = np.zeros((96, 112, 3), np.uint8)
    people: list[dict[str, Any]] = []
    for number, (x, y, w, h) in enumerate((*REGIONS, PERSON)):
        if number < 3:
            picture[y : y + h, x : x + w, number] = 255
        outline = [x, y, x + w, y, x + w, y + h, x, y + h]
        points = [v for k in range(5) for v in (x + 2 + 5 * k, y + 3 + 5 * k, 2)] if number == 3 else [0] * 15
        one = {"id": number + 1, "image_id": 1, "category_id": 1, "iscrowd": int(number == 0), "bbox": [x, y, w, h]}
        shape = {"segmentation": [outline]} if number == 1 else {}
        people.append({**one, **shape, "area": 0.6 * w * h, "num_keypoints": 5 * (number == 3), "keypoints": points})
    for part in ("train2017", "val2017"):
        name = f"{part}.png"
        image = {"id": 1, "file_name": name, "width": 112, "height": 96}
        (root / "annotations").mkdir(exist_ok=True)
        content = {"images": [image], "annotations": people, "categories": [category()]}
        (root / f"annotations/person_keypoints_{part}.json").write_text(json.dumps(content))
        (root / part).mkdir()
        cv2.imwrite(str(root / part / name), picture + (part == "val2017"))
    return open_dataset(root, "train")


def augmented(data: Annotated, steps: tuple[AugmentationStep, ...]) -> Sample:
    return Pipeline(size=(96, 96), steps=steps, ignore=True)(data, 0, np.random.default_rng(3))


def told(batch: Batch, places: Tensor) -> Dense:
    """What a network says that takes each of these places (N, 2) for a person."""
    n = len(places)
    return Dense(
        cls=torch.zeros(1, n, 1, requires_grad=True),
        box_raw=torch.zeros(1, n, 4),
        boxes=torch.zeros(1, n, 4),
        proxy=places[None, :, None].expand(1, n, 5, 2),
        vis=torch.full((1, n, 5), 5.0),
        pose=torch.zeros(1, n, 8),
        points=places,
        strides=torch.ones(n),
        canvas=(batch.images.shape[-2], batch.images.shape[-1]),
    )


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [(96, 96), (64, 64), (160, 160)])
@pytest.mark.parametrize("steps", STEPS)
def test_who_is_found_in_a_region_is_no_mistake(
    steps: str, size: tuple[int, int], exact: bool, data: Annotated
) -> None:
    """After any step, and at any of the random sizes: only the place beside persons and regions is background."""
    batch = resize(collate([augmented(data, STEPS[steps])]), size)
    bright = batch.images[0] > 127
    assert bright.sum((1, 2)).min() > 40, "all three are in the image"
    centres = [region.nonzero().float().mean(0).flip(0) for region in bright]  # x and y of each colour
    person = batch.targets.keypoints[0, 0].mean(0)
    places = torch.stack([*centres, person, torch.tensor([size[1] / 2, size[0] / 3])])
    dense, none = told(batch, places), torch.zeros(0, dtype=torch.int64)
    assigned = Assignment(image=none, cell=none, person=none, overlaps=torch.zeros(0))
    phase = Phase(final=True, exact_ignore=exact)
    unused: Any = None  # the network gives key points, which nobody asks for
    matched = MatchedBatch(unused, dense, batch.targets, assigned, phase, torch.ones(5))
    VariFocal()(matched).backward()
    assert dense.cls.grad is not None
    assert (dense.cls.grad[0, :, 0] != 0).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("steps", DROPPED)
def test_a_mask_is_dropped_rather_than_misplaced(steps: str, data: Annotated) -> None:
    """Published: only the final phase, which has neither step, looks at regions."""
    assert augmented(data, DROPPED[steps]).ignore is None


def test_who_is_found_in_a_region_is_neither_right_nor_wrong(data: Annotated) -> None:
    """Four are found, the person with the least score: a mistake among the others would cost AP."""
    corners = np.array([*REGIONS, PERSON], np.float32)
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], 1)
    middle = np.array((boxes[:, None, :2] + boxes[:, None, 2:]) / 2 + np.arange(5)[:, None], np.float32)
    middle[3] = data[0].persons.keypoints[3]
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    found = Detections(
        boxes=boxes,
        scores=scores,
        labels=np.zeros(4, np.int64),
        keypoints=middle,
        keypoint_scores=np.ones((4, 5), np.float32),
        image_id=1,
    )
    judged = evaluate_coco(data.coco(), [found], data.skeleton.sigmas)
    assert [judged["AP"], judged["AR"]] == pytest.approx([1, 1])
    assert judged.records.ignored[:, 0].tolist() == [True, True, True, False]
