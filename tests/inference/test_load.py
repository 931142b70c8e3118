"""Trained networks by what a user has of them; what names mean is tested with `models.named`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.models.written import mmpose_file, network
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.inference import load


def test_a_file_is_known_by_its_shapes(tmp_path: Path) -> None:
    found = load.load_trained(str(mmpose_file(tmp_path / "a.pth", 4)))
    assert (found.source, found.size, found.job) == ("a.pth", (96, 96), None) and not found.network.training
    torch.save({"state_dict": {"head.x": torch.zeros(1)}}, tmp_path / "other.pth")
    with pytest.raises(Refused, match="not the weights of a released model"):
        load.load_trained(str(tmp_path / "other.pth"))


def test_a_job_comes_back_from_its_folder(job_folder: Path) -> None:
    found = load.load_trained(str(job_folder))
    assert found.job == small_job() and found.size == (64, 64) and found.source == f"job {small_job().key}"
    assert not found.network.training
    stored, held = load_file(job_folder / "weights.safetensors"), found.network.state_dict()
    assert stored.keys() == held.keys() and all(torch.equal(value, held[name]) for name, value in stored.items())


@pytest.mark.parametrize("missing", ["job.json", "weights.safetensors"])
def test_a_folder_that_is_no_complete_job_is_refused(missing: str, job_folder: Path) -> None:
    (job_folder / missing).unlink()
    with pytest.raises(Refused, match=f"no {missing}; expected the folder of a complete job"):
        load.load_trained(str(job_folder))


def test_a_preset_takes_the_weights_that_are_given(tmp_path: Path) -> None:
    found = load.load_trained("nano", mmpose_file(tmp_path / "a.pth"))
    assert found.source == "nano" and found.size == (96, 96)
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in found.network.state_dict().items())


def test_random_weights_are_the_same_each_time() -> None:
    one, other = (load.load_untrained("nano") for _ in range(2))
    assert one.size == (96, 96) and one.job is None and one.source == "nano, random weights"
    theirs = other.network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.network.state_dict().items())


def test_names_of_nothing_are_refused() -> None:
    with pytest.raises(Refused, match="nano: a preset has no weights; add a file"):
        load.load_trained("nano")
    for opened in (load.load_trained, load.load_untrained):
        with pytest.raises(Refused, match=r"no network 'nobody'; there are nano, .*released with weights rtmo-t"):
            opened("nobody")
