"""The record in MLflow: one experiment per study or search, one parent run per protocol, one child run per job.

Written by the process that runs the study, after a job is complete, from the job's folder. What is recorded already is
found by its identity and left as it is, so recording again does nothing.

    HOME/mlflow.db      the store
    HOME/artifacts/     checkpoints, match records, pictures, curves

`MLFLOW_TRACKING_URI` names another store, as a server of MLflow that many machines record to.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from workbench.core.errors import Refused, one_line
from workbench.core.faults import RECORD_FILE, machine_fault
from workbench.core.files import NETWORK, file_system
from workbench.core.words import harmless_markdown
from workbench.evaluation.metrics import METRICS, UNDEFINED
from workbench.experiments.mlflow_note import PICTURE, run_note
from workbench.experiments.mlflow_view import VIEW_TAG, saved_view
from workbench.experiments.stores import check_database, store_of
from workbench.experiments.subject import Subject, study_subject
from workbench.training.record import arithmetic_of, job_folder, train_minutes

# read when mlflow is imported
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
# A server that is away is left for a while, and asked again later, in place of waited for: jobs go on meanwhile.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
ARTIFACTS = (
    "job.json", "weights.safetensors", "records.npz", "predictions.png", "curve.csv", "result.json",
)  # fmt: skip
CHUNK = 1_000  # metrics in a batch: MLflow's limit
ROLE = "workbench.role"  # tag of what a run is, by the names that stores of old have
JOB, EARLIER = "job", "job of earlier arithmetic"
RECORD_VARIABLE = "MLFLOW_TRACKING_URI"
SERVERS = ("http://", "https://", "databricks")  # how the addresses of servers of MLflow begin
FAILURE = "failure"  # the tag that says why a job has failed
NOTE = 8_000  # characters of a description: MLflow's limit for a tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from workbench.experiments.plan import StudyRun  # and with it torch, which takes seconds
    from workbench.models.job import Protocol
    from workbench.study import PlannedJob


def open_client(home: Path) -> MlflowClient:
    """A quiet client of the store of a folder; the first one makes the tables, which takes seconds.

    Raises:
        Refused: the folder is on a network file system, where a SQLite file loses data, or that file can not be used.
    """
    if not given_record() and (kind := file_system(home)) in NETWORK:
        raise Refused(
            f"{home} is on {kind}, where MLflow's file loses data: set {RECORD_VARIABLE} to a server of MLflow"
        )
    if not given_record():
        check_database(home / RECORD_FILE)
    os.environ.update(QUIET | {name: value for name, value in PATIENCE.items() if name not in os.environ})
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # the import sets its own
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(store_address(home))


def given_record() -> str:
    """The store that the user named for the record; "" without one."""
    return os.environ.get(RECORD_VARIABLE, "").strip()


def store_address(home: Path) -> str:
    """The address of the record's store, as MLflow takes it: the one that the user named, or a file in the folder."""
    return given_record() or f"sqlite:///{home / RECORD_FILE}"


def has_record(home: Path) -> bool:
    """Whether anything can have been recorded."""
    return bool(given_record()) or (home / RECORD_FILE).exists()


