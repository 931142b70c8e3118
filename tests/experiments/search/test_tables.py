"""What a search says on the terminal, of a planted log."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.search.searched import SEARCH, plant, searching, without_counting
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.search import tables
from workbench.experiments.search.decision import front
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.search.tables import print_search, print_states
from workbench.space import Factor


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    without_counting(monkeypatch)
    monkeypatch.setenv("COLUMNS", "160")
    return Searcher(plant(tmp_path)).know()


def entries(known: Knowledge) -> dict[str, QueueEntry]:
    """As the queue has them: #003 has failed, the last seed of #002 runs, the rest is complete."""
    states = {
        (3, 0): QueueEntry(JobState.FAILED, note="the gradient is not finite"),
        (2, 2): QueueEntry(JobState.RUNNING),
    }
    done = QueueEntry(JobState.COMPLETE)
    return {one.key: states.get((one.order.number, one.order.seed), done) for one in known.trainings}


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The lines of a table by the number of their candidate."""
    said = (line.strip(" │┃").replace("│", " ") for line in capsys.readouterr().out.splitlines())
    return {line[:4]: line for line in said if line.startswith("#") and "seed" not in line}


def test_states_are_a_line_per_candidate(known: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    print_states(known, entries(known))
    found = lines(capsys)
    assert [*found] == [f"#{number:03d}" for number in range(6)]
    for number, (state, seeds, cost) in enumerate(
        [
            ("complete", "3", "3.00"),
            ("known", "2", "1.00"),
            ("running", "3", "5.00"),
            ("failed", "0", "2.00"),
            ("complete", "1", "4.00"),
            ("over a limit", "0", "6.00"),
        ]
    ):
        line = found[f"#{number:03d}"]
        assert SEARCH.space.candidates[number].text in line
        assert line.split()[-2:] == [seeds, cost] and f" {state} " in line


def test_states_are_counted_and_failures_said(known: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    print_states(known, entries(known))
    out = capsys.readouterr().out
    third = next(one for one in known.trainings if one.order.number == 3)
    assert f"#003, seed 0 ({third.key}): the gradient is not finite" in out
    assert "6 proposed: 1 over a limit, 1 known, 1 running, 2 complete, 1 failed" in out
    assert "4 of 9 minutes of training on one core" in out
    print_states(known, {})
    assert "1 planned, 3 complete" in capsys.readouterr().out, "nothing is in the queue, results stand in folders"


def test_a_search_that_was_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_counting(monkeypatch)
    empty = Searcher(searching(tmp_path)).know()
    print_states(empty, {})
    out = capsys.readouterr().out
    assert "no candidate was proposed yet" in out and "0 of 9 minutes" in out
    print_search(empty, [])
    assert "0 candidates looked at, 0 minutes" in capsys.readouterr().out


def test_a_candidate_that_the_space_has_no_more_is_named(known: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    factors = (Factor("bins", {"dynamic": {}}), *SEARCH.factors[1:])
    print_states(
        replace(known, run=replace(known.run, search=replace(SEARCH, factors=factors, published={}))), entries(known)
    )
    assert "static, 1 (no more in the space)" in lines(capsys)["#004"]


def test_the_front_is_shown_cheapest_first(known: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    points = front(known)
    print_search(known, points)
    out = capsys.readouterr().out
    assert "planted, small: AP in points, costs of the published size" in out
    assert "6 candidates looked at, 4 minutes of training on one core" in out and "more that lie below" not in out
    shown = [line.strip(" │┃")[:4] for line in out.splitlines() if line.strip(" │┃").startswith("#")]
    on = [f"#{p.which:03d}" for p in sorted(points, key=lambda p: p.cost) if p.on_front]
    off = [f"#{p.which:03d}" for p in sorted(points, key=lambda p: -p.score.mean) if not p.on_front]
    assert shown == on + off and len(shown) == 4 and shown[0] == "#001"


def test_estimates_stand_beside_what_was_measured(known: Knowledge, capsys: pytest.CaptureFixture[str]) -> None:
    points = {one.which: one for one in front(known)}
    print_search(known, [*points.values()])
    line, best = lines(capsys)["#002"], points[2]
    said = f"{best.score.mean:.1f} {best.score.low:.1f} to {best.score.high:.1f} 38.0 3 {best.chance:.2f}"
    assert " ".join(line.split()).endswith(f"5.00 {said}")


def test_few_of_those_below_the_front_are_shown(
    known: Knowledge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "SHOWN", 1)
    points = [replace(one, on_front=one.which == 1) for one in front(known)]
    print_search(known, points)
    out = capsys.readouterr().out
    assert "and 2 more that lie below the front" in out and "#001" in out and "#002" in out and "#004" not in out
