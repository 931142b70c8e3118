"""A machine where nobody else works; the folder of a trained job."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inference.tiny import stored_job
from workbench.inference import timing


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else works, whatever this machine does."""
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 0.0)
    monkeypatch.setattr(timing, "WINDOW", 0.0)


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    return stored_job(tmp_path / "job")
