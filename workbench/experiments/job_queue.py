"""The job queue: which jobs wait, who runs which, and how they ended. One Optuna study per plan, in a store.

A queued job is the job itself, as JSON, and the epoch after which it is to pause: whoever takes it needs neither the
study nor the plan that it came from. Results are found by key in the folder of runs, which all machines see.

Of workers on this machine the system knows whether they live. Of others the heartbeats of their trials tell, and the
job's lock: it is held in the store, and a job that was taken over from a worker that could not be heard stops there.

How a worker does a job that it has taken is `job_worker`; what the folder of a job says meanwhile, `job_claim`.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from workbench.core.errors import Refused
from workbench.experiments.job_claim import JobClaim
from workbench.experiments.job_files import JobFiles, files_of, last_epoch
from workbench.experiments.job_worker import FAULTY, JobWorker, Train, recorded_value
from workbench.experiments.owners import alive, local_pid
from workbench.experiments.queue_entry import WAS_KILLED, JobState, QueueEntry, gives_up, is_due, recorded_entry
from workbench.experiments.queued_job import QUEUED, attributes_of
from workbench.experiments.stores import Store, store_of
from workbench.experiments.trial_table import JOB, Attempt, TrialTable
from workbench.training.record import is_complete, job_folder, read_result
from workbench.training.rung import rung_of

if TYPE_CHECKING:
    from workbench.study import PlannedJob  # and with it torch, which takes seconds

GRACE = 10.0  # seconds in which a worker that has claimed a trial says who it is
DELAY = 60.0  # seconds after which a shared folder shows everywhere what was written to it
PLAN_LOCK = "plan.lock"  # held while jobs are put in
RESET = "forgiven"  # what stores of old call the failures that count no more
FOLDER = "folder"  # the attribute of a queue that says which folder of runs it belongs to


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

    def __init__(
        self, home: Path, name: str, store: Store | None = None, files: JobFiles | None = None, *, begun: bool = False
    ) -> None:
        """A queue that is not there is made.

        Args:
            name: of the plan.
            store, files: None is the one that the user gave.
            begun: this command has opened the queue before, in another process.

        Raises:
            Refused: the store or the files can not be used, or the queue belongs to others.
        """
        self.home, self.store, self.files = home, store or store_of(home), files or files_of(home)
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        if begun:
            self._storage = self.store.open(begun=True)
            self.study = optuna.load_study(study_name=name, storage=self._storage)
        else:
            self.files.check()
            with self.store.locked(PLAN_LOCK):
                self._storage = self.store.open()
                self.study = self._begin(name)
        self._table = TrialTable(self._storage, self.study._study_id)
        self._first = self._table.count()

    def _begin(self, name: str) -> optuna.Study:
        study = optuna.create_study(storage=self._storage, study_name=name, direction="maximize", load_if_exists=True)
        if self.store.shared:
            self._check_folder(study)
        return study

    def _check_folder(self, study: optuna.Study) -> None:
        """Results are found where the files are: who works on a queue with other ones would lose them."""
        here, there = self.files.folder_id(), study.user_attrs.get(FOLDER)
        if there is None:
            study.set_user_attr(FOLDER, here)
        elif there != here:
            raise Refused(
                f"the jobs of {study.study_name} in {self.store.shown} belong to the folder "
                f"{there.partition(' ')[2]}; {self.files.name} {self.files.shown} is another one: set WORKBENCH_HOME "
                "to the folder that these machines share, or --files to their object store"
            )

    def attempts(self) -> list[Attempt]:
        """All of them, in the order in which they were put in."""
        self._table.refresh()
        return self._table.attempts

    def waiting(self) -> bool:
        return self._table.waits()

    def work(self, train: Train, once: bool = False) -> None:
        """Does the jobs that wait, one after the other, until none does; `once`: one of them."""
        JobWorker(self.home, self.store, self.files, self._storage, self._table).work(train, once)

    def entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands. Reads only."""
        self._table.refresh()
        return self._entries(keys)

    def _entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """The same, from what was read last."""
        keys = list(keys)
        left = {key: [one.number for one in self._table.of(key) if _left_something(one)] for key in keys}
        self.files.show(keys, {key: numbers[-1] for key, numbers in left.items() if numbers})
        reset = self.study.user_attrs.get(RESET, {})
        return {key: self._entry(key, self._table.of(key), reset.get(key, -1)) for key in keys}

    def _entry(self, key: str, attempts: Sequence[Attempt], reset: int) -> QueueEntry:
        running = [one for one in attempts if self._runs(one)]
        owner = running[0].user_attrs.get("owner", "") if running else ""
        ended = [one for one in attempts if one.state is TrialState.FAIL and one.number > reset]
        outcomes = [one.user_attrs.get("outcome", "killed") for one in ended]
        killed = sum(one.number >= self._first for one in self._killed_in_place(key, ended))
        faulty = any(one.number >= self._first and one.user_attrs.get("outcome") == FAULTY for one in ended)
        note = str(ended[-1].user_attrs.get("note", WAS_KILLED)) if ended else ""
        queued = any(one.state is TrialState.WAITING and JOB in one.user_attrs for one in attempts)
        complete = self._complete(key)
        rung = 0 if complete else rung_of(job_folder(self.home, key))
        if complete:
            state, queued = JobState.COMPLETE, False
        elif running or any(self._arrives(one, rung) for one in attempts):
            state = JobState.RUNNING
        elif "infeasible" in outcomes or faulty:
            state = JobState.INFEASIBLE
        elif rung and not _lost_since(attempts, ended, rung):
            state = JobState.PAUSED
        elif ended and not queued:
            state = JobState.FAILED if outcomes[-1] == FAULTY else JobState(outcomes[-1])
        elif any(one.state is TrialState.RUNNING for one in attempts):
            state = JobState.KILLED  # its owner is dead, the queue does not know yet
        else:
            state = JobState.PLANNED
        return QueueEntry(state, outcomes.count("failed"), killed, len(ended), note, owner, queued, rung)

    def _killed_in_place(self, key: str, ended: Sequence[Attempt]) -> list[Attempt]:
        """The attempts that were killed, without those after which the next one could go on from a later epoch."""
        killed = [one for one in ended if "outcome" not in one.user_attrs]
        begun = [one.user_attrs.get("begun", 0) for one in killed]  # those that died elsewhere got at least so far
        epoch = max([last_epoch(job_folder(self.home, key)), *(begun if self.files.remote else ())]) if killed else 0
        return [one for one in killed if one.user_attrs.get("begun", 0) == epoch]

    def _runs(self, attempt: Attempt) -> bool:
        """Also when the heartbeat was missed (a suspended laptop) but the owner is at work here on this very job.

        On other machines a worker that was not heard for so long has lost its trial, see `JobClaim`.
        """
        owner = attempt.user_attrs.get("owner")
        if attempt.state is TrialState.RUNNING:
            return alive(owner) if owner else _age(attempt) < GRACE
        lost = attempt.state is TrialState.FAIL and "outcome" not in attempt.user_attrs
        if not lost or owner is None or local_pid(owner) is None or not alive(owner):
            return False
        return JobClaim(job_folder(self.home, attempt.user_attrs["key"]), owner, attempt.number).held

    def _arrives(self, attempt: Attempt, rung: int) -> bool:
        """Whether a trial has ended while we looked on, and what it wrote into a shared folder does not show here yet.

        Args:
            rung: the last epoch that the job has paused after, as far as it shows.
        """
        if not self.store.shared or not _left_something(attempt):
            return False
        shows = 0 < attempt.user_attrs.get("until", 0) <= rung
        return attempt.watched and not shows and _age(attempt) < DELAY

    def _complete(self, key: str) -> bool:
        return is_complete(job_folder(self.home, key))

    def _can_begin(self, one: PlannedJob) -> bool:
        return one.first is None or self._complete(one.first.job.key)

    def fill(self, plan: Mapping[str, PlannedJob]) -> dict[str, QueueEntry]:
        """Marks jobs whose worker died, then queues every job that is due. `plan` has the planned jobs by key.

        A job that begins with another one is due when that is complete. One process at a time, so that no job is queued
        twice.
        """
        self.files.exchange(plan)  # before the lock, for which others wait
        with self.store.locked(PLAN_LOCK):
            self._end_silent()
            self._table.refresh()
            entries = self._settled(plan)
            due = [key for key, entry in entries.items() if is_due(entry, plan[key].until)]
            due = [key for key in due if self._can_begin(plan[key])]
            self._table.add([attributes_of(plan[key]) for key in due])
            self._note_complete([plan[k] for k, e in entries.items() if e.state is JobState.COMPLETE])
            if not due:
                return entries
            self._table.refresh()
            return self._settled(plan)

    def final_entries(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands after the workers have gone."""
        with self.store.locked(PLAN_LOCK):
            self._table.refresh()
            self._mark_dead()
        return self.entries(keys)

    def bury(self, owner: str) -> None:
        """Ends what a worker had in hand that is known to be dead, so that nobody has to wait for its heartbeat."""
        with self.store.locked(PLAN_LOCK):
            self._table.refresh()
            running = [one for one in self._table.attempts if one.state is TrialState.RUNNING]
            self._end(one for one in running if one.user_attrs.get("owner") == owner)

    def revive(self) -> Load:
        """Queues jobs again whose worker died, for those who have no plan. Says what there is to do."""
        self._end_silent()
        self._table.refresh()
        if self._dead() or self._lost():
            with self.store.locked(PLAN_LOCK):
                self._table.refresh()
                self._mark_dead()
                said = [self._storage.get_trial_user_attrs(one.trial_id) for one in self._lost()]
                self._table.add([{name: each[name] for name in QUEUED if name in each} for each in said])
                self._table.refresh()
        attempts = self._table.attempts
        waiting = [one for one in attempts if one.state is TrialState.WAITING and JOB in one.user_attrs]
        return Load(len(waiting), [one.user_attrs.get("owner", "") for one in attempts if self._runs(one)])

    def _lost(self) -> list[Attempt]:
        """Of each job that nobody has in hand since its worker was killed, the last attempt.

        One that has killed its workers too often where it stands is left to those who have the plan.
        """
        open_ = (TrialState.RUNNING, TrialState.FAIL)
        last = {one.user_attrs["key"]: one for one in self._table.attempts if JOB in one.user_attrs}
        last = {k: one for k, one in last.items() if one.state in open_ and "outcome" not in one.user_attrs}
        killed = [k for k, e in self._entries(last).items() if e.state is JobState.KILLED and not e.queued]
        tried = {key: [one for one in self._table.of(key) if one.state in open_] for key in killed}
        times = {key: len(self._killed_in_place(key, tried[key])) for key in killed}
        return [last[key] for key in killed if not gives_up(QueueEntry(JobState.KILLED, killed=times[key]))]

    def _end_silent(self) -> None:
        """Ends the trials that have sent no heartbeat for long: of owners on other machines nothing else tells."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)

    def reset_failures(self, keys: Iterable[str]) -> int:
        """Failures so far count no more. Gives the number of keys that had any."""
        entries = self.entries(keys)
        stuck = {key for key, entry in entries.items() if entry.state in (JobState.FAILED, JobState.INFEASIBLE)}
        last = self._table.count() - 1  # the number of the last attempt
        self.study.set_user_attr(RESET, self.study.user_attrs.get(RESET, {}) | dict.fromkeys(stuck, last))
        return len(stuck)

    def _dead(self) -> list[Attempt]:
        return [one for one in self._table.attempts if one.state is TrialState.RUNNING and not self._runs(one)]

    def _settled(self, keys: Iterable[str]) -> dict[str, QueueEntry]:
        """Where each key stands, once no owner has died while we looked: one that was through would look killed."""
        while True:
            self._mark_dead()
            entries = self._entries(keys)
            if not self._dead():
                return entries

    def _mark_dead(self) -> None:
        """Marks the running trials of dead owners."""
        if dead := self._dead():
            self._end(dead)
            self._table.refresh()

    def _end(self, attempts: Iterable[Attempt]) -> None:
        for one in attempts:
            with suppress(UpdateFinishedTrialError):
                self._storage.set_trial_state_values(one.trial_id, TrialState.FAIL)

    def _note_complete(self, planned: Iterable[PlannedJob]) -> None:
        """Notes jobs whose folder is complete and of which the queue knows nothing, or only that they were killed."""
        done = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
        found = [one for one in planned if not any(each.state in done for each in self._table.of(one.job.key))]
        said = [attributes_of(one) | {"outcome": "complete", "note": "found"} for one in found]
        self._table.add(said, [recorded_value(read_result(job_folder(self.home, one.job.key))) for one in found])


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
    store, files, keys = store_of(home), files_of(home), list(keys)
    if (store.shared or os.access(home, os.W_OK)) and has_queue(store, name):  # SQLite writes even to read
        return JobQueue(home, name, store, files).entries(keys)
    files.show(keys)
    return {key: recorded_entry(job_folder(home, key)) for key in keys}


def _age(attempt: Attempt) -> float:
    """Seconds for which it has been seen in its state. Clocks of other machines are not compared with ours."""
    return time.monotonic() - attempt.since


def _left_something(attempt: Attempt) -> bool:
    """Whether the folder of its job holds by now what it was asked for."""
    return attempt.user_attrs.get("outcome") in ("complete", "paused")


def _lost_since(attempts: Sequence[Attempt], ended: Sequence[Attempt], rung: int) -> bool:
    """Whether an attempt to go on after the rung ended without a result.

    One whose process was killed after it had written the rung that it was asked for lost nothing.
    """
    paused = max((one.number for one in attempts if one.user_attrs.get("outcome") == "paused"), default=-1)
    after = [one for one in ended if one.number > paused]
    return bool(after) and not 0 < after[-1].user_attrs.get("until", 0) <= rung
