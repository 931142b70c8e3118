"""Search: which job runs when. The plan is ours, Optuna's ledger says who has claimed what.

A study under a setting is a plan of job keys. A key is complete when its folder holds `result.json`, whatever else is
recorded. Each round puts every key into the ledger that is neither complete nor running nor waiting and has failed
fewer than three times; worker processes take them from there. So nothing is lost when a process dies, and nothing is
done twice when the same command runs twice at the same time.

    HOME/optuna.db            the ledger, one Optuna study per study and setting
    HOME/jobs/KEY/            the job's folder (see `run`), and here also
        progress.json         what the running job last said
        error.txt             the traceback of the last failure
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import multiprocessing
import os
import signal
import socket
import sqlite3
import threading
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import psutil
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import event

from workbench import judge, looks, show, track, workers
from workbench.data.source import fingerprint
from workbench.errors import Refused
from workbench.manipulate import check_distinct
from workbench.run import Progress, Result, read, run
from workbench.show import Entry, State
from workbench.study import Cell, Setting, Study
from workbench.train import Machine
from workbench.variant import Job

LIMIT = 3  # failures after which a key is left alone until `retry`
POLL = 0.3  # seconds between two looks at the ledger
GRACE = 10.0  # seconds in which a worker that has claimed a trial says who it is
HEARTBEAT = 60  # seconds; silence of four of them ends a trial whose owner can not be seen from here
NETWORK = {"nfs", "nfs4", "cifs", "smbfs", "smb3", "afs", "ncpfs", "9p", "lustre", "ceph", "glusterfs", "beegfs"}

CPU = Machine()
Train = Callable[[Job, Machine, Path, Path | None, Callable[[Progress], None]], Result]


@dataclass(frozen=True)
class Decided:
    """`--until decided`: seeds only for what is open (see `looks`), with at most so many jobs; None is its default."""

    budget: int | None = None


@dataclass(frozen=True)
class Order:
    """What a worker process is told: the plan, and how its jobs are run."""

    study: Study
    setting: Setting
    home: Path
    machine: Machine = CPU
    data: Path | None = None
    sets: Mapping[str, Any] | None = None
    train: Train = run

    @property
    def name(self) -> str:
        """The name of the ledger: other changes by `sets` are another plan."""
        return looks.name_of(self.study, self.setting, self.sets)

    def cells(self, seeds: int | None = None) -> list[Cell]:
        return self.study.cells(self.setting, seeds, self.sets)

    def folder(self, key: str) -> Path:
        return self.home / "jobs" / key

    def result(self, key: str) -> Result:
        """Of a complete job."""
        return read(self.folder(key))

    def find(self, cell: Cell) -> Result | None:
        """The result of a cell; None: its job is not complete."""
        key = cell.job.key
        return self.result(key) if (self.folder(key) / "result.json").exists() else None

    def terms(self, seeds: int | None, until: Decided | None) -> looks.Terms | None:
        """Of a study until decided; it begins with the study's own number of seeds where none is given."""
        if until is None:
            return None
        own = 1 + max(cell.seed for cell in self.cells())
        return looks.Terms(max(looks.LEAST, own) if seeds is None else seeds, until.budget)

    def course(self, terms: looks.Terms) -> looks.Course:
        return looks.course(self.study, self.setting, self.cells, self.find, terms)

    def asked(self, seeds: int | None, until: Decided | None) -> list[Cell]:
        """Every cell of the plan; until decided, as far as it follows from what is complete."""
        terms = self.terms(seeds, until)
        return self.cells(seeds) if terms is None else self.course(terms).cells


# ---------------------------------------------------------------------------------------------------------- commands


def run_study(
    study: Study,
    setting: Setting,
    *,
    data: Path | None = None,
    seeds: int | None = None,
    jobs: int | None = None,
    sets: Mapping[str, Any] | None = None,
    until: Decided | None = None,
    home: Path,
    machine: Machine,
    train: Train = run,
) -> int:
    """Does what is missing of a study, shows it while it goes on, and prints the table and the verdicts.

    Args:
        seeds: per row, until decided of the first round; None is the study's own.
        jobs: worker processes, one thread each; None is one per core, or one where there is a GPU.
        sets: further changes of every job, as `Study.cells` takes them.
        until: when to stop adding seeds; None adds none.
        train: what a worker does with a job.

    Returns:
        0 all complete, 1 something is missing, 130 interrupted.

    Raises:
        Refused: rows that can not be told apart, or a home that can not hold a ledger.
    """
    order = _order(study, setting, home, data, sets, machine, train)
    cells = order.asked(seeds, until)
    _check_data(cells, data)
    check_distinct(cells)
    if (terms := order.terms(seeds, until)) is not None:
        looks.note(home, order.name, terms)
    book = track.Book(home, study, setting, order.sets)
    with _terminable():
        try:
            with _Crew(order, jobs or _cores(machine)) as crew:
                cells, entries = _rounds(order, partial(order.asked, seeds, until), crew, book)
        except KeyboardInterrupt:
            cells = order.asked(seeds, until)
            show.say(f"stopped: {_tally(cells, Ledger(order).settle(cells))}; the same command goes on from there")
            return 130
    return _conclude(order, cells, entries, book)


