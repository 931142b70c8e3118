"""Jobs that tests train have their latency made up: to measure it takes longer than to train them."""

import pytest

from workbench.training import run

LATENCY = {"latency_ms_p50": 5.0, "latency_ms_p90": 6.0, "latency_ratio": 1.0}


@pytest.fixture(autouse=True)
def _no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "latency_metrics", lambda job: LATENCY)
