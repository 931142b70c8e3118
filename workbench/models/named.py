"""The network that a name means, everywhere: a release, a preset, a backbone in RTMO-s, the row of a study, a file of
weights, or the folder of a job. `core.network_names` says which is which.

    plan = blueprint("ablate_dcc:regression")        # what it is, at which size: no weights
    network, plan = open_network("rtmo-s-coco")      # with its weights
    network, plan = open_network("rtmo-s", "mine.pth")
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from workbench.core.errors import Refused
from workbench.core.network_names import NetworkKind, check_no_onnx, check_weights, kind_of, row_of
from workbench.models import zoo
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.published import matched
from workbench.models.recognised import advice, recognised
from workbench.models.releases import RELEASES, address_of, digest_of
from workbench.models.variant import Variant
from workbench.models.weight_file import WeightFile, job_in, read_weight_file


@dataclass(frozen=True)
class Blueprint:
    """A network without its weights.

    Fields:
        size: height and width of the input that it is made for; source: what it was named by, as messages say it.
        job: its training, where that is known.
    """

    variant: Variant
    size: tuple[int, int]
    source: str
    job: Job | None = None


def blueprint(what: str) -> Blueprint:
    """The network that `what` names, without weights. Of a file of weights the shapes are read.

    Raises:
        Refused: it names nothing, or an ONNX file, or a file of no network that is known here.
    """
    kind = kind_of(what, RELEASES, zoo.NETWORKS)
    check_no_onnx(what, kind, "has no layers that are known here")
    if kind == "file":
        return _of_file(read_weight_file(what))
    if kind == "folder":
        return _of_job(job_in(Path(what)))
    return _of_name(what, kind)


def open_network(what: str, weights: str | Path | None = None) -> tuple[Network, Blueprint]:
    """The network that `what` names, with its weights and in eval mode.

    Args:
        weights: a file of weights, or the folder of a job, for a name that has none, or in place of the released ones,
            which are downloaded once.

    Raises:
        Refused: as `blueprint`; the network has no weights; or they are of another network or could not be had.
    """
    kind = kind_of(what, RELEASES, zoo.NETWORKS)
    check_no_onnx(what, kind, "has no layers that are known here")
    check_weights(what, kind, weights)
    if kind in ("file", "folder"):
        file = read_weight_file(what)
        plan = _of_file(file)
    else:
        file = source_file(what if weights is None else weights)
        plan = _of_name(what, kind)
    network = Network(_untaught(plan.variant))
    network.load_state_dict(matched(file, network))
    return network.eval(), plan


def open_untrained(what: str) -> tuple[Network, Blueprint]:
    """The network that `what` names in eval mode, with random weights that are the same each time: right for sizes and
    times, and nothing else.

    Raises:
        Refused: as `blueprint`.
    """
    plan = blueprint(what)
    return Network(_untaught(plan.variant), seed=0).eval(), plan


def source_file(source: str | Path) -> WeightFile:
    """The weights that are taken from elsewhere: of a released model by its name, a file, or the folder of a job.

    Raises:
        Refused: they could not be had.
    """
    name = str(source).replace("_", "-")
    return read_weight_file(source) if name not in RELEASES else _released(name)


def _released(name: str) -> WeightFile:
    release = RELEASES[name]
    try:
        return read_weight_file(address_of(release), digest_of(release))
    except Refused as error:
        raise Refused(
            f"{name}: no weights given and none found: {error}; or give a file that is here: --weights FILE, in Python "
            "weights=FILE"
        ) from error


def _of_name(what: str, kind: NetworkKind) -> Blueprint:
    if kind == "release":
        release = RELEASES[what.replace("_", "-")]
        return Blueprint(zoo.rtmo(release.size, release.keypoints), (release.side, release.side), what)
    if kind == "row":
        return Blueprint(_row(*row_of(what)), (640, 640), what)
    return Blueprint(zoo.network_named(what), zoo.native_size(what), what)


def _of_job(job: Job) -> Blueprint:
    return Blueprint(job.variant, job.protocol.size, f"job {job.key}", job)


def _of_file(file: WeightFile) -> Blueprint:
    if file.job is not None:
        return _of_job(file.job)
    found = recognised(file)
    if found is None:
        raise Refused(
            f"{file.source}: not the weights of a released model, nor of another network that is known by its shapes. "
            f"{advice(file)}; name the network and give the file as its weights"
        )
    return Blueprint(found.variant, found.size, Path(file.source).name)


class _Labelled(Protocol):
    @property
    def label(self) -> str: ...


@runtime_checkable
class _Table(Protocol):
    """A study, as far as its rows are networks."""

    @property
    def rows(self) -> Sequence[_Labelled]: ...

    def variant(self, row: Any, scale: Any = None) -> Variant: ...


def _row(study: str, label: str) -> Variant:
    """The variant of a row, of the published size."""
    table = getattr(importlib.import_module(f"studies.{study}"), "STUDY", None)
    if not isinstance(table, _Table):
        raise Refused(f"{study}:{label}: studies/{study}.py has no rows; expected a study, as ablate_dcc")
    labels = [row.label for row in table.rows]
    if label not in labels:
        raise Refused(f"study {study} has no row {label!r}; there are {labels}")
    return table.variant(table.rows[labels.index(label)])


def _untaught(variant: Variant) -> Variant:
    """The same network without weights that its backbone would begin with: all of them come later."""
    taught = dict(variant.flat()).get("backbone.use_pretrained")
    return variant.vary({"backbone.use_pretrained": False}) if taught else variant
