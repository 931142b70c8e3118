"""The job queue: which jobs wait, who runs which, and how they ended. The only file that knows Optuna.

A queued job is the job itself, as JSON, and the epoch after which it is to pause: whoever takes it needs neither the
study nor the plan that it came from.

HOME/optuna.db            one Optuna study per plan
HOME/plan.lock            held while jobs are put in
HOME/jobs/KEY/            the job's folder (see `training.run`), and here also
    progress.json         what the running job last said
    error.txt             the traceback of the last failure
"""

from __future__ import annotations

import json
import math
import socket
import sqlite3
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event

from workbench.core.errors import DataFault, Refused, one_line
from workbench.core.files import NETWORK, file_system, locked, locked_folder, write_whole
from workbench.core.spec import Spec, from_dict
from workbench.models.catalog import spec_types
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.record import Progress, Result, is_complete, job_folder, read_result
from workbench.training.rung import Paused, rung_of

LIMIT = 3  # failures after which a key is left alone until `retry`
GRACE = 10.0  # seconds in which a worker that has claimed a trial says who it is
HEARTBEAT = 60  # seconds; silence of four of them ends a trial whose owner can not be seen from here
FAULTY = "faulty"  # the outcome of a job whose files can not be used
RESET = "forgiven"  # what stores of old call the failures that count no more


# How a worker trains a job up to an epoch (0: to the end) and tells of its progress.
Train = Callable[[Job, Callable[[Progress], None], int], Result | Paused]


class JobState(StrEnum):
    """Where a job stands. Paused: it waits after an epoch that was asked for. Failed: it raised. Killed: its process
    ended. Infeasible: it was refused."""

    PLANNED = "planned"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    KILLED = "killed"
    INFEASIBLE = "infeasible"


@dataclass(frozen=True)
class QueueEntry:
    """What the queue says of a job.

    Fields:
        failures: that count towards the limit; killed: how often its process was killed since this command began;
            ended: attempts that ended without a result, one way or another.
        note: the last error in one line; owner: host, process and start of the process at work on it.
        queued: it waits for a worker.
        rung: the last epoch that it has paused after, 0 for none.
    """

    state: JobState
    failures: int = 0
    killed: int = 0
    ended: int = 0
    note: str = ""
    owner: str = ""
    queued: bool = False
    rung: int = 0

    def reached(self, until: int) -> bool:
        """Whether all has been done that a plan asks of the job: epoch `until`, or with 0 the whole."""
        return self.state is JobState.COMPLETE or 0 < until <= self.rung


