"""The record of the planted search, as a page reads it."""

from pathlib import Path

import pytest

from tests.experiments.search.searched import plant, without_counting
from workbench.report.search_frames import SearchRecord, open_search
from workbench.report.search_record import write_search_record


def read_planted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SearchRecord:
    """Files are written below the folder, which becomes the current one."""
    monkeypatch.chdir(folder)
    without_counting(monkeypatch)
    run = plant(folder)
    run.write_settings()
    write_search_record(run)
    monkeypatch.setattr("workbench.report.search_frames.find_study", lambda _: run.search)
    monkeypatch.setattr("workbench.report.search_frames.protocol_named", lambda _: run.protocol)
    return open_search("planted", "small", run.stem)
