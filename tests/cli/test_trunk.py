"""The command that trains trunks."""

from __future__ import annotations

import pytest

from tests.cli.commands import watch
from workbench.__main__ import main


def test_trunks_are_trained_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = watch(monkeypatch, {"workbench.experiments.trunks.train_trunks": 0})
    assert main(["trunk", "joint", "heatmap"]) == 0 and main(["trunk"]) == 0
    assert [call[1][0] for call in calls] == [["joint", "heatmap"], []]
