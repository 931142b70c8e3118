"""The best row of a study in MLflow's model registry: its ONNX file with a signature and its numbers.

mlflow.pyfunc.load_model("models:/ablate_dcc-thaw/1").predict({"input": images})
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from workbench.core.errors import Refused
from workbench.experiments.plan import StudyRun
from workbench.experiments.tracking import RECORD_VARIABLE, MlflowRecord, open_client, store_address
from workbench.inference.finder import WantedPersons
from workbench.inference.load import Trained, load_trained
from workbench.study import PlannedJob
from workbench.training.record import Result

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

METRIC = "AP"
ALIAS = "best"  # of the version that was registered last
_Complete = tuple[PlannedJob, Result]


@dataclass(frozen=True)
class Registered:
    """A version of a registered model, where it came from, and the store that it is in."""

    name: str
    version: int
    run: str
    planned: PlannedJob
    score: float
    store: str

    @property
    def uri(self) -> str:
        """By which MLflow loads it."""
        return f"models:/{self.name}/{self.version}"


def best_run(run: StudyRun, row: str = "") -> _Complete:
    """The row with the highest mean AP, and of its runs the middle one: the best one would be luck.

    Rows are compared on the seeds and trunks that all of them have complete. Repeats of a row (A/A) are left out.

    Args:
        row: its label, in place of the best one.

    Raises:
        Refused: no such row, or nothing that can be compared is complete.
    """
    labels = [one.label for one in run.study.rows if not one.seed_offset]
    if row and row not in labels:
        raise Refused(f"--row {row!r}: {run.study.name} has no such row; there are {', '.join(map(repr, labels))}")
    complete = [(one, result) for one in run.jobs() if one.row in labels and (result := run.result(one)) is not None]
    there = {one.row for one, _ in complete}
    if not there or (row and row not in there):
        name, protocol = run.study.name, run.protocol.name
        raise Refused(
            f"{name}, {protocol}{f', row {row!r}' * bool(row)}: nothing is complete in {run.home}; run it first: "
            f"workbench study {name} --protocol {protocol}"
        )
    mine = [found for found in complete if found[0].row == (row or _best(complete, there))]
    return sorted(mine, key=_score)[(len(mine) - 1) // 2]


def _best(complete: Sequence[_Complete], rows: set[str]) -> str:
    spots = [{(one.seed, one.trunk) for one, _ in complete if one.row == row} for row in sorted(rows)]
    shared = set.intersection(*spots)
    if not shared:
        raise Refused(
            "rows are not complete for one seed together, so none can be called best; run the study to its end"
        )
    means = {
        row: mean(_score(found) for found in complete if found[0].row == row and _spot(found) in shared) for row in rows
    }
    return max(sorted(means), key=means.__getitem__)


def _spot(found: _Complete) -> tuple[int, str]:
    return found[0].seed, found[0].trunk


def _score(found: _Complete) -> float:
    score = found[1].metrics[METRIC]
    return -math.inf if math.isnan(score) else score  # nothing was judged: worse than anything


def register_best(run: StudyRun, row: str = "", name: str = "") -> Registered:
    """Registers the best row of a study, or another one, as a new version of a model.

    Args:
        row: see `best_run`. name: of the model; "" is that of study and protocol.

    Raises:
        Refused: see `best_run`.
    """
    planned, result = best_run(run, row)
    run_id = MlflowRecord(run).record(planned, result.metrics, result.curve, result.tags, result.folder)
    name = name or f"{run.study.name}-{run.protocol.name}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        number = _log(run.home, run_id, exported(load_trained(str(result.folder)), path), name)
    about = {"study": run.study.name, "protocol": run.protocol.name, "row": planned.row, "seed": str(planned.seed)}
    client = open_client(run.home)
    for key, value in {**about, "trunk": planned.trunk or "none", METRIC: f"{_score((planned, result)):.4f}"}.items():
        client.set_model_version_tag(name, str(number), key, value)
    client.set_registered_model_alias(name, ALIAS, str(number))
    return Registered(name, number, run_id, planned, result.metrics[METRIC], store_address(run.home))


def exported(trained: Trained, path: Path) -> Path:
    """The ONNX file of a network, at `path`."""
    from workbench.inference import onnx_export

    onnx_export.deploy(trained, path, "float32", WantedPersons().of(trained))
    return path


def _log(home: Path, run_id: str, path: Path, name: str) -> int:
    """The file as a model of the run, and the number of its version of the registered model."""
    import mlflow
    from mlflow.onnx import log_model

    from workbench.inference.onnx_export import read_model

    with _tracking_to(store_address(home)), mlflow.start_run(run_id=run_id):
        logged = log_model(
            read_model(path),
            name="model",
            registered_model_name=name,
            signature=_signature(path),
            # MLflow finds them out by loading the model in a process of its own where they are not given
            pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "onnx", "onnxruntime")],
        )
    return int(logged.registered_model_version or 0)


@contextmanager
def _tracking_to(address: str) -> Iterator[None]:
    """MLflow writes the address into the environment, where it would pass for one that the user gave."""
    import mlflow

    given = os.environ.pop(RECORD_VARIABLE, None)
    mlflow.set_tracking_uri(address)
    try:
        yield
    finally:
        os.environ.pop(RECORD_VARIABLE, None)
        if given is not None:
            os.environ[RECORD_VARIABLE] = given


def _signature(path: Path) -> ModelSignature:
    """What the file takes and gives, see `inference.onnx_export`; -1 is open."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    from workbench.inference.onnx_export import read_about

    points = len(read_about(path)["keypoint_names"].split(","))
    shapes = {"input": (-1, 3, -1, -1), "dets": (-1, -1, 5), "keypoints": (-1, -1, points, 3)}
    taken, *given = (TensorSpec(np.dtype(np.float32), shape, name) for name, shape in shapes.items())
    return ModelSignature(Schema([taken]), Schema([*given]))
