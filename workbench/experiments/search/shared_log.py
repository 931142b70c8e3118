"""The log of a search for machines without a common folder: the copy in the object store is the one that counts.

Who is to decide holds the search's lock, brings the log, decides, and sends it before anything of that is queued. So a
decision that was not sent has no job, and may be forgotten. Locks can be lost, as by a machine that is cut off for some
minutes: what is sent only ever adds to what is there.

ADDRESS/searches/NAME/log.jsonl
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import final

from workbench.core.files import locked, write_whole
from workbench.experiments.job_files import files_of
from workbench.experiments.object_store import ObjectStore, given_files
from workbench.experiments.search.log import LogFile, State
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.stores import store_of


@final
class SharedLog:
    """The log of a run. With a common folder there is nothing to bring or to send.

    Raises:
        Refused: no address of an object store that we know.
    """

    def __init__(self, run: SearchRun) -> None:
        self._run, self._file, self._files = run, LogFile(run.log_folder), files_of(run.home)
        self._store = ObjectStore(given_files()) if self._files.remote else None
        self._name = self._file.path.relative_to(run.home).as_posix()
        self.lock = str(run.log_folder.relative_to(run.home) / "decide.lock")  # of who decides, in the store of trials

    def bring(self, say: Callable[[str], None]) -> bool:
        """Takes over what other machines have decided. Whether there was anything.

        It waits for who decides here, whose decision would not follow from all that is there.

        Args:
            say: is told where the log here was another one, which then lies beside it.

        Raises:
            Away: the object store can not be used.
        """
        if self._lines().startswith(self._there()):
            return False
        with store_of(self._run.home).locked(self.lock):
            return self.catch_up(say)

    def _there(self) -> str:
        """What is in the object store, "" for nothing."""
        return (self._store.read(self._name) or "") if self._store is not None else ""

    def catch_up(self, say: Callable[[str], None]) -> bool:
        """As `bring`, of who holds the lock."""
        there, path = self._there(), self._file.path
        if self._lines().startswith(there):  # what is more here is still to be sent
            return False
        with locked(path.with_suffix(".lock")):
            here = self._lines()
            if not there.startswith(here):
                other = path.with_name(f"{path.name}.{secrets.token_hex(4)}.other")
                path.rename(other)
                say(f"{self._name} in {given_files()} is not the one that was here, which now is {other}")
            with write_whole(path) as part:
                part.write_text(there, "utf-8")
        self._share_results()
        return True

    def begin(self, adopt: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Brings what was decided, and sends what `adopt` adds to that until it says that there is no more.

        Raises:
            Away: as of `bring`.
        """
        with store_of(self._run.home).locked(self.lock):
            self.catch_up(say)
            while adopt():
                pass
            self.send(say)

    def decide(self, step: Callable[[], bool], say: Callable[[str], None]) -> bool:
        """Brings what others have decided, or else decides and sends that. Whether there is anything new.

        The caller holds the lock.

        Args:
            step: writes the next decision into the log; False: there is none for now.
            say: as for `bring`.

        Raises:
            Away: as of `bring`.
        """
        if self.catch_up(say):
            return True
        if decided := step():
            self.send(say)
        return decided

    def send(self, say: Callable[[str], None]) -> None:
        """Has other machines find what was decided. Where they have decided meanwhile, that is brought in its place.

        The caller holds the lock.

        Args:
            say: as for `bring`.

        Raises:
            Away: as of `bring`.
        """
        if self._store is not None:
            self._share_results()
            if not self._store.extend(self._name, self._lines()):
                self.catch_up(say)

    def _lines(self) -> str:
        """The whole ones that are here."""
        text = self._file.path.read_text("utf-8") if self._file.path.exists() else ""
        return text[: text.rfind("\n") + 1]

    def _share_results(self) -> None:
        """Those that were taken over, which no queue asks for."""
        there = {one.pairs: one for one in self._run.search.space.candidates}
        known = [one for one in self._file.read().proposals if one.state is State.KNOWN and one.pairs in there]
        self._files.exchange({one.key: self._run.planned(there[one.pairs]) for one in known})
