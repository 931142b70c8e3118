"""The record of the planted search, as a page reads it."""

import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.experiments.search.searched import plant, plant_paused, without_counting
from workbench.report.search_frames import SearchRecord, open_search
from workbench.report.search_record import write_search_record


@cache
def planted_record(rungs: bool = False) -> SearchRecord:
    """Written and read once. Tests that want another one take a copy: `replace`."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        without_counting(patch)
        run = (plant_paused if rungs else plant)(Path(folder))
        run.write_settings()
        write_search_record(run)
        patch.setattr("workbench.report.search_frames.find_study", lambda _: run.search)
        patch.setattr("workbench.report.search_frames.protocol_named", lambda _: run.protocol)
        return open_search("planted", "small", run.stem)  # its jobs are gone: files are enough
