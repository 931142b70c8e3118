"""Verdicts that older records give and that later runs have answered otherwise: which, and why."""

from __future__ import annotations

from workbench.report.record import Record
from workbench.study import PlannedJob

STATEMENT = "C4"
# The numbers are those of `reports/LOG.md`.
REASON = (
    "C4 is superseded: here KLD trains with its gradient through the predicted box, as published, and that path alone "
    "costs it more than MLE gains. In a trial under `short`, three seeds each, KLD has 8.2 AP with the path and 12.0 "
    "without it, MLE 12.7. What is recorded here speaks of the path as much as of the loss."
)


def superseded(record: Record) -> str:
    """Why the record's verdict of C4 is no longer one; "" where it is.

    It is where KLD was trained without that gradient as well, and where the boxes are those of a frozen trunk.
    """
    asked = any(STATEMENT in (claim.id, claim.part_of) for claim in record.study.claims)
    if not asked or record.claims.empty or record.protocol.frozen:
        return ""
    there = set(record.runs["row"])
    boxes = {_box_gradient(one) for one in record.jobs if one.row in there and _of_kld(one)}
    return REASON if boxes == {True} else ""


def _of_kld(one: PlannedJob) -> bool:
    return dict(one.job.flat()).get("variant.losses.KLD") is not None


def _box_gradient(one: PlannedJob) -> bool:
    return bool(dict(one.job.flat()).get("variant.coords.box_gradient"))
