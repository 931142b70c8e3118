"""The trials of a queue, in Optuna's tables: Optuna reads what we write there, and we what it writes."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy as sql
from optuna.trial import TrialState, create_trial
from sqlalchemy import event

from tests.experiments.fakes import FAKED
from workbench.experiments.stores import store_of
from workbench.experiments.trial_table import ATTRIBUTES, HEARTBEATS, STUDIES, TABLES, TRIALS, VALUES, TrialTable

pytestmark = FAKED
JOBS = [{"key": f"key{number}", "job": {"seed": number}} for number in range(5)]


class Queue:
    """A study of Optuna, and its trials as we see them."""

    def __init__(self, home: Path) -> None:
        self.storage = store_of(home).open()
        self.study = optuna.create_study(storage=self.storage, study_name="a", load_if_exists=True)
        self.table = TrialTable(self.storage, self.study._study_id)

    def states(self) -> list[tuple[int, str]]:
        self.table.refresh()
        return [(one.number, one.state.name) for one in self.table.attempts]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With a file as its store."""
    return tmp_path


def test_the_tables_are_optunas() -> None:
    """What is used of them; Optuna may add to them."""
    used = {
        "studies": (STUDIES, {"study_id", "study_name"}),
        "trials": (TRIALS, {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"}),
        "trial_user_attributes": (ATTRIBUTES, {"trial_id", "key", "value_json"}),
        "trial_values": (VALUES, {"trial_id", "objective", "value", "value_type"}),
        "trial_heartbeats": (HEARTBEATS, {"trial_id", "heartbeat"}),
    }
    for name, (table, columns) in used.items():
        assert table is TABLES[name] and columns <= set(table.columns.keys())
        needed = {c.name for c in table.columns if not (c.nullable or c.primary_key or c.default is not None)}
        assert needed <= columns, "a row without it could not be put in"


def test_optuna_finds_what_was_put_in_and_taken(home: Path) -> None:
    queue = Queue(home)
    queue.table.add(JOBS)
    queue.table.add([{"key": "done"}], values=[0.25])
    taken = queue.table.take("host 1 0.00")
    assert taken is not None and taken.number == 0 and taken.user_attrs == JOBS[0] | {"owner": "host 1 0.00"}
    first, *waiting, done = queue.study.get_trials()
    assert [one.number for one in (first, *waiting, done)] == list(range(6))
    assert first.state is TrialState.RUNNING and first.user_attrs == taken.user_attrs and first.datetime_start
    assert [(one.state, one.user_attrs) for one in waiting] == [(TrialState.WAITING, job) for job in JOBS[1:]]
    assert (done.state, done.value, done.user_attrs) == (TrialState.COMPLETE, 0.25, {"key": "done"})
    assert done.datetime_complete and queue.study.best_value == 0.25
    with queue.storage.engine.connect() as connection:
        assert [*connection.execute(sql.select(HEARTBEATS.c.trial_id)).scalars()] == [taken.trial_id]
    queue.storage.set_trial_state_values(taken.trial_id, TrialState.COMPLETE, [0.5])
    assert queue.study.get_trials()[0].values == [0.5]
    with pytest.warns(Warning, match="Heartbeat"):
        assert queue.study.ask().user_attrs == JOBS[1], "and Optuna takes the next"


def test_we_find_what_optuna_put_in_and_ended(home: Path) -> None:
    queue = Queue(home)
    queue.study.enqueue_trial({}, user_attrs=JOBS[0])
    queue.study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs={"key": "key0", "outcome": "paused"}))
    queue.study.enqueue_trial({}, user_attrs=JOBS[1])
    assert queue.states() == [(0, "WAITING"), (1, "PRUNED"), (2, "WAITING")] and queue.table.count() == 3
    assert [one.number for one in queue.table.of("key0")] == [0, 1] and not queue.table.of("another")
    assert [one.watched for one in queue.table.attempts] == [True, False, True]
    with pytest.warns(Warning, match="Heartbeat"):
        trial = queue.study.ask()
    assert queue.states()[0] == (0, "RUNNING")
    trial.set_user_attr("outcome", "complete")
    queue.table.refresh()
    assert queue.table.attempts[0].user_attrs["outcome"] == "complete", "what runs is read again"
    queue.study.tell(trial, 0.5)
    assert queue.states()[0] == (0, "COMPLETE") and queue.table.attempts[0].watched
    queue.table.add(JOBS[2:])
    assert [state for _, state in queue.states()] == ["COMPLETE", "PRUNED", *["WAITING"] * 4]
    assert [one.number for one in queue.table.attempts] == list(range(6))


