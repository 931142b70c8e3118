"""Claims judged on numbers that are made up."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.evaluation.bootstrap import Resampled
from workbench.experiments.claims import ClaimResult, judge_claims
from workbench.experiments.pairing import Results
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.record import Result

Value = Callable[[str, int, str], float | None]  # of row, seed and trunk; None: that run is missing
STUDY = Study(
    name="s",
    question="",
    source="",
    base=nano(),
    rows=tuple(Row(label, {"coords.padding": 1.1 + i / 10}) for i, label in enumerate("abcdef")),
)


def protocol(seeds: int = 3, trunks: tuple[str, ...] = ()) -> StudyProtocol:
    return StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)


def results_of(
    value: Value, asked: StudyProtocol, tags: Callable[[str, int], Mapping[str, str]] | None = None
) -> Results:
    """Every metric of a run is the same number."""
    found = []
    for one in STUDY.planned_jobs(asked):
        number = value(one.row, one.seed, one.trunk)
        if number is not None:
            metrics = {"AP": number, "AR": number}
            mine = dict(tags(one.row, one.seed)) if tags else {}
            found.append((one, Result(one.job.key, metrics, [], mine, Path())))
    return found


def judged(
    claims: Sequence[Better], value: Value, asked: StudyProtocol | None = None, **options: Any
) -> list[ClaimResult]:
    """`options` as in `judge_claims`."""
    asked = asked or protocol()
    return judge_claims(claims, asked, results_of(value, asked), **{"read": alike, **options})


def alike(result: Result, metric: str) -> Resampled:
    """Images that all agree; of errors less is better."""
    value = result.metrics["AP"] if metric != "NME" else 1 - result.metrics["AP"]
    return Resampled(image_ids=np.arange(4), observed=value, drawn=np.full(10, value))
