"""The evaluation of a network on the validation images of its job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workbench.evaluation.coco_ap import Evaluation, Evaluator
from workbench.models.decode import detect
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.tensors import Batch, Detections
from workbench.training.machine import Machine
from workbench.training.source import Source, Validation


def evaluate_network(
    job: Job, network: Network, source: Source, machine: Machine
) -> tuple[Evaluation, list[Detections]]:
    """The network's evaluation on the validation images, and what it found there."""

    def find(batch: Batch) -> list[Detections]:
        with machine.autocast():
            return detect(
                network,
                batch.to(machine.device).images,
                score_threshold=job.protocol.score_threshold,
                nms_threshold=job.protocol.nms_threshold,
                image_ids=batch.image_ids,
            )

    return evaluate_batches(find, source.validate(), source)


def evaluate_batches(
    find: Callable[[Batch], Sequence[Detections]], batches: Iterable[Batch], judged: Source | Validation
) -> tuple[Evaluation, list[Detections]]:
    """The evaluation of whatever finds persons in batches of the images of `judged`, and what it found there."""
    evaluator = _evaluator(judged.truth, judged)
    found: list[Detections] = []
    shown: set[int] = set()
    for batch in batches:
        shown.update(batch.image_ids)
        for one in map(judged.restore, find(batch)):
            evaluator.add(one)  # matched while the device works on the next batch
            found.append(one)
    if len(shown) < len(judged.truth["images"]):  # images that can not be read
        evaluator = _evaluator(truth_of_images(judged.truth, shown), judged)
        for one in found:
            evaluator.add(one)
    return evaluator.result(), found


def _evaluator(truth: dict[str, Any], judged: Source | Validation) -> Evaluator:
    return Evaluator(truth, judged.skeleton.sigmas, crowdpose=judged.evaluation == "crowdpose")


def truth_of_images(truth: dict[str, Any], shown: set[int]) -> dict[str, Any]:
    """The truth of some images: where nobody was looked for, nobody can be missed."""
    return {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in shown],
        "annotations": [person for person in truth["annotations"] if person["image_id"] in shown],
    }
