"""A run in a folder of one's own: it goes on to the same numbers, is recorded once, and is taken for no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.data.datasets.animals import animals
from tests.data.datasets.folders import content, folder
from tests.experiments.own import small_run
from workbench.core.errors import DataFault, Refused
from workbench.core.torchrun import Launched
from workbench.data.synthetic.dataset import SyntheticScenes, cached
from workbench.experiments.own_job import OwnJob
from workbench.experiments.own_run import (
    begin,
    begun_in,
    check_data,
    check_steps,
    draws_scenes,
    few_steps,
    machine_for,
    name_of_run,
    record_run,
    train_begun,
    train_network,
    with_weights,
)
from workbench.experiments.tracking import open_client, recorded_folder
from workbench.models.network import Network
from workbench.presets import train
from workbench.training import loop
from workbench.training.machine import CPU, Machine
from workbench.training.record import arithmetic


def test_a_run_is_found_in_its_folder(tmp_path: Path) -> None:
    begun = small_run(tmp_path / "a b/first")
    assert begun_in(tmp_path / "a b/first") == begun
    assert (begun.epoch, begun.complete, begun.threads) == (0, False, torch.get_num_threads())
    assert small_run(tmp_path / "a b/first") == begun, "the same run again is taken as it stands"
    moved = begun_in(begun.folder, tmp_path)
    assert moved.own.data == tmp_path


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    small_run(tmp_path / "first")
    with pytest.raises(Refused, match=r"first holds another run \(nano, job \w{12}\); name another folder"):
        small_run(tmp_path / "first", seed=1)
    with pytest.raises(Refused, match="is there and holds something else; name a new folder"):
        small_run(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="name a new folder"):
        small_run(tmp_path / "file")
    with pytest.raises(Refused, match=r"holds no run.json; expected the folder of a run that `workbench train` began"):
        begun_in(tmp_path)


def test_faults_of_the_data_are_said_whole(tmp_path: Path) -> None:
    made = content()
    for person in made["annotations"][:2]:
        person["bbox"] = [10, 5, -30, 40]
    made["images"].append({"id": 10, "file_name": "gone.jpg", "width": 64, "height": 48})
    folder(tmp_path, made)
    with pytest.raises(DataFault) as fault:
        check_data(folder(tmp_path, content(), "val2017"))
    said = str(fault.value)
    assert said.startswith(f"{tmp_path} cannot be trained or judged on; correct it first:")
    assert said.count("\n") == 2 and "train: " in said and ": 2, first" in said and ": 1, first gone.jpg" in said


def test_a_run_goes_on_in_the_precision_of_its_checkpoint(tmp_path: Path) -> None:
    begun = small_run(tmp_path / "first")
    for bf16, machine in ((False, Machine(bf16=True)), (True, CPU)):
        assert machine_for(begun, machine) == machine, "before the first epoch it is free"
        torch.save({"arithmetic": arithmetic("bf16" if bf16 else "float32")}, begun.folder / "checkpoint.pt")
        assert machine_for(begun, machine) == Machine(bf16=bf16)
        (begun.folder / "checkpoint.pt").unlink()
    torch.save({"arithmetic": "bf16, numerics 1"}, begun.folder / "checkpoint.pt")
    with pytest.raises(Refused, match=r"computed in bf16, numerics 1, this version computes in bf16, numerics \d, and"):
        machine_for(begun, CPU)


def test_scenes_are_drawn_once(tmp_path: Path) -> None:
    job = small_run(tmp_path / "first").own.job
    assert draws_scenes(job, tmp_path)
    cached(SyntheticScenes("easy", 64, count=24), tmp_path / "data", workers=0)
    assert not draws_scenes(job, tmp_path)
    assert not draws_scenes(job.vary({"protocol.data": "coco@1"}), tmp_path)


def test_a_run_begins_with_what_fits_of_a_file(tmp_path: Path) -> None:
    """Of the same network all, of other key points those of the same names; the job names the file."""
    own, home = small_run(tmp_path / "first").own, tmp_path / "home"
    file = tmp_path / "w.safetensors"
    save_file({k: v.contiguous() for k, v in Network(own.job.variant, 5).state_dict().items()}, file)
    same, found = with_weights(own, file, False, home)
    assert found.new == found.left == () and len(found.taken) > 100
    assert same.job.start.weights and same.job.key != own.job.key
    fewer = replace(own, job=own.job.vary({"variant.num_keypoints": 14}))
    begun, found = with_weights(fewer, file, False, home)
    assert found.points == ("top_head", "neck") and found.new == found.left == ()
    assert begun.job.start == same.job.start and begun.job.key != same.job.key, "one file, kept once"


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    whole = train_begun(small_run(tmp_path / "whole"), CPU, home)
    steps = loop.train

    def stopped(*given: Any) -> Iterator[loop.Tick]:
        for tick in steps(*given):
            yield tick
            if tick.epoch == 1 and not tick.epoch_end:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("workbench.training.run.train", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_begun(small_run(tmp_path / "cut"), CPU, home)
    cut = begun_in(tmp_path / "cut")
    assert (cut.epoch, cut.complete) == (1, False)
    end = train_begun(cut, CPU, home)
    one, other = (load_file(result.folder / "weights.safetensors") for result in (whole, end))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole.folder / "losses.csv").read_bytes() == (end.folder / "losses.csv").read_bytes()
    assert begun_in(tmp_path / "cut").complete


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of MLflow's own imports
def test_a_run_is_recorded_once_and_found_by_its_number(tmp_path: Path) -> None:
    begun, home = small_run(tmp_path / "first", epochs=1), tmp_path / "home"
    result = train_begun(begun, CPU, home)
    number = record_run(begun, result, home)
    assert record_run(begun, result, home) == number
    run = open_client(home).get_run(number)
    assert run.data.params["network"] == "nano" and run.data.params["protocol.epochs"] == "1"
    assert run.data.metrics["AP"] == result.metrics["AP"]
    assert recorded_folder(home, number) == begun.folder.resolve()
    (begun.folder / "result.json").rename(tmp_path / "moved away")
    copy = recorded_folder(home, number)
    assert copy is not None and copy != begun.folder and json.loads((copy / "result.json").read_text())["key"]
    assert recorded_folder(home, "0" * 32) is None and recorded_folder(tmp_path, number) is None


def test_from_python_it_is_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it trains is that of the command; nothing is trained here."""
    began: list[OwnJob] = []

    def no_training(begun: Any, *_: Any) -> None:
        began.append(begun.own)

    monkeypatch.setattr("workbench.experiments.own_run.train_begun", no_training)
    monkeypatch.setattr("workbench.experiments.own_run.record_run", lambda *_: "")
    given: dict[str, Any] = {"protocol": "smoke", "epochs": 4, "batch": 8, "size": 64, "seed": 5}
    train("nano", tmp_path / "a", **given, changes={"recipe.lr": 0.5}, device="cpu")
    (own,) = began
    protocol = own.job.protocol
    assert (protocol.epochs, protocol.batch, protocol.size, own.job.seed, own.job.recipe.lr) == (4, 8, (64, 64), 5, 0.5)
    assert train is train_network
    with pytest.raises(Refused, match="holds another run"):
        train("nano", tmp_path / "a", protocol="smoke")
    assert begin(own, tmp_path / "a").own == own


