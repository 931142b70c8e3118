"""The fairness audit: both known confounds are found where they are planted, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.experiments.audited import KLD_ROW, PROTOCOL, STATIC, complete, run_of, study
from tests.small import SMALL_PROTOCOL
from workbench.core.errors import Refused
from workbench.experiments.audit import AuditLine, audit_study, compared
from workbench.experiments.plan import StudyRun
from workbench.models.network import Network
from workbench.study import Better, Row
from workbench.training.gradients import BOX, STAGE, TOWERS, TRUNK


def of_kind(lines: Sequence[AuditLine], kind: str, row: str) -> list[AuditLine]:
    return [line for line in lines if line.kind == kind and line.row == row]


def flags(lines: Sequence[AuditLine], row: str, name: str) -> list[str]:
    return [line.value for line in of_kind(lines, "flag", row) if line.name == name]


# ----------------------------------------------------------------------------------------------------- the confounds


@pytest.mark.slow
def test_the_gradient_through_the_predicted_box_is_found(tmp_path: Path) -> None:
    """KLD moves the boxes where the encoding reads them, MLE in its place as well. Detached, neither is flagged."""
    detached = {"coords.box_gradient": False}
    rows = [
        Row("static", STATIC),
        Row("sine", KLD_ROW),
        Row("likelihood"),
        Row("sine, detached", KLD_ROW | detached),
        Row("likelihood, detached", detached),
    ]
    claims = [
        Better("C3", "?", "sine", "static"),
        Better("C4", "?", "likelihood", "sine"),
        Better("C3 b", "?", "sine, detached", "static"),
        Better("C4 b", "?", "likelihood, detached", "sine, detached"),
    ]
    lines = audit_study(run_of(tmp_path, rows, *claims), steps=1)
    ((sine,), (likelihood,)) = (flags(lines, row, BOX) for row in ("sine", "likelihood"))
    assert sine.startswith("loss_kld makes ") and " of the gradient of the box branch, 0 % in 'static'" in sine
    assert likelihood.startswith("loss_mle makes ") and " of loss_kld in 'sine'" in likelihood
    assert [flags(lines, row, BOX) for row in ("static", "sine, detached", "likelihood, detached")] == [[], [], []]
    shares = {(x.row, x.moment): float(x.value) for x in lines if (x.name, x.part) == ("loss_kld", BOX)}
    assert all(share > 0.05 if row == "sine" else share == 0 for (row, _), share in shares.items())
    assert {row for row, _ in shares} == {"static", "sine", "sine, detached"}
    assert {moment for _, moment in shares} == {"start", "phase 0", "phase 1"}


@pytest.mark.slow
def test_a_teacher_that_comes_too_early_is_found(tmp_path: Path) -> None:
    """A stage that has hardly learnt is a teacher from half of training on; the same one is none without the proxy."""
    never = {"phases.1.proxy": False, "phases.2.proxy": False}
    rows = [Row("early", {"losses.MLE.weights": (1e-6, 5.0, 5.0)}), Row("never", never)]
    lines = audit_study(run_of(tmp_path, rows))
    (found,) = flags(lines, "early", "teacher")
    (seen,) = [line.value for line in of_kind(lines, "fact", "early") if line.name == "teacher"]
    stage, branch = (float(part.split()[0]) for part in seen.removeprefix("OKS ").split(" against "))
    assert found == f"teacher is worse than its pupil: {seen}" and stage < branch and seen.endswith("at the switch")
    switched = {line.name: line.value for line in of_kind(lines, "switch", "early")}
    assert switched["target of the regression branch"] == "the truth -> the coordinate stage"
    assert switched["class target"] == "overlap by which cells were assigned -> OKS of the coordinate stage"
    assert flags(lines, "never", "teacher") == [] == [x for x in of_kind(lines, "fact", "never") if x.name == "teacher"]
    assert {line.name for line in of_kind(lines, "switch", "never")} == {"weight of loss_oks", "weight of loss_mle"}


# ------------------------------------------------------------------------------------------------------------- whole


def test_rows_are_compared_as_claims_say(tmp_path: Path) -> None:
    rows = [Row("a"), Row("b", STATIC), Row("c", KLD_ROW), Row("c again", KLD_ROW, seed_offset=9)]
    claims = Better("1", "?", "c", "b"), Better("2", "?", "c", "b"), Better("3", "?", "c again", "b")
    assert compared(study(rows, *claims)) == [("b", "a"), ("c", "b")]


@pytest.mark.soak
def test_weights_of_a_complete_job_are_taken_and_the_audit_repeats_itself(tmp_path: Path) -> None:
    run = run_of(tmp_path, [Row("done"), Row("not done", STATIC)])
    job = run.jobs(1)[0].job
    complete(run, job.key, Network(job.variant, 99))
    threads = torch.get_num_threads()
    lines = audit_study(run)
    said = {line.row: line.value for line in lines if line.name == "weights"}
    assert said == {"done": "of the complete job", "not done": "after 2 steps of training"}
    assert audit_study(run) == lines and torch.get_num_threads() == threads
    fresh = audit_study(run, steps=1)
    assert {line.row: line.value for line in fresh if line.name == "weights"} == dict.fromkeys(
        said, "after 1 step of training"
    )
    assert {line.part for line in lines if line.kind == "share"} == {TRUNK, TOWERS, BOX, STAGE}


def test_a_data_set_that_is_not_at_hand_is_refused(tmp_path: Path) -> None:
    run = StudyRun(study([Row("a")]), replace(PROTOCOL, protocol=replace(SMALL_PROTOCOL, data="coco")), tmp_path)
    with pytest.raises(Refused, match="add --data FOLDER"):
        audit_study(run)
