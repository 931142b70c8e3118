"""Making trunks: what is stored is what was trained, and a probe can stand on it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.small import small_job
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.experiments import trunks
from workbench.experiments.trunks import train_trunks, trunk_jobs
from workbench.models import trunk
from workbench.models.catalog import spec_types
from workbench.models.trunk import on_trunk, stored_trunks, teacher_of
from workbench.training.machine import Machine
from workbench.training.record import job_folder, read_result

JOBS = {"tiny": small_job(epochs=1), "other": small_job(epochs=1, epoch_images=8)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trunk, "STORED", tmp_path / "stored")
    monkeypatch.setattr(trunks, "trunk_jobs", lambda: JOBS)
    return tmp_path / "home"


@pytest.mark.slow
def test_a_trained_trunk_is_stored_with_its_origin(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = JOBS["tiny"]
    folder = job_folder(home, job.key)
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt.1.00.part").write_bytes(b"half a training state, of a killed process")
    assert train_trunks(["tiny"], home, Machine()) == 0
    assert stored_trunks() == ["tiny"] and "tiny: epoch 0 of 1" in capsys.readouterr().out
    assert not list(folder.glob("*.part"))

    record, result = json.loads((trunk.STORED / "tiny.json").read_text()), read_result(folder)
    assert from_dict(record["job"], spec_types()) == job
    assert record["command"] == "workbench trunk tiny" and record["key"] == job.key
    assert record["images"] == job.protocol.epochs * job.protocol.epoch_images
    for name in ("metrics", "tags", "curve"):
        assert json.dumps(record[name]) == json.dumps(getattr(result, name)), name  # nan equals nan

    trained = load_file(folder / "weights.safetensors")
    frozen = {name: p for name, p in on_trunk(small_job(trunk="tiny")).named_parameters() if not p.requires_grad}
    assert frozen and all(torch.equal(value, trained[name].half().float()) for name, value in frozen.items())


@pytest.mark.slow
def test_without_a_name_all_are_made_and_complete_ones_are_not_trained_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_trunks([], home, Machine())
    assert stored_trunks() == ["other", "tiny"]
    before = {path: path.read_bytes() for path in trunk.STORED.iterdir()}
    monkeypatch.setattr("workbench.training.run.train", lambda *_: pytest.fail("trained again"))
    train_trunks([], home, Machine())
    assert {path: path.read_bytes() for path in trunk.STORED.iterdir()} == before


def test_an_unknown_trunk_is_refused_before_any_is_trained(home: Path) -> None:
    with pytest.raises(Refused, match=r"no trunk \['big'\]; there are \['tiny', 'other'\]"):
        train_trunks(["tiny", "big"], home, Machine())
    assert not home.exists() and not trunk.STORED.exists()


def test_the_jobs_of_the_stored_trunks_are_the_ones_that_made_them() -> None:
    jobs = trunk_jobs()
    stored = {name: json.loads((trunk.STORED / f"{name}.json").read_text())["key"] for name in stored_trunks()}
    assert stored == {name: job.key for name, job in jobs.items()}
    assert len({job.seed for job in jobs.values()}) == len(jobs)
    assert len({job.variant.key for job in jobs.values()}) == len({teacher_of(name) for name in jobs}) == 3
