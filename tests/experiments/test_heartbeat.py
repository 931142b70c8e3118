"""The heartbeat of a trial: heard while its block runs, and no longer."""

import threading
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from workbench.experiments import stores
from workbench.experiments.heartbeat import beating
from workbench.experiments.stores import store_of


def test_it_beats_until_the_end_of_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "HEARTBEAT", 1)
    storage = store_of(tmp_path).open()
    study = optuna.create_study(storage=storage)
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING))
    heard, times = threading.Event(), list[int]()

    def hear(trial_id: int) -> None:
        times.append(trial_id)
        heard.set()

    monkeypatch.setattr(storage, "record_heartbeat", hear)
    with beating(storage, 1):
        assert heard.wait(60)
    assert set(times) == {1} and not [one for one in threading.enumerate() if one.name == "heartbeat"]
