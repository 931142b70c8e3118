"""A probe on the trunk of a file of weights: every row of a study trains its coordinate stage on the features that a
released model, or a network of one's own, has of the images of a data set.

    asked, under = on_file_trunk(find_study("ablate_dcc"), protocol_named("probe"), "rtmo-s.pth", home)
    run = StudyRun(asked, under, home, data=Path("../coco"))

Backbone, neck, towers and the size of the input are the file's, and so are the settings of its coordinate stage that
rows do not change. All rows have the one trunk, so chance is told by seeds, and claims on training from scratch stay
open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.models.initial import keep_start_weights
from workbench.models.named import blueprint
from workbench.models.releases import RELEASES
from workbench.models.trunk import as_on_trunk, file_trunk
from workbench.models.variant import Variant
from workbench.row import PlannedJob, StudyProtocol
from workbench.study import Study

_NETWORK = ("backbone", "neck", "head")
_COUNTS = ("num_classes", "class_names", "num_keypoints", "keypoint_set")


@dataclass(frozen=True)
class OnFileStudy(Study):
    """A study all of whose jobs stand on one trunk, as `file_trunk` names it."""

    trunk: str = ""

    def planned_jobs(
        self,
        protocol: StudyProtocol,
        seeds: int | None = None,
        changes: Mapping[str, Any] | None = None,
        first_seed: int = 0,
    ) -> list[PlannedJob]:
        """As of `Study`."""
        planned = super().planned_jobs(protocol, seeds, changes, first_seed)
        return [replace(one, job=as_on_trunk(one.job.vary({"protocol.trunk": self.trunk}))) for one in planned]


@dataclass(frozen=True)
class OnFileProtocol(StudyProtocol):
    """A protocol under which all rows share the trunk of a file: it has no names of stored ones.

    Fields:
        asked, source: what a command calls it, and the file as it was given there.
    """

    asked: str = ""
    source: str = ""

    @property
    def frozen(self) -> bool:
        return True


def on_file_trunk(study: Study, protocol: StudyProtocol, source: str, home: Path) -> tuple[OnFileStudy, OnFileProtocol]:
    """The study and the protocol with the trunk of a file in place of the stored ones.

    Args:
        source: a file of weights, the folder of a job, or the name of a released model.
        home: keeps a copy of the weights, where the jobs find it.

    Raises:
        Refused: no such weights; the protocol trains more than what stands on a trunk; or the study can not be probed.
    """
    if not protocol.frozen:
        raise Refused(f"--trunk {source}: protocol {protocol.name} trains whole networks; use --protocol probe")
    if study.whole:
        raise Refused(f"--trunk {source}: study {study.name} can not stand on a frozen trunk, {study.whole}")
    plan = blueprint(source)
    if source.replace("_", "-") not in RELEASES and not Path(source).exists():
        raise Refused(f"--trunk {source}: has no weights; name a file, the folder of a job or a released model")
    digest = keep_start_weights(source, home)
    base = with_network_of(study.base, plan.variant)
    parts = (*_NETWORK, "coords")
    scale = {path: value for path, value in protocol.scale.items() if path not in parts}
    seen = replace(protocol.protocol, size=plan.size, images=0, first_image=0)
    changed = {
        "name": f"{protocol.name}_{digest[:8]}",
        "protocol": seen,
        "scale": scale,
        "trunks": (),
        "asked": protocol.name,
        "source": source,
    }
    changed["about"] = f"every row trains its coordinate stage on the features of {plan.source}"
    return (
        OnFileStudy(**{**_values(study), "base": base, "trunk": file_trunk(digest)}),
        OnFileProtocol(**{**_values(protocol), **changed}),
    )


def with_network_of(base: Variant, other: Variant) -> Variant:
    """A base with the network of another variant; its coordinate stage only where that is of the base's kind."""
    names = [*_NETWORK, *_COUNTS, *(["coords"] if type(other.coords) is type(base.coords) else [])]
    return base.vary({name: getattr(other, name) for name in names})


def _values(record: Study | StudyProtocol) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