def _rounds(
    order: Order, asked: Callable[[], list[Cell]], crew: _Crew, book: track.Book
) -> tuple[list[Cell], dict[str, Entry]]:
    """Works off what is asked for until nothing is added. A plain study is one round."""
    done: list[Cell] = []
    entries: dict[str, Entry] = {}
    while len(cells := asked()) > len(done):
        with show.Display(f"{order.study.name}, {order.setting.name}") as screen:
            entries |= _work_off(order, cells[len(done) :], crew, screen, book)
        done = cells
    return done, entries


def retry(study: Study, setting: Setting, *, home: Path, **which: Any) -> int:
    """Forgets the failures of a study, refusals included, so that the next run tries these jobs again.

    Args:
        which: `data`, `seeds`, `sets` and `until`, as for `run_study`.

    Returns:
        how many jobs that frees.
    """
    order, cells = _asked(study, setting, home, **which)
    return Ledger(order).forgive({cell.job.key for cell in cells})


def status(study: Study, setting: Setting, *, home: Path, **which: Any) -> int:
    """Prints the state of every cell. Changes nothing. Arguments as `retry`.

    Returns:
        0 all complete, 1 something is missing.
    """
    order, cells = _asked(study, setting, home, **which)
    entries = Ledger(order).entries({cell.job.key for cell in cells})
    show.states(cells, entries)
    print(_tally(cells, entries))
    if (terms := order.terms(which.get("seeds"), which.get("until"))) is not None:
        show.course(order.course(terms))
    return 0 if _complete(cells, entries) == len(cells) else 1


def replay(study: Study, setting: Setting, *, home: Path, seeds: int | None = None, **which: Any) -> int:
    """Prints what until decided would have saved of a finished study: runs used, and whether the verdicts are the same.

    Args:
        seeds: per row, that the study was run with; None is its own.
        which: `data` and `sets`, as for `run_study`.
    """
    order, _ = _asked(study, setting, home, seeds=seeds, **which)
    count = 1 + max(cell.seed for cell in order.cells(seeds))
    show.replay(looks.replay(study, setting, order.cells, order.find, count))
    return 0


def _asked(
    study: Study,
    setting: Setting,
    home: Path,
    data: Path | None = None,
    seeds: int | None = None,
    sets: Mapping[str, Any] | None = None,
    until: Decided | None = None,
) -> tuple[Order, list[Cell]]:
    order = _order(study, setting, home, data, sets)
    return order, order.asked(seeds, until)


def _order(
    study: Study,
    setting: Setting,
    home: Path,
    data: Path | None,
    sets: Mapping[str, Any] | None,
    machine: Machine = CPU,
    train: Train = run,
) -> Order:
    changes = dict(sets or {})
    if data is not None:
        if setting.trunks:
            raise Refused(
                f"--data {data}: protocol {setting.name} stands on frozen trunks of the embedded scenes; "
                "add a protocol that trains from scratch, such as --protocol smoke or laptop"
            )
        changes["protocol.data"] = fingerprint(data)
    for made, blamed in (({}, f"study {study.name} under protocol {setting.name}:"), (changes, "--set")):
        try:
            study.cells(setting, 1, made)
        except KeyError as error:
            raise Refused(f"{blamed} {error.args[0]}") from None
    return Order(study, setting, home, machine, data, changes, train)


def _check_data(cells: Sequence[Cell], data: Path | None) -> None:
    """At once, not job by job."""
    name = cells[0].job.protocol.data
    if data is None and not name.startswith("figures-"):
        raise Refused(f"this protocol wants a data set ({name or 'COCO layout'}): add --data FOLDER")