class MlflowRecord:
    """The record of a run of a study, or of a search; other changes have a page of their own.

    Opened with the first entry.
    """

    def __init__(self, run: StudyRun | Subject) -> None:
        self._subject = run if isinstance(run, Subject) else study_subject(run)
        self._home, self._protocol = self._subject.home, self._subject.protocol
        self._opened: tuple[MlflowClient, str, str] | None = None

    def record(
        self,
        planned: PlannedJob,
        metrics: Mapping[str, float],
        curve: Sequence[Mapping[str, float]],
        tags: Mapping[str, str],
        folder: Path,
    ) -> str:
        """Records a complete job once, and gives the run's id.

        A run of the same row, seed, trunk and job that a killed process left unfinished is thrown away and made again.
        One of other arithmetic keeps its numbers, and is no longer one of the study's runs.

        Args:
            metrics: final numbers.
            curve: one mapping per evaluation, with `epoch`.
            tags: commit, machine and the like.
            folder: the job's folder, whose files become artifacts.
        """
        with store_of(self._home).locked("mlflow.lock"):
            client, experiment, parent = self._open()
            identity = self._identity(planned)
            for run in _find(client, experiment, identity):
                if run.info.status != "FINISHED":
                    client.delete_run(run.info.run_id)
                elif arithmetic_of(run.data.tags) != arithmetic_of(tags):
                    client.set_tag(run.info.run_id, ROLE, EARLIER)
                else:
                    return run.info.run_id
            factors, which = self._subject.parameters(planned), _which(planned)
            labels = {"mlflow.parentRunId": parent, **tags, **self._subject.tags(planned)}
            labels |= {**which, **self._about(), **identity}
            run_id = client.create_run(experiment, tags=labels, run_name=_run_name(planned)).info.run_id
            numbers = self._numbers(planned, metrics, curve, tags)
            pictured = run_id if (folder / PICTURE).exists() else ""
            note = run_note(planned, self._asked, factors, numbers, curve, pictured)
            client.set_tag(run_id, "mlflow.note.content", note[:NOTE])
            _log(client, run_id, {**factors, **which}, numbers, curve)
            if self._protocol.trains:
                _log_data(client, run_id, planned.job.protocol)
            for file in ARTIFACTS:
                if (folder / file).exists():
                    client.log_artifact(run_id, str(folder / file))
            if not (folder / "job.json").exists():
                client.log_text(run_id, json.dumps(planned.job.to_dict(defaults=True), indent=1), "job.json")
            client.set_terminated(run_id)
            return run_id

    def record_failure(self, planned: PlannedJob, reason: str) -> None:
        """Records that a job has failed, and why, until it is complete: then that run takes the place of this one."""
        with store_of(self._home).locked("mlflow.lock"):
            client, experiment, parent = self._open()
            identity = self._identity(planned)
            found = _find(client, experiment, identity)
            if any(run.info.status == "FINISHED" or run.data.tags.get(FAILURE) == reason[:NOTE] for run in found):
                return
            for run in found:
                client.delete_run(run.info.run_id)
            labels = {"mlflow.parentRunId": parent, **self._subject.tags(planned), **_which(planned)}
            labels |= {**self._about(), **identity, FAILURE: reason[:NOTE], "mlflow.note.content": reason[:NOTE]}
            run_id = client.create_run(experiment, tags=labels, run_name=_run_name(planned)).info.run_id
            client.set_terminated(run_id, "FAILED")

    def summarise(self, text: str, numbers: Mapping[str, float] | None = None) -> None:
        """Writes the text of the protocol's own page, in Markdown, and numbers by which protocols can be sorted."""
        with store_of(self._home).locked("mlflow.lock"):
            client, _, parent = self._open()
            client.set_tag(parent, "mlflow.note.content", harmless_markdown(text)[:NOTE])
            for name, value in (numbers or {}).items():
                if math.isfinite(value):
                    client.log_metric(parent, name, value)

    def attach(self, files: Sequence[Path]) -> None:
        """Adds files of a report to the protocol's own page. It says where that can not be done: they are written."""
        try:
            with store_of(self._home).locked("mlflow.lock"):
                client, _, parent = self._open()
                for file in files:
                    client.log_artifact(parent, str(file))
        except Exception as error:  # whatever a store or a server has to say
            print(f"not attached to the record in MLflow: {machine_fault(error) or one_line(error)}")

    def _open(self) -> tuple[MlflowClient, str, str]:
        if self._opened is None:
            client = open_client(self._home)
            experiment = _experiment(client, self._subject)
            self._opened = client, experiment, self._parent(client, experiment)
        return self._opened

    def _parent(self, client: MlflowClient, experiment: str) -> str:
        # the role keeps the name by which stores of old are found
        identity = {ROLE: "setting", "protocol": self._protocol.name, "changes": self._subject.changes}
        for run in _find(client, experiment, identity):
            return run.info.run_id
        about = {"mlflow.note.content": self._protocol.about, "question": self._subject.question}
        name = self._protocol.name + (f", {self._subject.changes}" if self._subject.changes != "none" else "")
        run = client.create_run(experiment, tags={**about, **self._about(), **identity}, run_name=name)
        # It holds nothing that could be half written: ended at once, no kill can leave it running.
        client.set_terminated(run.info.run_id)
        return run.info.run_id

    def _about(self) -> dict[str, str]:
        """Repeated on every run, because a filter hides parents."""
        about = {"study": self._subject.name, "protocol": self._protocol.name, "source": self._subject.source}
        return {**about, "changes": self._subject.changes}

    def _identity(self, planned: PlannedJob) -> dict[str, str]:
        """By what a run is found again. The names of the tags are those that stores of old have."""
        return {
            ROLE: JOB,
            "workbench.cell": f"{planned.row}|{planned.seed}|{planned.trunk}",
            "protocol": self._protocol.name,
            "job": planned.job.key,
        }

    @property
    def _asked(self) -> str:
        return f"{self._subject.question} Protocol `{self._protocol.name}`: {self._protocol.about}."

    def _numbers(
        self,
        planned: PlannedJob,
        metrics: Mapping[str, float],
        curve: Sequence[Mapping[str, float]],
        tags: Mapping[str, str],
    ) -> dict[str, float]:
        """What is worth keeping of a run's numbers, and what it took to train.

        Runs of earlier versions have a latency that was taken while other jobs ran; it is left out. The one that counts
        is timed side by side, under the protocol `cost`.
        """
        known = {k: v for k, v in metrics.items() if _is_number(k, v)} | {**self._subject.numbers(planned)}
        if not self._protocol.trains:
            return known
        job = planned.job
        minutes = train_minutes(curve, job.protocol.epoch_images, job.start.epoch)
        cores = float(tags.get("threads") or 1) * float(tags.get("ranks") or 1)
        costs = {"train_minutes": minutes, "train_core_minutes": minutes * cores}
        known = {k: v for k, v in known.items() if not k.startswith("latency")}
        return known | {k: v for k, v in costs.items() if math.isfinite(v)}


def _which(planned: PlannedJob) -> dict[str, str]:
    return {"row": planned.row, "seed": str(planned.seed), "trunk": planned.trunk or "none"}


