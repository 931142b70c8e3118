"""The evaluation of a network on the validation images of its job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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
    evaluator = Evaluator(judged.truth, judged.skeleton.sigmas, crowdpose=judged.evaluation == "crowdpose")
    found: list[Detections] = []
    for batch in batches:
        for one in map(judged.restore, find(batch)):
            evaluator.add(one)  # matched while the device works on the next batch
            found.append(one)
    return evaluator.result(), found
