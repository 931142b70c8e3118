"""Whether a data set fits the jobs of a study or a search, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.search.searched import searching
from workbench.core.errors import Refused
from workbench.core.skeletons import CROWDPOSE
from workbench.experiments.data_checks import check_jobs_fit, check_measured, look_at_data


def test_the_key_points_of_every_job_are_those_of_the_set(tmp_path: Path) -> None:
    run = searching(tmp_path)
    fits = run.any_job
    check_jobs_fit(run, [fits, fits])
    other = replace(fits, variant=replace(fits.variant, keypoint_set=CROWDPOSE, num_keypoints=14))
    with pytest.raises(Refused, match="the embedded data set"):
        check_jobs_fit(run, [fits, other])


def test_a_metric_that_the_evaluation_does_not_give_is_refused_by_name(tmp_path: Path) -> None:
    run = searching(tmp_path)
    check_measured(run, ["AP", "mOKS"], "claim A speaks of")
    with pytest.raises(Refused, match=r"claim A speaks of AP_E, which the embedded data set can not decide: its eval"):
        check_measured(run, ["AP", "AP_E"], "claim A speaks of")


def test_of_the_embedded_set_there_is_nothing_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look_at_data(searching(tmp_path))
    assert capsys.readouterr().out == ""
