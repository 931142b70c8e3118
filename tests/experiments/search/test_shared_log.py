"""The log of a search in an object store: another machine goes on from it, and who decides has all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from tests.experiments.search.searched import plant, searching
from workbench.experiments.object_store import FILES_VARIABLE, ObjectStore
from workbench.experiments.search.log import LogFile, Order
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.shared_log import SharedLog
from workbench.experiments.stores import store_of
from workbench.training.record import is_complete, job_folder

FURTHER, OTHER = Order(4, 1, purpose="front"), Order(2, 1, purpose="front")


@pytest.fixture
def machines(tmp_path: Path) -> Callable[[str], SearchRun]:
    """A search on machines with a folder of runs each, by their names."""

    def run(name: str) -> SearchRun:
        (tmp_path / name).mkdir(exist_ok=True)
        return searching(tmp_path / name)

    return run


def text(run: SearchRun) -> str:
    return LogFile(run.log_folder).path.read_text("utf-8")


def silent(line: str) -> None:
    raise AssertionError(line)


def begun(run: SearchRun) -> SearchRun:
    """On one machine, which has told of it."""
    plant(run.home)
    SharedLog(run).send(silent)
    return run


def test_with_a_folder_for_all_there_is_nothing_to_bring(
    machines: Callable[[str], SearchRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FILES_VARIABLE, raising=False)
    run = begun(machines("a"))
    assert not SharedLog(run).bring(silent) and not SharedLog(machines("b")).bring(silent)
    assert not (machines("b").home / "searches").exists()


def test_another_machine_has_the_log_and_the_results_that_it_took_over(
    address: str, machines: Callable[[str], SearchRun]
) -> None:
    a, b = machines("a"), machines("b")
    plant(a.home)
    known = LogFile(a.log_folder).read().proposals[1].key  # of a study before, so that no queue asks for it
    assert not SharedLog(b).bring(silent), "nobody has told of it"
    SharedLog(a).send(silent)
    assert SharedLog(b).bring(silent) and text(b) == text(a)
    assert is_complete(job_folder(b.home, known))
    assert not SharedLog(b).bring(silent), "once"


def test_who_decides_does_so_on_what_others_have_decided(address: str, machines: Callable[[str], SearchRun]) -> None:
    a, b = begun(machines("a")), machines("b")
    asked = list[str]()

    def step(run: SearchRun, order: Order | None) -> Callable[[], bool]:
        def decide() -> bool:
            asked.append(text(run))
            if order:
                LogFile(run.log_folder).add(order)
            return order is not None

        return decide

    assert SharedLog(b).decide(step(b, OTHER), silent) and not asked, "first it has to see what there is"
    assert SharedLog(b).decide(step(b, FURTHER), silent) and asked == [text(a)]
    assert SharedLog(a).decide(step(a, OTHER), silent) and len(asked) == 1
    assert text(a) == text(b) and LogFile(a.log_folder).read().orders[-1] == FURTHER
    assert not SharedLog(a).decide(step(a, None), silent) and len(asked) == 2


def test_a_decision_that_was_not_sent_is_sent_or_gives_way(address: str, machines: Callable[[str], SearchRun]) -> None:
    """It was killed between the two; nothing of it was queued."""
    a, b = begun(machines("a")), machines("b")
    LogFile(a.log_folder).add(OTHER)
    path = LogFile(a.log_folder).path
    path.write_text(path.read_text() + '{"order": {"num')
    assert not SharedLog(a).bring(silent) and text(a).endswith('{"num')
    SharedLog(b).bring(silent)
    assert text(b) == text(a)[: len(text(b))] and OTHER not in LogFile(b.log_folder).read().orders[-1:]
    LogFile(b.log_folder).add(FURTHER)
    SharedLog(b).send(silent)
    said = list[str]()
    mine = text(a)
    assert SharedLog(a).bring(said.append) and text(a) == text(b)
    (beside,) = path.parent.glob("*.other")
    assert beside.read_text() == mine and len(said) == 1 and str(beside) in said[0] and address in said[0]


def test_a_lock_that_was_lost_loses_no_decision(address: str, machines: Callable[[str], SearchRun]) -> None:
    """A machine was cut off while it decided, and the database gave its lock to another one."""
    a, b, said = begun(machines("a")), machines("b"), list[str]()
    SharedLog(b).bring(silent)

    def step() -> bool:
        LogFile(a.log_folder).add(OTHER)
        LogFile(b.log_folder).add(FURTHER)
        SharedLog(b).send(silent)
        return True

    assert SharedLog(a).decide(step, said.append) and len(said) == 1
    assert text(a) == text(b) == ObjectStore(address).read(f"searches/{a.name}/log.jsonl")
    assert LogFile(a.log_folder).read().orders[-1] == FURTHER


def test_who_looks_waits_for_who_decides(address: str, machines: Callable[[str], SearchRun]) -> None:
    """On one machine: what came in the middle of a decision would be missing in it."""
    a, b = begun(machines("a")), machines("b")
    shared, brought = SharedLog(b), list[bool]()
    looks = Thread(target=lambda: brought.append(SharedLog(b).bring(silent)))
    with store_of(b.home).locked(shared.lock):
        looks.start()
        looks.join(0.3)
        assert not brought and not LogFile(b.log_folder).path.exists()
    looks.join()
    assert brought == [True] and text(a) == text(b)


def test_only_whole_lines_are_sent(address: str, machines: Callable[[str], SearchRun]) -> None:
    a = begun(machines("a"))
    whole = text(a)
    LogFile(a.log_folder).path.write_text(whole + '{"order": {"num')
    SharedLog(a).send(silent)
    assert ObjectStore(address).read(f"searches/{a.name}/log.jsonl") == whole


def test_each_search_has_a_log_of_its_own(address: str, machines: Callable[[str], SearchRun]) -> None:
    begun(machines("a"))
    other = replace(machines("b"), changes={"recipe.lr": 0.01})
    assert not SharedLog(other).bring(silent)
