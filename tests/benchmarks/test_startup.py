"""The benchmark of what comes before the work."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import _record, startup
from workbench.__main__ import main
from workbench.core.errors import Refused

PYTHON = startup.Start(("-c", "pass"))
BUSY = startup.Start(("-c", "import time\nwhile time.process_time() < 0.3: pass"))


def test_each_is_measured_beside_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(startup, "STARTS", {startup.REFERENCE: PYTHON, "busy": BUSY, "other": BUSY})
    assert main(["bench", "startup", "--rounds", "2", "--only", "busy"]) == 0
    with (tmp_path / "bench_startup.csv").open() as file:
        lines = {line["what"]: line for line in csv.DictReader(file)}
    assert list(lines) == [startup.REFERENCE, "busy"]
    assert float(lines[startup.REFERENCE]["x_torch"]) == 1 and float(lines["busy"]["x_torch"]) > 1
    assert float(lines["busy"]["cpu_s"]) >= 0.3 and lines["busy"]["rounds"] == "2"


def test_what_ends_otherwise_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"exit code 3, not 0: gone"):
        startup.cpu_seconds(
            startup.Start(("-c", "import sys; print('gone', file=sys.stderr); sys.exit(3)")), str(tmp_path)
        )
