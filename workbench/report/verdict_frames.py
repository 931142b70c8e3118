"""The verdicts of a record, as far as they answer what the study asks today, and the differences behind them.

A claim that was recorded of other rows, another metric or another margin is open again, and its numbers are shown
nowhere under its name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.evaluation.metrics import METRICS, PERCENT
from workbench.experiments.claims import statements
from workbench.report.frames import Frame
from workbench.report.record import Record, read_csv
from workbench.study import Better, Cheaper, Study, TimingStudy
from workbench.training.record import FIRST_NUMERICS, NUMERICS

VERDICT = ["claim", "text", "verdict", "effect", "reason", "beside", "part_of", "decided_by"]
TRAINING, TIMING = "training", "timing"  # what a claim is decided by
STATES = ("holds", "fails", "open")
EARLIER = (
    "Runs and rule are of an earlier version: the same jobs would give other numbers today, and each claim was judged "
    "by the spread of its own differences alone. The verdicts stand until the study is run again."
)


def earlier(record: Record) -> int:
    """Runs of other numerics than today's: the same job would give other numbers."""
    known = record.runs["numerics"] if "numerics" in record.runs else pd.Series(index=record.runs.index, dtype=str)
    return int((known.fillna(FIRST_NUMERICS) != NUMERICS).sum())


def verdicts_frame(record: Record) -> Frame:
    """One line per claim of the study: verdict, effect, reason, and what the end points beside AP say.

    Statements of several claims come first, then the claims that training decides, then those that timing decides.
    `part_of` names the statement of a claim that is part of one.
    """
    return _frame([*trained_verdicts(record), *timed_verdicts(record.study.costs, record.cost_claims)])


def profile_verdicts(profile: TimingStudy) -> Frame:
    """The same of a study that trains nothing."""
    return _frame(timed_verdicts(profile.claims, read_csv(f"{profile.name}_cost_claims")))


def _frame(lines: Sequence[Mapping[str, str]]) -> Frame:
    return pd.DataFrame([{name: line.get(name, "") for name in VERDICT} for line in lines], columns=VERDICT)


def trained_verdicts(record: Record) -> list[dict[str, str]]:
    """What training decides: statements first. Columns that are empty may be missing."""
    return verdicts_of(record.study, record.claims)


def verdicts_of(study: Study, recorded: Frame) -> list[dict[str, str]]:
    """The same of a recorded file of claims alone."""
    known = recorded.set_index("claim").to_dict("index") if len(recorded) else {}
    lines = [_trained(claim, known.get(claim.id)) for claim in study.claims]
    wholes = [
        {"claim": whole.id, "text": whole.text, "verdict": str(whole.verdict), "reason": whole.reason}
        for whole in statements(study.claims, [line["verdict"] for line in lines])
    ]
    return [{"decided_by": TRAINING, **line} for line in (*wholes, *lines)]


def _trained(claim: Better, found: Mapping[str, Any] | None) -> dict[str, str]:
    line = {"claim": claim.id, "text": claim.text, "part_of": claim.part_of}
    if why := "the record does not speak of it" if found is None else _recorded_otherwise(claim, found):
        return {**line, "verdict": "open", "reason": why}
    assert found is not None
    line |= {"verdict": found["verdict"], "reason": found["reason"]}
    return {**line, "effect": _effect(found, claim.metric), "beside": _beside(claim, found)}


def _recorded_otherwise(claim: Better, found: Mapping[str, Any]) -> str:
    """Why what was recorded under a claim's name says nothing of it; "" where it does."""
    row, than = claim.sides
    if (found.get("row"), found.get("than"), found.get("metric")) != (row, than, claim.metric):
        return f"not judged: recorded of other rows; {row!r} is not compared with {than!r} in {claim.metric}"
    if (found.get("teacher") or "") != claim.teacher:
        return "not judged: recorded of trunks of another teacher"
    if not math.isclose(found.get("margin", math.nan), claim.margin):
        return f"not judged: recorded with another margin; {claim.margin:g} is not known"
    return ""


def _beside(claim: Better, found: Mapping[str, Any]) -> str:
    """What a recorded claim says of each end point beside AP; nothing where the record is older than these."""
    return "; ".join(
        f"{name} {found[f'{name}_verdict']}{_mean(name, found)}"
        for name in claim.judged_beside
        if isinstance(found.get(f"{name}_verdict"), str)
    )


def _mean(name: str, found: Mapping[str, Any]) -> str:
    mean = float(found.get(f"{name}_mean", math.nan))
    return "" if math.isnan(mean) else f", {METRICS[name].difference(mean)}"


def _effect(found: Mapping[str, Any], metric: str = "") -> str:
    """The difference, or the ratio where no metric is named, with its interval; "" where none is recorded.

    Made from the numbers: a sentence of an older record may have another unit.
    """
    ends = [found.get(end, math.nan) for end in ("mean", "low", "high")]
    if any(map(math.isnan, ends)):
        return ""
    if not metric:
        return "{:.3f} times ({:.3f} to {:.3f})".format(*ends)
    unit = METRICS[metric].shown
    mean, low, high = map(METRICS[metric].difference, ends)
    return f"{mean} {metric if unit is PERCENT else unit.unit} ({low} to {high})"


def short_effect(line: Mapping[str, str]) -> str:
    """The difference or the ratio of a line with its interval, of AP without its name; else how the reason begins."""
    return line.get("effect", "").replace(" AP ", " ") or line["reason"].partition(";")[0]


def timed_verdicts(claims: Sequence[Cheaper], recorded: Frame) -> list[dict[str, str]]:
    """What is decided by timing and counting, which the study itself judges."""
    known = recorded.set_index("claim").to_dict("index") if len(recorded) else {}
    return [{"decided_by": TIMING, **_timed(claim, known.get(claim.id))} for claim in claims]


def _timed(claim: Cheaper, found: Mapping[str, Any] | None) -> dict[str, str]:
    line = {"claim": claim.id, "text": claim.text, "verdict": "open"}
    if found is None:
        return {**line, "reason": "not measured yet"}
    if not _same_cost(claim, found):
        return {**line, "reason": "not judged: the record is of an earlier version of this claim"}
    return {**line, "verdict": found["verdict"], "effect": _effect(found), "reason": found["reason"]}


def _same_cost(claim: Cheaper, found: Mapping[str, Any]) -> bool:
    """Whether the record judged this very claim. Older files hold its text alone."""
    if not {"row", "than"} <= set(found):
        return found["text"] == claim.text
    same = all(found.get(name) == getattr(claim, name) for name in ("row", "than", "metric"))
    return same and math.isclose(found.get("times", math.nan), claim.times)


def forest_frame(record: Record) -> Frame:
    """The comparisons of what the study still compares, claims first; empty where none is recorded.

    What was recorded under the name of a claim that says something else today is left out.
    """
    if record.pairs.empty:
        return record.pairs
    found = record.pairs.assign(**{name: record.pairs[name].fillna("") for name in ("claim", "verdict")})
    claims = {claim.id: claim for claim in record.study.claims}
    sides = {row.label for row in record.study.rows}.union(*(claim.sides for claim in claims.values()))

    def stays(line: Mapping[str, Any]) -> bool:
        if not {line["row"], line["than"]} <= sides:
            return False
        claim = claims.get(line["claim"])
        return not line["claim"] if claim is None else not _recorded_otherwise(claim, line)

    return found[[stays(line) for line in found.to_dict("records")]]
