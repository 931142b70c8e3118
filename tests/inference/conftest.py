"""A machine where nobody else works; the folder of a trained job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.inference.tiny import disturbed
from tests.small import small_job
from workbench.inference import timing
from workbench.models.network import Network


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else works, whatever this machine does."""
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 0.0)
    monkeypatch.setattr(timing, "WINDOW", 0.0)


@pytest.fixture
def job_folder(tmp_path: Path) -> Path:
    job = small_job()
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(job.to_dict(defaults=True)))
    save_file(disturbed(Network(job.variant, seed=0)).state_dict(), folder / "weights.safetensors")
    return folder
