"""What do the queue, MLflow's store and a folder of results cost as they grow? With a thousand, ten thousand and more.

Run:   workbench bench scale [--jobs 1000,10000] [--rows 100000] [--runs 1000,10000] [--only PART]

queue     jobs that a plan fills a queue with, and (`--rows`) trials that are put into its tables directly: to take a
          job, to do one that trains nothing, a look of the command that planned and of one that joined, and `status`,
          which begins anew each time
record    runs in MLflow's store, of which all but the measured ones are copies made in its tables: to record one, to
          find one by its tags, to list all, and what one takes on the disk
results   result files below one folder: to see which are complete, at first and again

Each line is the median of `times`: by the clock, and in CPU time of the process that asks, without that of a server.
`load` says how many processes wanted a core meanwhile, ours among them. The file is measured, and a
PostgreSQL server that is started for it where one is installed. Appends to reports/data/bench_scale.csv.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from benchmarks._record import append
from benchmarks.workers import IDLE, sleep, stores_to_measure
from workbench.core.errors import Refused
from workbench.core.processes import usable_cores
from workbench.core.provenance import commit, machine_name
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.owners import owner_id
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import protocol_named
from workbench.experiments.queued_job import attributes_of
from workbench.experiments.stores import store_of
from workbench.experiments.tracking import RECORD_VARIABLE, MlflowRecord, open_client, run_ids, store_address
from workbench.experiments.trial_table import TrialTable
from workbench.models.job import Job
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, is_complete, job_folder, write_result

PARTS = ("queue", "record", "results")
OFTEN, SELDOM = 20, 3  # times that something is done which is quick, and which is not
POINTS = [{"epoch": float(epoch), **dict.fromkeys(("AP", "AR", "loss_a", "loss_b"), 0.5)} for epoch in range(1, 26)]
COPIED = ("runs", "tags", "params", "metrics", "latest_metrics")  # MLflow's tables of what a run is
_NUMBERS = count()


@dataclass(frozen=True)
class Cost:
    """What something takes: milliseconds by the clock and of CPU time, or bytes."""

    part: str
    what: str
    store: str
    size: int
    times: int
    ms: float = 0.0
    cpu_ms: float = 0.0
    bytes: float = 0.0

    @property
    def line(self) -> dict[str, object]:
        """As the table has it."""
        numbers = {"ms": f"{self.ms:.2f}", "cpu_ms": f"{self.cpu_ms:.2f}", "bytes": f"{self.bytes:.0f}"}
        if self.bytes:
            numbers |= {"ms": "", "cpu_ms": ""}
        else:
            numbers["bytes"] = ""
        which = {"part": self.part, "what": self.what, "store": self.store, "size": self.size, "times": self.times}
        return {
            **which,
            **numbers,
            "load": f"{os.getloadavg()[0]:.1f}",
            "cores": usable_cores(),
            "machine": machine_name(),
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
        }


@dataclass
class Clock:
    """Costs of one part with one store and one size."""

    part: str
    store: str
    size: int
    costs: list[Cost] = field(default_factory=list[Cost])

    def time(self, what: str, do: Callable[[], object], times: int = 1, each: int = 1) -> None:
        """Does it so many times; `each`: of so many things at once."""
        walls, cpus = list[float](), list[float]()
        for _ in range(times):
            wall, cpu = time.perf_counter(), time.process_time()
            do()
            walls.append(1e3 * (time.perf_counter() - wall) / each)
            cpus.append(1e3 * (time.process_time() - cpu) / each)
        wall, cpu = statistics.median(walls), statistics.median(cpus)
        self._keep(Cost(self.part, what, self.store, self.size, times, wall, cpu))

    def weigh(self, what: str, size: float) -> None:
        """Keeps what something takes in bytes."""
        self._keep(Cost(self.part, what, self.store, self.size, 1, bytes=size))

    def _keep(self, cost: Cost) -> None:
        took = f"{cost.bytes:.0f} bytes" if cost.bytes else f"{cost.ms:.1f} ms, {cost.cpu_ms:.1f} ms of CPU time"
        print(f"{cost.part:8} {cost.store:12} {cost.size:7}  {cost.what:44} {took}", flush=True)
        self.costs.append(cost)


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench scale")
    parser.add_argument("--jobs", default="1000,10000", help="in queues, with commas; 0 for none")
    parser.add_argument("--rows", default="100000", help="trials put in directly, with commas; 0 for none")
    parser.add_argument("--runs", default="1000,10000", help="in MLflow, with commas; 0 for none")
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    args = parser.parse_args(options)
    jobs, rows, runs = ([int(one) for one in each.split(",") if int(one)] for each in (args.jobs, args.rows, args.runs))
    parts = [args.only] if args.only else PARTS
    with ExitStack() as stack:
        for name, address in stores_to_measure("", stack).items():
            for size in jobs * ("queue" in parts):
                _measured(Clock("queue", name, size), queue_of_jobs, address(next(_NUMBERS)))
            for size in rows * ("queue" in parts):
                _measured(Clock("queue", name, size), queue_of_rows, address(next(_NUMBERS)))
            for size in runs * ("record" in parts):
                _measured(Clock("record", name, size), record_of_runs, address(next(_NUMBERS)))
    for size in sorted({*jobs, *rows}) * ("results" in parts):
        _measured(Clock("results", "folder", size), results_in_a_folder, "")
    return 0


def _measured(clock: Clock, measure: Callable[[Clock, str], None], address: str) -> None:
    """Measures and records, so that whoever stops it keeps what was measured before."""
    measure(clock, address)
    print(append("scale", [cost.line for cost in clock.costs]), flush=True)


@contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


# A queue


def queue_of_jobs(clock: Clock, address: str) -> None:
    """Of a plan with so many jobs."""
    plan = {one.job.key: one for one in IDLE.planned_jobs(protocol_named("smoke"), clock.size)}
    with _home() as home:
        queue, _ = _queue(home, "jobs", address)
        clock.time("fill with jobs that are due, each", lambda: queue.fill(plan), each=clock.size)
        _looks(clock, queue, plan, address)
        done = count(1)

        def train(job: Job, tell: Callable[[Progress], None], until: int) -> Result:
            if next(done) > OFTEN:
                raise KeyboardInterrupt
            return sleep(0.0, job, Machine(), home, None, tell, until)

        def work() -> None:
            try:
                queue.work(train)
            except KeyboardInterrupt:
                return

        clock.time("take and do a job that trains nothing", work, each=OFTEN)


def queue_of_rows(clock: Clock, address: str) -> None:
    """Of so many trials that were put in directly: all of them wait, or all but a thousand are complete."""
    one = IDLE.planned_jobs(protocol_named("smoke"), 1)[0]
    plan: dict[str, PlannedJob] = {f"{number:016x}": one for number in range(clock.size)}
    said = [attributes_of(one) | {"key": key} for key in plan]
    with _home() as home:
        queue, table = _queue(home, "waits", address)
        clock.time("put trials in, each", lambda: table.add(said), each=clock.size)
        _looks(clock, queue, plan, address)
        queue, table = _queue(home, "ended", address)
        old, new = said[:-1000], said[-1000:]
        table.add([each | {"outcome": "complete"} for each in old], values=[0.0] * len(old))
        table.add(new)
        queue.revive()
        clock.time("a look of a command that joined, most ended", queue.revive, SELDOM)
        clock.time("take, most ended", lambda: table.take(owner_id()), OFTEN)


def _queue(home: Path, name: str, address: str) -> tuple[JobQueue, TrialTable]:
    """An empty queue, and its trials as another process sees them."""
    queue = JobQueue(home, f"bench/{name}", store_of(home, address))
    return queue, TrialTable(store_of(home, address).open(), queue.study._study_id)


def _looks(clock: Clock, queue: JobQueue, plan: Mapping[str, PlannedJob], address: str) -> None:
    """Of commands that plan, that join and that only look, when nothing is due; and what a take costs."""

    def status() -> None:
        JobQueue(queue.home, queue.study.study_name, store_of(queue.home, address)).entries(plan)

    queue.fill(plan)
    clock.time("a look of the command that planned", lambda: queue.fill(plan), SELDOM)
    clock.time("a look of a command that joined", queue.revive, SELDOM)
    clock.time("status", status, SELDOM)
    storage = store_of(queue.home, address).open()
    table = TrialTable(storage, queue.study._study_id)
    clock.time("take", lambda: table.take(owner_id()), OFTEN)
    if address:
        with storage.engine.connect() as connection:
            clock.weigh("memory of a connection", _memory(connection))


def _memory(connection: sql.Connection) -> float:
    """Of the server's process for a connection, what no other process shares; 0 where that can not be seen."""
    import psutil

    pid = int(connection.execute(sql.text("select pg_backend_pid()")).scalar_one())
    try:
        return float(psutil.Process(pid).memory_full_info().uss)
    except psutil.Error:
        return 0.0


