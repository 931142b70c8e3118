"""What can not be recorded is recorded later, each once, and nobody waits for it."""

import time
from collections.abc import Callable

import pytest

from workbench.experiments import delivery
from workbench.experiments.delivery import Delivery


class Store:
    """One that can be away."""

    def __init__(self) -> None:
        self.away, self.asked, self.there = False, 0, list[int]()

    def writer(self, number: int) -> Callable[[], None]:
        def write() -> None:
            self.asked += 1
            if self.away:
                raise ConnectionError("nobody answers")
            self.there.append(number)

        return write


def filled(store: Store, said: list[str], count: int = 4) -> Delivery:
    found = Delivery(said.append)
    for number in range(count):
        found.add(f"job {number}", store.writer(number))
    return found


def test_all_are_delivered_one_at_a_time() -> None:
    store, said = Store(), list[str]()
    found = filled(store, said)
    assert [found.step() for _ in range(5)] == [True, True, True, False, False]
    found.finish()
    assert store.there == [0, 1, 2, 3] and not said


def test_a_store_that_is_away_is_left_alone_and_gets_all_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    store, said = Store(), list[str]()
    found = filled(store, said)
    assert found.step()
    store.away = True
    for second in range(100):
        now[0] = float(second)
        assert not found.step()
    assert store.asked == 1 + 3, "after 0, 15 and 45 seconds"
    assert said == ["not recorded yet: job 1: ConnectionError: nobody answers; it is tried again"]
    store.away = False
    now[0] = 1000.0
    while found.step():
        pass
    found.finish()
    assert store.there == [0, 1, 2, 3] and len(said) == 1


def test_what_is_left_at_the_end_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store, said = Store(), list[str]()
    found = filled(store, said, 10)
    store.away = True
    found.finish()
    assert store.asked == delivery.GIVEN_UP
    assert said == ["not recorded: job 0 and 9 more: ConnectionError: nobody answers; run the same command again"]
    assert not found.step()


def test_one_that_can_not_be_written_does_not_keep_others_from_it() -> None:
    store, said = Store(), list[str]()
    found = Delivery(said.append)

    def wrong() -> None:
        raise ValueError("too long")

    found.add("job 0", wrong)
    found.add("job 1", store.writer(1))
    assert not found.step()
    found.finish()
    assert store.there == [1] and said[-1] == "not recorded: job 0: ValueError: too long; run the same command again"
