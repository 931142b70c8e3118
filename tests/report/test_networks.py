"""Networks rebuilt from the folders of complete jobs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.report.made_up import TINY, TWO
from workbench.evaluation.records import MatchRecords
from workbench.report import networks
from workbench.training.machine import Machine
from workbench.training.source import open_source
from workbench.training.validate import evaluate_network


@pytest.mark.slow
def test_a_network_from_a_folder_says_what_it_said(trained: Path) -> None:
    """The mean OKS in the record is that of the rebuilt network's detections."""
    folder = trained / "jobs" / TWO.planned_jobs(TINY)[1].job.key
    job, network = networks.network_of(folder)
    evaluation, _ = evaluate_network(job, network, open_source(job, 0, trained), Machine())
    kept = MatchRecords.load(folder / "records.npz")
    np.testing.assert_allclose(evaluation.records.oks_sum, kept.oks_sum, atol=1e-5)


def test_the_spot_with_most_networks_is_taken(tmp_path: Path) -> None:
    jobs = TWO.planned_jobs(TINY, seeds=2)
    here = [(one, tmp_path / f"{one.row} {one.seed}") for one in jobs]
    assert networks.most_rows(here) is None, "no folder holds weights"
    for _, folder in here[1:]:  # all but the first row of seed 0
        folder.mkdir()
        (folder / "weights.safetensors").touch()
    found = networks.most_rows(here)
    assert found is not None and found[:2] == (1, "") and list(found[2]) == ["regression", "bins"]
    assert networks.most_rows([(replace(one, seed=0), folder) for one, folder in here[1:2]]) is None, "one row alone"
