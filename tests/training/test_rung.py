"""Rungs: where a job may pause, what its record says of it there, and what no longer counts."""

import json
from pathlib import Path

import pytest

from tests.small import small_job
from workbench.core.errors import Refused
from workbench.models.job import Protocol, Start
from workbench.training.record import write_curve, write_losses
from workbench.training.rung import (
    PAUSED,
    check_until,
    read_pause,
    rung_epoch,
    rung_of,
    signals,
    signals_at,
    write_pause,
)

CURVE = [{"epoch": 2.0, "AP": 0.1, "mOKS": 0.3, "loss_oks": 4.0, "train_images_per_s": 100.0, "lr": 0.1}]
LOSSES = [{"epoch": 1.0, "loss_oks": 8.0}, {"epoch": 2.0, "loss_oks": 4.0, "loss_mle": 1.0}]


@pytest.mark.parametrize("until", [0, 1, 3, 5])
def test_a_job_pauses_after_any_epoch_of_its_schedule(until: int) -> None:
    check_until(small_job(epochs=5), until)


@pytest.mark.parametrize("until", [-1, 4, 6])
def test_an_epoch_that_is_not_trained_is_refused(until: int) -> None:
    job = small_job(epochs=5, stop=3)
    with pytest.raises(Refused, match=f"until {until}: job {job.key} trains epochs 1 to 3; give one of them"):
        check_until(job, until)
    begun = small_job(epochs=5).vary({"start": Start(key="some", epoch=2)})
    with pytest.raises(Refused, match="trains epochs 3 to 5"):
        check_until(begun, 2)


def test_a_part_of_a_training_is_an_epoch_or_refused() -> None:
    protocol = Protocol(epochs=20)
    assert [rung_epoch(protocol, part) for part in (0.05, 0.2, 0.4, 0.65, 1)] == [1, 4, 8, 13, 20]
    for part in (0.0, 0.21, 1.05, -0.2):
        with pytest.raises(Refused, match=f"a rung at {part:g} of 20 epochs lies on none.*multiple of 0.05"):
            rung_epoch(protocol, part)


def test_signals_are_of_one_epoch_and_means_are_over_what_came_before() -> None:
    assert signals(CURVE, LOSSES, 1) == {"loss_oks": 8.0, "mean_loss_oks": 8.0}
    later = {"loss_oks": 4.0, "loss_mle": 1.0, "mean_loss_oks": 6.0, "mean_loss_mle": 1.0}
    assert signals(CURVE, LOSSES, 2) == {"AP": 0.1, "mOKS": 0.3, **later}
    assert signals(CURVE, [], 2) == {"AP": 0.1, "mOKS": 0.3, "loss_oks": 4.0}  # a record of old
    assert signals(CURVE, LOSSES, 3) == {}


def test_a_pause_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert rung_of(tmp_path) == 0
    write_curve(tmp_path, CURVE)
    write_losses(tmp_path, LOSSES)
    write_pause(tmp_path, "key", 2, {"precision": "bf16"})
    found = read_pause(tmp_path)
    assert (found.key, found.epoch, found.curve, found.tags["precision"]) == ("key", 2, CURVE, "bf16")
    assert rung_of(tmp_path) == 2 and found.signals == signals_at(tmp_path, 2) == signals(CURVE, LOSSES, 2)


def test_a_pause_of_code_that_computed_otherwise_is_none(tmp_path: Path) -> None:
    write_pause(tmp_path, "key", 2, {})
    said = json.loads((tmp_path / PAUSED).read_text())
    (tmp_path / PAUSED).write_text(json.dumps(said | {"tags": {"numerics": "0"}}))
    assert rung_of(tmp_path) == 0
