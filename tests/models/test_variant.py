"""Variants: what no network can be built from is refused where it is declared."""

import pytest

from tests.small import small_variant
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused
from workbench.models.variant import Phase, Variant


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
