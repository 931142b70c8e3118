"""A line for who waits, and none for who does not."""

import multiprocessing
import time

import pytest

from workbench.core import patience
from workbench.core.patience import told_if_long


def test_what_takes_long_is_said_once(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(patience, "UNNOTICED", 0.05)
    said = ""
    with told_if_long("reading"):
        while not said:
            time.sleep(0.01)
            said = capfd.readouterr().err
    assert said == "reading ...\n"


def test_what_is_short_and_what_a_worker_does_is_not_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(patience, "UNNOTICED", 0.1)
    with told_if_long("reading"):
        pass
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    with told_if_long("reading"):
        time.sleep(0.2)
    assert capfd.readouterr().err == ""
