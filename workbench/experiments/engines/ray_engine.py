"""A Ray cluster as an engine: each job is a task, which asks for its cores and its GPU.

Ray places tasks and nothing else. A task takes one job from the queue in the store, whichever waits, so none needs a
study's file and none is lost with its task: when a node dies, the queue is told who died, and the job waits again for
the next task, wherever that has a place. A driver that dies takes its tasks along; the same command goes on.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, final

from workbench.core.errors import Refused, one_line
from workbench.core.processes import ONE_THREAD
from workbench.experiments import console
from workbench.experiments.engines.engine import Engine
from workbench.experiments.engines.ray_cluster import AUTO, connect, nodes_of
from workbench.experiments.owners import owner_id, this_host
from workbench.experiments.stores import store_of
from workbench.experiments.worker_pool import WorkerSettings, check_faults
from workbench.training.machine import Machine, machine_on

PENDING = 1_000  # tasks at a time, at most: as many as Ray is to know of when it asks for more nodes
PATIENCE = 10.0  # seconds in which a task ends that has nothing left to do
# What a task is to know of its command's environment: of ours, and how to sign in at the servers.
SENT = ("AWS_", "MLFLOW_", "PG", "WORKBENCH_")


class Slot(NamedTuple):
    """What a job asks of a node."""

    cpus: int = 1
    gpus: int = 0

    def machine(self) -> Machine:
        """The part of a node that a task has been given, as it finds it there."""
        found = machine_on("" if self.gpus else "cpu")
        return replace(found, ranks=1, workers=min(found.workers, self.cpus - 1))


@final
@dataclass(frozen=True)
class RayEngine(Engine):
    """Tasks of a Ray cluster. This machine has to be one of its nodes.

    Fields:
        address: HOST:PORT of its head, or "auto".
    """

    address: str = AUTO

    def check(self, jobs: int | None, home: Path) -> None:
        """See `Engine`. Connects to the cluster."""
        if jobs == 0:
            raise Refused("--jobs 0: with --engine ray the cluster does the jobs; leave one of them out")
        connect(self.address)
        others = {node["NodeManagerHostname"] for node in nodes_of()} - {socket.gethostname()}
        if others and not store_of(home).shared:
            raise Refused(
                f"the Ray cluster has other machines, such as {min(others)}: their jobs need a store and a folder of "
                "runs that all of them see; add --store URL, and set WORKBENCH_HOME to that folder"
            )

    def pool(self, settings: WorkerSettings, jobs: int | None, check: Callable[[], None]) -> RayPool:
        nodes = [node["Resources"] for node in nodes_of()]
        slot = slot_of(nodes)
        places = sum(_places(node, slot) for node in nodes)
        asks = f"{slot.cpus} CPU" + f" and {slot.gpus} GPU" * bool(slot.gpus)
        waits = ": they wait for nodes with that" * (places == 0)
        console.say(f"nodes of the Ray cluster: {len(nodes)}, jobs at a time: {places}, each with {asks}{waits}")
        return RayPool(settings, slot, places if jobs is None else jobs, PENDING if jobs is None else jobs, check)


def slot_of(nodes: Sequence[Mapping[str, float]]) -> Slot:
    """What each job asks for: a core, as it has one thread; or where there are GPUs one of these, with its share of
    the cores for the processes that load images.

    Args:
        nodes: what each node has, by Ray's names.
    """
    shares = [int(node.get("CPU", 0) // node["GPU"]) for node in nodes if node.get("GPU", 0) >= 1]
    return Slot(max(min(shares), 1), 1) if shares else Slot()


def _places(node: Mapping[str, float], slot: Slot) -> int:
    by_cpu = int(node.get("CPU", 0) // slot.cpus)
    return min(by_cpu, int(node.get("GPU", 0) // slot.gpus)) if slot.gpus else by_cpu


# ----------------------------------------------------------------------------------------------------- on a node


@dataclass(frozen=True)
class Sent:
    """What a task is given.

    Fields:
        host, folder: of the command that sent it.
        environment: not among Ray's own settings of a task, because Ray shows those, and here may be a password.
    """

    settings: WorkerSettings
    slot: Slot
    host: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)


def sent(settings: WorkerSettings, slot: Slot) -> Sent:
    environment = {name: value for name, value in os.environ.items() if name.startswith(SENT)}
    data = None if settings.data is None else settings.data.resolve()
    return Sent(replace(settings, data=data), slot, this_host(), Path.cwd(), environment)


def one_job(sent: Sent) -> Iterator[str]:
    """A task: says who it is, and does a job of the queue, if one waits.

    Raises:
        Refused: its node does not see the folder of runs, or not the store.
    """
    home, host = sent.settings.home, this_host()
    if host != sent.host and not store_of(home, sent.settings.store).shared:
        raise Refused(f"{host} is another machine than {sent.host}, and the store is a file there; add --store URL")
    if not home.is_dir():
        raise Refused(f"{host} sees no folder {home}: set WORKBENCH_HOME to one that all machines of the cluster see")
    os.environ.update(sent.environment)
    if sent.folder.is_dir():
        os.chdir(sent.folder)  # where components of one's own are
    logging.captureWarnings(True)
    yield owner_id()
    settings = replace(sent.settings, machine=sent.slot.machine())
    settings.open_queue().work(settings.train_job, once=True)


# ------------------------------------------------------------------------------------------------ the command


@dataclass
class _Task:
    """A task, as its driver knows it.

    Fields:
        said: what it has said is to be read here; owner: the process that it is, "" until it runs.
    """

    said: Any
    owner: str = ""


class RayPool:
    """As many tasks as there are jobs that wait or run, up to a limit. Which of them run now, Ray decides."""

    def __init__(
        self, settings: WorkerSettings, slot: Slot, size: int, most: int, check: Callable[[], None] = lambda: None
    ) -> None:
        """Args:
        size: jobs at a time, as the cluster is now; most: tasks.
        check: is of `interruptible`.
        """
        import ray

        self.size, self._most, self._check = size, most, check
        self._settings, self._tasks, self._faults = settings, list[_Task](), 0
        self._sent = ray.put(sent(settings, slot))
        self._remote = ray.remote(one_job).options(
            num_cpus=slot.cpus,
            num_gpus=slot.gpus,
            num_returns="streaming",
            max_retries=0,  # the queue counts what kills its workers
            runtime_env={"env_vars": dict(ONE_THREAD)},
        )

    @property
    def at_work(self) -> bool:
        return bool(self._tasks)

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        """Tasks end by themselves when nothing waits; after an error, and in the end, they are ended."""
        import ray

        end = time.monotonic() + (0 if error is not None else PATIENCE)
        while self._tasks and time.monotonic() < end:
            self._take(0.5)
        for task in self._tasks:
            ray.cancel(task.said, force=True)
        end = time.monotonic() + PATIENCE
        while self._tasks and time.monotonic() < end:
            self._take(0.5)
        self._tasks = []

    def start_workers(self, queued: int, owners: Sequence[str]) -> None:
        """See `Workers`."""
        check_faults(self._faults)
        at_work = sum(bool(task.owner) and task.owner in owners for task in self._tasks)
        for _ in range(min(queued + at_work, self._most) - len(self._tasks)):
            self._tasks.append(_Task(self._remote.remote(self._sent)))

    def rest(self, seconds: float) -> None:
        """See `Workers`."""
        self._check()
        if not self._tasks:
            time.sleep(seconds)
        else:
            self._take(seconds)

    def _take(self, seconds: float) -> None:
        """Hears what tasks have to say: waits for one of them, and then for none."""
        import ray

        while ready := ray.wait([task.said for task in self._tasks], timeout=seconds, fetch_local=False)[0]:
            self._hear(next(task for task in self._tasks if task.said is ready[0]))
            if not self._tasks:
                return
            seconds = 0

    def _hear(self, task: _Task) -> None:
        """What a task has said, or how it ended."""
        import ray
        from ray.exceptions import NodeDiedError, RayError, RayTaskError, TaskCancelledError

        try:
            task.owner = str(ray.get(next(task.said)))
        except StopIteration:
            self._tasks.remove(task)
        except RayError as error:
            self._tasks.remove(task)
            at_work = task.owner and not isinstance(error, RayTaskError)
            if at_work:
                self._settings.open_queue().bury(task.owner)
            elif not isinstance(error, NodeDiedError | TaskCancelledError):  # which are no fault of its own
                self._faults += 1
                cause = error.cause if isinstance(error, RayTaskError) else error
                console.say(f"a task of Ray ended before its work: {one_line(cause)}")
