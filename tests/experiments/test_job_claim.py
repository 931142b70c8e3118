"""The claim on a job: who holds it may speak for it."""

from pathlib import Path

import pytest

from workbench.experiments.job_claim import JobClaim, TakenOver, read_progress
from workbench.training.record import Progress

SAID = Progress(1, 2, 0.5, 100.0, 1.0, {"loss_cls": 1.0}, {})


def test_who_holds_a_job_tells_how_far_it_is_until_another_takes_it_over(tmp_path: Path) -> None:
    first, second = JobClaim(tmp_path, "here 1 0.00", 4), JobClaim(tmp_path, "there 1 0.00", 5)
    assert not first.held and read_progress(tmp_path) is None
    first.take()
    first.tell(SAID)
    assert first.held and read_progress(tmp_path) == SAID
    second.take()
    with pytest.raises(TakenOver):
        first.tell(SAID)
    assert second.held and not first.held
    second.release()
    assert not list(tmp_path.iterdir())


def test_the_same_worker_holds_one_attempt_alone(tmp_path: Path) -> None:
    JobClaim(tmp_path, "here 1 0.00", 4).take()
    assert not JobClaim(tmp_path, "here 1 0.00", 5).held


def test_half_a_word_is_none(tmp_path: Path) -> None:
    (tmp_path / "progress.json").write_text('{"epoch": 1')
    assert read_progress(tmp_path) is None
