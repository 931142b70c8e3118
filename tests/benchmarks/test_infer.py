"""The benchmark of `infer`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _record, infer
from tests.inference.tiny import network
from workbench.__main__ import main
from workbench.rtmo import RTMO


def test_unfused_is_what_infer_finds() -> None:
    model = RTMO(None, (128, 160), network())
    picture = np.random.default_rng(0).integers(0, 256, (128, 160, 3), np.uint8)
    ours, theirs = model.infer(picture).detections, infer.unfused(model, picture)
    assert len(ours) == len(theirs)
    for one, points in zip(ours, theirs.keypoints, strict=True):
        np.testing.assert_allclose(np.array(one.keypoints)[:, :2], points, atol=0.05)


@pytest.mark.soak
def test_tables_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(infer, "PERSONS", (1, 100))
    words = ["--network", "nano", "--size", "256", "--images", "2", "--seconds", "0.1", "--cpu", "--anyway"]
    assert main(["bench", "infer", *words]) == 0
    with (tmp_path / "bench_infer.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["what"] for line in lines] == ["unfused", "infer", "one by one", "list", "1 person", "100 persons"]
    assert {line["clock"] for line in lines} == {"cpu"} and float(lines[4]["ratio"]) < 1