class JobQueue:
    """The queue of one plan. Each attempt at a job is a trial: job, key, owner and outcome are its user attributes.

    Optuna's states are fewer than ours: a failed trial without the outcome "failed", "infeasible" or "faulty" was
    killed, and a pruned one with the outcome "paused" did what it was asked to. Faulty is what a job's files made it
    fail at: in the next command the job is as if it had not been tried.
    Earlier versions queued the address of a job in its study; such trials are passed over, their results count.
    """

    def __init__(self, home: Path, name: str) -> None:
        """`name` is that of the plan; a queue that is not there is made."""
        self.home = home
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        with locked(home / "plan.lock"):
            self.study = optuna.create_study(
                storage=storage_of(home / "optuna.db"),
                study_name=name,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(),
                load_if_exists=True,
            )
        self._first = len(self.trials())

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def waiting(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def work(self, train: Train) -> None:
        """Does the jobs that wait, one after the other, until none does."""
        while self.waiting():
            # in `optimize`, not ask and tell: only there does a trial send heartbeats
            self.study.optimize(partial(_run_trial, self.home, train), n_trials=1, catch=(Exception,))

    def entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands. Reads only."""
        return self._entries(keys, self.trials())

    def _entries(self, keys: Iterable[str], trials: Iterable[FrozenTrial]) -> dict[str, QueueEntry]:
        found: dict[str, list[FrozenTrial]] = defaultdict(list)
        for trial in trials:
            found[trial.user_attrs.get("key", "")].append(trial)
        reset = self.study.user_attrs.get(RESET, {})
        return {key: self._entry(key, found[key], reset.get(key, -1)) for key in keys}

    def _entry(self, key: str, trials: list[FrozenTrial], reset: int) -> QueueEntry:
        running = [t for t in trials if self._runs(t)]
        owner = running[0].user_attrs.get("owner", "") if running else ""
        ended = [t for t in trials if t.state is TrialState.FAIL and t.number > reset]
        outcomes = [t.user_attrs.get("outcome", "killed") for t in ended]
        killed = sum(t.number >= self._first and "outcome" not in t.user_attrs for t in ended)
        faulty = any(t.number >= self._first and t.user_attrs.get("outcome") == FAULTY for t in ended)
        note = str(ended[-1].user_attrs.get("note", "its process was killed")) if ended else ""
        queued = any(t.state is TrialState.WAITING and "job" in t.user_attrs for t in trials)
        rung = rung_of(job_folder(self.home, key))
        if self._complete(key):
            state, queued, rung = JobState.COMPLETE, False, 0
        elif running:
            state = JobState.RUNNING
        elif "infeasible" in outcomes or faulty:
            state = JobState.INFEASIBLE
        elif rung and not _lost_since(trials, ended, rung):
            state = JobState.PAUSED
        elif ended and not queued:
            state = JobState.FAILED if outcomes[-1] == FAULTY else JobState(outcomes[-1])
        elif any(t.state is TrialState.RUNNING for t in trials):
            state = JobState.KILLED  # its owner is dead, the queue does not know yet
        else:
            state = JobState.PLANNED
        return QueueEntry(state, outcomes.count("failed"), killed, len(ended), note, owner, queued, rung)

    def _runs(self, trial: FrozenTrial) -> bool:
        """Also when the heartbeat was missed (a suspended laptop) but the owner is at work on this very job."""
        owner = trial.user_attrs.get("owner")
        if trial.state is TrialState.RUNNING:
            return alive(owner) if owner else _just_started(trial)
        lost = trial.state is TrialState.FAIL and "outcome" not in trial.user_attrs
        return lost and owner is not None and alive(owner) and self._current(trial, owner)

    def _current(self, trial: FrozenTrial, owner: str) -> bool:
        try:
            file = job_folder(self.home, trial.user_attrs["key"]) / "owner"
            return file.read_text("utf-8") == f"{owner} {trial.number}"
        except OSError:
            return False

    def _complete(self, key: str) -> bool:
        return is_complete(job_folder(self.home, key))

    def _can_begin(self, one: PlannedJob) -> bool:
        return one.first is None or self._complete(one.first.job.key)

    def fill(self, plan: Mapping[str, PlannedJob]) -> dict[str, QueueEntry]:
        """Marks jobs whose worker died, then queues every job that is due. `plan` has the planned jobs by key.

        A job that begins with another one is due when that is complete. One process at a time, so that no job is queued
        twice.
        """
        with locked(self.home / "plan.lock"):
            trials = self.trials()
            if self._mark_dead(trials):
                trials = self.trials()
            entries = self._entries(plan, trials)
            due = [key for key, entry in entries.items() if _due(entry, plan[key]) and self._can_begin(plan[key])]
            for key in due:
                self.study.enqueue_trial({}, user_attrs=_attributes(plan[key]))
            self._note_complete([plan[k] for k, e in entries.items() if e.state is JobState.COMPLETE], trials)
            return self.entries(plan) if due else entries

    def final_entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands after the workers have gone."""
        with locked(self.home / "plan.lock"):
            self._mark_dead(self.trials())
        return self.entries(keys)

    def reset_failures(self, keys: Iterable[str]) -> int:
        """Failures so far count no more. Gives the number of keys that had any."""
        entries = self.entries(keys)
        stuck = {key for key, entry in entries.items() if entry.state in (JobState.FAILED, JobState.INFEASIBLE)}
        last = len(self.trials())
        self.study.set_user_attr(RESET, self.study.user_attrs.get(RESET, {}) | dict.fromkeys(stuck, last))
        return len(stuck)

    def _mark_dead(self, trials: Iterable[FrozenTrial]) -> bool:
        """Marks the running trials of dead owners. Whether there were any."""
        dead = [t for t in trials if t.state is TrialState.RUNNING and not self._runs(t)]
        for trial in dead:
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return bool(dead)

    def _note_complete(self, planned: Iterable[PlannedJob], trials: Iterable[FrozenTrial]) -> None:
        """Notes jobs whose folder is complete and of which the queue knows nothing, or only that they were killed."""
        done = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
        known = {t.user_attrs.get("key") for t in trials if t.state in done}
        for one in planned:
            if one.job.key not in known:
                value = _value(read_result(job_folder(self.home, one.job.key)))
                attributes = _attributes(one) | {"outcome": "complete", "note": "found"}
                state = TrialState.COMPLETE
                self.study.add_trial(optuna.trial.create_trial(state=state, value=value, user_attrs=attributes))


def stored_entries(home: Path, name: str, keys: Iterable[str]) -> dict[str, QueueEntry]:
    """Where each key stands, for whoever only looks: a queue that is not there stays away.

    Args:
        home, name: as for `JobQueue`.
    """
    path = home / "optuna.db"
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    if path.exists() and name in optuna.get_all_study_names(storage_of(path)):
        return JobQueue(home, name).entries(keys)
    return {key: _recorded_entry(job_folder(home, key)) for key in keys}


def _recorded_entry(folder: Path) -> QueueEntry:
    """What the folder of a job alone says."""
    if is_complete(folder):
        return QueueEntry(JobState.COMPLETE)
    rung = rung_of(folder)
    return QueueEntry(JobState.PAUSED if rung else JobState.PLANNED, rung=rung)


def _lost_since(trials: Sequence[FrozenTrial], ended: Sequence[FrozenTrial], rung: int) -> bool:
    """Whether an attempt to go on after the rung ended without a result.

    One whose process was killed after it had written the rung that it was asked for lost nothing.
    """
    paused = max((t.number for t in trials if t.user_attrs.get("outcome") == "paused"), default=-1)
    after = [t for t in ended if t.number > paused]
    return bool(after) and not 0 < after[-1].user_attrs.get("until", 0) <= rung


def _due(entry: QueueEntry, one: PlannedJob) -> bool:
    open_ = entry.state in (JobState.PLANNED, JobState.PAUSED, JobState.FAILED, JobState.KILLED) and not entry.queued
    return open_ and not entry.reached(one.until) and not gives_up(entry)


def gives_up(entry: QueueEntry) -> bool:
    """Whether a job is left alone until `retry`."""
    return entry.state is JobState.INFEASIBLE or entry.failures >= LIMIT or entry.killed >= LIMIT


def _attributes(one: PlannedJob) -> dict[str, Any]:
    """The job itself and where it is to pause; row, seed and trunk are for people who read the store."""
    said = {"key": one.job.key, "row": one.row, "seed": one.seed, "trunk": one.trunk, "job": one.job.to_dict()}
    return said | ({"until": one.until} if one.until else {})


def _value(result: Result) -> float:
    """What Optuna records as the trial's value; it takes no nan."""
    ap = float(result.metrics.get("AP", 0.0))
    return ap if math.isfinite(ap) else 0.0


def storage_of(path: Path, heartbeat: bool = True) -> optuna.storages.RDBStorage:
    """SQLite with a write-ahead log: eight writers without a lock error, 11 ms a trial.

    `heartbeat`: trials are processes that say that they live.

    Raises:
        Refused: the folder is on a network file system, where SQLite's locks do not hold.
    """
    if (kind := file_system(path.parent)) in NETWORK:
        raise Refused(
            f"WORKBENCH_HOME {path.parent} is on {kind}, a network file system, where SQLite loses data: "
            "set WORKBENCH_HOME to a folder on a local disk"
        )
    with sqlite3.connect(path, timeout=60) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # a property of the file
    connection.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of the heartbeat
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path}",
            engine_kwargs={"connect_args": {"timeout": 60}},
            heartbeat_interval=HEARTBEAT if heartbeat else None,
            grace_period=4 * HEARTBEAT if heartbeat else None,
        )
    event.listen(storage.engine, "connect", _connected)
    event.listen(storage.engine, "begin", _begin)
    storage.engine.dispose()  # connections from before the listener
    return storage


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    connection.execute("PRAGMA synchronous=NORMAL")  # a property of each connection


