"""Means over processes: nothing changes in one that is alone, and a gradient that is missing counts as zero."""

import pytest
import torch
from torch import Tensor, nn

from workbench.core import distributed


def model() -> nn.ParameterDict:
    """Of three parameters: the first has a gradient, the second has none here, the third is frozen."""
    made = nn.ParameterDict({name: torch.zeros(2) for name in ("seen", "unseen", "frozen")})
    made["frozen"].requires_grad_(False)
    made["seen"].grad = torch.tensor([1.0, 2.0])
    return made


def test_a_process_that_is_alone_is_the_first_and_only_one() -> None:
    assert (distributed.together(), distributed.world(), distributed.rank()) == (False, 1, 0)
    value, ours = torch.tensor([3.0]), model()
    assert distributed.mean(value) is value
    distributed.average_gradients(ours)
    distributed.wait()
    assert ours["seen"].grad.tolist() == [1.0, 2.0] and ours["unseen"].grad is None


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """Plays a second process, which has the gradients 3, 4 and 5, 6; gives what this one has sent to it."""
    sent: list[list[float]] = []

    def all_reduce(value: Tensor) -> None:
        sent.append(value.tolist())
        value += torch.tensor([3.0, 4.0, 5.0, 6.0])

    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", all_reduce)
    return sent


def test_gradients_become_their_means_in_one_message(second: list[list[float]]) -> None:
    ours = model()
    distributed.average_gradients(ours)
    assert second == [[1.0, 2.0, 0.0, 0.0]]
    assert ours["seen"].grad.tolist() == [2.0, 3.0] and ours["unseen"].grad.tolist() == [2.5, 3.0]
    assert ours["frozen"].grad is None