def _run_name(planned: PlannedJob) -> str:
    return f"{planned.row} #{planned.seed}" + f" {planned.trunk}" * bool(planned.trunk)


def _is_number(name: str, value: float) -> bool:
    """Whether a metric has a value. COCO's -1 says that no person counts."""
    measured = name in METRICS and METRICS[name].measure is not None
    return math.isfinite(value) and not (measured and value == UNDEFINED)


def _log_data(client: MlflowClient, run_id: str, protocol: Protocol) -> None:
    """The data set of a run: embedded scenes by what makes them, a folder by its fingerprint."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, _, fingerprint = protocol.data.partition("@")
    about = {"data": protocol.data, "images": protocol.images, "first": protocol.first_image, "size": protocol.size}
    digest = fingerprint or hashlib.sha256(json.dumps(about).encode()).hexdigest()[:12]
    data = Dataset(
        name=name,
        digest=digest[:36],  # MLflow's limit
        source_type="folder" if fingerprint else "embedded",
        source=json.dumps(about),
        profile=json.dumps({"images of an epoch": protocol.epoch_images, "validation images": protocol.eval_images}),
    )
    client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def _experiment(client: MlflowClient, subject: Subject) -> str:
    found = client.get_experiment_by_name(subject.name)
    if found is not None:
        return found.experiment_id
    place = None  # a server knows where to put them; a database would take the current folder
    if not given_record().startswith(SERVERS):
        folder = (subject.home / "artifacts").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        place = folder.as_uri()
    about = harmless_markdown(f"{subject.question}\n\n{subject.source}")
    tags = {"mlflow.note.content": about, VIEW_TAG: saved_view()}
    return client.create_experiment(subject.name, artifact_location=place, tags=tags)


def _find(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> list[Run]:
    """Runs that carry all these tags. Quotes in a value can not be asked for, so the last look is ours."""
    asked = " and ".join(f"tags.`{k}` = '{v}'" for k, v in tags.items() if "'" not in v)
    found = client.search_runs([experiment], asked)
    return [run for run in found if all(run.data.tags.get(k) == v for k, v in tags.items())]


def _log(
    client: MlflowClient,
    run_id: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    curve: Sequence[Mapping[str, float]],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    points: list[Any] = []
    last = 0
    for line in curve:
        last = int(line.get("epoch", last + 1))
        points += [Metric(k, float(v), now, last) for k, v in line.items() if k != "epoch" and _is_number(k, v)]
    # one millisecond later: of equal steps the latest is the run's number
    points += [Metric(k, float(v), now + 1, last) for k, v in metrics.items() if k != "epoch"]
    client.log_batch(run_id, params=[Param(k, v) for k, v in parameters.items()])
    for start in range(0, len(points), CHUNK):
        client.log_batch(run_id, metrics=points[start : start + CHUNK])


def run_ids(home: Path, study: str) -> dict[str, str]:
    """EXPERIMENT/ID of every recorded run of a study, by what names it: see `run_key`. Makes no store.

    Of a store that can not be read there are none, and it is said: a report does without.
    """
    if not has_record(home):
        return {}
    try:
        return _run_ids(open_client(home), study)
    except Exception as error:  # whatever a store or a server has to say
        print(f"without the numbers of runs in MLflow: {machine_fault(error) or one_line(error)}")
        return {}


def _run_ids(client: MlflowClient, study: str) -> dict[str, str]:
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    found: dict[str, str] = {}
    page = None
    while page != "":
        runs = client.search_runs([experiment.experiment_id], f"tags.`{ROLE}` = '{JOB}'", page_token=page)
        for run in runs:
            tags = run.data.tags
            row, seed, trunk, job = (tags.get(name, "") for name in ("row", "seed", "trunk", "job"))
            found[_key(row, seed, trunk, job, tags)] = f"{experiment.experiment_id}/{run.info.run_id}"
        page = runs.token or ""
    return found


def recorded_folder(home: Path, run_id: str) -> Path | None:
    """Where the record of a run lies: the folder that it was trained in, else its artifacts, which are copies of it.

    None: the store has no such run, or neither is there any more. Makes no store.
    """
    if not has_record(home):
        return None
    from mlflow.exceptions import MlflowException

    try:
        run = open_client(home).get_run(run_id)
    except MlflowException:
        return None
    copies = Path(url2pathname(urlparse(str(run.info.artifact_uri)).path))
    own, key = run.data.tags.get("folder", ""), run.data.tags.get("job", "")
    folders = [Path(own)] * bool(own) + [job_folder(home, key), copies]
    return next((folder for folder in folders if (folder / "result.json").is_file()), None)


def run_key(planned: PlannedJob, tags: Mapping[str, str]) -> str:
    """What names a run of a study: row, seed, trunk and job, and by `tags` how it was computed."""
    return _key(planned.row, str(planned.seed), planned.trunk or "none", planned.job.key, tags)


def _key(row: str, seed: str, trunk: str, job: str, tags: Mapping[str, str]) -> str:
    return "|".join((row, seed, trunk, job, arithmetic_of(tags)))
