"""Which of several processes this one is, by what torchrun sets."""

import pytest

from workbench.core.torchrun import Launched, launched

SET = {
    "RANK": "9",
    "WORLD_SIZE": "16",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "8",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "1",
}


def test_a_process_of_torchrun_knows_its_place() -> None:
    assert launched(SET) == Launched(rank=9, world=16, local_rank=1, local_world=8)
    assert launched(SET | {"TORCHELASTIC_RESTART_COUNT": "2"}) == Launched(9, 16, 1, 8, restarts=2)


@pytest.mark.parametrize("missing", SET)
def test_one_that_it_has_not_started_has_none(missing: str) -> None:
    """Cluster managers set some of the same names."""
    assert launched({name: value for name, value in SET.items() if name != missing}) is None


def test_one_that_it_has_started_alone_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched(SET | {"WORLD_SIZE": "1"}) is None
    for name, value in SET.items():
        monkeypatch.setenv(name, value)
    assert launched() == launched(SET)
