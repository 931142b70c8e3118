"""What a record in MLflow is of: a study or a search under a protocol, and what it says of each of its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

VALUE = 500  # characters of a parameter

if TYPE_CHECKING:
    from workbench.experiments.plan import StudyRun  # and with it torch, which takes seconds
    from workbench.study import PlannedJob, Study, StudyProtocol


@dataclass(frozen=True)
class Subject:
    """A study or a search under a protocol.

    Fields:
        home: the folder of the store; changes: of every job, in words.
        parameters: in what its jobs differ, and what that is in one of them.
        tags: what else is said of a job; numbers: what is known of one beside its result.
    """

    home: Path
    name: str
    question: str
    source: str
    protocol: StudyProtocol
    changes: str
    parameters: Callable[[PlannedJob], Mapping[str, str]]
    tags: Callable[[PlannedJob], Mapping[str, str]]
    numbers: Callable[[PlannedJob], dict[str, float]] = lambda _: {}


def study_subject(run: StudyRun) -> Subject:
    """A run of a study: its jobs differ in the fields of their variants."""
    study, factors = run.study, varying(run.study, run.protocol)

    def parameters(planned: PlannedJob) -> dict[str, str]:
        values = dict(planned.job.variant.flat())
        return {path: _short(values[path]) if path in values else "none" for path in factors}

    def tags(planned: PlannedJob) -> dict[str, str]:
        claims = [c.id for c in (*study.claims, *study.costs) if planned.row in c.rows]
        return {"claim": ", ".join(claims) or "none"}

    about = study.name, study.question, study.source
    return Subject(run.home, *about, run.protocol, said(run.terms), parameters, tags)


def said(changes: Any) -> str:
    """Changes of all jobs in words, from pairs of path and value."""
    return ", ".join(f"{path}={value}" for path, value in changes) or "none"


def varying(study: Study, protocol: StudyProtocol) -> list[str]:
    """Dotted paths of the variant that are not the same in every row."""
    rows = [dict(study.variant(row, protocol.scale).flat()) for row in study.rows]
    paths = list(dict.fromkeys(path for row in rows for path in row))
    return [path for path in paths if len({repr(row.get(path, ...)) for row in rows}) > 1]


def _short(value: Any) -> str:
    """A parameter as MLflow takes it: at most `VALUE` characters, numbers in six digits."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text[:VALUE]
