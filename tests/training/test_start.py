"""What training of a job begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.small import small_job
from workbench.core.errors import Refused
from workbench.models.initial import keep_start_weights
from workbench.models.network import Network
from workbench.training.machine import CPU
from workbench.training.record import job_folder
from workbench.training.source import open_source
from workbench.training.start import initial_state


def same(network: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_a_job_begins_with_its_own_weights_or_with_those_of_the_job_before(tmp_path: Path) -> None:
    job, before = small_job(), Network(small_job().variant, 99)
    source, later = open_source(job, 0, tmp_path), job.vary({"start.key": "0" * 12})
    assert same(initial_state(job, CPU, source, tmp_path).model, Network(job.variant, job.seed))
    with pytest.raises(FileNotFoundError):
        initial_state(later, CPU, source, tmp_path)
    folder = job_folder(tmp_path, later.start.key)
    folder.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in before.state_dict().items()}, folder / "weights.safetensors")
    state = initial_state(later, CPU, source, tmp_path)
    assert same(state.model, before) and same(state.averaged, before) and state.epoch == 0


def test_a_job_begins_with_what_fits_of_a_file(tmp_path: Path) -> None:
    """Weights and their average; the rest is what its seed makes."""
    job = small_job().vary({"variant.num_classes": 2})
    source, before = open_source(small_job(), 0, tmp_path), Network(small_job().variant, 99)
    save_file(before.state_dict(), tmp_path / "a.safetensors")
    later = job.vary({"start.weights": keep_start_weights(tmp_path / "a.safetensors", tmp_path)})
    state = initial_state(later, CPU, source, tmp_path)
    own, given = Network(job.variant, job.seed).state_dict(), before.state_dict()
    for network in (state.model, state.averaged):
        for name, value in network.state_dict().items():
            assert torch.equal(value, (own if "out_cls" in name else given)[name]), name
    with pytest.raises(Refused, match="no weights 0123 in"):
        initial_state(job.vary({"start.weights": "0123"}), CPU, source, tmp_path)
