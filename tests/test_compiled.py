"""A compiled step is the plain one, and is asked for only where it can pay."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small import small_job
from workbench.data.source import open_source
from workbench.model import Network
from workbench.tensors import Batch
from workbench.train import Machine, State, as_run, train
from workbench.variant import Job


def trained(batches: Iterable[Batch], job: Job, backend: str) -> tuple[State, list[dict[str, torch.Tensor]]]:
    machine = Machine(compiler=backend)
    state, kept = State(job, machine), list(batches)
    return state, [tick.terms for tick in train(job, state, lambda _: kept, len(kept), machine)]


def test_the_compiled_step_is_the_plain_one(tmp_path: Path) -> None:
    job = small_job(epochs=1)
    source = open_source(job, 0, tmp_path)
    (plain, expected), (other, made) = (trained(source.train(0), job, b) for b in ("", "aot_eager"))
    for a, b in zip(expected, made, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-5)
    ours, theirs = plain.model.state_dict(), other.model.state_dict()
    assert list(ours) == list(theirs), "a checkpoint does not tell which of the two wrote it"
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)


def test_only_the_dense_part_at_one_size_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compiler(part: Any, **options: Any) -> Any:
        asked.append((part, options["backend"], options["dynamic"]))
        return part

    monkeypatch.setattr(torch, "compile", compiler)
    job = small_job()
    network, machine = Network(job.variant, 0).train(), Machine(compiler="inductor")
    assert as_run(network, job, Machine()) is network
    assert as_run(network, small_job(sides=(32, 96)), machine) is network
    forward, images = as_run(network, job, machine), torch.rand(2, 3, 64, 64)
    assert asked == [(network.towers, "inductor", False)]
    assert torch.equal(forward(images).cls, network(images).cls)
