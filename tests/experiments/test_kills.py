"""A study that is killed at random moments ends as one that was left alone: each job once, the same numbers.

Real jobs, a real record. What is killed is the command, one of its workers, or all of its processes at once; the moment
is anywhere from its start (planning) to its end (training, checkpoint, evaluation, recording). WORKBENCH_KILLS says how
often, six times by default.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.small import SMALL_PROTOCOL, small_variant
from workbench.core import processes
from workbench.experiments import runner, tracking
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import NANO_RECIPE
from workbench.experiments.runner import run_study
from workbench.study import Row, Study, StudyProtocol
from workbench.training.machine import Machine

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
KILLS = int(os.environ.get("WORKBENCH_KILLS", "6"))
STUDY = Study("killed", "Is it whole?", "none", small_variant(), (Row("base"), Row("padding", {"coords.padding": 1.5})))
SETTING = StudyProtocol("test", "four small jobs", replace(SMALL_PROTOCOL, epochs=3), NANO_RECIPE, seeds=2)
TIMED = ("train_images", "latency")


def begun(home: Path) -> Any:
    """The study as a process group of its own."""
    process = multiprocessing.get_context("fork").Process(target=_study, args=(home,))
    process.start()
    return process


def _study(home: Path) -> None:
    os.setsid()
    warnings.simplefilter("ignore")
    processes.START = "fork"
    runner.check_distinct = lambda planned: None  # has its own tests
    with (home / "said").open("a") as said, redirect_stdout(said):
        sys.exit(run_study(StudyRun(STUDY, SETTING, home), machine=Machine(), jobs=2))


def strike(process: Any, chance: random.Random) -> str:
    """Kills one of a command's processes, or all of them."""
    what = chance.choice(["command", "worker", "group"])
    with suppress(ProcessLookupError, psutil.NoSuchProcess):
        if what == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif what == "command":
            os.kill(process.pid, signal.SIGKILL)
        else:
            workers = psutil.Process(process.pid).children()
            (chance.choice(workers) if workers else psutil.Process(process.pid)).kill()
    return what


def numbers(run: StudyRun) -> dict[str, Any]:
    """What each job came to, without what was timed."""
    found: dict[str, Any] = {}
    for one in run.jobs():
        result = run.result(one)
        assert result is not None, one.title
        metrics = {k: repr(v) for k, v in result.metrics.items() if not k.startswith(TIMED)}
        curve = [{k: repr(v) for k, v in line.items() if not k.startswith(TIMED)} for line in result.curve]
        found[one.job.key] = metrics, curve, load_file(result.folder / "weights.safetensors")
    return found


@pytest.mark.timeout(3600)
def test_killed_at_random_moments_it_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    calm, stormy, chance = tmp_path / "calm", tmp_path / "stormy", random.Random(7)
    calm.mkdir()
    stormy.mkdir()
    began = time.monotonic()
    process = begun(calm)
    process.join()
    assert process.exitcode == 0, (calm / "said").read_text()
    whole, kills = time.monotonic() - began, list[str]()
    while len(kills) < KILLS:
        process = begun(stormy)
        end = time.monotonic() + chance.uniform(0, whole / 3)
        while time.monotonic() < end and process.is_alive():
            time.sleep(0.01)
        if process.is_alive():
            kills.append(strike(process, chance))
            if kills[-1] == "worker":  # the command goes on, and is struck again
                time.sleep(chance.uniform(0, 1))
                strike(process, chance)
        if process.exitcode == 0:  # it came to its end: another seed of its own would begin; here one job is lost
            victim = chance.choice(list(stormy.glob("jobs/*/result.json")))
            victim.unlink()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    run = StudyRun(STUDY, SETTING, stormy)
    runner.retry(run)  # a job that was killed three times where it stood is left to the next command
    process = begun(stormy)
    process.join()
    assert process.exitcode == 0, (stormy / "said").read_text()
    mine, theirs = numbers(run), numbers(StudyRun(STUDY, SETTING, calm))
    assert mine.keys() == theirs.keys() and len(mine) == 4
    for key, (metrics, curve, weights) in mine.items():
        assert (metrics, curve) == theirs[key][:2]
        assert all(torch.equal(weights[name], theirs[key][2][name]) for name in weights)
    assert not list(stormy.glob("jobs/*/*.part")) and not list(stormy.glob("jobs/*/*.damaged"))
    client = tracking.open_client(stormy)
    experiment = client.get_experiment_by_name("killed")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`workbench.role` = 'job'")
    cells = sorted(run.data.tags["workbench.cell"] for run in runs)
    assert cells == ["base|0|", "base|1|", "padding|0|", "padding|1|"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    print(f"{len(kills)} kills ({', '.join(kills)}), {whole:.0f} s when left alone")
