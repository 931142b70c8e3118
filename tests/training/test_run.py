"""One job end to end: what it leaves behind, that it is not done twice, that it survives being killed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.small import small_job
from workbench.components.losses.kld import KLD
from workbench.core import distributed, processes
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.evaluation.records import MatchRecords
from workbench.models.catalog import spec_types
from workbench.models.common_start import common_start
from workbench.models.initial import keep_start_weights
from workbench.models.job import Start
from workbench.models.network import Network
from workbench.training import loop
from workbench.training.loop import TrainingState
from workbench.training.machine import Machine
from workbench.training.record import Progress, job_folder, read_result, write_result
from workbench.training.run import STATE, check_ranks, run
from workbench.training.rung import PAUSED, Paused, rung_of, signals_at


@pytest.mark.slow
def test_a_job_leaves_its_whole_record(tmp_path: Path) -> None:
    job, told = small_job(epochs=2), []
    folder = job_folder(tmp_path, job.key)
    result = run(job, Machine(), tmp_path, tell=told.append)
    names = {
        "job.json",
        "curve.csv",
        "losses.csv",
        "records.npz",
        "predictions.png",
        "weights.safetensors",
        "result.json",
    }
    assert {p.name for p in folder.iterdir()} == names
    assert from_dict(json.loads((folder / "job.json").read_text()), spec_types()) == job
    assert {"AP", "AP50", "AP75", "AR", "mOKS", "params", "gflops", "train_images_per_s"} <= set(result.metrics)
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

    train = loop.train

    def train_and_die(*given: Any) -> Iterator[loop.Tick]:
        for tick in train(*given):
            if tick.epoch == 2 and not tick.epoch_end:
                raise Killed
            yield tick

    monkeypatch.setattr("workbench.training.run.train", train_and_die)
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
def test_a_paused_job_ends_as_one_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is killed between two rungs. What has been reached is only read; the key stays."""
    job, home = small_job(epochs=4, eval_every=2), tmp_path / "rungs"
    folder = job_folder(home, job.key)
    whole = run(job, Machine(), tmp_path / "whole")
    first = run(job, Machine(), home, until=1)
    assert isinstance(first, Paused) and (first.key, first.epoch, first.curve) == (job.key, 1, [])
    assert first.signals["loss_oks"] == first.signals["mean_loss_oks"] and "AP" not in first.signals
    train = loop.train

    def train_and_die(*given: Any) -> Iterator[loop.Tick]:
        for tick in train(*given):
            yield tick
            if tick.epoch == 2 and not tick.epoch_end:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("workbench.training.run.train", train_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(job, Machine(), home, until=3)
    assert rung_of(folder) == 1
    second = run(job, Machine(), home, until=3)
    assert isinstance(second, Paused) and second.epoch == 3 and [line["epoch"] for line in second.curve] == [2.0]
    written = (folder / PAUSED).stat().st_mtime_ns
    again = run(job, Machine(), home, until=2)
    assert isinstance(again, Paused) and again.epoch == 3 and (folder / PAUSED).stat().st_mtime_ns == written
    assert {"AP", "AR50", "mOKS", "loss_oks", "mean_loss_oks"} <= signals_at(folder, 2).keys()
    end = run(job, Machine(), home)
    assert run(job, Machine(), home, until=1).folder == end.folder
    timing = ("latency", "train_images")
    one, other = ({k: repr(v) for k, v in r.metrics.items() if not k.startswith(timing)} for r in (whole, end))
    assert one == other
    one, other = (load_file(r.folder / "weights.safetensors") for r in (whole, end))
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert (whole.folder / "losses.csv").read_text() == (folder / "losses.csv").read_text()
    assert {p.name for p in folder.iterdir()} == {p.name for p in whole.folder.iterdir()}


@pytest.mark.slow
def test_a_pause_whose_training_is_lost_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its checkpoint, or with one of other arithmetic, a job begins anew and says so at once."""
    job = small_job(epochs=2)
    run(job, Machine(), tmp_path, until=1)
    folder = job_folder(tmp_path, job.key)
    (folder / "checkpoint.pt").unlink()

    def interrupted(*_: Any) -> Iterator[loop.Tick]:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.training.run.train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(job, Machine(), tmp_path)
    assert rung_of(folder) == 0
    with pytest.raises(Refused, match=r"until 3: .* trains epochs 1 to 2"):
        run(job, Machine(), tmp_path, until=3)


@pytest.mark.soak
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

    def started(*_: object, **__: object) -> None:
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


@pytest.mark.slow
def test_a_job_has_a_folder_of_its_own_where_one_is_named(tmp_path: Path) -> None:
    """Its record lies there and nowhere else; the drawn scenes are shared."""
    job, folder = small_job(epochs=1), tmp_path / "mine"
    result = run(job, Machine(), tmp_path / "home", folder=folder)
    assert result.folder == folder and (folder / "weights.safetensors").is_file()
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["data"]


def test_a_complete_job_is_read_on_any_machine(tmp_path: Path) -> None:
    job = small_job(epochs=1)
    folder = job_folder(tmp_path, job.key)
    folder.mkdir(parents=True)
    write_result(folder, job.key, {"AP": 0.5}, {})
    assert run(job, Machine(ranks=3), tmp_path) == read_result(folder)
    assert [p.name for p in folder.iterdir()] == ["result.json"]


def test_a_job_whose_file_of_weights_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no weights 0123 in .*starts, with which the job begins: declare it again"):
        run(small_job(epochs=1).vary({"start.weights": "0123"}), Machine(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_job_begins_with_the_weights_of_another(tmp_path: Path) -> None:
    """And goes on in a schedule of its own. That job is to be complete: the plan of a study sees to it."""
    first = small_job(epochs=2)
    then = small_job(epochs=1).vary({"start": Start(key=first.key, phase=1), "recipe.lr": 1e-9, "recipe.schedule": ()})
    alone = small_job(epochs=1).vary({"recipe.lr": 1e-9, "recipe.schedule": ()})
    with pytest.raises(Refused, match=rf"begins with job {first.key}, which is not complete in .*run the study"):
        run(then, Machine(), tmp_path)
    assert not list(tmp_path.iterdir())
    run(first, Machine(), tmp_path)
    assert run(then, Machine(), tmp_path).tags.get("start_arithmetic") == "float32, numerics 2"
    weights = [load_file(job_folder(tmp_path, job.key) / "weights.safetensors") for job in (first, then)]
    for name, _ in Network(then.variant).named_parameters():
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=0, atol=1e-6)
    run(alone, Machine(), tmp_path)
    moved = load_file(job_folder(tmp_path, alone.key) / "weights.safetensors")
    assert not torch.allclose(moved["backbone.stem.conv.conv.weight"], weights[0]["backbone.stem.conv.conv.weight"])


@pytest.mark.slow
def test_a_job_begins_with_a_file_of_weights(tmp_path: Path) -> None:
    before = Network(small_job().variant, 99).state_dict()
    save_file(before, tmp_path / "a.safetensors")
    digest = keep_start_weights(tmp_path / "a.safetensors", tmp_path)
    job = small_job(epochs=1).vary({"start.weights": digest, "recipe.lr": 1e-9, "recipe.schedule": ()})
    weights = load_file(run(job, Machine(), tmp_path).folder / "weights.safetensors")
    for name, _ in Network(job.variant).named_parameters():
        torch.testing.assert_close(weights[name], before[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "beside", [pytest.param(False, marks=pytest.mark.slow), pytest.param(True, marks=pytest.mark.soak)]
)
def test_a_training_that_goes_on_from_another_is_the_training_in_one(beside: bool, tmp_path: Path) -> None:
    """Same batches, schedule, average and optimiser, also where stages learnt `beside` in the first part."""
    whole = small_job(epochs=3)
    other = whole.variant.vary({"losses.MLE": None, "losses.KLD": KLD()})
    variant = common_start(whole.variant, [whole.variant, other]) if beside else whole.variant
    first = whole.vary({"variant": variant, "protocol.stop": 2})
    then = whole.vary({"start": Start(key=first.key, epoch=2, coords="coords.own" if beside else "coords")})
    run(first, Machine(), tmp_path)
    assert (job_folder(tmp_path, first.key) / STATE).exists()
    ends = [run(job, Machine(), tmp_path) for job in (whole, then)]
    assert [line["epoch"] for line in ends[1].curve] == [3.0]
    mine, theirs = (load_file(end.folder / "weights.safetensors") for end in ends)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    with pytest.raises(Refused, match="ended after epoch 2, this one goes on after 1"):
        run(whole.vary({"start": Start(key=first.key, epoch=1)}), Machine(), tmp_path)
    with pytest.raises(Refused, match=r"kept no state to go on from: train it with protocol\.stop=1"):
        run(whole.vary({"start": Start(key=whole.key, epoch=1)}), Machine(), tmp_path)


@pytest.mark.slow
def test_a_checkpoint_of_other_arithmetic_is_not_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, begun = small_job(epochs=3), list[int]()
    train = loop.train

    def one_epoch(*given: Any) -> Iterator[loop.Tick]:
        begun.append(given[1].epoch)
        for tick in train(*given):
            yield tick
            if tick.epoch_end:
                raise KeyboardInterrupt

    monkeypatch.setattr("workbench.training.run.train", one_epoch)
    for precision in ("float32", "float32", "bf16"):
        monkeypatch.setattr(Machine, "precision", precision)
        with pytest.raises(KeyboardInterrupt):
            run(job, Machine(), tmp_path)
    assert begun == [0, 1, 0]


@pytest.mark.parametrize(
    "damage", ["cut off", "empty", "other", "another dict", "another network", "a folder", "curve"]
)
def test_a_damaged_checkpoint_is_put_aside_and_the_job_begins_anew(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is said in a line, and nothing is deleted."""
    job = small_job(epochs=1)
    folder = job_folder(tmp_path, job.key)
    folder.mkdir(parents=True)
    path = folder / "checkpoint.pt"
    torch.save({"model": torch.zeros(10_000)}, path)
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    elif damage in ("another network", "curve"):
        other = small_job(epochs=1).vary({"variant.head.width": 0.12} if damage == "another network" else {})
        torch.save(TrainingState(other, Machine()).saved() | {"epoch": 1}, path)
        (folder / "curve.csv").write_text("epoch,AP\n1,word\n" if damage == "curve" else "epoch,AP\n1,0.5\n")
    elif damage != "another dict":
        path.write_bytes({"cut off": path.read_bytes()[:20_000], "empty": b"", "other": b"no checkpoint"}[damage])
    begun: list[int] = []

    def begins(*given: Any) -> Iterator[loop.Tick]:
        begun.append(given[1].epoch)
        raise InterruptedError

    monkeypatch.setattr("workbench.training.run.train", begins)
    with pytest.raises(InterruptedError):
        run(job, Machine(), tmp_path)
    err = capfd.readouterr().err
    assert begun == [0] and ("curve.csv" if damage == "curve" else "checkpoint.pt") in err and err.count("\n") == 1
    assert err.endswith("it was put aside, and the job begins anew\n")
    assert not path.exists() and (folder / "checkpoint.pt.damaged").exists()


def short_of_memory(most: int, error: Callable[[], Exception]) -> Callable[..., Iterator[loop.Tick]]:
    """Training on a machine that has room for so many images at a time."""
    train = loop.train

    def trained(*given: Any) -> Iterator[loop.Tick]:
        for tick in train(*given):
            if tick.images > most:
                raise error()
            yield tick

    return trained


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_job_without_memory_goes_on_in_two_parts_and_its_record_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half of a batch at a time, the same batch a step: as a job that accumulates from the start."""
    job = small_job(epochs=1)
    other = run(job.vary({"protocol.accumulate": 2}), Machine(), tmp_path / "other")
    monkeypatch.setattr("workbench.training.run.train", short_of_memory(4, lambda: torch.OutOfMemoryError("no room")))
    found = run(job, Machine(), tmp_path)
    assert found.key == job.key and found.tags["parts"] == "2" and "parts" not in other.tags
    mine, theirs = (load_file(one.folder / "weights.safetensors") for one in (found, other))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    err = capfd.readouterr().err
    assert f"job {job.key}: out of memory with batches of 8; it goes on with each of them in two parts" in err


@pytest.mark.parametrize(
    ("error", "times"),
    [
        (lambda: torch.OutOfMemoryError("no room"), 2),  # halves do not fit, either
        (lambda: RuntimeError("the gradient is not finite"), 1),
    ],
)
def test_a_job_that_fails_again_or_otherwise_fails(
    error: Callable[[], Exception], times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def carry_out(job: Any, machine: Machine, *_: Any) -> None:
        tried.append(machine.parts)
        raise error()

    monkeypatch.setattr("workbench.training.run.train_and_record", carry_out)
    with pytest.raises(type(error())):
        run(small_job(epochs=1), Machine(), tmp_path)
    assert tried == [1, 2][:times]