def _begin(connection: Any) -> None:
    """Reading and taking are one step: by default SQLite locks at the first write, after the read, and two workers
    that read at the same time both take the trial."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def owner_id() -> str:
    """Host, process and its start: a number that the system gives away again is not mistaken for its last bearer."""
    process = psutil.Process()
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"


def alive(owner: str) -> bool:
    """Whether a process still is. Of other hosts only the heartbeat knows."""
    host, pid, born = owner.rsplit(" ", 2)
    if host != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(pid))
        return abs(process.create_time() - float(born)) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _just_started(trial: FrozenTrial) -> bool:
    assert trial.datetime_start is not None
    return (datetime.now() - trial.datetime_start).total_seconds() < GRACE


# ------------------------------------------------------------------------------------------------------------ trials


def _run_trial(home: Path, train: Train, trial: Trial) -> float:
    """One job, and how it ended.

    Raises:
        TrialPruned: it has paused, or there was none.
    """
    key = trial.user_attrs.get("key")
    if key is None or "job" not in trial.user_attrs:
        raise optuna.TrialPruned("no job: another worker was faster, or an earlier version queued it")
    folder, owner = job_folder(home, key), owner_id()
    trial.set_user_attr("owner", owner)
    with locked_folder(folder):  # the same job may be in the queue of another plan
        (folder / "owner").write_text(f"{owner} {trial.number}", "utf-8")
        try:
            job, until = _queued_job(trial.user_attrs), trial.user_attrs.get("until", 0)
            result = train(job, partial(_write_progress, folder), until)
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
            trial.set_user_attr("note", one_line(error))
            trial.set_user_attr("outcome", _outcome(error))
            raise
        finally:
            for name in ("owner", "progress.json"):
                (folder / name).unlink(missing_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    if isinstance(result, Paused):
        trial.set_user_attr("outcome", "paused")
        raise optuna.TrialPruned(f"paused after epoch {result.epoch}")
    trial.set_user_attr("outcome", "complete")
    return _value(result)


def _outcome(error: Exception) -> str:
    """What files are at fault for says nothing of the job: the next command tries it again."""
    if isinstance(error, DataFault):
        return FAULTY
    return "infeasible" if isinstance(error, Refused) else "failed"


def _queued_job(attributes: Mapping[str, Any]) -> Job:
    """The job that a trial carries.

    Raises:
        Refused: it was queued by a version that has other components.
    """
    job = from_dict(attributes["job"], spec_types())
    if not isinstance(job, Job) or job.key != attributes["key"]:
        raise Refused(
            f"job {attributes['key']} was queued by another version of the workbench, in which it is {job.key}; "
            "workbench study retry NAME queues it again"
        )
    return job


def check_queueable(planned: Iterable[PlannedJob]) -> None:
    """Refuses jobs that a worker can not read from the queue, before any is started.

    Raises:
        Refused: a component is not one that `workbench components` lists.
    """
    known = spec_types()
    for one in planned:
        if missing := [cls for cls in _classes(one.job) if known.get(cls.__name__) is not cls]:
            where = f"{missing[0].__module__}.{missing[0].__qualname__}"
            raise Refused(
                f"{one.title}: workers can not find {where}; a component lives in a module of its own below "
                "workbench/components, or in an installed package that names it in its entry-point group "
                "workbench.components"
            )


def _classes(spec: Spec) -> Iterator[type[Spec]]:
    """The class of a spec and of every spec in it."""
    yield type(spec)
    for each in fields(spec):
        value = getattr(spec, each.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Spec):
                yield from _classes(inner)


def _write_progress(folder: Path, progress: Progress) -> None:
    with write_whole(folder / "progress.json", durable=False) as part:
        part.write_text(json.dumps(asdict(progress)), "utf-8")


def read_progress(folder: Path) -> Progress | None:
    """What a running job last said; None: nothing yet, or it has just ended."""
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
