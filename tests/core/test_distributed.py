"""Several processes: nothing changes in one that is alone; gradients are means over all, of what was used at all."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from workbench.core import distributed, processes


class Sum(nn.Module):
    """Of parameters, each times a number of the batch; some may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ParameterDict({name: torch.zeros(2) for name in ("all", "one", "none", "frozen")})
        self.parts["frozen"].requires_grad_(False)

    def forward(self, used: list[str], factor: float) -> dict[str, Tensor]:
        return {name: self.parts[name].sum() * factor for name in used}

    def gradients(self) -> dict[str, list[float] | None]:
        return {name: None if p.grad is None else p.grad.tolist() for name, p in self.parts.items()}


def test_a_process_that_is_alone_is_the_first_and_only_one() -> None:
    assert (distributed.together(), distributed.world(), distributed.rank()) == (False, 1, 0)
    value, call = torch.tensor([3.0]), Sum()
    assert distributed.mean(value) is value
    assert distributed.in_parallel(call, call) is call
    with distributed.averaged(call, now=False):
        call(["all"], 2.0)["all"].backward()
    distributed.wait()
    assert call.gradients() == {"all": [2.0, 2.0], "one": None, "none": None, "frozen": None}
    made = {"a": value}
    assert distributed.from_first(lambda: made) is made


@pytest.mark.slow
def test_two_processes_have_the_means_of_their_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a parameter that one of them used, too; of one that none used there is none, as there is none alone. What was
    not to be averaged yet is added up before."""
    monkeypatch.setattr(distributed, "RANK_START", "forkserver")  # pickled as for `spawn`, imports are done
    processes.prepare()
    distributed.start(2, taught, tmp_path, first={"told": 7})
    expected = {"all": [6.0, 6.0], "one": [3.0, 3.0], "none": None, "frozen": None}
    for number in (0, 1):
        assert json.loads((tmp_path / f"{number}.json").read_text()) == [expected, 0.5, [0.0, 3.0], 7 * (number == 0)]


def taught(folder: Path, told: int = 0) -> None:
    number = distributed.rank()
    model = Sum()
    call = distributed.in_parallel(model, model.forward)
    for step, factor in enumerate(((0.0, 4.0), (2.0, 6.0))[number]):
        with distributed.averaged(call, now=step == 1):
            terms = call(["all", "one"] if step == number == 1 else ["all"], factor)
            torch.stack(list(terms.values())).sum().backward()
    mean = float(distributed.mean(torch.tensor(float(number))))
    sent = distributed.from_first(lambda: {"tensor": torch.tensor([float(number), 3.0])})
    distributed.wait()
    (folder / f"{number}.json").write_text(json.dumps([model.gradients(), mean, sent["tensor"].tolist(), told]))