def _tally(cells: Sequence[Cell], entries: Mapping[str, Entry]) -> str:
    return f"{_complete(cells, entries)} of {len(cells)} complete"


def _complete(cells: Sequence[Cell], entries: Mapping[str, Entry]) -> int:
    return sum(entries[cell.job.key].state is State.COMPLETE for cell in cells)


def _conclude(
    order: Order,
    cells: Sequence[Cell],
    entries: Mapping[str, Entry],
    book: track.Book,
) -> int:
    """The table, the verdicts, what is missing. Once looked at until decided, a study is judged so ever after."""
    results = [(cell, order.result(cell.job.key)) for cell in cells if entries[cell.job.key].state is State.COMPLETE]
    show.table(order.study, order.setting, results)
    show.noise(judge.noise_floor(order.study, results))
    show.warnings(results)
    terms = looks.noted(order.home, order.name)
    course = None if terms is None else order.course(terms)
    judged = judge.verdicts(order.study, order.setting, results) if course is None else course.claims
    show.verdicts(judged)
    if course is not None:
        show.course(course)
    _summarise(order, results, judged, book)
    missing = [cell for cell in cells if entries[cell.job.key].state is not State.COMPLETE]
    if missing:
        show.states(missing, entries)
    print(
        _tally(cells, entries)
        + (f"; to try failed ones again: workbench study retry {order.study.name}" * bool(missing))
    )
    return 1 if missing else 0


def _work_off(
    order: Order, cells: Sequence[Cell], crew: _Crew, screen: show.Display, book: track.Book
) -> dict[str, Entry]:
    """Rounds until nothing waits or runs. Each round fills the ledger, staffs it and records what has been finished."""
    ledger = Ledger(order)
    plan = {cell.job.key: cell for cell in cells}  # cells may share a job
    said = {key: entry.ended for key, entry in ledger.entries(plan).items()}
    recorded: set[str] = set()
    while True:
        entries = ledger.fill(plan)
        running = [key for key, entry in entries.items() if entry.state is State.RUNNING]
        crew.staff(sum(entry.queued for entry in entries.values()), [entries[key].owner for key in running])
        screen.update(cells, entries, {key: _progress(order.folder(key)) for key in running})
        for key in plan:
            if entries[key].ended > said[key] and entries[key].note:
                screen.say(f"{show.name(plan[key])} ({key}): {entries[key].note}")
            said[key] = entries[key].ended
        fresh = [key for key in plan if entries[key].state is State.COMPLETE and key not in recorded]
        if fresh:  # one at a time: workers and display come first
            _record(order, [cell for cell in cells if cell.job.key == fresh[0]], book, screen)
            recorded.add(fresh[0])
        elif any(entry.queued or entry.state is State.RUNNING for entry in entries.values()):
            crew.rest(POLL)
        else:
            return entries


def _record(order: Order, cells: Sequence[Cell], book: track.Book, screen: show.Display) -> None:
    """Into MLflow. A record that can not be written is said and made by the next run: the result itself is safe."""
    try:
        result = order.result(cells[0].job.key)
        for cell in cells:
            book.record(cell, result.metrics, result.curve, result.tags, result.folder)
    except Exception as error:
        screen.say(f"not recorded: {cells[0].row}, seed {cells[0].seed}: {_line(error)}; run the same command again")


def _summarise(
    order: Order, results: Sequence[tuple[Cell, Result]], judged: Sequence[judge.Judgement], book: track.Book
) -> None:
    """The same into MLflow, on the setting's own page."""
    try:
        book.summarise(show.described(order.study, order.setting, results, judged))
    except Exception as error:
        show.say(f"not recorded: the summary: {_line(error)}; run the same command again")


def _progress(folder: Path) -> Progress | None:
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # not yet said, or just withdrawn


