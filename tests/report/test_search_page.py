"""The pieces of a search's page, from its files alone."""

from dataclasses import replace

import pytest

from tests.report.made_up import still, text
from tests.report.searched import planted_record
from workbench.report import search_page as page
from workbench.report.search_frames import SearchRecord


@pytest.fixture
def record() -> SearchRecord:
    return planted_record()


PICTURES = (
    page.front, page.effects, page.growth, page.predicted, page.fresh, page.compute, page.importance, page.parallel,
)  # fmt: skip


def test_every_piece_is_there(record: SearchRecord) -> None:
    titles = {still(piece(record)).title for piece in PICTURES}
    assert len(titles) == len(PICTURES) and all(titles)
    head = text(page.head(record))
    assert head.startswith("# Which bins?\n\n**Mind") and "It says nothing." in head and "young is not mature" in head
    table = text(page.front_table(record))
    assert "| #001 |" in table and "1.00 GFLOPs" in table and "| 3 |" in table
    assert "search front planted --protocol small --as-study studies/my_front.py" in text(page.reproduce(record))
    assert "--max" not in text(page.reproduce(record)), "the limit is the search's own"


def test_published_networks_stand_beside_the_front(record: SearchRecord) -> None:
    base, dear = (line for line in text(page.named_networks(record)).splitlines() if "GFLOPs" in line)
    assert base.startswith("| Base | #000 | 3.00 GFLOPs | ") and "| 3 | #000 " in base
    assert dear.startswith("| Dear | #005 | 6.00 GFLOPs | over a limit |  | #002 ")
    assert "1 of 1 published network that were trained is on the front" in text(page.named_networks(record))
    unnamed = replace(record, candidates=record.candidates.assign(published=""))
    assert not text(page.named_networks(unnamed))


def test_the_order_after_a_longer_training_is_drawn(record: SearchRecord) -> None:
    assert not text(page.longer(record))
    later = record.front.assign(**{"after.laptop": [0.3, 0.5, float("nan"), 0.4]})  # #001, #000, #004, #002
    shown = still(page.longer(replace(record, front=later)))
    assert shown.title == "after laptop 2 of 3 pairs of networks keep their order"


def test_limits_of_a_command_line_are_said(record: SearchRecord) -> None:
    other = replace(record, summary={**record.summary, "limit_gflops": 4.0})
    assert "--max gflops=4" in text(page.reproduce(other))


def test_where_all_scores_are_the_same_figures_are_left_out(record: SearchRecord) -> None:
    same = replace(record, front=record.front.assign(measured=0.0), importance=record.importance.iloc[:0])
    for piece in (page.effects, page.growth, page.predicted, page.fresh, page.importance, page.parallel):
        assert "left out" in text(piece(same))
    assert still(page.front(same)) and still(page.compute(same))


def test_candidates_that_wait_stand_in_a_table(record: SearchRecord) -> None:
    assert "waits" not in text(page.saved(record))
    said = text(page.saved(planted_record(rungs=True)))
    assert "1 candidate waits there" in said and "| #003 |" in said and "2.00 GFLOPs | 0.5 | 30.0 |" in said
    assert still(page.compute(planted_record(rungs=True)))