def test_of_a_job_that_waits_only_its_place_is_read(home: Path) -> None:
    queue = Queue(home)
    queue.table.add(JOBS)
    queue.table.refresh()
    assert all(one.user_attrs["job"] is None for one in queue.table.attempts)


def test_what_is_seen_in_a_state_keeps_the_time(home: Path) -> None:
    queue = Queue(home)
    queue.table.add(JOBS[:2])
    queue.table.refresh()
    before = queue.table.attempts
    taken = queue.table.take("host 1 0.00")
    assert taken is not None
    queue.table.refresh()
    queue.table.refresh()
    first, second = queue.table.attempts
    assert first.since > before[0].since and second == before[1]
    queue.table.refresh()
    assert queue.table.attempts[0].since == first.since


def test_studies_of_one_store_do_not_see_each_other(home: Path) -> None:
    queue = Queue(home)
    other = optuna.create_study(storage=queue.storage, study_name="b")
    other.enqueue_trial({}, user_attrs={"key": "other"})
    queue.table.add(JOBS[:1])
    other.enqueue_trial({}, user_attrs={"key": "other"})
    taken = queue.table.take("host 1 0.00")
    assert taken is not None and taken.number == 0
    assert queue.states() == [(0, "RUNNING")] and not queue.table.waits() and queue.table.take("host 1 0.00") is None


def statements(queue: Queue, do: Callable[[], Any]) -> list[int]:
    """How many rows each statement gave that was sent meanwhile."""
    rows: list[int] = []

    def count(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        rows.append(cursor.rowcount)

    event.listen(queue.storage.engine, "after_cursor_execute", count)
    try:
        do()
    finally:
        event.remove(queue.storage.engine, "after_cursor_execute", count)
    return rows


def test_a_job_is_taken_with_as_many_statements_however_many_wait(home: Path) -> None:
    queue, numbers = Queue(home), list[int]()
    for more in (1, 300):
        queue.table.add([{"key": "one", "job": {}}] * more)
        numbers.append(len(statements(queue, lambda: queue.table.take("host 1 0.00"))))
    assert numbers[0] == numbers[1] == 6, "its beginning, its search and what it writes, and what it reads"


def test_many_are_put_in_with_few_statements(home: Path) -> None:
    queue = Queue(home)
    sent = statements(queue, lambda: queue.table.add([{"key": f"{i}", "job": {}} for i in range(2500)]))
    assert len(sent) < 30 and queue.table.count() == 2500
    queue.table.refresh()
    assert [(one.number, one.user_attrs["key"]) for one in queue.table.attempts] == [(i, f"{i}") for i in range(2500)]


# Several at once


def take_all(home: Path, number: int) -> None:
    """Takes trials until none waits, and writes down which."""
    table, taken = Queue(home).table, list[str]()
    while (one := table.take(f"host {number} 0.00")) is not None:
        taken.append(str(one.number))
    (home / f"taken{number}").write_text(" ".join(taken))


def race(home: Path, jobs: int) -> None:
    """Four processes take so many jobs: each is taken once, and those of each in their order."""
    Queue(home).table.add([{"key": str(i), "job": {}} for i in range(jobs)])
    takers = [multiprocessing.get_context("fork").Process(target=take_all, args=(home, i)) for i in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    each = [[int(word) for word in path.read_text().split()] for path in home.glob("taken*")]
    assert len(each) == 4 and all(numbers == sorted(numbers) for numbers in each)
    assert Counter(number for numbers in each for number in numbers) == Counter(range(jobs))


@pytest.mark.slow
def test_no_two_take_the_same_from_a_file(home: Path) -> None:
    race(home, 100)


@pytest.mark.slow
def test_no_two_take_the_same_from_a_server(database: str, home: Path) -> None:
    race(home, 100)


@pytest.mark.slow
def test_a_server_holds_what_a_file_holds(database: str, home: Path) -> None:
    test_optuna_finds_what_was_put_in_and_taken(home)


@pytest.mark.slow
def test_a_server_gives_what_a_file_gives(database: str, home: Path) -> None:
    test_we_find_what_optuna_put_in_and_ended(home)
