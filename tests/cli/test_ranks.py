"""A command under torchrun: one process is the command, and the others do what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.experiments.own import small_run
from workbench.__main__ import main
from workbench.core import distributed
from workbench.core.errors import Refused
from workbench.core.torchrun import QUIET_TORCH

PLACE = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "3", "WORLD_SIZE": "3", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """As the first of three processes, without the others."""
    made: list[str] = []
    for name, value in {**PLACE, "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in QUIET_TORCH:
        monkeypatch.setenv(name, "")  # it is as it was when the test is over
        monkeypatch.delenv(name)
    monkeypatch.setattr(distributed, "follow", lambda: made.append("follows"))
    monkeypatch.setattr(distributed, "dismiss", lambda: made.append("dismisses"))
    monkeypatch.chdir(tmp_path)
    return made


def test_a_batch_that_processes_can_not_share_is_refused_before_any_work(
    calls: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In one line, and without the others: torchrun ends them."""
    assert main(["train", "nano", "-o", "run", "--batch", "8", "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("workbench: batch 8 can not be shared evenly by 3 processes; make it a multiple of 3 ")
    assert "torchrun --nproc-per-node N" in err and err.count("\n") == 1 and out == ""
    assert calls == [] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("rank", ["1", "2"])
def test_the_others_read_no_options_and_print_nothing(
    rank: str, calls: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    assert main(["train", "--no-such-option"]) == 0
    assert calls == ["follows"] and capsys.readouterr() == ("", "")


def test_the_others_are_dismissed_also_where_there_is_nothing_to_do(calls: list[str]) -> None:
    assert main(["train", "--help"]) == 0 and calls == ["dismisses"]
    assert QUIET_TORCH.items() <= os.environ.items()


@pytest.mark.parametrize("words", [["study", "ablate_dcc"], ["worker"], ["evaluate", "nano"], []])
def test_only_one_training_is_shared(words: list[str], calls: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2 and calls == []
    started = " ".join(["workbench", *words[:1]])
    assert (
        f"torchrun shares one `workbench train` among processes; start `{started}` without it"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(("error", "said"), [(ValueError("no"), ""), (Refused("no data"), "process 1: no data\n")])
def test_a_failure_elsewhere_is_left_to_torchrun(
    error: Exception, said: str, calls: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the first one; what one machine alone refuses is said by it, too."""

    def fail() -> None:
        raise error

    file = Path("error.json")
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(distributed, "follow", fail)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == f"workbench: {said}" * bool(said) and str(error) in file.read_text()


def test_a_run_that_torchrun_starts_anew_goes_on_in_its_folder(
    calls: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_run(Path("run"))
    words = ["train", "nano", "-o", "run", "--batch", "9", "--device", "cpu"]
    assert main(words) == 2 and "-o run: it holds a run already" in capsys.readouterr().err
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert main(words) == 2 and "run holds another run (nano, job " in capsys.readouterr().err
