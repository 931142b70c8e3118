"""What an engine is, and the one that is used by default: processes of this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from workbench.core.errors import Refused
from workbench.core.processes import usable_cores
from workbench.experiments.stores import store_of
from workbench.experiments.worker_pool import WorkerPool, Workers, WorkerSettings
from workbench.training.machine import Machine


class Engine(ABC):
    """Starts the workers of a command. It only places them: what waits, who does it and what came of it stand in the
    store and in the folder of runs."""

    @abstractmethod
    def check(self, jobs: int | None, home: Path) -> None:
        """Before anything is done.

        Args:
            jobs: at a time; None leaves it to the engine.

        Raises:
            Refused: it can not be used, or not so.
        """

    @abstractmethod
    def pool(self, settings: WorkerSettings, jobs: int | None, check: Callable[[], None]) -> Workers:
        """Its workers.

        Args:
            jobs: as for `check`.
            check: is of `interruptible`.
        """


@final
@dataclass(frozen=True)
class LocalProcesses(Engine):
    """Worker processes of this command, one thread each: one per core, or a single one where there is a GPU."""

    def check(self, jobs: int | None, home: Path) -> None:
        """See `Engine`. 0 jobs at a time leave all to other machines, with a store that these share."""
        if jobs == 0 and not store_of(home).shared:
            raise Refused("--jobs 0: then other machines do the jobs, from a store that they share; add --store URL")

    def pool(self, settings: WorkerSettings, jobs: int | None, check: Callable[[], None]) -> Workers:
        return WorkerPool(settings, _places(settings.machine) if jobs is None else jobs, check)


LOCAL = LocalProcesses()


def _places(machine: Machine) -> int:
    return 1 if machine.device.startswith("cuda") else usable_cores()
