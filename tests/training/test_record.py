"""The record of a job: written, read back, and read without the trainer."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.training import record
from workbench.training.record import (
    NUMERICS,
    Result,
    is_complete,
    job_folder,
    last_gain,
    read_curve,
    read_result,
    train_minutes,
    write_curve,
    write_result,
)

READ = """
import sys
from pathlib import Path
from workbench.training.record import read_result
assert read_result(Path(sys.argv[1])).metrics == {"AP": 0.5}
print(sorted({"torch", "workbench.training.run"} & set(sys.modules)))
"""


def test_a_record_is_read_without_torch_and_the_trainer(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"key": "k", "metrics": {"AP": 0.5}, "tags": {}}))
    found = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("[]", "")


def test_a_job_is_complete_once_its_result_is_written(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, "k")
    write_curve(folder, [{"epoch": 1.0, "AP": 0.25}])
    assert not is_complete(folder)
    write_result(folder, "k", {"AP": 0.5}, {"commit": "c"})
    assert is_complete(folder)
    tags = {"commit": "c", "numerics": NUMERICS}
    assert read_result(folder) == Result("k", {"AP": 0.5}, [{"epoch": 1.0, "AP": 0.25}], tags, folder)


def test_a_job_of_other_arithmetic_is_not_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result(tmp_path, "k", {"AP": 0.5}, {})
    assert is_complete(tmp_path)
    monkeypatch.setattr(record, "NUMERICS", "a later one")
    assert not is_complete(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({"key": "k", "metrics": {}, "tags": {}}))  # by the first version
    assert not is_complete(tmp_path)


def test_a_curve_comes_back_without_what_was_not_measured(tmp_path: Path) -> None:
    assert read_curve(tmp_path) == []
    curve = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "AP": 1e-9}]
    write_curve(tmp_path, curve)
    assert read_curve(tmp_path) == curve
    assert (tmp_path / "curve.csv").read_text().splitlines() == ["epoch,loss,AP", "1.0,0.5,", "2.0,,1e-09"]


def test_the_last_gain_is_of_the_last_quarter() -> None:
    curve = [{"epoch": epoch, "AP": ap} for epoch, ap in ((2.0, 0.1), (6.0, 0.3), (7.0, 0.6), (8.0, 0.4))]
    assert last_gain(curve) == pytest.approx(0.4 - 0.3)  # 6 of 8 epochs are three quarters
    assert last_gain(curve[:1]) is None and last_gain([]) is None


def test_the_last_quarter_is_not_the_last_two_fifths() -> None:
    """Of 20 epochs it begins at 15, where no evaluation stands: between those after 12 and 16."""
    curve = [{"epoch": float(epoch), "AP": ap} for epoch, ap in ((4, 0.1), (8, 0.2), (12, 0.3), (16, 0.4), (20, 0.41))]
    assert last_gain(curve) == pytest.approx(0.41 - 0.375)
    assert last_gain([*curve[:3], curve[4]]) is None  # what came after 15 is not known
    assert last_gain([curve[4]]) is None and last_gain(curve[3:]) is None


def test_minutes_of_training_are_images_by_speed_stretch_by_stretch() -> None:
    curve = [{"epoch": 1.0, "train_images_per_s": 10.0}, {"epoch": 3.0, "train_images_per_s": 20.0}]
    assert train_minutes(curve, 600) == 1.0 + 1.0
    assert math.isnan(train_minutes([], 600)) and math.isnan(train_minutes(curve, 0))
    assert math.isnan(train_minutes([{"epoch": 1.0, "AP": 0.1}], 600))
