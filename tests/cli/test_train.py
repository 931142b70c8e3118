"""The command that trains one network: what reaches the job, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import options_of
from tests.experiments.own import small_run
from workbench.__main__ import main
from workbench.experiments.own_job import OwnJob
from workbench.experiments.own_run import begun_in
from workbench.models.initial import Initialised
from workbench.training.machine import CPU
from workbench.training.record import Progress, Result, read_result, write_losses, write_result

PROGRESS = Progress(1, 4, 0.25, 100.0, 61.0, {"loss_oks": 0.5}, {"AP": 0.125})
# A value of each option that is not its default, and what of the run it changes.
OPTIONS: dict[str, tuple[tuple[str, ...], Callable[[Any], object]]] = {
    "--protocol": (("short",), lambda begun: begun.own.protocol),
    "--epochs": (("7",), lambda begun: begun.own.job.protocol.epochs),
    "--batch": (("4",), lambda begun: begun.own.job.protocol.batch),
    "--size": (("64",), lambda begun: begun.own.job.protocol.size),
    "--seed": (("7",), lambda begun: begun.own.job.seed),
    "--set": (("recipe.lr=0.5",), lambda begun: begun.own.job.recipe.lr),
}
ELSEWHERE = {"--out", "--data", "--device", "--init", "--init-leftover", "--resume", "--json"}  # in tests of their own


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """The runs and the machines that would be trained; each tells once and is complete at once."""
    calls: list[tuple[Any, ...]] = []

    def train(begun: Any, machine: Any, home: Path, tell: Callable[[Progress], None]) -> Result:
        calls.append((begun, machine))
        tell(PROGRESS)
        metrics = {"AP": 0.5, "AP50": 0.75, "AP_M": float("nan")}
        write_result(begun.folder, begun.own.job.key, metrics, {"precision": "bf16"})
        return read_result(begun.folder)

    monkeypatch.setattr("workbench.experiments.own_run.train_begun", train)
    monkeypatch.setattr("workbench.experiments.own_run.record_run", lambda *_: "0123")
    monkeypatch.setattr("workbench.training.machine.this_machine", lambda: CPU)
    monkeypatch.chdir(tmp_path)
    return calls


def test_every_option_is_tried() -> None:
    assert options_of("train") == set(OPTIONS) | ELSEWHERE


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_used(option: str, trained: list[tuple[Any, ...]]) -> None:
    values, of = OPTIONS[option]
    assert main(["train", "nano", "-o", "plain"]) == main(["train", "nano", "-o", "other", option, *values]) == 0
    plain, other = (of(begun) for begun, _ in trained)
    assert plain != other


def test_it_ends_with_where_all_is_and_commands_to_copy(
    trained: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "nano", "-o", "my runs/first", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("done: AP 50.0 %, AP50 75.0 % after 8 epochs, in bf16\n") and "run 0123; workbench ui" in out
    for file in ("result.json", "predictions.png", "weights.safetensors"):
        assert f"my runs/first/{file}" in out
    commands = [shlex.split(line.removeprefix("next:")) for line in out.splitlines() if "workbench " in line][1:]
    assert commands == [
        ["workbench", "predict", "my runs/first", "photo.jpg"],
        ["workbench", "deploy", "my runs/first", "-o", "my runs/first.onnx"],
    ]
    assert "nano, protocol laptop: 8 epochs of figures-easy at 96 x 96, batch 32, augmentation none, seed 0, on" in err
    assert "epoch 1/4, 100 images/s, oks 0.5, 1:01 left, AP 12.5 %" in err


def test_json_is_all_that_is_printed(trained: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nano", "-o", "first", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["mlflow"]) == ("complete", "0123")
    assert found["metrics"] == {"AP": 0.5, "AP50": 0.75, "AP_M": None}
    assert found["files"]["weights"] == "first/weights.safetensors" and found["next"][0].startswith("workbench predict")


def test_it_begins_with_a_file_and_says_what_of_it(
    trained: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []

    def begun_with(own: OwnJob, *given: Any) -> tuple[OwnJob, Initialised]:
        asked.append(given[:2])
        return replace(own, job=own.job.vary({"start.weights": "abc"})), Initialised(("a",), ("b.c",), ())

    monkeypatch.setattr("workbench.experiments.own_run.with_weights", begun_with)
    assert main(["train", "nano", "-o", "x", "--init", "w.pth"]) == 0
    assert "w.pth: taken: 1 tensors; new: 1 tensors: b; left over: 0 tensors" in capsys.readouterr().err
    assert main(["train", "nano", "-o", "y", "--init", "w.pth", "--init-leftover", "ignore"]) == 0
    assert asked == [("w.pth", False), ("w.pth", True)]
    assert [begun.own.job.start.weights for begun, _ in trained] == ["abc", "abc"]


def test_a_run_goes_on_with_what_it_was_begun_with(
    trained: list[tuple[Any, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = small_run(tmp_path / "first")
    write_losses(begun.folder, [{"epoch": 1.0, "loss_oks": 0.5}])
    assert main(["train", "--resume", str(begun.folder)]) == 0
    assert trained[0][0].own == begun.own and "goes on after epoch 1" in capsys.readouterr().err
    assert main(["train", "--resume", str(begun.folder)]) == 0, "a complete one is shown"
    assert "goes on" not in capsys.readouterr().err


def test_a_run_whose_checkpoint_is_damaged_says_so_in_a_line(
    trained: list[tuple[Any, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_run(tmp_path / "first").folder
    (folder / "checkpoint.pt").write_bytes(b"no checkpoint")
    assert main(["train", "--resume", str(folder)]) == 2
    err = capsys.readouterr().err
    assert f"workbench: {folder / 'checkpoint.pt'}: it is damaged (" in err and err.count("\n") == 1
    assert trained == []


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failure_ends_with_its_reason(
    as_json: bool, trained: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the gradient is not finite\nmore")

    monkeypatch.setattr("workbench.experiments.own_run.train_begun", fail)
    assert main(["train", "nano", "-o", "a b", *["--json"] * as_json]) == 1
    out, err = capsys.readouterr()
    assert "failed after epoch 0 of 8: RuntimeError: the gradient is not finite\n" in err
    assert "workbench train --resume 'a b'" in err and "Traceback" in Path("a b/error.txt").read_text()
    assert not as_json or json.loads(out)["reason"] == "RuntimeError: the gradient is not finite"


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupted_run_says_how_to_go_on(
    as_json: bool, trained: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(begun: Any, *_: Any) -> None:
        write_losses(begun.folder, [{"epoch": 1.0}, {"epoch": 2.0}])
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("workbench.experiments.own_run.train_begun", interrupt)
    assert main(["train", "nano", "-o", "first", *["--json"] * as_json]) == 130
    out, err = capsys.readouterr()
    assert err.endswith("stopped; 2 of 8 epochs are kept; go on with: workbench train --resume first\n")
    assert not as_json or ((found := json.loads(out))["state"] == "interrupted" and found["epoch"] == 2)
    assert begun_in(Path("first")).own.name == "nano"


def test_interrupted_before_anything_it_says_so(
    trained: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.experiments.own_job.own_job", interrupt)
    assert main(["train", "nano", "-o", "first"]) == 130
    assert capsys.readouterr().err.endswith("stopped before anything was trained\n") and not Path("first").exists()


def test_a_record_that_can_not_be_written_loses_nothing(
    trained: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> str:
        raise OSError("disk full")

    monkeypatch.setattr("workbench.experiments.own_run.record_run", refuse)
    assert main(["train", "nano", "-o", "first"]) == 0
    assert "not recorded: OSError: disk full; try again with workbench train --resume first" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no network is given; expected NAME, as in nano, or --resume FOLDER"),
        ("nano", "no folder is given; add one for the run, as in -o runs/nano"),
        ("rtmo-x -o a", "no network 'rtmo-x'; there are nano"),
        ("nobody:row -o a", "no study is called 'nobody'"),
        ("nano -o full", "-o full: it is there and not empty; name a new folder"),
        ("nano -o run", "-o run: it holds a run already; go on with it: workbench train --resume run"),
        ("nano -o done", "-o done: it holds a run already; it is complete; name another folder"),
        ("nano --resume run", "--resume run: the run goes on as it was begun; leave out nano"),
        ("--resume run --epochs 3", "--resume run: the run goes on as it was begun; leave out --epochs"),
        ("--resume full", "full holds no run.json"),
        ("full -o a", "full: a network is trained by its name; begin with what a file holds: NAME --init full"),
        ("nano -o a --init-leftover ignore", "--init-leftover ignore: nothing is begun with; add --init FILE"),
        ("nano -o a --init gone.pth", "gone.pth"),
        ("nano -o a --protocol thaw", "train: --protocol 'thaw': expected smoke or short or laptop"),
        ("nano -o a --epochs 3 --set protocol.epochs=4", "--set protocol.epochs: it is set 2 times; set it once"),
        ("nano -o a --size 100", "size (100, 100): height and width must be positive multiples of 32"),
        ("nano -o a --device cuda", "device 'cuda': torch sees none here, only cpu"),
        ("nano -o a --data full", "full holds no data set of a known format"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(
    words: str, said: str, trained: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    small_run(Path("run"))
    small_run(Path("done"))
    Path("done/result.json").touch()
    assert main(["train", *words.split()]) == 2
    assert said in capsys.readouterr().err and trained == [] and not Path("a").exists()
