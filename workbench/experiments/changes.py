"""What a command changes of all jobs of a study or a search: their data set, and settings of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.folder import dataset_classes, dataset_fingerprint, dataset_keypoints
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.models.job import EMBEDDED, Job

DATA_SET = "protocol.data"
KEYPOINT_SET, NUM_KEYPOINTS = "variant.keypoint_set", "variant.num_keypoints"
NUM_CLASSES = "variant.num_classes"
CLASS_NAMES = "variant.class_names"
RESERVED = {
    "seed": "--seeds N",
    "start": "--protocol NAME",
    "protocol.trunk": "--protocol NAME",
    DATA_SET: "--data FOLDER",
}
READABLE = 80  # characters of the changes that a file's name shows; a digest of all of them follows


@dataclass(frozen=True, kw_only=True)
class ChangedJobs:
    """A plan of jobs, with what is changed of every one of them.

    Fields:
        data: the folder of the data set; None for the embedded scenes.
        fingerprint: what jobs call that data set. It is computed from `data`; given alone, it stands for a folder that
            is not at hand, which is enough to read a record; key points other than COCO's are to be among the changes.
        changes: by dotted path, components by name.

    Raises:
        Refused: a change has an option of its own, or no data set can be read there.
    """

    data: Path | None = None
    fingerprint: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_options(self.changes, embedded=self.data is None and not self.fingerprint)
        if self.data is not None and not self.fingerprint:
            object.__setattr__(self, "fingerprint", dataset_fingerprint(self.data))

    @cached_property
    def keypoints(self) -> DataKeypoints | None:
        """Those of the data set; None without its folder."""
        return None if self.data is None else dataset_keypoints(self.data)

    @cached_property
    def classes(self) -> DataClasses | None:
        """Those of the data set; None without its folder."""
        return None if self.data is None else dataset_classes(self.data)

    @property
    def given_changes(self) -> dict[str, Any]:
        """`changes` and the data set, which decides its key points."""
        return {**self.changes, **({DATA_SET: self.fingerprint} if self.fingerprint else {})}

    @property
    def job_changes(self) -> dict[str, Any]:
        """What is changed of every job: its key points and classes to those of the data set, and `given_changes`."""
        return {**data_changes(self.keypoints, self.classes), **self.given_changes}

    @property
    def terms(self) -> list[tuple[str, Any]]:
        """What this plan is told apart from the plain one by."""
        return sorted(self.given_changes.items())

    def place(self, *names: str) -> str:
        """A path under which the plan of these names keeps what is its own. Other changes are another plan."""
        return "/".join([*names, *self._digest()])

    def file_stem(self, *names: str) -> str:
        """How the files of a report begin: shorter than 120 characters, the names aside."""
        said = "_".join(f"{path}={value}" for path, value in self.terms)
        readable = re.sub(r"[^\w.]+", "-", said, flags=re.ASCII)[:READABLE]
        return "_".join([*names, *([readable] if said else []), *self._digest()])

    def _digest(self) -> list[str]:
        """Of all that is unlike the plain plan, in whatever order it is given; empty without any."""
        return [hashlib.sha256(repr(self.terms).encode()).hexdigest()[:8]] if self.terms else []


def data_changes(keypoints: DataKeypoints | None, classes: DataClasses | None) -> dict[str, Any]:
    """What the data set of a folder changes of every job: its key points and its classes."""
    found = {} if keypoints is None else {KEYPOINT_SET: keypoints.skeleton, NUM_KEYPOINTS: len(keypoints.skeleton)}
    if classes is not None and classes.names:
        found |= {NUM_CLASSES: len(classes.names), CLASS_NAMES: classes.names}
    return found


def check_amounts(job: Job, changed: Collection[str]) -> None:
    """Refuses what can be said but not trained. `images` of 0 are all that there are: of scenes there is no end.

    Args:
        changed: the paths that were changed; others are the protocol's own.

    Raises:
        Refused: it names the field.
    """
    seen = job.protocol
    for name in ("images", "eval_images"):
        if f"protocol.{name}" in changed and seen.scenes and not getattr(seen, name):
            raise Refused(f"protocol.{name} 0: of the embedded scenes there is no end; expected 1 or more")
    if {"protocol.batch", "protocol.epoch_images"} & {*changed} and 0 < seen.epoch_images < seen.batch:
        raise Refused(f"protocol.batch {seen.batch}: an epoch has {seen.epoch_images} images; expected at most these")


def check_options(changes: Mapping[str, Any], embedded: bool) -> None:
    """What tells two planned jobs apart can not be changed of all of them. Other embedded scenes have no option."""
    for path in changes:
        if path == DATA_SET and embedded and changes[path] in tuple(EMBEDDED):
            continue
        for taken, option in RESERVED.items():
            if taken == path or taken.startswith(f"{path}.") or path.startswith(f"{taken}."):
                raise Refused(f"--set {path}={changes[path]}: {taken} has an option of its own; use {option}")
