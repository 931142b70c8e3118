"""A study of seven small networks that are really trained, run by commands, and what came of it to the last bit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from workbench.training.record import read_result

ROOT = Path(__file__).parents[2]
STUDY = '''"""Seven small rows."""

from workbench.presets import nano
from workbench.study import Better, Row, Study

STUDY = Study(
    name="seven",
    question="Do many machines compute what one does?",
    source="none",
    base=nano(),
    rows=(
        Row("base"),
        *(Row(f"padding {value}", {"coords.padding": value}) for value in (1.0, 1.1, 1.5, 2.0, 3.0)),
        Row("static", {"coords.dynamic_allocation": False}),
    ),
    claims=(Better("S1", "the base beats the static one", row="base", than="static", metric="AP"),),
)
'''
JOBS = 7
WORDS = ("seven", "--protocol", "smoke", "--set", "protocol.epochs=6", "--set", "protocol.epoch_images=32")
TIMES = ("latency", "train_images")  # how the names of numbers begin that are measured with a clock


class Place:
    """A folder with the study, in which commands are run."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        (folder / "studies").mkdir(parents=True, exist_ok=True)
        (folder / "studies/seven.py").write_text(STUDY)
        # the record of a command that is not given one of its own is of no interest here
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "WORKBENCH_"))}
        near = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"}
        self.environment = {**kept, **near, "WORKBENCH_HOME": str(folder / "runs"), **environment}

    @property
    def home(self) -> Path:
        return Path(self.environment["WORKBENCH_HOME"])

    def start(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """`workbench VERB seven WORDS`, with all that it says in one stream."""
        command = [sys.executable, "-P", "-m", "workbench", verb, *WORDS, *words]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **both)

    def run(self, verb: str, *words: str) -> str:
        """The same, to its end; it may not fail."""
        return ended(self.start(verb, *words))


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a command said, when it has ended as it should."""
    said, _ = process.communicate()
    assert process.returncode == code, said
    return said


def numbers(home: Path) -> dict[str, Mapping[str, Any]]:
    """Of every complete job in a folder of runs: its numbers, to the last bit, and a digest of its weights."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in sorted(home.glob("jobs/*/result.json")):
        result = read_result(file.parent)
        metrics = {name: repr(v) for name, v in result.metrics.items() if not name.startswith(TIMES)}
        weights = sha256((file.parent / "weights.safetensors").read_bytes()).hexdigest()
        found[result.key] = {**metrics, "weights": weights}
    return found


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mapping[str, Any]]:
    """The numbers of the study as one machine computes them, one job after the other."""
    place = Place(tmp_path_factory.mktemp("alone"))
    place.run("study", "--jobs", "1")
    found = numbers(place.home)
    assert len(found) == JOBS
    return found
