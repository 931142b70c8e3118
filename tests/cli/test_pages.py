"""Commands that show what is recorded. Options of `report` are tried with those of studies."""

from __future__ import annotations

import pytest

from tests.cli.commands import watch
from workbench.__main__ import main


def test_the_record_is_shown_at_a_port(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls = watch(monkeypatch, {"workbench.experiments.mlflow_pages.ui": 0})
    assert main(["ui"]) == 0 and main(["ui", "--port", "5001"]) == 0
    assert [call[1][1] for call in calls] == [5000, 5001]
    assert main(["ui", "--port", "0"]) == 2
    assert "ui: --port '0': expected a whole number from 1 to 65535" in capsys.readouterr().err


def test_searches_are_shown_at_a_port(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls = watch(monkeypatch, {"workbench.experiments.search.dashboard.serve_dashboard": 0})
    assert main(["dashboard"]) == 0 and main(["dashboard", "--port", "8081"]) == 0
    assert [call[1][1] for call in calls] == [8080, 8081]
    assert main(["dashboard", "--port", "0"]) == 2
    assert "dashboard: --port '0': expected a whole number from 1 to 65535" in capsys.readouterr().err
