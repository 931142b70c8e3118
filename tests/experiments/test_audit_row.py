"""One row: what its job begins with, how far it is trained, and whether a teacher knows more than its pupil."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.experiments.audited import PROTOCOL, audited, complete, run_of, shares, study
from tests.small import small_job
from workbench.experiments import audit_row
from workbench.experiments.audit import audit_study, row_lines
from workbench.experiments.audit_row import (
    AT_THE_END,
    AT_THE_START,
    AT_THE_SWITCH,
    RowAudit,
    Teacher,
    Training,
    audited_row,
    judged_teacher,
    training_of,
)
from workbench.experiments.plan import StudyRun
from workbench.models.network import Network
from workbench.study import Row
from workbench.tensors import Batch
from workbench.training.gradients import gradient_shares
from workbench.training.source import open_source

NEVER = {"variant.phases.1.proxy": False, "variant.phases.2.proxy": False}
LATER = {"start.key": "0" * 12, "start.epoch": 1}
FROM_THE_FIRST = {"start.key": "0" * 12, "start.phase": 1}


def laid_out(network: Network) -> Network:
    """As training lays its weights out in memory: sums round otherwise in another order."""
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def batches_of(run: StudyRun) -> list[Batch]:
    return list(islice(open_source(run.jobs(1)[0].job, 0, run.home).train(0), 1))


# ------------------------------------------------------------------------------------------------------------ begin


@pytest.fixture
def after(tmp_path: Path) -> StudyRun:
    """A row that begins with another job, in the second phase."""
    protocol = replace(PROTOCOL, name="after", first=replace(PROTOCOL, name="before"), phase=1)
    return StudyRun(study([Row("row"), Row("wide", {"coords.padding": 2.0})]), protocol, tmp_path)


@pytest.mark.slow
def test_a_row_begins_with_the_weights_and_the_phase_of_its_job(after: StudyRun) -> None:
    planned, batches = after.jobs(1)[0], batches_of(after)
    first = laid_out(Network(planned.job.variant, 99))
    complete(after, planned.job.start.key, first)
    found = audited_row(after, planned, batches, steps=1)
    assert found.start == gradient_shares(first, batches, [1])[1]
    assert found.start.shares != gradient_shares(laid_out(Network(planned.job.variant, 0)), batches, [1])[1].shares
    assert set(found.phases) == {1} and found.switches == () and found.trained == 1
    assert found.facts["begins with"] == "weights of a complete job, phase 1"
    assert found.teacher and found.teacher.judged == AT_THE_START
    assert found.teacher.stage_oks == found.start.stage_oks and found.teacher.branch_oks == found.start.branch_oks


@pytest.mark.slow
def test_without_the_job_before_a_row_begins_with_initial_weights_and_says_so(after: StudyRun) -> None:
    planned, batches = after.jobs(1)[0], batches_of(after)
    found = audited_row(after, planned, batches)
    assert found.start == gradient_shares(laid_out(Network(planned.job.variant, 0)), batches, [1])[1]
    assert found.facts["begins with"] == "initial weights, phase 1: the job that it begins with is not complete"
    assert found.teacher == Teacher("not judged: the job that it begins with is not complete")


@pytest.mark.slow
def test_rows_of_which_one_can_begin_are_told_apart(after: StudyRun) -> None:
    """And what they begin with is no difference by itself: its key says what their names say."""
    complete(after, after.jobs(1)[0].job.start.key, Network(after.jobs(1)[0].job.variant, 99))
    apart = {line.name: (line.value, line.other) for line in audit_study(after) if line.kind == "differs"}
    assert apart["begins with"] == (
        "initial weights, phase 1: the job that it begins with is not complete",
        "weights of a complete job, phase 1",
    )
    assert not [name for name in apart if name.startswith("start.")]


# --------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("changes", "steps", "expected"),
    [
        ({}, 40, Training(20, 20, 160)),  # four epochs of ten steps of eight images, the stage teaches from the half on
        ({}, 5, Training(5, 20, 160)),
        ({}, 0, Training(0, 20, 160)),
        ({"protocol.accumulate": 2}, 5, Training(5, 20, 80)),
        (NEVER, 40, Training(20)),
        (NEVER | {"protocol.epochs": 1}, 40, Training(10)),
        (LATER, 40, Training(10, 10, 80)),
        (FROM_THE_FIRST, 5, Training(5, 0, 0)),
        ({"variant.phases.1.proxy": False, "protocol.epochs": 20}, 40, Training(40, 190, 1520)),
    ],
)
def test_a_row_is_trained_to_its_first_switch_and_to_its_teacher(
    changes: Mapping[str, Any], steps: int, expected: Training
) -> None:
    assert training_of(small_job(epochs=4).vary(changes), 10, steps) == expected


@pytest.mark.slow
def test_rows_are_judged_at_one_age_wherever_their_teachers_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher at the switch, losses after one step; beyond the bound the teacher is not judged, unless asked for."""
    monkeypatch.setattr(audit_row, "SHORT_TRAINING", 1)
    run = run_of(tmp_path, [Row("row")])

    def found(steps: int | None = None) -> RowAudit:
        return audited_row(run, run.jobs(1)[0], batches_of(run), steps)

    near, once = found(), found(1)
    assert near.weights == "after 1 step of training" and near.teacher and near.teacher.judged == AT_THE_SWITCH
    assert near == once and near.teacher.stage_oks != near.phases[0].stage_oks
    monkeypatch.setattr(audit_row, "TO_TEACHER", 15)  # two steps of eight images are one more
    far = found()
    assert far.phases == near.phases and far.teacher == Teacher(
        "not judged: it begins to teach after 16 images, an audit goes as far as 15; --steps 2 goes there"
    )
    asked = found(2)
    assert asked.teacher == near.teacher and asked.trained == 2


