"""What training of a job begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.small import small_job
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
