"""Key-point sets: their parts fit together, and an unknown one is refused with those that there are."""

import pytest

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE, SKELETONS, Skeleton, released_skeleton, skeleton_named


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_a_mirror_exchanges_left_and_right(skeleton: Skeleton) -> None:
    names = skeleton.keypoints
    assert len(set(names)) == len(names) == len(skeleton.sigmas) == len(skeleton.flip)
    for name, other, sigma in zip(names, skeleton.flip, skeleton.sigmas, strict=True):
        side = {"left": "right", "right": "left"}.get(name.split("_")[0])
        assert names[other] == (f"{side}_{name.partition('_')[2]}" if side else name)
        assert skeleton.sigmas[other] == sigma, "both sides are labelled equally well"


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_limbs_are_the_same_in_a_mirror(skeleton: Skeleton) -> None:
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.flip[k] for k in limb) for limb in limbs} == limbs
    assert len(limbs) == len(skeleton.limbs) and {k for limb in limbs for k in limb} == set(range(len(skeleton)))


def test_a_set_is_found_by_its_name_or_by_its_size() -> None:
    assert skeleton_named("coco") is released_skeleton(17) is COCO
    assert skeleton_named("crowdpose") is released_skeleton(14) is CROWDPOSE
    with pytest.raises(Refused, match="no key-point set 'hands'; there are coco, crowdpose"):
        skeleton_named("hands")
    with pytest.raises(Refused, match=r"16 key points: .* there are 17 \(coco\), 14 \(crowdpose\)"):
        released_skeleton(16)