def _cores(machine: Machine) -> int:
    if machine.device.startswith("cuda"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ------------------------------------------------------------------------------------------------------------ ledger


class Ledger:
    """The trials of one plan. A trial carries its job's key, its owner and its outcome as user attributes.

    Optuna's states are fewer than ours: a failed trial without the outcome "failed" or "infeasible" was killed.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.home = order.home
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        with _locked(self.home / "plan.lock"):
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

    def entries(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Where each key stands. Reads only."""
        return self._entries(keys, self.trials())

    def _entries(self, keys: Iterable[str], trials: Iterable[FrozenTrial]) -> dict[str, Entry]:
        found: dict[str, list[FrozenTrial]] = defaultdict(list)
        for trial in trials:
            found[trial.user_attrs.get("key", "")].append(trial)
        forgiven = self.study.user_attrs.get("forgiven", {})
        return {key: self._entry(key, found[key], forgiven.get(key, -1)) for key in keys}

    def _entry(self, key: str, trials: list[FrozenTrial], forgiven: int) -> Entry:
        running = [t for t in trials if self._runs(t)]
        owner = running[0].user_attrs.get("owner", "") if running else ""
        ended = [t for t in trials if t.state is TrialState.FAIL and t.number > forgiven]
        outcomes = [t.user_attrs.get("outcome", "killed") for t in ended]
        killed = sum(t.number >= self._first and "outcome" not in t.user_attrs for t in ended)
        note = str(ended[-1].user_attrs.get("note", "its process was killed")) if ended else ""
        queued = any(t.state is TrialState.WAITING for t in trials)
        if (self.order.folder(key) / "result.json").exists():
            state, queued = State.COMPLETE, False
        elif running:
            state = State.RUNNING
        elif "infeasible" in outcomes:
            state = State.INFEASIBLE
        elif ended and not queued:
            state = State(outcomes[-1])
        elif any(t.state is TrialState.RUNNING for t in trials):
            state = State.KILLED  # its owner is dead, the ledger does not know yet
        else:
            state = State.PLANNED
        return Entry(state, outcomes.count("failed"), killed, len(ended), note, owner, queued)

    def _runs(self, trial: FrozenTrial) -> bool:
        """Also when the heartbeat was missed (a suspended laptop) but the owner is at work on this very job."""
        owner = trial.user_attrs.get("owner")
        if trial.state is TrialState.RUNNING:
            return _alive(owner) if owner else _young(trial)
        lost = trial.state is TrialState.FAIL and "outcome" not in trial.user_attrs
        return lost and owner is not None and _alive(owner) and self._current(trial, owner)

    def _current(self, trial: FrozenTrial, owner: str) -> bool:
        try:
            return (self.order.folder(trial.user_attrs["key"]) / "owner").read_text(
                "utf-8"
            ) == f"{owner} {trial.number}"
        except OSError:
            return False

    def fill(self, plan: Mapping[str, Cell]) -> dict[str, Entry]:
        """Buries the dead and puts in what is due. One process at a time, so that no key stands in the ledger twice."""
        with _locked(self.home / "plan.lock"):
            trials = self.trials()
            if self._bury(trials):
                trials = self.trials()
            entries = self._entries(plan, trials)
            due = [key for key, entry in entries.items() if _due(entry)]
            for key in due:
                self.study.enqueue_trial({}, user_attrs=_attributes(plan[key]))
            self._note_complete([plan[k] for k, e in entries.items() if e.state is State.COMPLETE], trials)
            return self.entries(plan) if due else entries

    def settle(self, cells: Sequence[Cell]) -> dict[str, Entry]:
        """The entries after the workers have gone."""
        with _locked(self.home / "plan.lock"):
            self._bury(self.trials())
        return self.entries({cell.job.key for cell in cells})

    def forgive(self, keys: set[str]) -> int:
        """Failures so far count no more. Gives the number of keys that had any."""
        entries = self.entries(keys)
        stuck = {key for key, entry in entries.items() if entry.state in (State.FAILED, State.INFEASIBLE)}
        last = len(self.trials())
        self.study.set_user_attr("forgiven", self.study.user_attrs.get("forgiven", {}) | dict.fromkeys(stuck, last))
        return len(stuck)

    def _bury(self, trials: Iterable[FrozenTrial]) -> bool:
        """Marks the running trials of dead owners. Whether there were any."""
        dead = [t for t in trials if t.state is TrialState.RUNNING and not self._runs(t)]
        for trial in dead:
            self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        return bool(dead)

    def _note_complete(self, cells: Sequence[Cell], trials: Iterable[FrozenTrial]) -> None:
        """Jobs whose folder is complete and of which the ledger knows nothing, or only that they were killed."""
        done = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
        known = {t.user_attrs.get("key") for t in trials if t.state in done}
        for cell in cells:
            if cell.job.key not in known:
                value = _value(self.order.result(cell.job.key))
                attributes = _attributes(cell) | {"outcome": "complete", "note": "found"}
                state = TrialState.COMPLETE
                self.study.add_trial(optuna.trial.create_trial(state=state, value=value, user_attrs=attributes))


def _due(entry: Entry) -> bool:
    open_ = entry.state in (State.PLANNED, State.FAILED, State.KILLED) and not entry.queued
    return open_ and entry.failures < LIMIT and entry.killed < LIMIT


def _attributes(cell: Cell) -> dict[str, Any]:
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


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock falls with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _me() -> str:
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


def _young(trial: FrozenTrial) -> bool:
    assert trial.datetime_start is not None
    return (datetime.now() - trial.datetime_start).total_seconds() < GRACE


# ----------------------------------------------------------------------------------------------------------- workers


class _Crew:
    """Worker processes, each with one thread."""

    def __init__(self, order: Order, size: int) -> None:
        self._order, self._size = order, size
        workers.prepare()
        self._workers: list[Any] = []
        self._faults = 0  # workers that ended by an error of their own, not of a job

    def __enter__(self) -> _Crew:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        for worker in self._workers:
            if error is not None:
                worker.terminate()
        for worker in self._workers:
            worker.join(10)
            worker.kill()
            worker.join()

    def staff(self, queued: int, owners: Sequence[str]) -> None:
        """As many workers as there is work, up to the size of the crew."""
        self._faults += sum(worker.exitcode == 1 for worker in self._workers)
        if self._faults >= LIMIT:
            raise Refused(
                f"{self._faults} workers ended before they had done any work; their errors stand above. Put that right "
                "(often a study's file that has changed, a package or memory that is missing) and run the same command "
                "again: what is complete is kept"
            )
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        busy = sum(_pid(owner) in {worker.pid for worker in self._workers} for owner in owners)
        while len(self._workers) < min(self._size, queued + busy):
            worker = workers.context().Process(target=_serve, args=(self._order,), name="worker")
            worker.start()
            self._workers.append(worker)

    def rest(self, seconds: float) -> None:
        """Until a worker ends, at most so long."""
        if not wait([worker.sentinel for worker in self._workers], seconds):
            return
        time.sleep(seconds / 10)  # its server has to notice too


def _pid(owner: str) -> int:
    return int(owner.rsplit(" ", 2)[1]) if owner else -1


def _interrupt_once(_: int, __: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the first one is being obeyed
    raise KeyboardInterrupt


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _terminable() -> Iterator[None]:
    """A request to end is an interrupt, so that what is open is closed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(order: Order) -> None:
    """A worker: trials from the ledger until none waits. Ctrl-C reaches it through its parent only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt_once)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    logging.captureWarnings(True)
    try:
        ledger = Ledger(order)
        while ledger.waiting():
            # in `optimize`, not ask and tell: only there does a trial send heartbeats
            ledger.study.optimize(partial(_attempt, order), n_trials=1, catch=(Exception,))
    except KeyboardInterrupt:
        os._exit(130)  # at once: a heartbeat that was not told to stop would hold the process for a minute


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _attempt(order: Order, trial: Trial) -> float:
    """One job, and how it ended."""
    cell = _cell(order, trial.user_attrs)
    if cell is None:
        raise optuna.TrialPruned("the plan has changed, or another worker was faster")
    folder, owner = order.folder(cell.job.key), _me()
    folder.mkdir(parents=True, exist_ok=True)
    trial.set_user_attr("owner", owner)
    with _locked(folder / "lock"):  # the same job may stand in the plan of another study
        (folder / "owner").write_text(f"{owner} {trial.number}", "utf-8")
        try:
            result = order.train(cell.job, order.machine, folder, order.data, partial(_tell, folder))
        except Exception as error:
            (folder / "error.txt").write_text(traceback.format_exc(), "utf-8")
            trial.set_user_attr("note", _line(error))
            trial.set_user_attr("outcome", "infeasible" if isinstance(error, Refused) else "failed")
            raise
        finally:
            for name in ("owner", "progress.json"):
                (folder / name).unlink(missing_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    trial.set_user_attr("outcome", "complete")
    return _value(result)


def _cell(order: Order, attributes: Mapping[str, Any]) -> Cell | None:
    """The cell that a trial stands for. None: it stands for none, or the study's file has changed since."""
    if "key" not in attributes:
        return None
    cells = order.cells(attributes["seed"] + 1)
    return next((cell for cell in cells if cell.job.key == attributes["key"]), None)


def _tell(folder: Path, progress: Progress) -> None:
    part = folder / f"progress.{os.getpid()}.part"
    part.write_text(json.dumps(asdict(progress)), "utf-8")
    os.replace(part, folder / "progress.json")


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
