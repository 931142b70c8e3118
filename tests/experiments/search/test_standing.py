"""Where candidates stand, of a planted log."""

from pathlib import Path

import pytest

from tests.experiments.search.searched import plant, plant_paused, without_counting
from workbench.experiments.queue_entry import LIMIT, JobState, QueueEntry
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import LogFile, Order
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.search.standing import Standing, counts, given_up, standing

DONE = QueueEntry(JobState.COMPLETE)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    without_counting(monkeypatch)
    return Searcher(plant(tmp_path)).know()


def every(known: Knowledge, entries: dict[str, QueueEntry]) -> list[Standing]:
    return [standing(one, known, entries) for one in known.log.proposals]


def test_checks_are_said_with_their_reason(known: Knowledge) -> None:
    found = every(known, {})
    assert found[1] == Standing("known", "trained before")
    assert found[5] == Standing("over a limit", "gflops 6, at most 5.5")


def test_the_first_training_decides_but_for_one_that_runs(known: Knowledge) -> None:
    key = {(one.order.number, one.order.seed): one.key for one in known.trainings}
    entries = {one: DONE for one in key.values()}
    entries |= {
        key[3, 0]: QueueEntry(JobState.FAILED, LIMIT, note="out of memory"),
        key[1, 1]: QueueEntry(JobState.RUNNING),
    }
    found = every(known, entries)
    assert [one.state for one in found] == ["complete", "running", "complete", "failed", "complete", "over a limit"]
    assert found[3].why == "out of memory" and given_up(entries) == {key[3, 0]: "out of memory"}
    again = every(known, {**entries, key[0, 1]: QueueEntry(JobState.KILLED, note="its process was killed")})
    assert again[0] == Standing("complete"), "a further seed that is lost takes nothing away"


def test_with_a_rung_some_wait(tmp_path: Path) -> None:
    known = Searcher(plant_paused(tmp_path)).know()
    key = known.log.proposals[3].key
    found = every(known, {key: QueueEntry(JobState.PAUSED, rung=known.run.rung)})
    assert [one.state for one in found] == ["complete", "known", "complete", "paused", "complete", "over a limit"]


def test_what_goes_on_from_the_rung_waits_for_a_worker(tmp_path: Path) -> None:
    run = plant_paused(tmp_path)
    LogFile(run.log_folder).add(Order(3, purpose="promoted"))
    known = Searcher(run).know()
    key = known.log.proposals[3].key
    assert every(known, {key: QueueEntry(JobState.PAUSED, rung=run.rung)})[3] == Standing("planned")
    assert every(known, {key: QueueEntry(JobState.RUNNING, rung=run.rung)})[3] == Standing("running")


def test_states_are_counted_in_one_order() -> None:
    assert counts(["complete", "paused", "impossible", "complete", "over a limit"]) == {
        "over a limit": 1,
        "impossible": 1,
        "paused": 1,
        "complete": 2,
    }
    assert [*counts(["paused", "impossible"])] == ["impossible", "paused"]
