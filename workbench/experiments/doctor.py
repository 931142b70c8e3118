"""Whether this machine is fit for the workbench: each probe looks at one thing and says what it found.

A probe is a function of the home that yields findings. One that raises has found something, too: it is broken, with
what it raised. Nothing is changed, and no store is made.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from workbench.core.errors import one_line
from workbench.core.files import NETWORK, file_system
from workbench.core.home import HOME_VARIABLE
from workbench.core.processes import ONE_THREAD, usable_cores
from workbench.core.study_files import known_studies
from workbench.experiments.object_store import ObjectStore, check_files, given_files
from workbench.experiments.stores import given_store, store_of

DISTRIBUTION_NAME = "rtmo-workbench"
EXTRAS: Mapping[str, str] = {
    "onnx": "workbench deploy, and runtime onnx of latency and sizes",
    "report": "workbench report",
    "dashboard": "workbench dashboard",
    "openvino": "runtime openvino of latency and sizes",
    "consumers": "the tests that read our files with rtmlib",
    "cluster": "a database server and an object store that machines share",
    "dev": "the tests and checks of the workbench itself",
}
SHOWN_VERSIONS = ("torch", "torchvision", "numpy", "opencv-python-headless", "timm", "mlflow", "optuna")
STORES: Mapping[str, str] = {"mlflow.db": "runs", "optuna.db": "trials"}  # and a table that each has
_NAMED = 5  # runs of one's own, at most
GB = 2**30
ENOUGH, LITTLE = 2.0, 10.0  # GB: the scenes of the main study alone take 1.5


class Health(StrEnum):
    """Of what a probe looked at. Noted: the default works, something else does not."""

    FINE = "fine"
    NOTED = "noted"
    BROKEN = "broken"


@dataclass(frozen=True)
class Symptom:
    """What a probe found: of what, how it is, in words, and what to do."""

    about: str
    state: Health
    said: str
    cure: str = ""

    def __str__(self) -> str:
        mark = {Health.FINE: "   ", Health.NOTED: " - ", Health.BROKEN: "!! "}[self.state]
        return f"{mark}{self.about}: {self.said}" + f"; {self.cure}" * bool(self.cure)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Examination = Callable[[Path], Iterator[Symptom]]


def examine(home: Path, probes: Mapping[str, Examination] | None = None) -> list[Symptom]:
    """What every probe found, in their order.

    Args:
        home: where runs are recorded; it need not be there.
    """
    return [found for name, probe in (probes or PROBES).items() for found in _found(name, probe, home)]


def _found(name: str, probe: Examination, home: Path) -> list[Symptom]:
    found: list[Symptom] = []
    try:
        for one in probe(home):
            found.append(one)
    except Exception as error:  # whatever is broken there, the other probes go on
        found.append(Symptom(name, Health.BROKEN, one_line(error)))
    return found


def _python(_: Path) -> Iterator[Symptom]:
    """The interpreter."""
    said = f"{sys.version.split()[0]} in {sys.prefix}"
    new = sys.version_info >= (3, 11)
    yield Symptom("python", Health.FINE if new else Health.BROKEN, said, "" if new else "use Python 3.11 or newer")


def _packages(_: Path) -> Iterator[Symptom]:
    """What is required by default: whether it is there, and new enough."""
    wrong = [said for one in _required() if (said := _unmet(one))]
    if wrong:
        yield Symptom("packages", Health.BROKEN, "; ".join(wrong), "install rtmo-workbench again")
        return
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN_VERSIONS)
    yield Symptom("packages", Health.FINE, versions)


def _required(extra: str = "") -> list[Requirement]:
    """What the package asks for, of an extra or by default."""
    every = map(Requirement, metadata.requires(DISTRIBUTION_NAME) or ())
    return [one for one in every if _asked(one, extra)]


def _asked(one: Requirement, extra: str) -> bool:
    """An extra's requirements are those that it alone asks for."""
    if one.marker is None:
        return not extra
    by_default = one.marker.evaluate({"extra": ""})
    return one.marker.evaluate({"extra": extra}) and not by_default if extra else by_default


