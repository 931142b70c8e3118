"""The sentences about a search are true of its numbers."""

from dataclasses import replace

import pytest

from tests.report.searched import planted_record
from workbench.report import search_findings as findings
from workbench.report.search_frames import SearchRecord


@pytest.fixture
def record() -> SearchRecord:
    return planted_record()


def test_where_predictions_did_not_hold_the_page_begins_with_that(record: SearchRecord) -> None:
    said = findings.conclusion(record)
    assert said.startswith("**Mind that") and "1 of 3 first trainings came out inside" in said
    wide = replace(record, candidates=record.candidates.assign(low=0.0, high=1.0))
    assert findings.conclusion(wide).startswith("Of 4 networks that were trained")


def test_the_conclusion_names_the_front_with_its_intervals(record: SearchRecord) -> None:
    said, count = findings.conclusion(record), len(record.on_front)
    assert f"Of 4 networks that were trained {count} are on the front by their estimates" in said
    assert "#001 (dynamic, padding usual" in said or "#001 (" in said
    assert said.count(" to ") >= count and "no verdicts" in said and "chance of" in said
    assert "The last of them is the best within the limits (gflops at most 5.5)." in said


def test_titles(record: SearchRecord) -> None:
    assert findings.front_title(record).endswith("from #001 to #002")
    assert "1 of 3 first trainings came out inside" in findings.predicted_title(record)
    assert "AP lower than predicted" in findings.predicted_title(record)
    assert findings.fresh_title(record).startswith("with fresh seeds 3 networks came out lower by +2.2 (")
    assert findings.compute_title(record) == "38 % of 4 minutes went into first trainings, the rest into seeds"
    assert "1 networks" not in findings.saved_text(record) and "1 candidate had numbers" in findings.saved_text(record)
    assert "minutes" in findings.growth_title(record) and "#002" in findings.parallel_title(record)
    assert "3 options" in findings.effects_title(record) or "differ" in findings.effects_title(record)


def test_what_became_of_candidates_is_counted(record: SearchRecord) -> None:
    said = findings.looked_at(record)
    assert "The space has 6 networks: 5 may be trained, 1 are over a limit (gflops at most 5.5)" in said
    assert "6 candidates looked at" in said and "3 complete" in said and "4 minutes of training" in said


def test_published_networks_that_were_not_trained_to_the_end_are_not_counted(record: SearchRecord) -> None:
    assert findings.published_text(record).startswith("1 of 1 published network that were trained is on the front")
    none = replace(record, front=record.front.assign(candidate="#099"))
    assert findings.published_text(none).startswith("No published network was trained to the end")


def test_with_a_rung_candidates_wait_or_go_on(record: SearchRecord) -> None:
    assert findings.rung_text(record) == "", "there is none"
    paused = planted_record(rungs=True)
    epochs = paused.protocol.protocol.epochs
    said = f"New candidates pause after epoch {epochs // 5} of {epochs}. 1 candidate waits there, and 3 went on"
    assert findings.rung_text(paused).startswith(said) and "`mean_loss_oks`" in findings.rung_text(paused)
    assert "1 paused" in findings.looked_at(paused)
    assert findings.compute_title(paused).startswith("100 % of 2 minutes"), "no further seeds"
