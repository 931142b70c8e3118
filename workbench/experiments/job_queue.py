"""The ledger: which job of a plan has been claimed, by whom, and how it ended. The only file that knows Optuna.

HOME/optuna.db            one Optuna study per study and setting
HOME/plan.lock            held while the plan is put in
HOME/jobs/KEY/            the job's folder (see `run`), and here also
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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event

from workbench.core.errors import Refused, one_line
from workbench.core.files import locked, locked_folder, write_whole
from workbench.experiments.console import JobState, QueueEntry
from workbench.experiments.plan import StudyRun
from workbench.study import PlannedJob
from workbench.training.record import Progress, Result

LIMIT = 3  # failures after which a key is left alone until `retry`
GRACE = 10.0  # seconds in which a worker that has claimed a trial says who it is
HEARTBEAT = 60  # seconds; silence of four of them ends a trial whose owner can not be seen from here
NETWORK = {"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ncpfs", "9p", "lustre", "ceph", "glusterfs", "beegfs"}


class JobQueue:
    """The trials of one plan. A trial carries its job's key, its owner and its outcome as user attributes.

    Optuna's states are fewer than ours: a failed trial without the outcome "failed" or "infeasible" was killed.
    """

    def __init__(self, order: StudyRun) -> None:
        self.order = order
        self.home = order.home
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        with locked(self.home / "plan.lock"):
            self.study = optuna.create_study(
                storage=_storage(self.home / "optuna.db"),
                study_name=order.name,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(),
                load_if_exists=True,
            )
        self._first = len(self.trials())

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def waiting(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def work(self) -> None:
        """Does what waits, one job after the other, until nothing does."""
        while self.waiting():
            # in `optimize`, not ask and tell: only there does a trial send heartbeats
            self.study.optimize(partial(_run_trial, self.order), n_trials=1, catch=(Exception,))

    def entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands. Reads only."""
        return self._entries(keys, self.trials())

    def _entries(self, keys: Iterable[str], trials: Iterable[FrozenTrial]) -> dict[str, QueueEntry]:
        found: dict[str, list[FrozenTrial]] = defaultdict(list)
        for trial in trials:
            found[trial.user_attrs.get("key", "")].append(trial)
        forgiven = self.study.user_attrs.get("forgiven", {})
        return {key: self._entry(key, found[key], forgiven.get(key, -1)) for key in keys}

    def _entry(self, key: str, trials: list[FrozenTrial], forgiven: int) -> QueueEntry:
        running = [t for t in trials if self._runs(t)]
        owner = running[0].user_attrs.get("owner", "") if running else ""
        ended = [t for t in trials if t.state is TrialState.FAIL and t.number > forgiven]
        outcomes = [t.user_attrs.get("outcome", "killed") for t in ended]
        killed = sum(t.number >= self._first and "outcome" not in t.user_attrs for t in ended)
        note = str(ended[-1].user_attrs.get("note", "its process was killed")) if ended else ""
        queued = any(t.state is TrialState.WAITING for t in trials)
        if (self.order.folder(key) / "result.json").exists():
            state, queued = JobState.COMPLETE, False
        elif running:
            state = JobState.RUNNING
        elif "infeasible" in outcomes:
            state = JobState.INFEASIBLE
        elif ended and not queued:
            state = JobState(outcomes[-1])
        elif any(t.state is TrialState.RUNNING for t in trials):
            state = JobState.KILLED  # its owner is dead, the ledger does not know yet
        else:
            state = JobState.PLANNED
        return QueueEntry(state, outcomes.count("failed"), killed, len(ended), note, owner, queued)

    def _runs(self, trial: FrozenTrial) -> bool:
        """Also when the heartbeat was missed (a suspended laptop) but the owner is at work on this very job."""
        owner = trial.user_attrs.get("owner")
        if trial.state is TrialState.RUNNING:
            return _alive(owner) if owner else _just_started(trial)
        lost = trial.state is TrialState.FAIL and "outcome" not in trial.user_attrs
        return lost and owner is not None and _alive(owner) and self._current(trial, owner)

    def _current(self, trial: FrozenTrial, owner: str) -> bool:
        try:
            return (self.order.folder(trial.user_attrs["key"]) / "owner").read_text(
                "utf-8"
            ) == f"{owner} {trial.number}"
        except OSError:
            return False

    def fill(self, plan: Mapping[str, PlannedJob]) -> dict[str, QueueEntry]:
        """Buries the dead and puts in what is due. One process at a time, so that no key stands in the ledger twice."""
        with locked(self.home / "plan.lock"):
            trials = self.trials()
            if self._bury(trials):
                trials = self.trials()
            entries = self._entries(plan, trials)
            due = [key for key, entry in entries.items() if _due(entry)]
            for key in due:
                self.study.enqueue_trial({}, user_attrs=_attributes(plan[key]))
            self._note_complete([plan[k] for k, e in entries.items() if e.state is JobState.COMPLETE], trials)
            return self.entries(plan) if due else entries

    def settle(self, cells: Sequence[PlannedJob]) -> dict[str, QueueEntry]:
        """The entries after the workers have gone."""
        with locked(self.home / "plan.lock"):
            self._bury(self.trials())
        return self.entries({cell.job.key for cell in cells})

    def forgive(self, keys: set[str]) -> int:
        """Failures so far count no more. Gives the number of keys that had any."""
        entries = self.entries(keys)
        stuck = {key for key, entry in entries.items() if entry.state in (JobState.FAILED, JobState.INFEASIBLE)}
        last = len(self.trials())
        self.study.set_user_attr("forgiven", self.study.user_attrs.get("forgiven", {}) | dict.fromkeys(stuck, last))
        return len(stuck)

    def _bury(self, trials: Iterable[FrozenTrial]) -> bool:
        """Marks the running trials of dead owners. Whether there were any."""
        dead = [t for t in trials if t.state is TrialState.RUNNING and not self._runs(t)]
        for trial in dead:
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return bool(dead)

    def _note_complete(self, cells: Sequence[PlannedJob], trials: Iterable[FrozenTrial]) -> None:
        """Jobs whose folder is complete and of which the ledger knows nothing, or only that they were killed."""
        done = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
        known = {t.user_attrs.get("key") for t in trials if t.state in done}
        for cell in cells:
            if cell.job.key not in known:
                value = _value(self.order.result(cell.job.key))
                attributes = _attributes(cell) | {"outcome": "complete", "note": "found"}
                state = TrialState.COMPLETE
                self.study.add_trial(optuna.trial.create_trial(state=state, value=value, user_attrs=attributes))


