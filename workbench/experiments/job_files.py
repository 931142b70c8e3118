"""Where machines that work on the same jobs find their folders: in one folder of runs, or by key in an object store.

`WORKBENCH_FILES`, which `--files` sets, names an object store. Then the folder of runs is each machine's own. Whoever
takes a job brings there what it goes on from, puts its checkpoints into the store as they are written, and its result
last: a result that is there is whole. Whoever looks brings results.

ADDRESS/folder_id         by which machines that share a database know that they see the same files
ADDRESS/jobs/KEY/         as the folder of a job, without what is of one machine alone; `owner` is who trains it
ADDRESS/starts/           files of weights that jobs begin with
ADDRESS/searches/         see `search.shared_log`
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.home import HOME_VARIABLE
from workbench.experiments.job_claim import TakenOver
from workbench.experiments.object_store import ObjectStore, check_files, given_files
from workbench.experiments.run_folders import RESULT_FILE
from workbench.experiments.stores import folder_id
from workbench.training.record import Progress, is_complete, job_folder, read_losses
from workbench.training.rung import CHECKPOINT, PAUSED, STATE

if TYPE_CHECKING:  # here and in functions: they import torch, and who only looks does not wait for it
    from workbench.models.job import Job
    from workbench.study import PlannedJob

ASK = 60.0  # seconds after which who trains a job asks whether it still is the one
OWNER = "owner"
AT_ONCE, FEW = 16, 4  # jobs that are brought together; jobs that are asked for one by one
_MACHINE = {OWNER, "lock", "progress.json", "error.txt"}  # of one machine alone
_HEAVY = {CHECKPOINT, STATE}  # of who goes on from there alone
_LAST = ("", CHECKPOINT, PAUSED, RESULT_FILE)  # each says that what comes before it is there

Tell = Callable[[Progress], None]


class JobFiles(ABC):
    """Where the folders of jobs lie for all machines that work on them."""

    home: Path
    remote: bool  # of which the folder of runs has a part
    name: str  # by which it is given

    @property
    @abstractmethod
    def shown(self) -> str:
        """Its address."""

    @abstractmethod
    def check(self) -> None:
        """Raises:
        Refused: it can not be used.
        """

    @abstractmethod
    def folder_id(self) -> str:
        """A word that tells it from all others, and where it is. Call it under a lock of the store."""

    @abstractmethod
    def show(self, keys: Iterable[str], ended: Mapping[str, int] | None = None) -> None:
        """Has the folder of runs show results and pauses of jobs that other machines have done.

        Args:
            ended: numbers of the last attempts that are known to have ended, by key. A key is looked at when it is
                asked for the first time, and after each of these.

        Raises:
            Refused: it can not be used.
        """

    @abstractmethod
    def exchange(self, plan: Mapping[str, PlannedJob]) -> None:
        """Has other machines find what this one has of planned jobs, and shows what they have, when it first sees them:
        results, and weights to begin with. It may take long.

        Args:
            plan: by key.

        Raises:
            Refused: it can not be used.
        """

    @abstractmethod
    def in_hand(self, job: Job, owner: str, tell: Tell) -> AbstractContextManager[Tell]:
        """While a job is trained here: what it goes on from is brought, and what it leaves is kept.

        The caller holds the job's lock.

        Args:
            owner: who trains it, in which attempt.
            tell: is called before anything else by what this gives, which is to be told of progress in its place.

        Raises:
            Refused: it can not be used.
            TakenOver: another one has the job in hand by now.
        """


def files_of(home: Path, address: str | None = None) -> JobFiles:
    """Where the folders of jobs lie.

    Args:
        address: None is the one that the user gave.

    Raises:
        Refused: no address that we know.
    """
    address = given_files() if address is None else address
    if not address:
        return FolderFiles(home)
    check_files(address)
    return ObjectFiles(home, ObjectStore(address))


@final
@dataclass(frozen=True)
class FolderFiles(JobFiles):
    """The folder of runs itself: all see what one writes."""

    home: Path
    remote = False
    name = HOME_VARIABLE

    @property
    def shown(self) -> str:
        return str(self.home)

    def check(self) -> None:
        return

    def folder_id(self) -> str:
        return folder_id(self.home)

    def show(self, keys: Iterable[str], ended: Mapping[str, int] | None = None) -> None:
        return

    def exchange(self, plan: Mapping[str, PlannedJob]) -> None:
        return

    def in_hand(self, job: Job, owner: str, tell: Tell) -> AbstractContextManager[Tell]:
        return nullcontext(tell)


@final
@dataclass(frozen=True)
class ObjectFiles(JobFiles):
    """An object store, of which each machine's folder of runs has a part."""

    home: Path
    store: ObjectStore
    remote = True
    name = "--files"
    _looked: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _planned: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @property
    def shown(self) -> str:
        return self.store.shown

    def check(self) -> None:
        self.store.read("folder_id")

    def folder_id(self) -> str:
        if (found := self.store.read("folder_id")) is not None:
            return found
        word = f"{secrets.token_hex(8)} {self.shown}"
        self.store.write("folder_id", word)
        return word

    # ------------------------------------------------------------------------------------- who plans, and who looks

    def show(self, keys: Iterable[str], ended: Mapping[str, int] | None = None) -> None:
        numbers = ended or {}
        due = [key for key in keys if self._looked.get(key, -2) < numbers.get(key, -1)]
        self._looked.update({key: numbers.get(key, -1) for key in due})
        missing = [key for key in due if not is_complete(job_folder(self.home, key))]
        there = self._there(missing)
        wanted = {k: n - _HEAVY for k, n in there.items() if n & {RESULT_FILE, PAUSED}}
        for first in range(0, len(wanted), AT_ONCE):
            self._bring(dict(list(wanted.items())[first : first + AT_ONCE]))
        for key in wanted:
            _tidy(job_folder(self.home, key))

    def exchange(self, plan: Mapping[str, PlannedJob]) -> None:
        fresh = {key: one.job for key, one in plan.items() if key not in self._planned}
        self._planned.update(fresh)
        if weights := {digest for job in fresh.values() if (digest := _digest(job))}:
            from workbench.models.initial import start_file

            known = set(self.store.names("starts"))
            paths = [start_file(self.home, digest) for digest in sorted(weights)]
            self.store.put({name: path for path in paths if (name := f"starts/{path.name}") not in known})
        here = [key for key in fresh if is_complete(job_folder(self.home, key))]
        there = self._there(here)
        for key in here:
            if RESULT_FILE not in there[key]:
                _Mirror(self, key).push()
        self.show(fresh)

    def _there(self, keys: Collection[str]) -> dict[str, set[str]]:
        """The names of the files of each job. One listing for many keys."""
        folders = ["jobs"] if len(keys) > FEW else [f"jobs/{key}" for key in keys]
        found: dict[str, set[str]] = defaultdict(set)
        for folder in folders:
            for path in self.store.names(folder):
                _, key, *names = path.split("/")
                found[key].update(names[:1] if len(names) == 1 else ())
        return {key: {name for name in found[key] if not name.endswith(".part")} - _MACHINE for key in keys}

    def _bring(self, wanted: Mapping[str, Collection[str]]) -> None:
        """Files by the keys of their jobs, each whole. Those of a job that is being replaced are left for later."""
        try:
            with ExitStack() as whole:
                parts: dict[str, Path] = {}
                for key, names in wanted.items():
                    for name in sorted(names, key=_order, reverse=True):  # what is entered last appears first
                        path = job_folder(self.home, key) / name
                        parts[f"jobs/{key}/{name}"] = whole.enter_context(write_whole(path))
                self.store.get(parts)
        except FileNotFoundError:
            if len(wanted) > 1:
                for key, names in wanted.items():
                    self._bring({key: names})

    # ------------------------------------------------------------------------------------------------ who trains

    @contextmanager
    def in_hand(self, job: Job, owner: str, tell: Tell) -> Iterator[Tell]:
        mirror = _Mirror(self, job.key, owner, tell)
        self.store.write(f"jobs/{job.key}/{OWNER}", owner)
        self._bring_start(job)
        if self._bring_further(job.key):
            mirror.know()
        yield mirror.tell
        mirror.push()
        mirror.release()

    def _bring_further(self, key: str) -> bool:
        """Brings a job that is further there than here. Whether it was."""
        folder, (there,) = job_folder(self.home, key), self._there([key]).values()
        if RESULT_FILE in there:
            further = not is_complete(folder)
        elif further := CHECKPOINT in there and not is_complete(folder):
            further = not (folder / CHECKPOINT).exists() or self._epoch(key) > last_epoch(folder)
        if further:
            self._bring({key: there})
            _tidy(folder)
        return further

    def _epoch(self, key: str) -> int:
        """The last epoch that is there of a job."""
        lines = (self.store.read(f"jobs/{key}/losses.csv") or "").split()
        return int(float(lines[-1].split(",")[0])) if len(lines) > 1 else 0

    def _bring_start(self, job: Job) -> None:
        """Brings what a job begins with: another job as it ended, or a file of weights."""
        if job.start.key:
            folder, (there,) = job_folder(self.home, job.start.key), self._there([job.start.key]).values()
            names = there if not is_complete(folder) else {one for one in there if not (folder / one).exists()}
            if RESULT_FILE in there and names:
                self._bring({job.start.key: names})
        if (digest := _digest(job)) and not _has_weights(self.home, digest):
            for name in (one for one in self.store.names("starts") if one.startswith(f"starts/{digest}.")):
                with write_whole(self.home / name) as part:
                    self.store.get({name: part})


