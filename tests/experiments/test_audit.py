"""The fairness audit: both known confounds are found where they are planted, and only there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.small import SMALL, SMALL_PROTOCOL, small_job
from workbench.components.losses.kld import KLD
from workbench.core.errors import Refused
from workbench.experiments.audit import (
    AuditLine,
    RowAudit,
    audit_study,
    compared,
    facts_apart,
    norms_of,
    rates,
    row_lines,
    share_flags,
    switches_of,
    unnamed,
)
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.gradients import BOX, STAGE, TOWERS, TRUNK, Pull
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


def of_kind(lines: Sequence[AuditLine], kind: str, row: str) -> list[AuditLine]:
    return [line for line in lines if line.kind == kind and line.row == row]


def flags(lines: Sequence[AuditLine], row: str, name: str) -> list[str]:
    return [line.value for line in of_kind(lines, "flag", row) if line.name == name]


# ----------------------------------------------------------------------------------------------------- the confounds


@pytest.mark.slow
def test_the_gradient_through_the_predicted_box_is_found(tmp_path: Path) -> None:
    """Only where the encoding reads the boxes does KLD move them. Without that path nothing is flagged."""
    rows = [
        Row("static", STATIC),
        Row("sine", KLD_ROW),
        Row("sine, boxes detached", {**KLD_ROW, "coords.box_gradient": False}),
    ]
    claims = Better("C3", "?", "sine", "static"), Better("C3 b", "?", "sine, boxes detached", "static")
    lines = audit_study(run_of(tmp_path, rows, *claims), steps=1)
    (found,) = flags(lines, "sine", BOX)
    assert (
        found.startswith("loss_kld makes ") and ", 0 % in 'static'" in found and "of the gradient of the box" in found
    )
    assert flags(lines, "sine, boxes detached", BOX) == []
    shares = {(x.row, x.moment): float(x.value) for x in lines if (x.name, x.part) == ("loss_kld", BOX)}
    assert all(share == 0 for (row, _), share in shares.items() if row != "sine")
    assert all(share > 0.05 for (row, _), share in shares.items() if row == "sine")
    assert {moment for _, moment in shares} == {"start", "phase 0", "phase 1"}


@pytest.mark.slow
def test_a_teacher_that_comes_too_early_is_found(tmp_path: Path) -> None:
    """A stage that has hardly learnt is a teacher from half of training on; the same one is none without the proxy."""
    never = {"phases.1.proxy": False, "phases.2.proxy": False}
    rows = [Row("early", {"losses.MLE.weights": (1e-6, 5.0, 5.0)}), Row("never", never)]
    lines = audit_study(run_of(tmp_path, rows))
    (found,) = flags(lines, "early", "teacher")
    (seen,) = [line.value for line in of_kind(lines, "fact", "early") if line.name == "teacher and pupil"]
    stage, branch = (float(part.split()[0]) for part in found.split("OKS ")[1].split("against "))
    assert "teacher is worse than its pupil: OKS " in found and "at the switch" in found and stage < branch
    assert "switch at step 2 of 4 (50 %)" in seen and "weights after 2 steps of training" in seen
    switched = {line.name: line.value for line in of_kind(lines, "switch", "early")}
    assert switched["target of the regression branch"] == "the truth -> the coordinate stage"
    assert switched["class target"] == "overlap by which cells were assigned -> OKS of the coordinate stage"
    assert flags(lines, "never", "teacher") == []
    assert {line.name for line in of_kind(lines, "switch", "never")} == {"weight of loss_oks", "weight of loss_mle"}


def pull(stage: float = 0.5, branch: float = 0.5, positives: float = 5.0, **shares: Mapping[str, float]) -> Pull:
    return Pull(shares or {"trunk": {"loss_a": 1.0}}, positives, stage, branch)


def audited(label: str = "row", trained: int = 4, finished: bool = False, **fields: Any) -> RowAudit:
    job = small_job(epochs=4)
    made = {"switches": switches_of(job, 2), "facts": {}, "start": pull(), "phases": {0: pull(), 1: pull()}} | fields
    return RowAudit(label, job, trained, finished, **made)


@pytest.mark.parametrize(
    ("stage", "trained", "finished", "when"),
    [
        (0.2, 4, False, "at the switch"),
        (0.2, 8, True, "at the end of training"),
        (0.2, 3, False, ""),  # younger than the switch: nobody knows yet
        (0.4, 4, False, ""),  # as good as its pupil
    ],
)
def test_a_teacher_is_judged_by_weights_as_old_as_the_switch(
    stage: float, trained: int, finished: bool, when: str
) -> None:
    phases = {0: pull(stage, 0.4), 1: pull(stage, 0.4)}
    lines = list(row_lines(audited(trained=trained, finished=finished, phases=phases)))
    assert [line.value.endswith(when) for line in lines if line.kind == "flag"] == [True] * bool(when)
    assert f"OKS {stage:.3f} of the coordinate stage" in next(x.value for x in lines if x.name == "teacher and pupil")


# ------------------------------------------------------------------------------------------------------------ shares


@pytest.mark.parametrize(
    ("mine", "other", "said"),
    [
        (
            {"a": 0.9, "b": 0.1},
            {"b": 1.0},
            "a makes 90.0 % of the gradient of the trunk, 0 % in 'than'; b 10.0 % against",
        ),
        (
            {"b": 1.0},
            {"a": 0.9, "b": 0.1},
            "b makes 100.0 % of the gradient of the trunk, 10.0 % in 'than'; a 0 % against",
        ),
        ({"a": 0.30, "b": 0.70}, {"a": 0.0, "b": 1.0}, "a makes 30.0 % of the gradient of the trunk, 0 % in 'than'"),
        ({"a": 0.0, "b": 1.0}, {"a": 0.30, "b": 0.70}, "a makes 0 % of the gradient of the trunk, 30.0 % in 'than'"),
        ({"a": 0.051, "b": 0.949}, {"a": 0.01, "b": 0.99}, "a makes 5.1 % of the gradient of the trunk, 1.0 % in"),
        ({"a": 0.05, "b": 0.95}, {"a": 0.0101, "b": 0.9899}, ""),  # less than five times
        ({"a": 0.009, "b": 0.991}, {"a": 0.0, "b": 1.0}, ""),  # negligible on both sides
        ({"a": 0.5, "b": 0.5}, {"c": 0.05, "b": 0.95}, "a makes 50.0 % of the gradient of the trunk, 5.0 % of c in"),
        ({"a": 0.5, "b": 0.5}, {"c": 0.4, "b": 0.6}, ""),  # another term in the same place, as strong
        ({"a": 0.5, "b": 0.5}, {"b": 1.0}, ""),  # the row without it says so itself
    ],
)
def test_shares_are_flagged_both_ways(mine: dict[str, float], other: dict[str, float], said: str) -> None:
    row = audited("row", start=pull(trunk=mine), phases={})
    found = share_flags(row, audited("than", start=pull(trunk=other), phases={}))
    assert list(found) == ["trunk"] * bool(said)
    assert found.get("trunk", "").startswith(said)


def test_a_part_is_flagged_once_at_the_moment_that_differs_most() -> None:
    less, more = {"a": 0.1, "b": 0.9}, {"a": 0.9, "b": 0.1}
    row = audited("row", start=pull(trunk=less), phases={0: pull(trunk=less), 1: pull(trunk=more)})
    than = audited("than", start=pull(trunk={"a": 0.01, "b": 0.99}), phases={0: pull(trunk=less), 1: pull(trunk=less)})
    assert share_flags(row, than) == {
        "trunk": "a makes 90.0 % of the gradient of the trunk, 10.0 % in 'than'; b 10.0 % against 90.0 % (phase 1)"
    }


# ------------------------------------------------------------------------------------------- what is known of the job


def test_switches_are_those_that_epochs_reach() -> None:
    """The last phase starts at 95 %: no epoch of four begins in it, the last one of twenty does."""
    few, many = (switches_of(small_job(epochs=epochs), 10) for epochs in (4, 20))
    assert [(s.phase, s.step, s.total) for s in few] == [(1, 20, 40)]
    assert [(s.phase, s.step, s.moment) for s in many] == [
        (1, 100, "step 100 of 200 (50 %)"),
        (2, 190, "step 190 of 200 (95 %)"),
    ]
    assert many[1].changes == {"augmentation": "full -> weak", "weight of loss_bbox_aux": "0 -> 1"}
    assert switches_of(small_job(epochs=1), 10) == ()


def test_what_a_row_names_is_taken_away(tmp_path: Path) -> None:
    rows = [
        Row("first", {"losses.OKS.weights": (30.0, 30.0, 30.0), "coords.padding": 1.5}),
        Row("second", lambda base: {"coords.padding": 2.5 if base.neck == SMALL["neck"] else 1.0}),
        Row("third", STATIC),
        Row("base"),
    ]
    run = run_of(tmp_path, rows)
    jobs = {one.row: one.job for one in run.jobs(1)}

    def left(row: int) -> dict[str, tuple[str, str]]:
        return unnamed(run, rows[row], jobs[rows[row].label], jobs["first"])

    oks = {"variant.losses.OKS.weights": ("30.0 10.0 10.0", "30.0 30.0 30.0")}
    padding = {"variant.coords.padding": ("1.25", "1.5")}
    assert left(1) == oks
    assert left(2) == oks | padding
    assert left(3) == oks | padding
    missing = unnamed(run, rows[0], jobs["first"], jobs["third"])
    assert missing["variant.losses.KLD"] == ("nothing", "KLD") and missing["variant.losses.MLE"] == ("MLE", "nothing")
    assert not [path for path in missing if path.startswith(("variant.losses.KLD.", "variant.losses.MLE."))]


def test_rows_are_compared_as_claims_say(tmp_path: Path) -> None:
    rows = [Row("a"), Row("b", STATIC), Row("c", KLD_ROW), Row("c again", KLD_ROW, seed_offset=9)]
    claims = Better("1", "?", "c", "b"), Better("2", "?", "c", "b"), Better("3", "?", "c again", "b")
    assert compared(study(rows, *claims)) == [("b", "a"), ("c", "b")]


def test_the_effective_rate_is_the_schedule_summed() -> None:
    job = small_job().vary({"recipe.schedule": (), "recipe.lr": 0.5, "recipe.encoder_lr_scale": 0.1})
    network = Network(job.variant, 0)
    assert rates(network, job, 20) == {
        "learning rate": "mean 0.5, sum 10",
        "learning rate of the slow part": "mean 0.05, sum 1",
    }
    assert norms_of(network) == "momentum 0.03 eps 0.001, momentum 0.1 eps 1e-05"
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    assert norms_of(network) == "none"


def test_facts_that_differ_are_named() -> None:
    def row(order: str, untrained: str, trained: str) -> RowAudit:
        return audited(
            facts={"first images": order, "positives per image, untrained": untrained}
            | {"positives per image, trained": trained}
        )

    first = row("1 2", "5.00", "5.00")
    assert facts_apart(row("1 2", "5.00", "5.90"), first) == {}
    assert facts_apart(row("1 2", "5.01", "6.10"), first) == {
        "positives per image, untrained": ("5.01", "5.00"),
        "positives per image, trained": ("6.10", "5.00"),
    }
    assert facts_apart(row("7 8", "5.00", "5.00"), first) == {"first images": ("7 8", "1 2")}


# ------------------------------------------------------------------------------------------------------------- whole


@pytest.mark.slow
def test_weights_of_a_complete_job_are_taken_and_the_audit_repeats_itself(tmp_path: Path) -> None:
    run = run_of(tmp_path, [Row("done"), Row("not done", STATIC)])
    job = run.jobs(1)[0].job
    folder = run.folder(job.key)
    folder.mkdir(parents=True)
    weights = Network(job.variant, 99).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "weights.safetensors")
    write_result(folder, job.key, {}, {})
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
