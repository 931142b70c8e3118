"""What a phase and a variant accept, one value for one network, and what no network can be built from."""

from __future__ import annotations

from typing import Any

import pytest

from tests.small import small_variant
from workbench.components.coords.regression import Regression
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coords": Regression()}, "teach itself"),
        (
            {"coords": Regression(), "phases": (Phase(),)},
            r"MLE needs \['axes', 'sigma'\], but Regression offers nothing",
        ),
        ({"phases": (Phase(),)}, "1 phases want as many weights"),
        ({"phases.1.start": 0.99}, "must begin at 0, ascend"),
        ({"num_keypoints": 5}, "5 key points: no known skeleton"),
    ],
)
def test_an_impossible_variant_is_refused_when_declared(changes: dict, message: str) -> None:
    if "phases" in changes and "coords" in changes:
        changes = changes | {
            f"losses.{n}.weights": (1.0,) for n in ("VariFocal", "IoU", "Visibility", "OKS", "MLE", "BoxAux")
        }
    with pytest.raises(Refused, match=message):
        Variant().vary(changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keypoint_set": "nothing"}, "no key-point set 'nothing'; there are coco, crowdpose"),
        ({"keypoint_set": "crowdpose"}, "'crowdpose' has 14 key points, num_keypoints is 17: set num_keypoints=14"),
        ({"num_keypoints": 16}, r"16 key points: no known skeleton .*17 \(coco\), 14 \(crowdpose\)"),
    ],
)
def test_key_points_that_do_not_fit_are_refused_when_declared(changes: dict[str, object], said: str) -> None:
    with pytest.raises(Refused, match=said):
        small_variant(**changes)