def _unmet(one: Requirement) -> str:
    try:
        there = metadata.version(one.name)
    except metadata.PackageNotFoundError:
        return f"{one.name} is missing"
    fits = one.specifier.contains(there, prereleases=True)
    return "" if fits else f"{one.name} is {there}, {one.specifier} is needed"


def _extras(_: Path) -> Iterator[Symptom]:
    """What may be missing, and what it is for."""
    for extra, purpose in EXTRAS.items():
        if not (required := _required(extra)):
            continue  # an older version, which has no such extra
        wrong = [said for one in required if (said := _unmet(one))]
        cure = f"for {purpose}: pip install '{DISTRIBUTION_NAME}[{extra}]'" if wrong else ""
        said = "; ".join(wrong) if wrong else f"installed, for {purpose}"
        yield Symptom(f"extra {extra}", Health.NOTED if wrong else Health.FINE, said, cure)


def _code(_: Path) -> Iterator[Symptom]:
    """Which code it is."""
    from workbench.core.provenance import commit

    yield Symptom("code", Health.FINE, f"{commit()} in {Path(__file__).parents[1]}")


def _devices(_: Path) -> Iterator[Symptom]:
    """What torch computes on, with the vector units of the processor."""
    import torch

    from workbench.core.provenance import machine_name

    yield Symptom("processor", Health.FINE, machine_name())
    if not torch.cuda.is_available():
        built = torch.version.cuda
        yield Symptom("gpu", Health.FINE, f"none; this torch is {f'of CUDA {built}' if built else 'for CPUs only'}")
        return
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        torch.ones(1, device=f"cuda:{number}").add_(1).item()  # a driver that is too old shows itself here
        yield Symptom(f"gpu {number}", Health.FINE, f"{about.name}, {about.total_memory / GB:.0f} GB")


def _threads(_: Path) -> Iterator[Symptom]:
    """Threads of one process, and the cores that there are for them."""
    import torch

    count, cores = torch.get_num_threads(), usable_cores()
    given = ", ".join(f"{name}={os.environ[name]}" for name in ONE_THREAD if name in os.environ)
    said = f"{count} of torch on {cores} usable cores" + f" ({given})" * bool(given)
    many = count > cores
    cure = f"more threads than cores are slow: OMP_NUM_THREADS={cores}" if many else ""
    yield Symptom("threads", Health.NOTED if many else Health.FINE, said, cure)


def _home(place: Path) -> Iterator[Symptom]:
    """Where runs are recorded: whether it can be written to, and can hold a store."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    said = str(place) + ("" if there == place else ", which the first run makes")
    cure = f"set {HOME_VARIABLE} to a folder on a local disk that can be written to"
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        yield Symptom("home", Health.BROKEN, f"{said}: {error.strerror}", cure)
        return
    if (kind := file_system(there)) in NETWORK and not given_store():
        yield Symptom("home", Health.BROKEN, f"{said} is on {kind}, where SQLite loses data", cure)
        return
    yield Symptom("home", Health.FINE, said)


def _disk(place: Path) -> Iterator[Symptom]:
    """Free space for it."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(there).free / GB
    state = Health.BROKEN if free < ENOUGH else Health.NOTED if free < LITTLE else Health.FINE
    cure = "" if state is Health.FINE else f"free some, or set {HOME_VARIABLE} to another disk"
    yield Symptom("free disk", state, f"{free:.1f} GB at {there}", cure)


def _stores(place: Path) -> Iterator[Symptom]:
    """The databases of MLflow and Optuna: whether they can be read."""
    for file, table in STORES.items():
        name, path = file.removesuffix(".db"), place / file
        if not path.exists():
            yield Symptom(name, Health.FINE, "no store yet")
            continue
        try:
            yield Symptom(name, Health.FINE, f"{_rows(path, table):,} {table} in {path}")
        except sqlite3.Error as error:
            cure = f"move it away: complete jobs are kept in {place / 'jobs'}, and recorded again by the next run"
            yield Symptom(name, Health.BROKEN, f"{path} cannot be read: {error}", cure)


