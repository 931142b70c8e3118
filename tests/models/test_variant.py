"""What a phase and a variant accept, and one value for one network."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.components.losses.mle import MLE
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.core.spec import Spec
from workbench.models.variant import Phase, Variant


@pytest.mark.parametrize(
    ("cls", "name", "values"),
    [
        (Phase, "overlaps_power", (-0.5,)),
        (Variant, "num_classes", (0, -1)),
    ],
)
def test_a_value_out_of_range_is_refused_when_declared(cls: type[Spec], name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(Refused, match=name):
            cls(**{name: value})


def test_a_class_target_without_power_is_no_fault() -> None:
    assert Phase(overlaps_power=0.0).overlaps_power == 0


def test_two_losses_of_one_term_are_refused() -> None:
    with pytest.raises(Refused, match=r"'loss_mle', 'loss_mle'.*two have the same term"):
        Variant(losses=(MLE(), MLE(mode="linear")))


def test_a_released_key_point_set_is_written_as_none() -> None:
    """The set that the number of key points already means is no other variant: its key is the same."""
    named = Variant(keypoint_set=COCO.name)
    assert named == Variant() and named.key == Variant().key
    assert named.skeleton is COCO


def test_a_key_point_set_of_another_size_is_refused() -> None:
    with pytest.raises(Refused, match="set num_keypoints=17"):
        Variant(keypoint_set=COCO.name, num_keypoints=14)
