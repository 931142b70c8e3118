"""What a page says of an audit: flags by claim, differences by pair, facts that rows share."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from tests.report.made_up import run_in, text
from workbench.experiments.audit import AuditLine
from workbench.experiments.audit_table import write_audit
from workbench.report import fairness, page
from workbench.report.record import Record, load_record


def lines(record: Record) -> list[AuditLine]:
    keys = {one.row: one.job.key for one in record.jobs if one.seed == 0}
    return [
        *(AuditLine(row, "job", value=key) for row, key in keys.items()),
        *(AuditLine(row, "fact", "batch norms", "momentum 0.03 | eps 0.001") for row in keys),
        *(AuditLine(row, "fact", "first images", f"{i} 2") for i, row in enumerate(keys)),
        AuditLine("base", "switch", "target", "a -> b", moment="step 4 of 8"),
        AuditLine("base", "switch", "weight", "1 -> 5", moment="step 4 of 8"),
        AuditLine("more", "differs", "recipe.lr", "0.1", than="base", other="0.2"),
        AuditLine("more", "flag", "trunk", "loss_a makes 50.0 %", than="base"),
        AuditLine("more", "flag", "trunk", "of no claim", than="A/A"),
        AuditLine("base", "flag", "teacher", "teacher is worse than its pupil"),
        AuditLine("A/A", "flag", "teacher", "another row's"),
    ]


@pytest.fixture
def audited(record: Record, home: Path) -> Record:
    write_audit(run_in(home), lines(record))
    return load_record(run_in(home))


FROM_THE_TRUNK = "The effect may come from what trains the trunk, not from what the claim names: loss_a makes 50.0 %."
HELD_BACK = "The effect may look larger than it is, because in 'base' the teacher is worse than its pupil."


@pytest.mark.slow
def test_flags_stand_beside_the_verdict_of_their_claim(audited: Record) -> None:
    assert fairness.claim_flags(audited) == {"P1": [FROM_THE_TRUNK, HELD_BACK]}
    head, _, claim = text(page.verdicts(audited)).splitlines()[:3]
    assert head.startswith("| id | claim | verdict |") and head.endswith("| what else differs |")
    assert claim.endswith(f"| {FROM_THE_TRUNK}<br>{HELD_BACK} |")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "looks"), [(["more"], "smaller"), (["base"], "larger"), (["more", "base"], "smaller or larger")]
)
def test_a_row_that_is_held_back_makes_an_effect_look_other_than_it_is(
    audited: Record, rows: list[str], looks: str
) -> None:
    flags = pd.DataFrame([asdict(AuditLine(row, "flag", "teacher", f"teacher of {row}")) for row in rows])
    jobs = audited.audit[audited.audit["kind"] == "job"]
    record = replace(audited, audit=pd.concat([jobs, flags], ignore_index=True))
    why = "; ".join(f"in {row!r} the teacher of {row}" for row in rows)
    assert fairness.claim_flags(record) == {"P1": [f"The effect may look {looks} than it is, because {why}."]}
    assert fairness.compared_rows(record) == [
        [row, "", "", f"AP may be low because the teacher of {row}"] for row in rows
    ]


@pytest.mark.slow
def test_a_page_prints_the_audit(audited: Record) -> None:
    said = text(page.audit(audited))
    trunk = "AP may differ by what trains the trunk: loss_a makes 50.0 %"
    assert f"| more | base | `recipe.lr`: 0.1 against 0.2 | {trunk} |" in said
    assert "The same in all rows: batch norms: momentum 0.03 | eps 0.001." in said
    assert "| row | first images | from step 4 of 8 |" in said
    assert "| base | 0 2 | target: a -> b; weight: 1 -> 5 |" in said and "| more | 1 2 |  |" in said


@pytest.mark.slow
def test_without_an_audit_of_these_jobs_a_page_says_how_to_make_one(record: Record, audited: Record) -> None:
    other = audited.audit.replace({"value": {audited.jobs[0].job.key: "another key"}})
    for one in (record, replace(audited, audit=other)):
        assert "left out" in text(page.audit(one)) and "study -- audit padding --protocol small" in text(
            page.audit(one)
        )
        assert "what else differs" not in text(page.verdicts(one)) and fairness.compared_rows(one) == []