@pytest.mark.slow
def test_the_teacher_of_a_complete_job_is_judged_at_the_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last weights tell of the end of training alone, and are said to."""
    run = run_of(tmp_path, [Row("row")])
    planned = run.jobs(1)[0]
    complete(run, planned.job.key, Network(planned.job.variant, 99))
    fresh = audited_row(run, planned, batches_of(run), steps=1)
    found = audited_row(run, planned, batches_of(run))
    assert found.teacher == fresh.teacher and found.weights == "of the complete job" and found.phases != fresh.phases
    monkeypatch.setattr(audit_row, "TO_TEACHER", 0)
    last = audited_row(run, planned, batches_of(run))
    assert last.teacher == Teacher(AT_THE_END, last.phases[0].stage_oks, last.phases[0].branch_oks)


# ---------------------------------------------------------------------------------------------------------- teacher


@pytest.mark.parametrize(
    ("teaches", "seen", "judged"),
    [
        (None, (AT_THE_START, AT_THE_SWITCH, AT_THE_END), None),
        (0, (AT_THE_START, AT_THE_END), AT_THE_START),
        (20, (AT_THE_START, AT_THE_SWITCH, AT_THE_END), AT_THE_SWITCH),
        (20, (AT_THE_START, AT_THE_END), AT_THE_END),
        (0, (AT_THE_END,), AT_THE_END),
        (20, (AT_THE_START,), "not judged: it begins to teach after 160 images"),
        (20, (), "not judged: the job that it begins with is not complete"),
    ],
)
def test_a_teacher_is_judged_when_it_begins_to_teach(
    teaches: int | None, seen: tuple[str, ...], judged: str | None
) -> None:
    found = judged_teacher(Training(5, teaches, 160), {name: shares(len(name), 0.5) for name in seen})
    assert (found and found.judged.split(",")[0]) == judged
    if found and found.judged in seen:
        assert (found.stage_oks, found.branch_oks) == (len(found.judged), 0.5)


@pytest.mark.parametrize(
    ("teacher", "flagged"),
    [
        (None, False),
        (Teacher(AT_THE_SWITCH, 0.2, 0.4), True),
        (Teacher(AT_THE_SWITCH, 0.4, 0.4), False),  # as good as its pupil
        (Teacher("not judged: too far"), False),
    ],
)
def test_a_teacher_that_is_worse_than_its_pupil_is_flagged(teacher: Teacher | None, flagged: bool) -> None:
    lines = list(row_lines(audited(teacher=teacher)))
    said = "OKS 0.200 of the coordinate stage against 0.400 of the regression branch, at the switch"
    assert [line.value for line in lines if line.kind == "flag"] == [
        f"teacher is worse than its pupil: {said}"
    ] * flagged
    facts = [line.value for line in lines if (line.kind, line.name) == ("fact", "teacher")]
    assert facts == ([teacher.said] if teacher else [])
