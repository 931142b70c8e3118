"""A run of one's own: from what a person says of it to the job that is trained.

A network is a preset's (`nano`, `rtmo-s`, `stdc1-rtmo`) or a row's of a study (`ablate_dcc:regression`). The settings
of a protocol are its start. A row is what its study makes of it; of a preset the network stays as it is named, and the
protocol says only how it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.data.datasets.folder import dataset_classes, dataset_fingerprint, dataset_keypoints
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.experiments.changes import DATA_SET, RESERVED, data_changes
from workbench.experiments.protocols import PROTOCOLS, protocol_named
from workbench.models.catalog import SLOTS, filled
from workbench.models.job import Job, Protocol
from workbench.models.schedule import CROWDPOSE_SCHEDULE
from workbench.models.zoo import NETWORKS, native_size, network_named
from workbench.row import StudyProtocol, job_of
from workbench.study import Study, find_study
from workbench.training.source import check_classes, check_keypoints

WHOLE = tuple(p.name for p in PROTOCOLS.values() if p.trains and not p.trunks and p.first is None)  # from scratch
SCENES_DEFAULT, DATA_DEFAULT = "laptop", "paper"
TRIAL = "smoke"  # of its few images an epoch has no more with other data
STEP = 32  # sides of an input are multiples of it
# What the published recipe has otherwise than for RTMO-s on COCO (RTMO, section 9, and the released configurations).
_CROWDPOSE = {"protocol.augment": "crowdpose", "protocol.epochs": 700, "recipe.schedule": CROWDPOSE_SCHEDULE}
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "rtmo-t": {"protocol.augment": "rtmo-t", "protocol.sides": (320, 640)},
    "rtmo-m": {"protocol.augment": "rtmo-ml"},
    "rtmo-l": {"protocol.augment": "rtmo-ml"},
    **{name: _CROWDPOSE for name in NETWORKS if name.endswith("-crowdpose")},
}
_OPTIONS = {**RESERVED, "seed": "--seed N", "start": "--init FILE"}  # of a job, that are no change but have an option


@dataclass(frozen=True)
class OwnJob:
    """
    Fields:
        name: of the network, as it was given; protocol: whose settings it started from.
        data: the folder of the data set; None for the embedded scenes. said: its key points, in a line.
    """

    name: str
    protocol: str
    job: Job
    data: Path | None = None
    said: str = ""


def own_job(
    name: str,
    *,
    data: Path | None = None,
    protocol: str | None = None,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> OwnJob:
    """The job of a network by its name.

    Args:
        data: a data set, whose key points and classes the network takes; None for the embedded scenes.
        protocol: one that trains whole networks from scratch; None is that of the study, `paper` for a published
            network on a data set, else `laptop`.
        changes: of the job, by dotted path, components by name. Of another number of epochs, or another size, what
            follows from it in the protocol is kept in proportion, unless it is changed itself.

    Raises:
        Refused: no such network, protocol, data set or change, or they do not go together.
    """
    made = dict(changes or {})
    _check_changes(made, embedded=data is None)
    row, job, under = _row_of(name, protocol) if ":" in name else _preset(name, protocol, data)
    job = replace(job, seed=seed + row)
    said = ""
    if data is not None:
        found, classes = dataset_keypoints(data), dataset_classes(data)
        settings = {**_on_disk(job.protocol, under), DATA_SET: dataset_fingerprint(data)}
        job = _varied(job, {**settings, **data_changes(found, classes), **_in_proportion(job.protocol, made)})
        check_keypoints(job, found.skeleton, str(data))
        check_classes(job, classes.names, str(data))
        said = found.said
    else:
        job = _varied(job, _in_proportion(job.protocol, made))
        _check_scenes(name, job)
    return OwnJob(name, under.name, job, None if data is None else data.resolve(), said)


def _check_changes(changes: Mapping[str, Any], embedded: bool) -> None:
    for path, value in changes.items():
        for taken, option in _OPTIONS.items():
            inside = path == taken or path.startswith(f"{taken}.") or taken.startswith(f"{path}.")
            if inside and not (taken == DATA_SET == path and embedded):  # other embedded scenes have no option
                raise Refused(f"--set {path}={value}: {taken} has an option of its own; use {option}")


def _check_scenes(name: str, job: Job) -> None:
    if not job.protocol.scenes:
        raise Refused(f"{name}: data {job.protocol.data!r} is a data set on disk; add --data FOLDER")
    check_keypoints(job, SyntheticScenes.skeleton, "the embedded data set")


def _row_of(name: str, protocol: str | None) -> tuple[int, Job, StudyProtocol]:
    """Of STUDY:ROW what its seeds are moved by, its job, and the protocol."""
    study, _, label = name.partition(":")
    asked = find_study(study)
    if not isinstance(asked, Study):
        raise Refused(f"{name}: {study} has no rows that are trained; give a study that has, or a preset's name")
    row = next((one for one in asked.rows if one.label == label), None)
    if row is None:
        raise Refused(f"{name}: {study} has no row {label!r}; there are {[one.label for one in asked.rows]}")
    under = _from_scratch(protocol or (asked.default if asked.default in WHOLE else SCENES_DEFAULT))
    return row.seed_offset, job_of(asked.base, row, under, 0), under


def _preset(name: str, protocol: str | None, data: Path | None) -> tuple[int, Job, StudyProtocol]:
    """The same of a preset. What a protocol makes smaller of a base, backbone, neck, head and stage, is left out."""
    preset, network = name.replace("_", "-"), network_named(name)
    published = data is not None and preset != "nano"
    under = _from_scratch(protocol or (DATA_DEFAULT if published else SCENES_DEFAULT))
    scale = {path: value for path, value in under.scale.items() if path not in SLOTS}
    job = Job(variant=network.vary(scale), recipe=under.recipe, protocol=under.protocol)
    if under.name == DATA_DEFAULT:
        job = job.vary({"protocol.size": native_size(name), **_PUBLISHED.get(preset, {})})
    return 0, job, under


def _from_scratch(name: str) -> StudyProtocol:
    if (found := protocol_named(name)).name not in WHOLE:
        raise Refused(
            f"protocol {name} does not train one whole network from scratch, which a run of one's own does; "
            f"use {', '.join(WHOLE)}"
        )
    return found


def _on_disk(protocol: Protocol, under: StudyProtocol) -> dict[str, Any]:
    """What the settings of embedded scenes become on another data set: all of its images, and light augmentation."""
    if not protocol.scenes:
        return {}
    found: dict[str, Any] = {"protocol.images": 0, "protocol.first_image": 0}
    if protocol.augment == "none":
        found["protocol.augment"] = "light"
    if under.name != TRIAL:
        found |= {"protocol.epoch_images": 0, "protocol.eval_images": 0}
    return found


def _in_proportion(protocol: Protocol, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, and what follows from them: as many evaluations in other epochs, sides in proportion to the size."""
    follow: dict[str, Any] = {}
    if isinstance(epochs := changes.get("protocol.epochs"), int):
        follow["protocol.eval_every"] = max(1, round(protocol.eval_every * epochs / protocol.epochs))
    size = changes.get("protocol.size")
    if isinstance(size, tuple) and protocol.sides[0] and size[0] != protocol.size[0]:
        parts = [side / protocol.size[0] for side in protocol.sides]
        follow["protocol.sides"] = tuple(max(STEP, round(part * size[0] / STEP) * STEP) for part in parts)
    return {**follow, **changes}


def _varied(job: Job, changes: Mapping[str, Any]) -> Job:
    try:
        return job.vary(filled(changes))
    except KeyError as error:
        raise Refused(f"--set {error.args[0]}") from None
