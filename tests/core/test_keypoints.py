"""Names of key points: which are left and right of each other in any spelling, and which are no set."""

from typing import Any

import pytest

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton, canonical, mirror_of

PLAIN: dict[str, Any] = {"name": "two", "keypoints": ("left_a", "right_a"), "sigmas": (0.1, 0.1), "flip": (1, 0)}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("eye_left", "eye_right"),
        ("Left Eye", "Right Eye"),
        ("leftEye", "rightEye"),
        ("lefteye", "righteye"),
        ("L_Eye", "R_Eye"),
        ("LEye", "REye"),
        ("l_eye", "r_eye"),
        ("leye", "reye"),
        ("Leye", "Reye"),
        ("eye_l", "eye_r"),
        ("eyeL", "eyeR"),
        ("eye-L", "eye-R"),
        ("front_left_paw", "front_right_paw"),
        ("L_F_Paw", "R_F_Paw"),
        ("left", "right"),
    ],
)
def test_left_and_right_are_found_in_any_spelling(left: str, right: str) -> None:
    assert mirror_of(["nose", left, "tail", right]) == (0, 3, 2, 1)
    set_of = Skeleton(name="x", keypoints=(left, right), sigmas=(0.1, 0.1), flip=(1, 0))
    assert (set_of.side(0), set_of.side(1)) == ("left", "right")


def test_what_only_looks_like_a_side_is_none() -> None:
    names = ["L1", "L2", "L3", "heel", "root_of_tail", "rear", "leftmost_point_of_lip"]
    assert mirror_of(names[:-1]) == tuple(range(6))
    middle = Skeleton(name="x", keypoints=("left_a", "b"), sigmas=(0.1, 0.1), flip=(0, 1))
    assert middle.side(0) is None, "it has no mirror"


def test_spellings_of_one_name_are_one() -> None:
    assert canonical(["L_Eye", "R_Eye", "Root of tail"]) == canonical(["eyeLeft", "eyeRight", "root_of_tail"])


def test_a_side_alone_and_one_name_twice_are_refused() -> None:
    with pytest.raises(Refused, match="'left_eye' has no mirror among left_eye, nose; give the pairs"):
        mirror_of(["left_eye", "nose"])
    with pytest.raises(Refused, match="'left_eye' and 'L_Eye' mean the same"):
        mirror_of(["left_eye", "right_eye", "L_Eye"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sigmas": (0.1,)}, "1 sigmas for 2 key points"),
        ({"sigmas": (0.1, 0.0)}, "sigma 0.0: must be above 0"),
        ({"flip": (0,)}, "1 mirrored indices for 2 key points"),
        ({"flip": (1, 1)}, "mirror of 'left_a' does not lead back|mirror of 'right_a' does not"),
        ({"flip": (2, 1)}, "mirror of 'left_a' does not lead back"),
        ({"limbs": ((0, 2),)}, r"limb \(0, 2\): there are key points 0 to 1"),
        ({"keypoints": ("a", "a")}, "'a' stands 2 times"),
        ({"keypoints": ("a", "")}, "'': expected words"),
        ({"keypoints": ("a", "b,c")}, "'b,c': expected words without a comma"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], said: str) -> None:
    assert len(Skeleton(**PLAIN)) == 2
    with pytest.raises(Refused, match=said):
        Skeleton(**PLAIN | change)
