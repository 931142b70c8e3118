"""Persons as people give them: packed, or refused in a line."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from workbench.core.errors import Refused
from workbench.models.given_targets import pack_targets
from workbench.models.variant import Variant
from workbench.models.zoo import rtmo

IMAGE = torch.zeros(1, 3, 64, 64)
RTMO_S = Variant()


def people(count: int) -> dict[str, Any]:
    return {
        "boxes": torch.tensor([[4.0, 4.0, 40.0, 40.0]]).repeat(count, 1),
        "keypoints": torch.full((count, 17, 2), 20.0),
        "visible": torch.full((count, 17), 2.0),
        "areas": torch.full((count,), 500.0),
    }


GOOD = people(2)


def packed(targets: Any, images: Any = IMAGE, variant: Variant = RTMO_S) -> Any:
    return pack_targets(targets, images, variant)


def test_images_with_few_persons_are_padded() -> None:
    found = packed([people(1), SimpleNamespace(**people(3)), people(0)], torch.zeros(3, 3, 64, 64))
    assert found.present.tolist() == [[True, False, False], [True, True, True], [False, False, False]]
    assert found.boxes.shape == (3, 3, 4) and found.keypoints.shape == (3, 3, 17, 2)
    assert set(found.visible[found.present].unique().tolist()) == {1.0}, "2 and 1 are both labelled"
    assert not found.visible[~found.present].any() and not found.areas[~found.present].any()


def test_a_batch_without_persons_keeps_its_shapes() -> None:
    found = packed([people(0), people(0)], torch.zeros(2, 3, 64, 64))
    assert found.boxes.shape == (2, 1, 4) and found.keypoints.shape == (2, 1, 17, 2) and not found.present.any()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "one entry for each of the 1 images"),
        (GOOD, "expected a list"),
        (IMAGE, "Tensor given; expected a list"),
        ([{"boxes": GOOD["boxes"]}], "no keypoints, visible, areas"),
        ([GOOD | {"keypoints": torch.zeros(2, 14, 2)}], r"expected \(2, 17, 2\)"),
        ([GOOD | {"areas": torch.tensor([1.0, torch.nan])}], "areas: holds NaN"),
        ([GOOD | {"boxes": torch.tensor(1.0)}], "boxes"),
        ([GOOD | {"labels": torch.tensor([0, 1])}], r"labels: \[0, 1\]; expected 0..0"),
    ],
)
def test_targets_that_are_refused(targets: Any, message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        packed(targets)
    assert "\n" not in str(refused.value)


def test_several_classes_want_labels() -> None:
    variant = rtmo("s").vary({"num_classes": 3})
    with pytest.raises(Refused, match="no labels"):
        packed([GOOD], variant=variant)
    assert packed([GOOD | {"labels": [2, 0]}], variant=variant).labels.tolist() == [[2, 0]]
