"""The evaluation of a network on the validation images of its job."""

from __future__ import annotations

from workbench.evaluation.coco_ap import Evaluation, Evaluator
from workbench.models.decode import detect
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.tensors import Detections
from workbench.training.machine import Machine
from workbench.training.source import Source


def evaluate_network(
    job: Job, network: Network, source: Source, machine: Machine
) -> tuple[Evaluation, list[Detections]]:
    """The network's evaluation on the validation images, and what it found there."""
    evaluator = Evaluator(source.truth, source.skeleton.sigmas, crowdpose=source.evaluation == "crowdpose")
    found: list[Detections] = []
    for batch in source.validate():
        with machine.autocast():
            seen = detect(
                network,
                batch.to(machine.device).images,
                score_threshold=job.protocol.score_threshold,
                nms_threshold=job.protocol.nms_threshold,
                image_ids=batch.image_ids,
            )
        for one in map(source.restore, seen):
            evaluator.add(one)  # matched while the device works on the next batch
            found.append(one)
    return evaluator.result(), found
