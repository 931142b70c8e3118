"""A study whose jobs are fakes that write a result, and what its queue and its log hold of them."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.core.errors import Refused
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.plan import StudyRun
from workbench.experiments.runner import run_study
from workbench.experiments.trial_table import Attempt
from workbench.experiments.worker_pool import TrainJob
from workbench.models.job import Job, Protocol
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_result

# newer Pythons warn of forks beside threads; none of ours holds a lock then
FAKED = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.usefixtures("light"),
]
SLOW = 1.0  # seconds of a slow job
STUDY = Study(
    name="fake",
    question="Does the plan hold?",
    source="none",
    base=nano(),
    rows=(Row("base"), Row("padding", {"coords.padding": 1.5}), Row("static", {"coords.dynamic_allocation": False})),
    claims=(Better("F1", "the base beats the static one", row="base", than="static", metric="AP_M"),),
)
SETTING = StudyProtocol("test", "two seeds, nothing trained", Protocol(size=(96, 96), epochs=2), seeds=2)


def finish(job: Job, home: Path, tell: Callable[[Progress], None], seconds: float = 0.0) -> Result:
    """A job that says that it began, waits, and says that it ended."""
    folder, log = job_folder(home, job.key), home / "log"
    with log.open("a") as file:
        file.write(f"begin {job.key}\n")
    tell(Progress(1, 2, 0.5, 100.0, 1.0, {"loss_cls": 1.0}, {}))
    time.sleep(seconds)
    (folder / "curve.csv").write_text("epoch,AP\n1,0.1\n2,0.2\n")
    dynamic = getattr(job.variant.coords, "dynamic_allocation", True)
    metrics = {"AP": 0.2 + job.seed / 100, "AP_M": 0.3 + 0.1 * dynamic, "gflops": 1.0}
    write_result(folder, job.key, metrics, {"commit": "abc"})
    with log.open("a") as file:
        file.write(f"end {job.key}\n")
    return read_result(folder)


def quick(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    return finish(job, home, tell)


def slow(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    return finish(job, home, tell, SLOW)


def faulty(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """The static row raises, the row with another padding is refused."""
    coords: Any = job.variant.coords
    if not coords.dynamic_allocation:
        finish_begin = home / "log"
        with finish_begin.open("a") as file:
            file.write(f"begin {job.key}\n")
        raise RuntimeError("the gradient is not finite\nsecond line")
    if coords.padding != 1.25:
        raise Refused("the data set does not fit")
    return finish(job, home, tell)


def deadly(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """The first attempt of the static row kills its own process."""
    coords: Any = job.variant.coords
    mark = home / f"killed {job.key}"
    if not coords.dynamic_allocation and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(job, home, tell)


def start(run: StudyRun, train: TrainJob, jobs: int = 2) -> int:
    return run_study(run, machine=Machine(), jobs=jobs, train=train)


def log(home: Path) -> Counter[str]:
    path = home / "log"
    return Counter(path.read_text().split("\n")[:-1]) if path.exists() else Counter()


def keys(study: Study = STUDY) -> list[str]:
    return [one.job.key for one in study.planned_jobs(SETTING)]


def queue(home: Path) -> JobQueue:
    return JobQueue(home, StudyRun(STUDY, SETTING, home).name)


def trials(home: Path) -> list[Attempt]:
    return queue(home).attempts()


def once_each(home: Path) -> None:
    """Every job has one complete trial and came to its end once."""
    complete = [t.user_attrs["key"] for t in trials(home) if t.state.name == "COMPLETE"]
    assert sorted(complete) == sorted(keys())
    assert {key: log(home)[f"end {key}"] for key in keys()} == dict.fromkeys(keys(), 1)
    assert not [t for t in trials(home) if t.state.name in ("RUNNING", "WAITING")]


class NoRecord:
    """Stands for MLflow, which takes seconds to open."""

    def __init__(self, *_: Any) -> None: ...

    def record(self, *_: Any) -> str:
        return ""

    def record_failure(self, *_: Any) -> None: ...
