"""What a page says of an audit: flags by claim, differences by pair, facts that rows share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
        AuditLine("base", "flag", "teacher", "teacher is worse"),
        AuditLine("A/A", "flag", "teacher", "another row's"),
    ]


@pytest.fixture
def audited(record: Record, home: Path) -> Record:
    write_audit(run_in(home), lines(record))
    return load_record(run_in(home))


@pytest.mark.slow
def test_flags_stand_beside_the_verdict_of_their_claim(audited: Record) -> None:
    assert fairness.claim_flags(audited) == {"P1": ["loss_a makes 50.0 %", "base: teacher is worse"]}
    head, _, claim = text(page.verdicts(audited)).splitlines()[:3]
    assert head.startswith("| id | claim | verdict |") and head.endswith("| what else differs |")
    assert claim.endswith("| loss_a makes 50.0 %<br>base: teacher is worse |")


@pytest.mark.slow
def test_a_page_prints_the_audit(audited: Record) -> None:
    said = text(page.audit(audited))
    assert "| more | base | `recipe.lr`: 0.1 against 0.2 | loss_a makes 50.0 % |" in said
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
