"""The plan that a command made of a study, kept for `study status`: it looks at it often, and planning imports torch.

HOME/plans/NAME/DIGEST.json     of these words of a command: the jobs, and the stamp of all that they follow from

A plan follows from the words and from files: those of the workbench, of `studies/` and of `components/`, and the
installed packages. Their stamp is taken before the study is imported, so whatever changes meanwhile counts as changed.
A plan is not kept where a module came from elsewhere, such as a package that is being worked on where it lies. What a
study reads beside modules is to lie in `studies/`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.core.files import write_whole
from workbench.core.own_files import COMPONENTS, STUDIES, own_package

if TYPE_CHECKING:
    from workbench.study import PlannedJob  # and with it torch, which takes seconds

PLANS = "plans"  # the folder of the plans in the folder of runs
SOURCE_TREE = Path(__file__).absolute().parents[1]
_INSTALLED = ("site-packages", "dist-packages")
_PLACES = ("stdlib", "platstdlib", "scripts")  # of Python itself, where nobody edits


class PlannedLine(NamedTuple):
    """What one looks at of a planned job."""

    row: str
    seed: int
    trunk: str
    title: str
    key: str


class KeptPlan(NamedTuple):
    """The name of a plan's queue, and its jobs."""

    name: str
    lines: tuple[PlannedLine, ...]


def lines_of(planned: Iterable[PlannedJob]) -> tuple[PlannedLine, ...]:
    """Planned jobs as they are looked at."""
    return tuple(PlannedLine(one.row, one.seed, one.trunk, one.title, one.job.key) for one in planned)


@dataclass(frozen=True)
class PlanPlace:
    """Where the plan of a command's words is kept, and under which stamp. Make it before the study is imported."""

    home: Path
    study: str
    words: tuple[Any, ...]
    _files: dict[str, str] = field(default_factory=lambda: dict(_stamped()), init=False, repr=False)

    @property
    def _path(self) -> Path:
        return self.home / PLANS / self.study / f"{_digest(self.words)}.json"

    @property
    def _stamp(self) -> str:
        return _digest(self._files)

    def read(self) -> KeptPlan | None:
        """The plan; None: none was kept, or what it follows from has changed."""
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            if kept["stamp"] != self._stamp:
                return None
            return KeptPlan(kept["name"], tuple(PlannedLine(*line) for line in kept["jobs"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None  # whoever plans writes it anew

    def keep(self, name: str, planned: Iterable[PlannedJob]) -> None:
        """Keeps what was planned, if that follows from the stamp alone and the folder of runs can be written.

        Args:
            name: of the plan's queue.
        """
        if not self.home.is_dir() or not all(map(self._is_known, loaded_files())):
            return
        with suppress(OSError), write_whole(self._path, durable=False) as part:
            part.write_text(json.dumps({"stamp": self._stamp, "name": name, "jobs": lines_of(planned)}), "utf-8")

    def _is_known(self, file: str) -> bool:
        python = {sysconfig.get_path(place) for place in _PLACES}
        return file in self._files or _is_installed(file) or any(file.startswith(f"{place}/") for place in python)


def _digest(what: Any) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def _is_installed(path: str) -> bool:
    return any(part in _INSTALLED for part in Path(path).parts)


def _distributions(folder: str) -> Sequence[str]:
    """The packages that are installed there, with their versions."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return []


def _stamped() -> Iterator[tuple[str, str]]:
    """Each file that a plan may follow from, and what tells that it has changed; and where modules are looked for."""
    places = [path for path in sys.path if path != sysconfig.get_path("scripts")]
    yield "", repr([sys.version, os.getcwd(), places, [_distributions(path) for path in places if _is_installed(path)]])
    studies = own_package(STUDIES)
    folders = [str(SOURCE_TREE), *(studies.__path__ if studies else ()), str(Path(COMPONENTS).resolve())]
    for folder in dict.fromkeys(folders):
        for where, inner, names in os.walk(folder):
            inner[:] = sorted(name for name in inner if name != "__pycache__")
            for file in (Path(where, name) for name in sorted(names)):
                with suppress(OSError):  # it has just gone
                    yield str(file), _told_by(file)


def _told_by(file: Path) -> str:
    """The text of a Python file; of another one, which may be large, its size and time."""
    if file.suffix == ".py":
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{file.stat().st_size} {file.stat().st_mtime_ns}"


def loaded_files() -> Iterator[str]:
    """The files of all modules; some of torch name one that is not there."""
    for module in list(sys.modules.values()):
        if (file := getattr(module, "__file__", None)) and os.path.exists(file):
            yield os.path.abspath(file)
