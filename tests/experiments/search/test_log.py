"""The log of a search: its lines come back in order, and what a killed process left of one does no harm."""

import json
from pathlib import Path

import pytest

from workbench.experiments.search.log import Log, LogFile, Order, Proposal, State

PAIRS = (("bins", "dynamic"), ("padding", "wide"))
FULL = Proposal(0, PAIRS, State.OVER, "gflops 6, at most 5.5", "k0", {"gflops": 6.0}, (1.0, 0.5, 1.5), 0.25, "tpe")
PLAIN = Proposal(1, (("bins", "static"),), State.ORDERED)
ORDERS = (Order(1, until=4), Order(1, purpose="promoted"), Order(0, 1, purpose="front"), Order(1, 1, purpose="front"))


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    assert LogFile(tmp_path / "none").read() == Log() and not list(tmp_path.iterdir())


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "a" / "b")
    file.add(FULL)
    file.add(PLAIN, *ORDERS)
    found = file.read()
    assert found == Log((FULL, PLAIN), ORDERS)
    assert isinstance(found.proposals[0].state, State) and isinstance(found.proposals[0].predicted, tuple)
    hash(found.proposals[0].pairs)  # by which its candidate is found


def test_lines_keep_their_order(tmp_path: Path) -> None:
    file, lines = LogFile(tmp_path), [PLAIN, ORDERS[0], FULL, *ORDERS[1:]]
    for line in lines:
        file.add(line)
    words = [next(iter(json.loads(text))) for text in file.path.read_text("utf-8").splitlines()]
    assert words == ["order" if isinstance(line, Order) else "proposal" for line in lines]
    assert file.read() == Log((PLAIN, FULL), ORDERS)
    assert file.read().orders_of(1) == [ORDERS[0], ORDERS[1], ORDERS[3]] and file.read().orders_of(7) == []


@pytest.mark.parametrize("kept", [1, 9, -1])  # characters of the last line; all of it but its end
def test_a_line_that_was_cut_off_is_overwritten(tmp_path: Path, kept: int) -> None:
    file = LogFile(tmp_path)
    file.add(FULL, PLAIN)
    whole = file.path.read_text()
    last = whole.splitlines(keepends=True)[-1]
    file.path.write_text(whole[: -len(last)] + last[:kept])
    assert file.read() == Log((FULL,)), "it does not count"
    file.add(ORDERS[0])
    assert file.read() == Log((FULL,), ORDERS[:1])
    assert len(file.path.read_text().splitlines()) == 2


def test_a_first_line_that_was_cut_off_is_overwritten(tmp_path: Path) -> None:
    file = LogFile(tmp_path)
    file.path.write_text('{"proposal": {"number": 0, ' + 200 * "x")
    assert file.read() == Log()
    file.add(PLAIN)
    assert file.read() == Log((PLAIN,)), "nothing of the longer one is left behind it"


@pytest.mark.parametrize("state", State)
def test_every_state_is_kept(tmp_path: Path, state: State) -> None:
    file = LogFile(tmp_path)
    file.add(Proposal(0, PAIRS, state, "why"))
    (one,) = file.read().proposals
    assert one.state is state and one.why == "why"