@dataclass
class _Mirror:
    """The folder of one job, whose files are put into the store as they change. It can be handed to another process."""

    files: ObjectFiles
    key: str
    owner: str = ""
    said: Tell = lambda _: None
    sent: dict[str, int] = field(default_factory=dict)
    asked: float = field(default_factory=time.monotonic)

    @property
    def _folder(self) -> Path:
        return job_folder(self.files.home, self.key)

    def know(self) -> None:
        """What is here came from there."""
        self.sent = self._changed()

    def tell(self, progress: Progress) -> None:
        """Says how far the job is; puts a checkpoint that is new.

        Raises:
            TakenOver, Away: as of `push`.
        """
        from workbench.core.distributed import rank

        self.said(progress)
        if rank():
            return
        if CHECKPOINT in self._changed():
            self.push()
        elif time.monotonic() - self.asked > ASK:
            self._check()

    def push(self) -> None:
        """Puts what has changed, and what makes a whole of it last.

        Raises:
            TakenOver: another worker has claimed the job, and goes on from the last checkpoint there.
            Away: the store can not be used.
        """
        self._check()
        changed = self._changed()
        for step in range(len(_LAST)):
            names = [name for name in changed if _order(name) == step]
            self.files.store.put({f"jobs/{self.key}/{name}": self._folder / name for name in names})
        self.sent |= changed

    def release(self) -> None:
        """Nobody trains it; a complete job needs no checkpoint."""
        gone = {OWNER, *({CHECKPOINT, PAUSED} if is_complete(self._folder) else ())}
        self.files.store.remove(f"jobs/{self.key}/{name}" for name in sorted(gone))

    def _changed(self) -> dict[str, int]:
        """When each file was written that is not in the store as it is."""
        found: dict[str, int] = {}
        for path in self._folder.iterdir():
            if path.is_file() and path.name not in _MACHINE and path.suffix != ".part":
                found[path.name] = path.stat().st_mtime_ns
        return {name: when for name, when in found.items() if self.sent.get(name) != when}

    def _check(self) -> None:
        self.asked = time.monotonic()
        if self.owner and self.files.store.read(f"jobs/{self.key}/{OWNER}") != self.owner:
            raise TakenOver


def last_epoch(folder: Path) -> int:
    """The epoch after which the job of a folder would go on; 0 before the first one is complete."""
    losses = read_losses(folder)
    return int(losses[-1]["epoch"]) if losses else 0


def _order(name: str) -> int:
    """When a file of a job appears: what says that others are there comes after them."""
    return _LAST.index(name) if name in _LAST else 0


def _tidy(folder: Path) -> None:
    """A job that was completed elsewhere needs no checkpoint here."""
    if is_complete(folder):
        for name in (CHECKPOINT, PAUSED):
            (folder / name).unlink(missing_ok=True)


def _digest(job: Job) -> str:
    """Of the file of weights that a job begins with, or whose trunk it stands on; "" for none."""
    digest = job.protocol.trunk.partition("@")[2]
    from workbench.models.trunk import file_trunk

    return job.start.weights or (digest if digest and job.protocol.trunk == file_trunk(digest) else "")


def _has_weights(home: Path, digest: str) -> bool:
    from workbench.models.initial import start_file

    try:
        start_file(home, digest)
    except Refused:
        return False
    return True
