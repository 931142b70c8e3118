"""What a run has measured: from its match records where they hold the metric, else from its numbers."""

import math
from pathlib import Path

import pytest

from tests.matched import IMAGES, records
from workbench.core.errors import Refused
from workbench.experiments.readings import is_known, resampled_run, value_of
from workbench.training.record import Result


def run(metrics: dict[str, float], folder: Path = Path()) -> Result:
    return Result("k", metrics, [], {}, folder)


def test_match_records_are_read_once_and_again_when_they_are_new(tmp_path: Path) -> None:
    records(20).save(tmp_path / "records.npz")
    first = resampled_run(run({}, tmp_path), "mOKS")
    assert first.observed == pytest.approx(20 / IMAGES) and resampled_run(run({}, tmp_path), "mOKS") is first
    assert value_of(run({"mOKS": 0.9}, tmp_path), "mOKS", resampled_run) == first.observed


def test_missing_match_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="is missing: AP is compared image by image"):
        resampled_run(run({}, tmp_path), "AP")


@pytest.mark.parametrize(
    ("found", "known"), [({"AR": 0.4}, True), ({"AR": -1.0}, False), ({"AR": math.nan}, False), ({}, False)]
)
def test_a_number_that_was_not_measured_is_not_known(found: dict[str, float], known: bool) -> None:
    assert is_known("AR", run(found)) is known
    value = value_of(run(found), "AR", resampled_run)
    assert value == 0.4 if known else math.isnan(value)
    assert is_known("AP", run({})), "match records tell it"
