"""The labelled persons of an image."""

from workbench.report.truth import area_of, persons_by_image


def test_crowds_and_persons_without_key_points_are_none() -> None:
    person = {"image_id": 1, "keypoints": [1, 2, 2], "area": 9.0, "bbox": [0, 0, 3, 3]}
    nobody = person | {"keypoints": [0, 0, 0]}
    found = persons_by_image({"annotations": [person, person | {"iscrowd": 1}, nobody, person | {"image_id": 2}]})
    assert {image: len(persons) for image, persons in found.items()} == {1: 1, 2: 1}


def test_a_person_without_a_mask_has_a_share_of_its_box() -> None:
    person = {"image_id": 1, "keypoints": [1, 2, 2], "area": 9.0, "bbox": [0, 0, 10, 20]}
    assert area_of(person) == 9.0 and 0 < area_of(person | {"area": 0.0}) < 200
