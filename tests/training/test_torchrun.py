"""One job in two processes that torchrun starts: the curve of one process, also where one of them is killed.

Batch norms keep their statistics: those of half a batch are others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.training.frozen_norms import freeze_norms
from workbench.__main__ import main
from workbench.training.record import read_losses

ROOT = Path(__file__).parents[2]
SETTINGS = {"images": 24, "epoch_images": 16, "eval_images": 8, "eval_every": 1}
WORDS = ["train", "nano", "--protocol", "smoke", "--size", "64", "--batch", "8", "--device", "cpu"]
WORDS += [word for name, value in SETTINGS.items() for word in ("--set", f"protocol.{name}={value}")]
PATIENCE = 600.0  # seconds, on a machine that does much else


def torchrun(home: Path, *words: str) -> subprocess.Popen[str]:
    """The command of a run in two processes; `words` are options of torchrun and of the command, parted by `--`."""
    options, given = list(words[: words.index("--")]), list(words[words.index("--") + 1 :])
    start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *options]
    env = {**os.environ, "WORKBENCH_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*start, "-m", "tests.training.frozen_norms", *WORDS, *given],
        cwd=home,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.soak
@pytest.mark.timeout(700)
def test_two_processes_train_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--epochs", "3", "--set", "protocol.accumulate=2"]
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        freeze_norms(patch)
        assert main([*WORDS, *words, "-o", str(tmp_path / "one")]) == 0
    begun = torchrun(tmp_path, "--", *words, "-o", "two")
    out, err = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 0, err
    assert out.count("done: ") == 1 and err.count("protocol smoke: 3 epochs") == 1 and "arning" not in err
    one, two = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two"))
    assert one["key"] == two["key"] and (one["tags"]["ranks"], two["tags"]["ranks"]) == ("1", "2")
    for theirs, mine in zip(*(read_losses(tmp_path / name) for name in ("one", "two")), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two")]
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.soak
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_is_killed_costs_no_more_than_an_epoch(rank: str, tmp_path: Path) -> None:
    """torchrun ends the other and starts both anew; they go on from the last epoch, to the very same numbers."""
    words = ["--", "--epochs", "8", "-o"]
    whole = torchrun(tmp_path, *words, "whole")
    _, err = whole.communicate(timeout=PATIENCE)
    assert whole.returncode == 0, err
    cut = torchrun(tmp_path, "--max-restarts", "1", *words, "cut")
    losses = tmp_path / "cut/losses.csv"
    until(lambda: losses.exists() and len(read_losses(losses.parent)) >= 2, cut)
    process_of(cut.pid, rank).kill()
    out, err = cut.communicate(timeout=PATIENCE)
    assert cut.returncode == 0, err
    assert out.count("done: ") == 1 and err.count("; goes on after epoch ") == 1
    assert losses.read_bytes() == (tmp_path / "whole/losses.csv").read_bytes()
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.soak
@pytest.mark.timeout(700)
def test_what_is_refused_is_said_once_and_by_the_exit_code(tmp_path: Path) -> None:
    begun = torchrun(tmp_path, "--", "--batch", "7", "-o", "none")
    out, err = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 1 and out == ""
    assert err.count("workbench: batch 7 can not be shared evenly by 2 processes") == 1
    assert "exitcode  : 2" in err and not (tmp_path / "none").exists()


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Waits for it while the process goes on."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def process_of(torchrun_pid: int, rank: str) -> psutil.Process:
    children = psutil.Process(torchrun_pid).children()
    return next(child for child in children if child.environ().get("RANK") == rank)
