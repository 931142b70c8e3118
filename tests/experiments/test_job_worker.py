"""A worker: whatever a job does, its attempt ends, is said, and the next job is done."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish, queue
from workbench.core.errors import DataFault, Refused
from workbench.experiments.job_worker import FAULTY, last_epoch, recorded_value
from workbench.models.job import Job
from workbench.training.record import Progress, Result, job_folder, write_losses
from workbench.training.rung import Paused

pytestmark = FAKED
ENDINGS = [None, RuntimeError("not finite\nsecond line"), Refused("does not fit"), DataFault("broken"), "pause"]


def test_each_way_to_end_is_said(tmp_path: Path) -> None:
    planned, there = STUDY.planned_jobs(SETTING)[: len(ENDINGS)], queue(tmp_path)
    ends = dict(zip((one.job.key for one in planned), ENDINGS, strict=True))

    def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result | Paused:
        end = ends[job.key]
        if isinstance(end, Exception):
            raise end
        return finish(job, tmp_path, tell) if end is None else Paused(job.key, 1, {}, [], {}, tmp_path)

    there.fill({one.job.key: one for one in planned})
    there.work(train)
    said = [(one.state, one.user_attrs["outcome"], one.user_attrs.get("note")) for one in there.attempts()]
    assert said == [
        (TrialState.COMPLETE, "complete", None),
        (TrialState.FAIL, "failed", "RuntimeError: not finite"),
        (TrialState.FAIL, "infeasible", "Refused: does not fit"),
        (TrialState.FAIL, FAULTY, "DataFault: broken"),
        (TrialState.PRUNED, "paused", None),
    ]
    errors = [(job_folder(tmp_path, key) / "error.txt").exists() for key in ends]
    assert errors == [False, True, True, True, False]
    assert not [*tmp_path.glob("jobs/*/owner"), *tmp_path.glob("jobs/*/progress.json")]


def test_an_interrupt_ends_the_attempt_and_the_worker(tmp_path: Path) -> None:
    def interrupted(*_: object) -> Result:
        raise KeyboardInterrupt

    there = queue(tmp_path)
    there.fill({one.job.key: one for one in STUDY.planned_jobs(SETTING)})
    with pytest.raises(KeyboardInterrupt):
        there.work(interrupted)
    first, *others = there.attempts()
    assert first.state is TrialState.FAIL and "outcome" not in first.user_attrs, "as if it had been killed"
    assert {one.state for one in others} == {TrialState.WAITING}


def test_where_an_attempt_begins_is_said(tmp_path: Path) -> None:
    one, there = STUDY.planned_jobs(SETTING)[0], queue(tmp_path)
    folder = job_folder(tmp_path, one.job.key)
    write_losses(folder, [{"epoch": 1.0}, {"epoch": 2.0}])
    assert last_epoch(folder) == 2 and last_epoch(tmp_path) == 0
    there.fill({one.job.key: one})
    there.work(lambda job, tell, until: finish(job, tmp_path, tell))
    assert there.attempts()[0].user_attrs["begun"] == 2


def test_a_value_is_a_number(tmp_path: Path) -> None:
    values = [
        recorded_value(Result("key", metrics, [], {}, tmp_path)) for metrics in ({"AP": 0.5}, {}, {"AP": math.nan})
    ]
    assert values == [0.5, 0.0, 0.0]
