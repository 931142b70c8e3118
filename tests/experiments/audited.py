"""Studies that are audited, and what was measured of their rows, made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from tests.small import SMALL, SMALL_PROTOCOL, small_job
from workbench.components.losses.kld import KLD
from workbench.experiments.audit_facts import switches_of
from workbench.experiments.audit_row import RowAudit
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.gradients import GradientShares
from workbench.training.record import write_result

KLD_ROW = {"losses.MLE": None, "losses.KLD": KLD()}
STATIC = {**KLD_ROW, "coords.dynamic_encoding": False}
PROTOCOL = StudyProtocol(
    "small",
    "a few steps at 64 px",
    replace(SMALL_PROTOCOL, epochs=2),
    NANO_RECIPE,
    SMALL,
    seeds=2,
)


def study(rows: Sequence[Row], *claims: Better) -> Study:
    return Study("audited", "Is it fair?", "a test", Variant(), tuple(rows), claims, default="short")


def run_of(home: Path, rows: Sequence[Row], *claims: Better, **options: Any) -> StudyRun:
    return StudyRun(study(rows, *claims), PROTOCOL, home, **options)


def complete(run: StudyRun, key: str, network: Network) -> None:
    """Makes a job complete, with the weights of a network."""
    folder = run.folder(key)
    folder.mkdir(parents=True)
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "weights.safetensors")
    write_result(folder, key, {}, {})


def shares(
    stage: float = 0.5, branch: float = 0.5, positives: float = 5.0, **parts: Mapping[str, float]
) -> GradientShares:
    return GradientShares(parts or {"trunk": {"loss_a": 1.0}}, positives, stage, branch)


def audited(label: str = "row", trained: int = 4, finished: bool = False, **fields: Any) -> RowAudit:
    job = small_job(epochs=4)
    made = {
        "switches": switches_of(job, 2),
        "facts": {},
        "start": shares(),
        "phases": {0: shares(), 1: shares()},
    } | fields
    return RowAudit(label, job, trained, finished, **made)
