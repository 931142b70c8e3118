"""Key-point sets: their parts fit together, and an unknown one is refused with those that there are."""

import pytest

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import (
    AP10K,
    COCO,
    COCO_WHOLEBODY,
    CROWDPOSE,
    HALPE26,
    HAND21,
    SKELETONS,
    columns_of,
    released_skeleton,
    skeleton_named,
    skeleton_of,
)

SUMS = {
    "coco": 1.138,
    "crowdpose": 1.15,
    "aic": 0.300562,
    "mpii": 1.288,
    "halpe26": 1.73,
    "coco_wholebody": 3.861,
    "ap10k": 1.138,
    "hand21": 0.553,
}  # of the constants, as published
every = pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)


@every
def test_a_mirror_exchanges_left_and_right(skeleton: Skeleton) -> None:
    names = skeleton.keypoints
    assert len(set(names)) == len(names) == len(skeleton.sigmas) == len(skeleton.flip)
    for name, other, sigma in zip(names, skeleton.flip, skeleton.sigmas, strict=True):
        side = {"left": "right", "right": "left"}.get(name.split("_")[0])
        if not name.startswith("face"):
            assert names[other] == (f"{side}_{name.partition('_')[2]}" if side else name)
        if skeleton not in (SKELETONS["aic"], COCO_WHOLEBODY):  # measured apart, side by side
            assert skeleton.sigmas[other] == sigma, "both sides are labelled equally well"


@every
def test_limbs_are_the_same_in_a_mirror(skeleton: Skeleton) -> None:
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.flip[k] for k in limb) for limb in limbs} == limbs
    joined = {k for limb in limbs for k in limb}
    faces = {k for k, name in enumerate(skeleton.keypoints) if name.startswith("face")}
    assert len(limbs) == len(skeleton.limbs) and joined | faces == set(range(len(skeleton)))


@every
def test_a_set_is_found_by_its_names_in_any_order(skeleton: Skeleton) -> None:
    turned = skeleton.keypoints[::-1]
    assert skeleton_of(turned) is skeleton
    assert columns_of(turned, skeleton) == tuple(range(len(skeleton)))[::-1]
    assert skeleton_of(turned[1:]) is None and skeleton_of((*turned[1:], "antenna")) is None


def test_names_are_found_in_other_spellings() -> None:
    body = tuple("".join(word.capitalize() for word in name.split("_")) for name in HALPE26.keypoints)
    short = tuple(name.replace("Left", "L").replace("Right", "R") for name in body)
    assert "LBigToe" in short and skeleton_of(short) is HALPE26
    paws = [name.replace("front", "F").replace("back", "B").replace("left", "L") for name in AP10K.keypoints]
    assert skeleton_of([name.replace("right", "R") for name in paws]) is AP10K
    assert skeleton_of([*CROWDPOSE.keypoints[:12], "head", "neck"]) is CROWDPOSE, "as its own files call the top"
    assert skeleton_of([f"{n.partition('_')[2]} {n.partition('_')[0]}".strip() for n in COCO.keypoints]) is COCO


def test_other_names_are_told() -> None:
    with pytest.raises(Refused, match="not the key points of coco: without left_eye and with antenna"):
        columns_of(["antenna" if name == "left_eye" else name for name in COCO.keypoints], COCO)


def test_published_numbers() -> None:
    assert [len(one) for one in SKELETONS.values()] == [17, 14, 14, 16, 26, 133, 17, 21]
    sums = {name: round(sum(one.sigmas), 6) for name, one in SKELETONS.items()}
    assert sums == SUMS
    assert COCO_WHOLEBODY.sigmas[91:112] == COCO_WHOLEBODY.sigmas[112:] == HAND21.sigmas
    jaw, brow, eye, lip = (23 + k for k in (0, 17, 36, 48))
    assert [COCO_WHOLEBODY.flip[k] - 23 for k in (jaw, brow, eye, lip)] == [16, 26, 45, 54]


def test_a_set_is_found_by_its_name_or_by_its_size() -> None:
    assert skeleton_named("coco") is released_skeleton(17) is COCO
    assert skeleton_named("crowdpose") is released_skeleton(14) is CROWDPOSE
    with pytest.raises(Refused, match="no key-point set 'hands'; there are coco, crowdpose, aic, mpii,"):
        skeleton_named("hands")
    with pytest.raises(Refused, match=r"16 key points: .* there are 17 \(coco\), 14 \(crowdpose\)"):
        released_skeleton(16)
