"""A compiled step is the plain one, and is asked for only where it can pay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small import small_job, small_variant
from workbench.models.network import Network
from workbench.training.loop import TrainingState, forward_of, train
from workbench.training.machine import Machine
from workbench.training.source import open_source

BACKENDS = [
    ("cpu", "aot_eager"),
    pytest.param("cuda", "inductor", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")),
]


def trained(machine: Machine, home: Path) -> tuple[TrainingState, list[dict[str, torch.Tensor]]]:
    less = {"head.stacked_convs": 1, "backbone.depth": 0.01}  # compiling takes its time
    job = replace(small_job(epochs=1), variant=small_variant(**less))
    source = open_source(job, 0, home, None, machine.device, machine.resident)
    state = TrainingState(job, machine)
    return state, [tick.terms for tick in train(job, state, source.train, source.steps, machine)]


@pytest.mark.slow
@pytest.mark.parametrize(("device", "backend"), BACKENDS)
def test_the_compiled_step_is_the_plain_one(device: str, backend: str, tmp_path: Path) -> None:
    plain, expected = trained(Machine(device), tmp_path)
    other, made = trained(Machine(device, compiler=backend), tmp_path)
    loose = 1 if device == "cpu" else 30  # other kernels add in another order
    for a, b in zip(expected, made, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-4 * loose, atol=1e-5 * loose)
    ours, theirs = plain.model.state_dict(), other.model.state_dict()
    assert list(ours) == list(theirs), "a checkpoint does not tell which of the two wrote it"
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3 * loose, atol=1e-4 * loose)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_job_on_a_gpu_with_everything(tmp_path: Path) -> None:
    _, terms = trained(Machine("cuda", bf16=True, resident=0.5, compiler="inductor"), tmp_path)
    assert all(torch.isfinite(term) and term.is_cuda for step in terms for term in step.values())


def test_only_the_dense_part_at_one_size_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compiler(part: Any, **options: Any) -> Any:
        asked.append((part, options["backend"], options["dynamic"]))
        return part

    monkeypatch.setattr(torch, "compile", compiler)
    job = small_job()
    network, machine = Network(job.variant, 0).train(), Machine(compiler="inductor")
    assert forward_of(network, job, Machine()) is network
    assert forward_of(network, small_job(sides=(32, 96), data="photos@0"), machine) is network
    assert not asked
    forward, images = forward_of(network, job, machine), torch.rand(2, 3, 64, 64)
    assert asked == [(network.towers, "inductor", False)]
    assert torch.equal(forward(images).cls, network(images).cls)
