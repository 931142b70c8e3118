"""The networks of complete jobs, rebuilt from their folders."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors.torch import load_file

from workbench.core.spec import from_dict
from workbench.models.catalog import spec_types
from workbench.models.decode import detect
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.study import PlannedJob
from workbench.tensors import Detections
from workbench.training.source import Validation


def most_rows(here: Sequence[tuple[PlannedJob, Path]]) -> tuple[int, str, dict[str, Path]] | None:
    """Seed, trunk and folders by row where most rows have a network, the first of equals; None of fewer than two."""
    spots: dict[tuple[int, str], dict[str, Path]] = {}
    for one, folder in here:
        if (folder / "weights.safetensors").exists():
            spots.setdefault((one.seed, one.trunk), {})[one.row] = folder
    if not spots:
        return None
    (seed, trunk), folders = max(spots.items(), key=lambda spot: len(spot[1]))
    return (seed, trunk, folders) if len(folders) > 1 else None


def network_of(folder: Path) -> tuple[Job, Network]:
    """The job of a complete folder and its network with the averaged weights, in eval mode."""
    job = from_dict(json.loads((folder / "job.json").read_text()), spec_types())
    assert isinstance(job, Job)
    network = Network(job.variant)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    return job, network.eval()


def detections_of(folder: Path, judged: Validation, rows: Sequence[int]) -> Iterator[Detections]:
    """What the network of a complete folder finds on validation images, in their own pixels. `rows`: their places."""
    job, network = network_of(folder)
    for batch in judged.loader(rows=list(rows))(0):
        found = detect(
            network,
            batch.images,
            score_threshold=job.protocol.score_threshold,
            nms_threshold=job.protocol.nms_threshold,
            image_ids=batch.image_ids,
        )
        yield from map(judged.restore, found)