# MLflow's store


def record_of_runs(clock: Clock, address: str) -> None:
    """With so many runs of one study."""
    with _home() as home, _recorded_in(address):
        record = MlflowRecord(StudyRun(IDLE, protocol_named("smoke"), home))
        first, *more = IDLE.planned_jobs(protocol_named("smoke"), 1 + OFTEN)
        run = _recorded(record, first, home)
        engine = sql.create_engine(store_address(home))
        before = _bytes(engine)
        clock.time("copy runs in the tables, each", lambda: _copy(engine, run, clock.size), each=clock.size)
        clock.weigh("a run of a hundred points", (_bytes(engine) - before) / clock.size)
        client, left = open_client(home), iter(more)
        experiment = client.get_run(run).info.experiment_id
        asked = f"tags.`job` = '{first.job.key}' and tags.`protocol` = 'smoke'"
        clock.time("record a run of a hundred points", lambda: _recorded(record, next(left), home), OFTEN)
        clock.time("find a run by its tags", lambda: client.search_runs([experiment], asked), SELDOM)
        clock.time("list all runs", lambda: run_ids(home, IDLE.name), 1)
        engine.dispose()


@contextmanager
def _recorded_in(address: str) -> Iterator[None]:
    """MLflow's store is this database, or where there is none a file."""
    before = os.environ.pop(RECORD_VARIABLE, None)
    if address:
        # named, because the text of a database in SQL_ASCII would be bytes
        os.environ[RECORD_VARIABLE] = (
            address.replace("postgresql://", "postgresql+psycopg://") + "?client_encoding=utf8"
        )
    try:
        yield
    finally:
        os.environ.pop(RECORD_VARIABLE, None)
        if before is not None:
            os.environ[RECORD_VARIABLE] = before


