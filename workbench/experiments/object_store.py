"""An object store as the place of files: by name below an address, through fsspec.

    s3://BUCKET/PREFIX      S3 and whatever speaks its language (AWS_ENDPOINT_URL says where that is)
    gs://BUCKET/PREFIX      Google Cloud Storage
    file:///FOLDER          a folder, as of a disk that is mounted everywhere

Who may use it is said as for every other program: in environment variables, or in files of the home directory. It is
never part of the address. An object is there whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from workbench.core.errors import Refused, one_line
from workbench.core.files import write_whole
from workbench.experiments.stores import OUTAGE

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

FILES_VARIABLE = "WORKBENCH_FILES"
EXPECTED_FILES = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"
LONGEST_PAUSE = 30.0  # seconds between two tries
_ADDRESS = re.compile(r"(?:s3|gs)://[a-z0-9][a-z0-9._-]+[a-z0-9](?:/[^?#@]*)?|file:///[^?#]+")
_DRIVERS = {
    "s3": ("s3fs", "it is in the extra `cluster`: pip install 'rtmo-workbench[cluster]'"),
    "gs": ("gcsfs", "pip install gcsfs"),
}
# We try again ourselves, and say it; listings change under the hands of other machines.
_SETTINGS = {"s3": {"config_kwargs": {"retries": {"total_max_attempts": 2}}}}
_DENIED = "access is denied; is it yours to read and to write?"

_T = TypeVar("_T")


class Away(Refused):
    """It can not be used: it can not be reached, there is no such bucket, or we may not."""


def given_files() -> str:
    """The address that the user gave; "" is the folder of runs."""
    return os.environ.get(FILES_VARIABLE, "").strip()


def check_files(address: str) -> None:
    """Refuses an address that can not be used, without asking anybody.

    Raises:
        Refused: another scheme, more than a place in it, or no driver.
    """
    scheme, colon, _ = address.partition("://")
    given = f"files {scheme if colon else ''}://...:"  # no more of it: there may be a password
    if not _ADDRESS.fullmatch(address):
        raise Refused(f"{given} expected {EXPECTED_FILES}; who may use it is not said there, see docs/scale.md")
    if scheme in _DRIVERS:
        from importlib.util import find_spec

        driver, cure = _DRIVERS[scheme]
        if find_spec(driver) is None:
            raise Refused(f"{given} its driver {driver} is missing; {cure}")


@dataclass(frozen=True)
class ObjectStore:
    """Objects below an address that was checked. Names are paths below it.

    A store that was there before is waited for when it is away, for `OUTAGE` seconds.
    """

    address: str

    @property
    def shown(self) -> str:
        return self.address.rstrip("/")

    @property
    def _scheme(self) -> str:
        return self.address.partition("://")[0]

    @property
    def _root(self) -> str:
        """As its driver calls it."""
        return self.shown.partition("://")[2]

    def names(self, folder: str) -> list[str]:
        """The names of all objects below a folder: a request for each thousand.

        Raises:
            Away: it can not be used.
        """
        found = self._ask(lambda system: list(system.find(f"{self._root}/{folder}")))
        return sorted(one.removeprefix(f"{self._root}/") for one in found)

    def read(self, name: str) -> str | None:
        """A text; None: there is no such object.

        Raises:
            Away: as of `names`.
        """
        return self._ask(lambda system: self._read(system, name))

    def write(self, name: str, text: str) -> None:
        """Writes a text.

        Raises:
            Away: as of `names`.
        """
        self._ask(lambda system: self._write(system, name, text))

    def extend(self, name: str, text: str) -> bool:
        """Writes a text that begins with what is there. False: it does not, and nothing is written.

        Each try looks anew: while the store was away, others may have written.

        Raises:
            Away: as of `names`.
        """

        def extend(system: AbstractFileSystem) -> bool:
            if not text.startswith(self._read(system, name) or ""):
                return False
            self._write(system, name, text)
            return True

        return self._ask(extend)

    def put(self, files: Mapping[str, Path]) -> None:
        """Writes files by their names there, at the same time.

        Raises:
            Away: as of `names`.
        """
        if self._scheme == "file":  # a bucket takes an object whole or not at all, a folder does not
            for name, path in files.items():
                self._ask(lambda _, name=name, path=path: self._write_whole(name, partial(shutil.copyfile, path)))
        elif files:
            here, there = [str(path) for path in files.values()], [f"{self._root}/{name}" for name in files]
            self._ask(lambda system: system.put(here, there))

    def get(self, files: Mapping[str, Path]) -> None:
        """Reads objects into files, at the same time.

        Raises:
            FileNotFoundError: one of them is not there.
            Away: as of `names`.
        """
        if files:
            here, there = [str(path) for path in files.values()], [f"{self._root}/{name}" for name in files]
            self._ask(lambda system: system.get(there, here), absent=True)

    def remove(self, names: Iterable[str]) -> None:
        """Removes objects; those that are not there are passed over.

        Raises:
            Away: as of `names`.
        """

        def remove(system: AbstractFileSystem) -> None:
            for name in names:
                try:
                    system.rm_file(f"{self._root}/{name}")
                except FileNotFoundError:
                    continue

        self._ask(remove)

    def _read(self, system: AbstractFileSystem, name: str) -> str | None:
        try:
            found = system.cat_file(f"{self._root}/{name}")
            return found if isinstance(found, str) else found.decode()
        except FileNotFoundError:
            system.find(f"{self._root}/{name}")  # which tells a bucket without it from no bucket
            return None

    def _write(self, system: AbstractFileSystem, name: str, text: str) -> None:
        if self._scheme == "file":
            self._write_whole(name, lambda part: part.write_text(text, "utf-8"))
        else:
            system.pipe_file(f"{self._root}/{name}", text.encode())

    def _write_whole(self, name: str, write: Callable[[Path], object]) -> None:
        with write_whole(Path(self._root, name)) as part:
            write(part)

    def _check_folder(self) -> None:
        """A folder is not made: where it is not there, its disk is not mounted."""
        if self._scheme == "file" and not Path(self._root).is_dir():
            raise Away(f"files {self.shown}: there is no such folder; make it, or mount its disk")

    def _ask(self, do: Callable[[AbstractFileSystem], _T], absent: bool = False) -> _T:
        """What is asked of the driver, again and again while the store is away.

        Args:
            absent: an object that is not there is the caller's to know.
        """
        self._check_folder()
        end = time.monotonic() + (OUTAGE if self.address in _REACHED else 0.0)
        pause = 0.5
        while True:
            try:
                found = do(self._system())
            except FileNotFoundError:
                if absent:
                    raise
                raise Away(f"files {self.shown}: there is no such bucket; make it first") from None
            except PermissionError:
                raise Away(f"files {self.shown}: {_DENIED}") from None
            except Exception as error:  # drivers raise what they like
                if time.monotonic() + pause > end:
                    raise Away(f"files {self.shown}: {_said(error)}") from None
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                _REACHED.add(self.address)
                return found

    def _system(self) -> AbstractFileSystem:
        """The driver: fsspec keeps one for each process."""
        import fsspec

        return fsspec.filesystem(self._scheme, use_listings_cache=False, **_SETTINGS.get(self._scheme, {}))


_REACHED = set[str]()  # addresses that were there before


def _said(error: Exception) -> str:
    """Why it can not be used, in a line without a password."""
    if "Credentials" in type(error).__name__:  # each driver has its own
        return "no credentials; name them as for other programs that use it, see docs/scale.md"
    return re.sub(r"\?[^\s\"']*", "", re.sub(r"//[^/@\s]*@", "//", one_line(error)))
