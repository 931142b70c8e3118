"""One job end to end: what it leaves behind, that it is not done twice, that it survives being killed."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file

from tests.small import small_job
from workbench.core import distributed, processes
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.evaluation.records import MatchRecords
from workbench.models.catalog import spec_types
from workbench.models.job import Start
from workbench.models.network import Network
from workbench.training.loop import TrainingState
from workbench.training.machine import Machine
from workbench.training.record import Progress, job_folder, read_result, write_result
from workbench.training.run import check_ranks, declare, run


@pytest.mark.slow
def test_a_job_leaves_its_whole_record(tmp_path: Path) -> None:
    job, told = small_job(epochs=2), []
    folder = job_folder(tmp_path, job.key)
    result = run(job, Machine(), tmp_path, tell=told.append)
    names = {"job.json", "curve.csv", "records.npz", "predictions.png", "weights.safetensors", "result.json"}
    assert {p.name for p in folder.iterdir()} == names
    assert from_dict(json.loads((folder / "job.json").read_text()), spec_types()) == job
    assert {"AP", "AP50", "AP75", "AR", "mOKS", "params", "gflops", "latency_ms_p50", "train_images_per_s"} <= set(
        result.metrics
    )
    assert [line["epoch"] for line in result.curve] == [1.0, 2.0]
    assert len(MatchRecords.load(folder / "records.npz").image_ids) == job.protocol.eval_images
    picture = cv2.imread(str(folder / "predictions.png"))
    assert picture is not None and picture.std() > 10
    assert all(v.isfinite().all() for v in load_file(folder / "weights.safetensors").values() if v.is_floating_point())
    assert isinstance(told[0], Progress)
    assert {"commit", "machine", "threads", "precision"} <= set(result.tags)

    before = (folder / "result.json").stat().st_mtime_ns
    assert run(job, Machine(), tmp_path).metrics == result.metrics
    assert (folder / "result.json").stat().st_mtime_ns == before, "a complete job is only read"


@pytest.mark.slow
def test_a_killed_job_ends_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = small_job(epochs=3)
    whole = run(job, Machine(), tmp_path / "a")

    class Killed(Exception):
        pass

    save = TrainingState.save

    def save_and_die(self: TrainingState, path: Path) -> None:
        save(self, path)
        if self.epoch == 2:
            raise Killed

    monkeypatch.setattr(TrainingState, "save", save_and_die)
    with pytest.raises(Killed):
        run(job, Machine(), tmp_path / "b")
    monkeypatch.undo()
    resumed = run(job, Machine(), tmp_path / "b")
    timing = ("latency", "train_images")
    assert {k: v for k, v in whole.metrics.items() if not k.startswith(timing)} == {
        k: v for k, v in resumed.metrics.items() if not k.startswith(timing)
    }
    one, other = (load_file(r.folder / "weights.safetensors") for r in (whole, resumed))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert len(resumed.curve) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_ranks_share_a_job_and_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sees half of every batch; gradients are averaged, so the weights stay the same on both."""
    monkeypatch.setattr(distributed, "RANK_START", "forkserver")  # pickled as for `spawn`, imports are done
    processes.prepare()
    job = small_job(epochs=1)
    result = run(job, Machine(ranks=2), tmp_path)
    assert result.tags["ranks"] == "2" and len(result.curve) == 1
    alone = run(job, Machine(), tmp_path / "alone")
    mine, theirs = (load_file(r.folder / "weights.safetensors") for r in (result, alone))
    moved = "head.out_cls.0.bias"
    assert not torch.equal(mine[moved], theirs[moved]), "statistics are of half a batch: close, not equal"
    torch.testing.assert_close(mine[moved], theirs[moved], rtol=0, atol=1e-2)


class Started(Exception):
    pass


@pytest.mark.parametrize("ranks", range(1, 9))
@pytest.mark.parametrize(("batch", "accumulate"), [(8, 1), (8, 2), (12, 1), (12, 3), (16, 1), (16, 4), (7, 1)])
def test_processes_train_with_the_batch_that_the_key_says_or_not_at_all(
    batch: int, accumulate: int, ranks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = small_job(batch=batch, accumulate=accumulate, epoch_images=48, images=48)

    def started(*_: object) -> None:
        raise Started

    monkeypatch.setattr(distributed, "start", started)
    monkeypatch.setattr("workbench.training.run.train_and_record", started)
    monkeypatch.setattr("workbench.training.run.open_source", lambda *_: None)
    shared = batch // accumulate // ranks * accumulate * ranks  # as the loaders cut it
    if shared == batch:
        check_ranks(job, ranks)
        with pytest.raises(Started):
            run(job, Machine(ranks=ranks), tmp_path)
    else:
        with pytest.raises(Refused, match=rf"batch {batch} .* by {ranks} processes.*multiple of {ranks * accumulate} "):
            run(job, Machine(ranks=ranks), tmp_path)
        assert not list(tmp_path.iterdir()), "nothing was begun"


def test_a_complete_job_is_read_on_any_machine(tmp_path: Path) -> None:
    job = small_job(epochs=1)
    folder = job_folder(tmp_path, job.key)
    folder.mkdir(parents=True)
    write_result(folder, job.key, {"AP": 0.5}, {})
    assert run(job, Machine(ranks=3), tmp_path) == read_result(folder)
    assert [p.name for p in folder.iterdir()] == ["result.json"]


@pytest.mark.slow
def test_a_job_begins_with_the_weights_of_another(tmp_path: Path) -> None:
    """Which is trained when the first asks for it, once, and goes on in a schedule of its own."""
    first = small_job(epochs=2)
    then = small_job(epochs=1).vary({"start": Start(key=first.key, phase=1), "recipe.lr": 1e-9, "recipe.schedule": ()})
    alone = small_job(epochs=1).vary({"recipe.lr": 1e-9, "recipe.schedule": ()})
    with pytest.raises(Refused, match=rf"no job {first.key} in .*another one begins with it"):
        run(then, Machine(), tmp_path)
    declare(first, tmp_path)
    run(then, Machine(), tmp_path)
    weights = [load_file(job_folder(tmp_path, job.key) / "weights.safetensors") for job in (first, then)]
    for name, _ in Network(then.variant).named_parameters():
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=0, atol=1e-6)
    run(alone, Machine(), tmp_path)
    moved = load_file(job_folder(tmp_path, alone.key) / "weights.safetensors")
    assert not torch.allclose(moved["backbone.stem.conv.conv.weight"], weights[0]["backbone.stem.conv.conv.weight"])
    trained = (job_folder(tmp_path, first.key) / "result.json").stat().st_mtime_ns
    run(then.vary({"seed": 1}), Machine(), tmp_path)
    assert (job_folder(tmp_path, first.key) / "result.json").stat().st_mtime_ns == trained