def _shared_store(place: Path) -> Iterator[Symptom]:
    """The database that machines share, where one was named; what is wrong with it is raised."""
    if given_store():
        store = store_of(place)
        said = "has tables" if store.exists() else "is empty: the first run makes its tables"
        yield Symptom("shared store", Health.FINE, f"{store.shown} {said}")


def _shared_files(_: Path) -> Iterator[Symptom]:
    """The object store that machines share, where one was named; what is wrong with it is raised."""
    if address := given_files():
        check_files(address)
        jobs = {name.split("/")[1] for name in ObjectStore(address).names("jobs")}
        yield Symptom("shared files", Health.FINE, f"{address} holds {len(jobs):,} jobs")


def _rows(path: Path, table: str) -> int:
    ((count,),) = _asked_of(path, f"select count(*) from {table}")
    return int(count)


def _asked_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What a store answers; it is only read."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as store:
        return store.execute(query).fetchall()


def _data(place: Path) -> Iterator[Symptom]:
    """The scenes that are drawn already, and the data folders of the runs of one's own that are known."""
    size = sum(file.stat().st_size for file in (place / "data").rglob("*") if file.is_file())
    yield Symptom("scenes", Health.FINE, f"{size / GB:.1f} GB are drawn" if size else "none are drawn yet")
    runs = _own_runs(place)
    where = f"right below {place} or recorded in its MLflow store; others are not looked for"
    named = ", ".join(map(str, runs[:_NAMED])) + f" and {len(runs) - _NAMED} more" * (len(runs) > _NAMED)
    yield Symptom("own runs", Health.FINE, f"{len(runs)} {where}" + f": {named}" * bool(runs))
    for run in runs:
        try:
            folder = json.loads((run / "run.json").read_text("utf-8"))["data"]
        except (ValueError, KeyError, TypeError) as error:
            yield Symptom("data", Health.NOTED, f"{run / 'run.json'} cannot be read: {error}")
            continue
        if folder and not Path(folder).is_dir():
            cure = f"if it was moved: workbench train --resume {shlex.quote(str(run))} --data FOLDER"
            yield Symptom("data", Health.NOTED, f"{folder}, of {run}, is not there", cure)


def _own_runs(place: Path) -> list[Path]:
    """The folders of runs that `workbench train` began, as far as something here names them. MLflow knows those that
    are complete, wherever they are."""
    named = {file.parent for file in place.glob("*/run.json")}
    if (store := place / "mlflow.db").exists():
        with suppress(sqlite3.Error):  # the probe of stores says it
            named |= {Path(folder) for (folder,) in _asked_of(store, "select value from tags where key = 'folder'")}
    return sorted(folder for folder in named if (folder / "run.json").is_file())


def _trunks(_: Path) -> Iterator[Symptom]:
    """The stored trunks, which the default protocols stand on: part of the package."""
    found = sorted(path.stem for path in (Path(__file__).parents[1] / "trunks").glob("*.safetensors"))
    if found:
        yield Symptom("trunks", Health.FINE, ", ".join(found))
    else:
        yield Symptom("trunks", Health.BROKEN, "none are in the package", "install rtmo-workbench again")


def _studies(_: Path) -> Iterator[Symptom]:
    """The studies that a command finds from here."""
    found = known_studies()
    cure = "" if found else "workbench init FOLDER makes one; or stand in the folder that holds studies/"
    yield Symptom("studies", Health.FINE if found else Health.NOTED, f"{len(found)} found from {Path.cwd()}", cure)


PROBES: Mapping[str, Examination] = {
    "python": _python,
    "code": _code,
    "packages": _packages,
    "devices": _devices,
    "threads": _threads,
    "home": _home,
    "disk": _disk,
    "stores": _stores,
    "shared store": _shared_store,
    "shared files": _shared_files,
    "data": _data,
    "trunks": _trunks,
    "studies": _studies,
    "extras": _extras,
}