def _due(entry: QueueEntry) -> bool:
    open_ = entry.state in (JobState.PLANNED, JobState.FAILED, JobState.KILLED) and not entry.queued
    return open_ and entry.failures < LIMIT and entry.killed < LIMIT


def _attributes(cell: PlannedJob) -> dict[str, Any]:
    return {"key": cell.job.key, "row": cell.row, "seed": cell.seed, "trunk": cell.trunk}


def _value(result: Result) -> float:
    """What the ledger maximises; Optuna takes no nan."""
    ap = float(result.metrics.get("AP", 0.0))
    return ap if math.isfinite(ap) else 0.0


def _storage(path: Path) -> optuna.storages.RDBStorage:
    """SQLite with a write-ahead log: eight writers without a lock error, 11 ms a trial.

    Raises:
        Refused: the folder is on a network file system, where SQLite's locks do not hold.
    """
    if (kind := _file_system(path.parent)) in NETWORK:
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
            heartbeat_interval=HEARTBEAT,
            grace_period=4 * HEARTBEAT,
        )
    event.listen(storage.engine, "connect", _connected)
    event.listen(storage.engine, "begin", _begin)
    storage.engine.dispose()  # connections from before the listener
    return storage


def _connected(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    connection.execute("PRAGMA synchronous=NORMAL")  # a property of each connection


def _begin(connection: Any) -> None:
    """Looking and claiming are one step: by default SQLite locks at the first write, after the look, and two workers
    that look at the same time both take the trial."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _file_system(folder: Path) -> str:
    """Type of the file system that holds a folder."""
    folder = folder.resolve()
    mounts = [p for p in psutil.disk_partitions(all=True) if folder.is_relative_to(p.mountpoint)]
    return max(mounts, key=lambda p: len(p.mountpoint)).fstype.lower() if mounts else ""


def _owner_id() -> str:
    """Host, process and its start: a number that the system gives away again is not mistaken for its last bearer."""
    process = psutil.Process()
    return f"{socket.gethostname()} {process.pid} {process.create_time():.2f}"


def _alive(owner: str) -> bool:
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


def _run_trial(order: StudyRun, trial: Trial) -> float:
    """One job, and how it ended."""
    cell = _cell(order, trial.user_attrs)
    if cell is None:
        raise optuna.TrialPruned("the plan has changed, or another worker was faster")
    folder, owner = order.folder(cell.job.key), _owner_id()
    trial.set_user_attr("owner", owner)
    with locked_folder(folder):  # the same job may stand in the plan of another study
        (folder / "owner").write_text(f"{owner} {trial.number}", "utf-8")
        try:
            result = order.train(cell.job, order.machine, order.home, order.data, partial(_tell, folder))
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
            trial.set_user_attr("note", one_line(error))
            trial.set_user_attr("outcome", "infeasible" if isinstance(error, Refused) else "failed")
            raise
        finally:
            for name in ("owner", "progress.json"):
                (folder / name).unlink(missing_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    trial.set_user_attr("outcome", "complete")
    return _value(result)


def _cell(order: StudyRun, attributes: Mapping[str, Any]) -> PlannedJob | None:
    """The cell that a trial stands for. None: it stands for none, or the study's file has changed since."""
    if "key" not in attributes:
        return None
    cells = order.cells(attributes["seed"] + 1)
    return next((cell for cell in cells if cell.job.key == attributes["key"]), None)


def _tell(folder: Path, progress: Progress) -> None:
    with write_whole(folder / "progress.json", durable=False) as part:
        part.write_text(json.dumps(asdict(progress)), "utf-8")