def _recorded(record: MlflowRecord, one: PlannedJob, home: Path) -> str:
    """Records a job as if it had been trained; the id of its run."""
    folder = job_folder(home, one.job.key)
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder, one.job.key, {"AP": 0.5}, {})
    return record.record(one, {"AP": 0.5}, POINTS, {"threads": "1"}, folder)


def _copy(engine: sql.Engine, run: str, copies: int) -> None:
    """So many copies of a run, of jobs with other keys."""
    tables = sql.MetaData()
    tables.reflect(engine, only=COPIED)
    made = sql.Table("bench_copies", sql.MetaData(), sql.Column("id", sql.String(32), primary_key=True))
    with engine.begin() as connection:
        made.create(connection)
        connection.execute(made.insert(), [{"id": f"{number:032x}"} for number in range(copies)])
        for name in COPIED:
            table = tables.tables[name]
            columns = [made.c.id if one.name == "run_uuid" else _other(one, table, made.c.id) for one in table.columns]
            rows = sql.select(*columns).select_from(table.join(made, sql.true())).where(table.c.run_uuid == run)
            connection.execute(table.insert().from_select([one.name for one in table.columns], rows))
        made.drop(connection)


def _other(column: sql.Column[Any], table: sql.Table, copy: sql.Column[Any]) -> sql.ColumnElement[Any]:
    """What a copy has in a column: the key of its job is its own."""
    if table.name != "tags" or column.name != "value":
        return column
    return sql.case((table.c.key == "job", copy), else_=column)


def _bytes(engine: sql.Engine) -> float:
    """Of the database."""
    asked = "select pg_database_size(current_database())"
    if engine.dialect.name == "sqlite":
        asked = "select page_count * page_size from pragma_page_count(), pragma_page_size()"
    with engine.connect() as connection:
        return float(connection.execute(sql.text(asked)).scalar_one())


# Results


def results_in_a_folder(clock: Clock, _: str) -> None:
    """Of so many jobs; they lie in no store."""
    with _home() as home:
        folders = [job_folder(home, f"{number:016x}") for number in range(clock.size)]
        for folder in folders:
            folder.mkdir(parents=True)

        def write() -> None:
            for folder in folders[:OFTEN]:
                write_result(folder, folder.name, {"AP": 0.5}, {})

        def look() -> None:
            if not all(is_complete(folder) for folder in folders):
                raise Refused(f"results are missing in {home}")

        clock.time("write a result, each", write, each=min(OFTEN, clock.size))
        text = (folders[0] / "result.json").read_text()
        for folder in folders[OFTEN:]:
            (folder / "result.json").write_text(text)  # each on the disk at once would take a hundredth of a second
        clock.time("see which are complete, at first", look)
        clock.time("see which are complete, again", look, SELDOM)
