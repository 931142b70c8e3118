"""The job queue: which jobs wait, who runs which, and how they ended. One Optuna study per plan, in a store.

A queued job is the job itself, as JSON, and the epoch after which it is to pause: whoever takes it needs neither the
study nor the plan that it came from. Results are found by key in the folder of runs, which all machines see.

Of workers on this machine the system knows whether they live. Of others the heartbeats of their trials tell, and the
job's lock: it is held in the store, and a job that was taken over from a worker that could not be heard stops there.

HOME/jobs/KEY/            the job's folder (see `training.run`), and here also
    owner                 who trains it, while it is trained
    progress.json         what the running job last said
    error.txt             the traceback of the last failure
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import psutil
from optuna.trial import FrozenTrial, Trial, TrialState

from workbench.core.errors import DataFault, Refused, one_line
from workbench.core.faults import machine_fault, of_the_machine
from workbench.core.files import remove_parts, write_whole
from workbench.core.spec import Spec, from_dict
from workbench.experiments.stores import Store, folder_id, store_of
from workbench.models.catalog import spec_types
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.record import Progress, Result, is_complete, job_folder, read_losses, read_result
from workbench.training.rung import Paused, rung_of

LIMIT = 3  # failures after which a key is left alone until `retry`
GRACE = 10.0  # seconds in which a worker that has claimed a trial says who it is
DELAY = 60.0  # seconds after which a shared folder shows everywhere what was written to it
PLAN_LOCK = "plan.lock"  # held while jobs are put in
FAULTY = "faulty"  # the outcome of a job whose files can not be used
RESET = "forgiven"  # what stores of old call the failures that count no more
QUEUED = ("key", "row", "seed", "trunk", "job", "until")  # what a trial says of its job from the start
FOLDER = "folder"  # the attribute of a queue that says which folder of runs it belongs to


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
        failures: that count towards the limit; killed: how often its process was killed since this command began, and
            before another epoch was complete; ended: attempts that ended without a result, one way or another.
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


class Load(NamedTuple):
    """What there is to do in a queue: jobs that wait, and the owners of those that run."""

    waiting: int
    owners: list[str]


class JobQueue:
    """The queue of one plan. Each attempt at a job is a trial: job, key, owner and outcome are its user attributes.

    Optuna's states are fewer than ours: a failed trial without the outcome "failed", "infeasible" or "faulty" was
    killed, and a pruned one with the outcome "paused" did what it was asked to. Faulty is what a job's files made it
    fail at: in the next command the job is as if it had not been tried.
    Earlier versions queued the address of a job in its study; such trials are passed over, their results count.
    """

    def __init__(self, home: Path, name: str, store: Store | None = None) -> None:
        """A queue that is not there is made.

        Args:
            name: of the plan.
            store: None is the one that the user gave.

        Raises:
            Refused: the store can not be used, or the queue belongs to another folder of runs.
        """
        self.home, self.store = home, store or store_of(home)
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        with self.store.locked(PLAN_LOCK):
            self._storage = self.store.open()
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                direction="maximize",
                sampler=optuna.samplers.RandomSampler(),
                load_if_exists=True,
            )
            if self.store.shared:
                self._check_folder(name)
        self._since: dict[tuple[int, TrialState], float] = {}  # when a trial was first seen in a state, by this clock
        self._first = len(self.trials())

    def _check_folder(self, name: str) -> None:
        """Results are found in the folder of runs: who works on a queue from another one would lose them."""
        here, there = folder_id(self.home), self.study.user_attrs.get(FOLDER)
        if there is None:
            self.study.set_user_attr(FOLDER, here)
        elif there != here:
            raise Refused(
                f"the jobs of {name} in {self.store.shown} belong to the folder {there.partition(' ')[2]}; "
                f"WORKBENCH_HOME {self.home} is another one: set it to the folder that these machines share"
            )

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def waiting(self) -> bool:
        return bool(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def work(self, train: Train) -> None:
        """Does the jobs that wait, one after the other, until none does."""
        while self.waiting():
            try:
                # in `optimize`, not ask and tell: only there does a trial send heartbeats
                self.study.optimize(partial(self._run_trial, train), n_trials=1, catch=(Exception,))
            except Refused:
                raise
            except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
                continue  # it was not heard for so long that its trial was given up; the folder has what it did

    def _run_trial(self, train: Train, trial: Trial) -> float:
        """One job, and how it ended.

        Raises:
            TrialPruned: it has paused, or there was none.
        """
        key = trial.user_attrs.get("key")
        if key is None or "job" not in trial.user_attrs:
            raise optuna.TrialPruned("no job: another worker was faster, or an earlier version queued it")
        folder = job_folder(self.home, key)
        claim = _Claim(folder, owner_id(), trial.number)
        self._storage.record_heartbeat(trial._trial_id)  # so that of an owner on another machine there always is one
        trial.set_user_attr("owner", claim.owner)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # a file lies there, or nothing can be written
            _note_end(trial, error)
            raise
        with self.store.locked(f"jobs/{key}/lock"):  # the same job may be in the queue of another plan
            remove_parts(folder)
            claim.take()
            if epoch := _last_epoch(folder):
                trial.set_user_attr("begun", epoch)
            try:
                result = train(_queued_job(trial.user_attrs), claim.tell, trial.user_attrs.get("until", 0))
            except Exception as error:
                if not claim.held:
                    raise
                with suppress(OSError):  # of a full disk, which is what the note says
                    (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
                _note_end(trial, error)
                raise
            finally:
                if claim.held:
                    claim.release()
        (folder / "error.txt").unlink(missing_ok=True)
        if isinstance(result, Paused):
            trial.set_user_attr("outcome", "paused")
            raise optuna.TrialPruned(f"paused after epoch {result.epoch}")
        trial.set_user_attr("outcome", "complete")
        return _value(result)

    def entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands. Reads only."""
        return self._entries(keys, self.trials())

    def _entries(self, keys: Iterable[str], trials: Iterable[FrozenTrial]) -> dict[str, QueueEntry]:
        found: dict[str, list[FrozenTrial]] = defaultdict(list)
        for trial in trials:
            self._age(trial)
            found[trial.user_attrs.get("key", "")].append(trial)
        reset = self.study.user_attrs.get(RESET, {})
        return {key: self._entry(key, found[key], reset.get(key, -1)) for key in keys}

    def _entry(self, key: str, trials: list[FrozenTrial], reset: int) -> QueueEntry:
        running = [t for t in trials if self._runs(t)]
        owner = running[0].user_attrs.get("owner", "") if running else ""
        ended = [t for t in trials if t.state is TrialState.FAIL and t.number > reset]
        outcomes = [t.user_attrs.get("outcome", "killed") for t in ended]
        killed = sum(t.number >= self._first for t in self._killed_in_place(key, ended))
        faulty = any(t.number >= self._first and t.user_attrs.get("outcome") == FAULTY for t in ended)
        note = str(ended[-1].user_attrs.get("note", "its process was killed")) if ended else ""
        queued = any(t.state is TrialState.WAITING and "job" in t.user_attrs for t in trials)
        rung = rung_of(job_folder(self.home, key))
        if self._complete(key):
            state, queued, rung = JobState.COMPLETE, False, 0
        elif running or any(self._arrives(t, rung) for t in trials):
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

    def _killed_in_place(self, key: str, ended: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The attempts that were killed, without those after which the next one could go on from a later epoch."""
        killed = [t for t in ended if "outcome" not in t.user_attrs]
        epoch = _last_epoch(job_folder(self.home, key)) if killed else 0
        return [t for t in killed if t.user_attrs.get("begun", 0) == epoch]

    def _runs(self, trial: FrozenTrial) -> bool:
        """Also when the heartbeat was missed (a suspended laptop) but the owner is at work here on this very job.

        On other machines a worker that was not heard for so long has lost its trial, see `_Claim`.
        """
        owner = trial.user_attrs.get("owner")
        if trial.state is TrialState.RUNNING:
            return alive(owner) if owner else self._age(trial) < GRACE
        lost = trial.state is TrialState.FAIL and "outcome" not in trial.user_attrs
        if not lost or owner is None or local_pid(owner) is None or not alive(owner):
            return False
        return _Claim(job_folder(self.home, trial.user_attrs["key"]), owner, trial.number).held

    def _arrives(self, trial: FrozenTrial, rung: int) -> bool:
        """Whether a trial has ended while we looked on, and what it wrote into a shared folder does not show here yet.

        Args:
            rung: the last epoch that the job has paused after, as far as it shows.
        """
        if not self.store.shared or trial.user_attrs.get("outcome") not in ("complete", "paused"):
            return False
        watched = any((trial.number, state) in self._since for state in (TrialState.WAITING, TrialState.RUNNING))
        shows = 0 < trial.user_attrs.get("until", 0) <= rung
        return watched and not shows and self._age(trial) < DELAY

    def _age(self, trial: FrozenTrial) -> float:
        """Seconds for which it has been seen in its state. Clocks of other machines are not compared with ours."""
        now = time.monotonic()
        return now - self._since.setdefault((trial.number, trial.state), now)

    def _complete(self, key: str) -> bool:
        return is_complete(job_folder(self.home, key))

    def _can_begin(self, one: PlannedJob) -> bool:
        return one.first is None or self._complete(one.first.job.key)

    def fill(self, plan: Mapping[str, PlannedJob]) -> dict[str, QueueEntry]:
        """Marks jobs whose worker died, then queues every job that is due. `plan` has the planned jobs by key.

        A job that begins with another one is due when that is complete. One process at a time, so that no job is queued
        twice.
        """
        with self.store.locked(PLAN_LOCK):
            self._end_silent()
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
        with self.store.locked(PLAN_LOCK):
            self._mark_dead(self.trials())
        return self.entries(keys)

    def revive(self) -> Load:
        """Queues jobs again whose worker died, for those who have no plan. Says what there is to do."""
        self._end_silent()
        trials = self.trials()
        if self._dead(trials) or self._lost(trials):
            with self.store.locked(PLAN_LOCK):
                self._mark_dead(self.trials())
                for trial in self._lost(self.trials()):
                    queued = {name: trial.user_attrs[name] for name in QUEUED if name in trial.user_attrs}
                    self.study.enqueue_trial({}, user_attrs=queued)
        trials = self.trials()
        waiting = [t for t in trials if t.state is TrialState.WAITING and "job" in t.user_attrs]
        return Load(len(waiting), [t.user_attrs.get("owner", "") for t in trials if self._runs(t)])

    def _lost(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Of each job that nobody has in hand since its worker was killed, the last attempt.

        One that has killed its workers `LIMIT` times where it stands is left to those who have the plan.
        """
        last = {t.user_attrs["key"]: t for t in trials if "job" in t.user_attrs}
        open_ = (TrialState.RUNNING, TrialState.FAIL)
        last = {k: t for k, t in last.items() if t.state in open_ and "outcome" not in t.user_attrs}
        entries = self._entries(last, trials)
        killed = [key for key, entry in entries.items() if entry.state is JobState.KILLED and not entry.queued]
        fails = {key: [t for t in trials if t.user_attrs.get("key") == key and t.state in open_] for key in killed}
        return [last[key] for key in killed if len(self._killed_in_place(key, fails[key])) < LIMIT]

    def _end_silent(self) -> None:
        """Ends the trials that have sent no heartbeat for long: of owners on other machines nothing else tells."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)

    def reset_failures(self, keys: Iterable[str]) -> int:
        """Failures so far count no more. Gives the number of keys that had any."""
        entries = self.entries(keys)
        stuck = {key for key, entry in entries.items() if entry.state in (JobState.FAILED, JobState.INFEASIBLE)}
        last = len(self.trials())
        self.study.set_user_attr(RESET, self.study.user_attrs.get(RESET, {}) | dict.fromkeys(stuck, last))
        return len(stuck)

    def _dead(self, trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        return [t for t in trials if t.state is TrialState.RUNNING and not self._runs(t)]

    def _mark_dead(self, trials: Iterable[FrozenTrial]) -> bool:
        """Marks the running trials of dead owners. Whether there were any."""
        dead = self._dead(trials)
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


def has_queue(store: Store, name: str) -> bool:
    """Whether a plan of that name was ever begun; makes no queue."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    return store.exists() and name in optuna.get_all_study_names(store.open())


def stored_entries(home: Path, name: str, keys: Iterable[str]) -> dict[str, QueueEntry]:
    """Where each key stands, for whoever only looks: a queue that is not there stays away.

    Of a folder that can not be written, only what the folders of the jobs say.

    Args:
        home, name: as for `JobQueue`.
    """
    store = store_of(home)
    if (store.shared or os.access(home, os.W_OK)) and has_queue(store, name):  # SQLite writes even to read
        return JobQueue(home, name, store).entries(keys)
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


def this_host() -> str:
    """The machine and, on it, the container: process numbers of another one mean other processes."""
    try:
        inside = f"/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # not Linux
        inside = ""
    return f"{socket.gethostname()}{inside}"


def owner_id() -> str:
    """Host, process and its start: a number that the system gives away again is not mistaken for its last bearer."""
    return f"{this_host()} {os.getpid()} {_born(os.getpid())}"


def _born(pid: int) -> str:
    """When a process started, by what no change of the clock moves: ticks since the machine did.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return f"{psutil.Process(pid).create_time():.2f}"  # not Linux


def local_pid(owner: str) -> int | None:
    """The number of a process on this host; None: it is on another one."""
    host, pid, _ = owner.rsplit(" ", 2)
    return int(pid) if host == this_host() else None


def alive(owner: str) -> bool:
    """Whether a process still is. Of other hosts only the heartbeat knows."""
    if (pid := local_pid(owner)) is None:
        return True
    try:
        return _born(pid) == owner.rsplit(" ", 1)[1] and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _last_epoch(folder: Path) -> int:
    """The epoch after which a job would go on."""
    losses = read_losses(folder)
    return int(losses[-1]["epoch"]) if losses else 0


# ------------------------------------------------------------------------------------------------------------ trials


class _TakenOver(Exception):
    """The job is another worker's by now: this one was not heard for too long."""


@dataclass(frozen=True)
class _Claim:
    """What the folder of a job says of the trial that trains it. It can be handed to another process."""

    folder: Path
    owner: str
    trial: int

    def take(self) -> None:
        (self.folder / "owner").write_text(f"{self.owner} {self.trial}", "utf-8")

    @property
    def held(self) -> bool:
        try:
            return (self.folder / "owner").read_text("utf-8") == f"{self.owner} {self.trial}"
        except OSError:
            return False

    def tell(self, progress: Progress) -> None:
        """Says how far the job is.

        Raises:
            _TakenOver: another worker has claimed it, and goes on from the last checkpoint.
        """
        if not self.held:
            raise _TakenOver
        with write_whole(self.folder / "progress.json", durable=False) as part:
            part.write_text(json.dumps(asdict(progress)), "utf-8")

    def release(self) -> None:
        for name in ("owner", "progress.json"):
            (self.folder / name).unlink(missing_ok=True)


def _note_end(trial: Trial, error: Exception) -> None:
    """How a job ended, in a line, for whoever shows it."""
    trial.set_user_attr("note", machine_fault(error) or one_line(error))
    trial.set_user_attr("outcome", _outcome(error))


def _outcome(error: Exception) -> str:
    """What files or the machine are at fault for says nothing of the job: the next command tries it again."""
    if isinstance(error, DataFault) or of_the_machine(error):
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


def read_progress(folder: Path) -> Progress | None:
    """What a running job last said; None: nothing yet, or it has just ended."""
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
