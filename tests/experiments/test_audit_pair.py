"""Two rows: what differs besides what the first one names, and which shares are flagged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.audited import STATIC, audited, run_of, shares
from tests.small import SMALL
from workbench.experiments.audit_pair import facts_apart, share_flags, unnamed
from workbench.experiments.audit_row import RowAudit
from workbench.study import Row
from workbench.training.gradients import BOX, TRUNK

OTHER = {"c": 0.4, "b": 0.6}


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
    row = audited("row", start=shares(trunk=mine), phases={})
    found = share_flags(row, audited("than", start=shares(trunk=other), phases={}))
    assert list(found) == ["trunk"] * bool(said)
    assert found.get("trunk", "").startswith(said)


@pytest.mark.parametrize(
    ("part", "mine", "said"),
    [
        (BOX, {"a": 0.5, "b": 0.5}, "a makes 50.0 % of the gradient of the box branch, 40.0 % of c in 'than' (start)"),
        (BOX, {"a": 0.09, "b": 0.91}, ""),
        (BOX, {"c": 0.5, "b": 0.5}, ""),  # the same loss
        (TRUNK, {"a": 0.5, "b": 0.5}, ""),  # all losses may train it
    ],
)
def test_a_loss_that_moves_the_boxes_in_place_of_another_is_flagged(
    part: str, mine: dict[str, float], said: str
) -> None:
    row, than = (audited(start=replace(shares(), shares={part: of}), phases={}) for of in (mine, OTHER))
    than = replace(than, label="than")
    assert share_flags(row, than) == ({part: said} if said else {})


def test_a_part_is_flagged_once_at_the_moment_that_differs_most() -> None:
    less, more = {"a": 0.1, "b": 0.9}, {"a": 0.9, "b": 0.1}
    row = audited("row", start=shares(trunk=less), phases={0: shares(trunk=less), 1: shares(trunk=more)})
    than = audited(
        "than", start=shares(trunk={"a": 0.01, "b": 0.99}), phases={0: shares(trunk=less), 1: shares(trunk=less)}
    )
    assert share_flags(row, than) == {
        "trunk": "a makes 90.0 % of the gradient of the trunk, 10.0 % in 'than'; b 10.0 % against 90.0 % (phase 1)"
    }


def test_weights_of_other_age_are_not_compared_and_are_named() -> None:
    """With initial weights, at the start, they are."""
    less, more = {"a": 0.1, "b": 0.9}, {"a": 0.9, "b": 0.1}
    old, young = (
        audited(start=shares(trunk=less), phases={0: shares(trunk=p)}, trained=n) for p, n in ((less, 4), (more, 9))
    )
    assert share_flags(young, old) == {} and set(share_flags(replace(young, trained=4), old)) == {"trunk"}
    assert set(share_flags(young, replace(old, start=shares(trunk=more)))) == {"trunk"}
    assert facts_apart(young, old) == {"weights": ("after 9 steps of training", "after 4 steps of training")}


def test_what_begins_with_another_job_is_compared_loosely_from_the_start() -> None:
    rows = [audited(facts={"positives per image, at the start": positives}) for positives in ("5.00", "5.90", "6.10")]
    assert facts_apart(rows[1], rows[0]) == {} != facts_apart(rows[2], rows[0])
    assert set(facts_apart(rows[0], audited())) == {"positives per image, at the start"}


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
