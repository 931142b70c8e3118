"""A run again: bit for bit on a CPU, or the first number that differs and what else does."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import torch

from tests.experiments.own import small_run
from workbench.experiments.own_run import train_begun
from workbench.experiments.rerun import machine_of, numbers_apart, rerun_folder, train_again
from workbench.training.machine import CPU, Machine
from workbench.training.record import read_result, write_result


@pytest.mark.slow
def test_the_same_run_again_is_the_same_to_the_bit_and_a_touched_record_is_not(tmp_path: Path) -> None:
    home, old = tmp_path / "home", tmp_path / "old"
    before = train_begun(small_run(old, epochs=2), CPU, home)
    folder = rerun_folder(before.key, home)
    again = train_again(old, folder, home)
    assert again.identical and again.first_unlike == "" and again.provenance == {}
    assert again.compared > 100 and folder.parent.name == "reruns"
    assert rerun_folder(before.key, home).name == f"{before.key}-2"

    touched = shutil.copytree(old, tmp_path / "touched")
    lines = list(csv.reader((touched / "losses.csv").read_text().splitlines()))
    place = lines[0].index("loss_oks")
    lines[2][place] = "0.25"
    (touched / "losses.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    found = numbers_apart(read_result(touched), read_result(folder))
    assert not found.identical and found.first_unlike.startswith("epoch 2, loss_oks: 0.25 then, ")


def test_provenance_that_differs_is_told(tmp_path: Path) -> None:
    tags = {"commit": "abc", "machine": "one, 2 cores, AVX2", "threads": "1", "finished": "then"}
    for name, more in (("a", {}), ("b", {"commit": "abd", "threads": "2", "finished": "now"})):
        write_result(tmp_path / name, "0" * 12, {"AP": 0.5, "latency": 3.0 + len(more)}, tags | more)
    again = numbers_apart(read_result(tmp_path / "a"), read_result(tmp_path / "b"))
    assert again.identical, "times never are the same"
    assert again.provenance == {"commit": ("abc", "abd"), "threads": ("1", "2")}
    write_result(tmp_path / "b", "0" * 12, {"AP": 0.75}, tags)
    again = numbers_apart(read_result(tmp_path / "a"), read_result(tmp_path / "b"))
    assert again.first_unlike == "at the end, AP: 0.5 then, 0.75 now"


def test_the_machine_is_that_of_the_record_as_far_as_it_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    cpu = {"machine": "AMD, 2 cores, AVX512 and bf16", "precision": "bf16"}
    assert machine_of(cpu) == Machine("cpu", bf16=True)
    monkeypatch.setattr("workbench.experiments.rerun.machine_on", lambda _: Machine("cuda", True, 3, 2))
    gpu = {"machine": "NVIDIA H100", "precision": "float32", "ranks": "4"}
    assert machine_of(gpu) == Machine("cuda", False, 3, 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine_of(gpu) == Machine("cpu")
