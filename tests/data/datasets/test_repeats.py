"""The constants of OKS from repeated annotations: which are repeats, how near the estimate is, when there is none."""

from typing import Any

import numpy as np
import pytest

from workbench.data.datasets.repeats import ENOUGH, Persons, estimated_sigmas, repeated
from workbench.data.datasets.table import MOST_PERSONS

BOX = [10.0, 20.0, 40.0, 50.0]
POINTS = [12.0, 22.0, 2.0, 45.0, 60.0, 2.0]


def person(dx: float = 0.0, **change: Any) -> dict[str, Any]:
    """An annotation of two key points, moved to the right by `dx`, its box as it is."""
    moved = [POINTS[0] + dx, *POINTS[1:3], POINTS[3] + dx, *POINTS[4:]]
    plain = {"image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": BOX, "area": 1600.0, "keypoints": moved}
    return plain | change


def sizes(*annotations: Any) -> list[int]:
    return sorted(len(group) for group in repeated(annotations, 2))


def test_a_person_annotated_again_is_found() -> None:
    (group,) = repeated([person(), person(1.5, area=1500.0)], 2)
    assert sorted((points[0, 0], area) for points, area in group) == [(12.0, 1600.0), (13.5, 1500.0)]
    assert sizes(person(), person(1), person(2)) == [3]
    assert sizes(person(), person(1), person(image_id=2), person(1, image_id=2)) == [2, 2]


def test_copies_are_no_repeats() -> None:
    assert sizes(person(), person()) == []
    assert sizes(person(), person(), person(1)) == [2]
    assert sizes(person(1), person(), person()) == [2]


@pytest.mark.parametrize(
    "other",
    [
        {"image_id": 2},
        {"category_id": 2},
        {"bbox": [20.0, 20.0, 40.0, 50.0]},  # IoU 0.6
        {"bbox": [100.0, 20.0, 40.0, 50.0]},
        {"bbox": [10.0, 20.0, 0.0, 0.0]},
        {"dx": 11.0},  # more than a quarter of 40
        {"keypoints": [0.0] * 6},
    ],
    ids=["image", "category", "box", "far", "flat", "pose", "no key points"],
)
def test_another_person_is_none(other: dict[str, Any]) -> None:
    assert sizes(person(), person(**{"dx": 1.0} | other)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"iscrowd": 1},
        {"bbox": None},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, 3, "four"]},
        {"bbox": [10.0, 20.0, 40.0, float("nan")]},
        {"keypoints": None},
        {"keypoints": POINTS[:3]},
        {"keypoints": [*POINTS[:5], float("inf")]},
        {"area": 0},
        {"area": None},
        {"area": "large"},
    ],
    ids=str,
)
def test_what_is_no_annotation_of_a_person_is_passed_over(wrong: dict[str, Any]) -> None:
    assert sizes(person(), person(1, **wrong), None, "no record") == []


def drawn(sigmas: list[float], persons: int, each: int = 2, area: float = 900.0) -> list[Persons]:
    """Persons of which every annotation is as far from the truth as the constants say: E[d^2] = area sigma^2."""
    rng = np.random.default_rng(0)
    spread = np.asarray(sigmas)[:, None] * area**0.5 / 2**0.5  # of each coordinate
    labels = np.full((len(sigmas), 1), 2.0)
    return [
        [(np.concatenate([50 + rng.normal(size=(len(sigmas), 2)) * spread, labels], 1), area) for _ in range(each)]
        for _ in range(persons)
    ]


@pytest.mark.parametrize(("persons", "each"), [(2000, 2), (700, 4)])
def test_the_estimate_is_the_truth_of_many(persons: int, each: int) -> None:
    truth = [0.02, 0.08, 0.05, 0.05]
    found = estimated_sigmas(drawn(truth, persons, each), (0, 1, 3, 2))
    assert found is not None
    assert np.allclose(found, truth, rtol=0.05)
    assert found[2] == found[3], "both sides are estimated together"


def test_the_estimate_by_hand() -> None:
    one = np.array([[0.0, 0.0, 2.0]]), 100.0
    two = np.array([[6.0, 8.0, 1.0]]), 100.0
    # each is 5 from the mean: 50 / 100 for one repeat
    assert estimated_sigmas([[one, two]] * ENOUGH, (0,)) == (round(0.5**0.5, 4),)


def test_key_points_that_are_not_labelled_do_not_count() -> None:
    groups = drawn([0.05, 0.05], 3 * ENOUGH)
    for group in groups[: 2 * ENOUGH]:
        group[0][0][1] = 0
    assert estimated_sigmas(groups, (0, 1)) == estimated_sigmas_of(groups)
    for group in groups[: 2 * ENOUGH + 1]:
        group[0][0][1] = 0
    assert estimated_sigmas(groups, (0, 1)) is None


def estimated_sigmas_of(groups: list[Persons]) -> tuple[float, ...]:
    """The same, each key point from the persons of whom it is labelled twice."""
    found: list[float] = []
    for k in range(2):
        pairs = [np.stack([points[k] for points, _ in group]) for group in groups]
        squares = [((a - b)[:2] ** 2).sum() / 2 / 900 for a, b in pairs if a[2] > 0 and b[2] > 0]
        found.append(round(float(np.mean(squares) ** 0.5), 4))
    return tuple(found)


def test_too_few_repeats_estimate_nothing() -> None:
    assert estimated_sigmas(drawn([0.05], ENOUGH - 1), (0,)) is None
    assert estimated_sigmas(drawn([0.05], ENOUGH), (0,)) is not None
    assert estimated_sigmas(drawn([0.05, 0.05], ENOUGH // 2), (1, 0)) is not None, "two sides, each repeated"
    assert estimated_sigmas([], (0, 1)) is None
    assert estimated_sigmas([], ()) is None


def test_repeats_in_the_same_place_estimate_nothing() -> None:
    assert estimated_sigmas(drawn([0.05, 0.0], ENOUGH), (0, 1)) is None


@pytest.mark.parametrize(
    "change", [{"image_id": [1]}, {"category_id": {}}, {"bbox": [10**400, 0, 1, 1]}, {"area": 10**400}]
)
def test_what_can_not_be_compared_is_passed_over(change: dict[str, Any]) -> None:
    assert sizes(person(**change), person(1, **change), person(), person(1)) == [2]


def test_an_image_with_more_persons_than_are_read_is_passed_over() -> None:
    crowd = [person(number / MOST_PERSONS) for number in range(MOST_PERSONS + 1)]
    assert sizes(*crowd, person(image_id=2), person(1, image_id=2)) == [2]