def test_processes_of_torchrun_share_the_command_not_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Launched(rank=1, world=2, local_rank=1, local_world=2)
    monkeypatch.setattr("workbench.experiments.own_run.launched", lambda: place)
    with pytest.raises(Refused, match=r"torchrun --nproc-per-node N -m workbench train \.\.\."):
        train("nano", tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_images_that_make_no_batch_are_refused_before_the_run_has_a_folder(tmp_path: Path) -> None:
    own = small_run(tmp_path / "first").own
    check_steps(own)
    large = replace(own, job=own.job.vary({"protocol.batch": 512}))
    with pytest.raises(Refused, match=r"batch 512: there are \d+ images to train on in an epoch, .* add --batch \d+"):
        check_steps(large)
    goats = replace(large, data=animals(tmp_path / "goats"))
    goats = replace(goats, job=goats.job.vary({"protocol.images": 0, "protocol.epoch_images": 0}))
    with pytest.raises(Refused, match="batch 512: there are"):
        check_steps(goats)


def test_steps_that_are_too_few_to_learn_are_told(tmp_path: Path) -> None:
    own = replace(small_run(tmp_path / "first").own, protocol="laptop", data=animals(tmp_path / "goats"))
    whole = {"protocol.images": 0, "protocol.epoch_images": 0, "protocol.batch": 2, "protocol.epochs": 10}
    own = replace(own, job=own.job.vary(whole))
    assert few_steps(own).startswith("20 steps in all, with 4 images in batches of 2: too few")
    assert not few_steps(replace(own, job=own.job.vary({"protocol.epochs": 250})))
    assert not few_steps(replace(own, job=own.job.vary({"start.weights": "0" * 12})))


def test_a_run_says_which_network_it_trains(tmp_path: Path) -> None:
    assert name_of_run(small_run(tmp_path / "first").folder) == "nano"
    (tmp_path / "first/run.json").write_text("no json")
    assert name_of_run(tmp_path / "first") == "" == name_of_run(tmp_path)
