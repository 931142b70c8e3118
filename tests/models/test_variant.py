"""What a phase and a variant accept, one value for one network, and what no network can be built from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.small import small_variant
from workbench.components.coords.regression import Regression
from workbench.components.losses.mle import MLE
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import COCO, CROWDPOSE, HAND21, SKELETONS
from workbench.core.spec import Spec, from_dict
from workbench.models.catalog import spec_types
from workbench.models.decode import detect
from workbench.models.network import Network
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


OWN = Skeleton(name="two", keypoints=("left_a", "right_a"), sigmas=(0.1, 0.1), flip=(1, 0), limbs=((0, 1),))


def test_a_set_of_ones_own_is_part_of_the_identity() -> None:
    mine = Variant(keypoint_set=OWN, num_keypoints=2)
    assert mine.skeleton == OWN and from_dict(mine.to_dict(), spec_types()) == mine
    others = [replace(OWN, sigmas=(0.1, 0.2)), replace(OWN, flip=(0, 1)), replace(OWN, keypoints=("a", "b"))]
    assert len({mine.key, *(Variant(keypoint_set=one, num_keypoints=2).key for one in others)}) == 4
    with pytest.raises(Refused, match="'two' has 2 key points, num_keypoints is 17: set num_keypoints=2"):
        Variant(keypoint_set=OWN)


@pytest.mark.parametrize("named", SKELETONS.values(), ids=SKELETONS)
def test_a_published_set_is_written_as_its_name(named: Skeleton) -> None:
    whole = Variant(keypoint_set=named, num_keypoints=len(named))
    assert whole.keypoint_set == ("" if named in (COCO, CROWDPOSE) else named.name)
    assert whole.key == Variant(keypoint_set=named.name, num_keypoints=len(named)).key


def test_a_network_of_any_number_of_key_points() -> None:
    for one in (HAND21, replace(OWN, keypoints=("a",), sigmas=(0.1,), flip=(0,), limbs=())):
        network = Network(small_variant(keypoint_set=one, num_keypoints=len(one))).eval()
        with torch.no_grad():
            found = detect(network, torch.zeros(1, 3, 64, 64), score_threshold=0.0, nms_threshold=0.65, image_ids=[1])
        assert found[0].keypoints.shape[1:] == (len(one), 2)


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


def test_classes_have_names_and_the_usual_one_is_no_other_network() -> None:
    assert Variant().classes == ("person",) and Variant(class_names=("person",)).key == Variant().key
    assert Variant(class_names=("goat",)).classes == ("goat",) and Variant(class_names=("goat",)).key != Variant().key
    assert Variant(num_classes=2).classes == ("class 0", "class 1")
    assert Variant(num_classes=2, class_names=("goat", "dog")).classes == ("goat", "dog")
    with pytest.raises(Refused, match=r"class_names \('goat',\): num_classes is 2; give as many names"):
        Variant(num_classes=2, class_names=("goat",))
