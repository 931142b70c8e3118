"""The benchmark of batch norms."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import _record, batchnorm
from workbench.__main__ import main


def test_ours_is_exact_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(batchnorm, "SHAPES", ((4, 8, 128, 128),))
    assert main(["bench", "batchnorm", "--seconds", "0.1", "--cpu", "--anyway"]) == 0
    with (tmp_path / "bench_batchnorm.csv").open() as file:
        lines = {line["way"]: line for line in csv.DictReader(file)}
    assert list(lines) == list(batchnorm.WAYS) and float(lines[batchnorm.REFERENCE]["ratio"]) == 1
    assert float(lines["exact, channels_last"]["error"]) < 1e-5 < float(lines[batchnorm.REFERENCE]["error"])
