"""The evaluation of a network on its job's validation images: each image once, by the rules of the data."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.small import small_job
from workbench.evaluation.coco_ap import evaluate_coco, evaluate_crowdpose
from workbench.models.network import Network
from workbench.tensors import Detections
from workbench.training.machine import Machine
from workbench.training.source import open_source
from workbench.training.validate import evaluate_network

JOB = small_job(score_threshold=1e-3)  # so low that random weights find somebody


def test_what_was_found_is_evaluated_by_the_rules_of_the_data(tmp_path: Path) -> None:
    network, source = Network(JOB.variant, seed=0).eval(), open_source(JOB, 0, tmp_path)
    for rules, evaluate in (("coco", evaluate_coco), ("crowdpose", evaluate_crowdpose)):
        evaluation, found = evaluate_network(JOB, network, replace(source, evaluation=rules), Machine())
        assert [one.image_id for one in found] == [i for batch in source.validate() for i in batch.image_ids]
        assert sum(map(len, found)) > 0
        expected = evaluate(source.truth, found, source.skeleton.sigmas)
        assert dict(evaluation) == pytest.approx(dict(expected), nan_ok=True)
        assert ("AP_H" in evaluation.values) == (rules == "crowdpose")


def test_persons_are_brought_back_to_their_image_before_they_are_judged(tmp_path: Path) -> None:
    def moved(one: Detections) -> Detections:
        return replace(one, keypoints=one.keypoints + 1000)

    network, source = Network(JOB.variant, seed=0).eval(), open_source(JOB, 0, tmp_path)
    near, found = evaluate_network(JOB, network, source, Machine())
    far, shifted = evaluate_network(JOB, network, replace(source, restore=moved), Machine())
    assert [one.keypoints.tolist() for one in map(moved, found)] == [one.keypoints.tolist() for one in shifted]
    assert near["mOKS"] > far["mOKS"] == pytest.approx(0, abs=1e-9)


def test_images_that_were_not_shown_leave_the_truth(tmp_path: Path) -> None:
    """Persons of an image that can not be read are not missed: nobody could find them."""
    network, source = Network(JOB.variant, seed=0).eval(), open_source(JOB, 0, tmp_path)
    every = next(iter(source.validate()))
    first = replace(every, images=every.images[:3], image_ids=every.image_ids[:3])
    part = replace(source, validate=lambda: iter([first]))
    evaluation, found = evaluate_network(JOB, network, part, Machine())
    images = [image for image in source.truth["images"] if image["id"] in first.image_ids]
    people = [one for one in source.truth["annotations"] if one["image_id"] in first.image_ids]
    assert 0 < len(images) < len(source.truth["images"])
    truth = {**source.truth, "images": images, "annotations": people}
    assert dict(evaluation) == pytest.approx(dict(evaluate_coco(truth, found, source.skeleton.sigmas)), nan_ok=True)
