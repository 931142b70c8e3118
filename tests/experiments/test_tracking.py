"""The record in MLflow: complete, once, and quiet."""

import json
import socket
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from workbench.core.errors import Refused
from workbench.core.provenance import result_tags
from workbench.evaluation.metrics import Metric
from workbench.experiments import tracking
from workbench.experiments.delivery import Delivery
from workbench.experiments.plan import StudyRun
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol

pytestmark = pytest.mark.slow  # MLflow's imports alone
STUDY = Study(
    name="tracked",
    question="Is it recorded?",
    source="none",
    base=nano(),
    rows=(Row("base"), Row("bob's row", {"coords.dynamic_allocation": False, "coords.padding": 1.0})),
    claims=(Better("T1", "it is better", "base", "bob's row"), Better("T2", "and so", "base", "bob's row", "NME")),
)
SETTING = StudyProtocol("test", "about", Protocol(data="figures-easy", size=(96, 96), epoch_images=600), seeds=1)
METRICS = {"AP": 0.3, "mOKS": 0.5, "NME": float("nan"), "AP_L": -1.0, "params": 2e6, "latency_ms_p50": 40.0}
CURVE = [
    {"epoch": 1.0, "AP": 0.1, "AP_L": -1.0, "loss_cls": 2.0, "train_images_per_s": 10.0},
    {"epoch": 2.0, "AP": 0.3, "AP_L": -1.0, "loss_cls": 1.0, "train_images_per_s": 20.0},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all tests."""
    folder = tmp_path_factory.mktemp("home")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        tracking.open_client(folder)
    return folder


@pytest.fixture(scope="module")
def folder(home: Path) -> Path:
    where = home / "jobs" / "x"
    where.mkdir(parents=True)
    (where / "curve.csv").write_text("epoch,AP\n")
    (where / "job.json").write_text("{}")
    return where


def runs(home: Path, role: str) -> list[Any]:
    client = tracking.open_client(home)
    experiment = client.get_experiment_by_name("tracked")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.`workbench.role` = '{role}'"))


def test_a_cell_is_recorded_once_with_everything(home: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = STUDY.planned_jobs(SETTING)
    book = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home))
    ids = [book.record(c, METRICS, CURVE, {"commit": "abc", "threads": "2"}, folder) for c in (first, second, first)]
    again = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home)).record(
        second, METRICS, CURVE, {"commit": "abc"}, folder
    )
    assert ids[0] == ids[2] != ids[1] == again
    assert "".join(capfd.readouterr()) == ""  # quiet

    (parent,) = runs(home, "setting")
    assert parent.info.status == "FINISHED"
    found = {run.info.run_id: run for run in runs(home, "job")}
    assert set(found) == set(ids[:2])
    run = found[ids[1]]
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "row": "bob's row",
        "seed": "0",
        "trunk": "none",
        "coords.dynamic_allocation": "False",
        "coords.padding": "1",
    }
    assert run.data.metrics["AP"] == 0.3 and not {"NME", "AP_L", "latency_ms_p50"} & set(run.data.metrics)
    # 600 images at 10 a second, then 600 at 20, on two threads
    assert run.data.metrics["train_minutes"] == 1.5 and run.data.metrics["train_core_minutes"] == 3.0
    assert run.data.tags["claim"] == "T1, T2" and run.data.tags["row"] == "bob's row" and run.data.tags["seed"] == "0"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.name == "figures-easy" and "96" in data.dataset.source
    note = run.data.tags["mlflow.note.content"]
    order = [note.index(said) for said in ("coords.padding", "| epoch | 1 | 2 |", "mOKS", "Is it recorded?")]
    assert order == sorted(order), "what differs and the curve come first"
    assert note.startswith("**bob's row**, seed 0") and "![" not in note, "there is no picture in its folder"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["job"] == second.job.key
    assert {"study": "tracked", "protocol": "test", "commit": "abc"}.items() <= run.data.tags.items()
    client = tracking.open_client(home)
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"curve.csv", "job.json"}
    history = client.get_metric_history(run.info.run_id, "loss_cls")
    assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]
    assert str(home / "artifacts") in run.info.artifact_uri


def test_a_run_that_a_kill_left_open_is_made_again(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cell, _) = STUDY.planned_jobs(SETTING)
    other = cell.job.vary({"protocol.epochs": 7})
    killed = type(cell)(cell.row, cell.seed, cell.trunk, other)
    book = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home))

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_batch", die)
        with pytest.raises(KeyboardInterrupt):
            book.record(killed, METRICS, CURVE, {}, folder)
    opened = [run for run in runs(home, "job") if run.data.tags["job"] == other.key]
    assert [run.info.status for run in opened] == ["RUNNING"]
    run_id = book.record(killed, METRICS, CURVE, {}, folder)
    found = [run for run in runs(home, "job") if run.data.tags["job"] == other.key]
    assert [(run.info.run_id, run.info.status) for run in found] == [(run_id, "FINISHED")]


def test_without_its_file_the_job_is_written_from_the_cell(home: Path, tmp_path: Path) -> None:
    cell = STUDY.planned_jobs(SETTING, 2)[-1]
    run_id = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home)).record(cell, METRICS, [], {}, tmp_path)
    client = tracking.open_client(home)
    text = Path(client.download_artifacts(run_id, "job.json", str(tmp_path))).read_text()
    assert json.loads(text)["seed"] == 1


def test_the_ids_of_runs_are_found_by_what_names_them(home: Path, folder: Path) -> None:
    one = STUDY.planned_jobs(SETTING)[0]
    run_id = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home)).record(one, METRICS, CURVE, {}, folder)
    found = tracking.run_ids(home, "tracked")[tracking.run_key(one, {})]
    assert found.partition("/")[2] == run_id
    assert tracking.run_ids(home, "unknown") == {}


def test_a_job_that_was_trained_anew_is_recorded_anew(home: Path, folder: Path) -> None:
    """Other numerics give other numbers: the old run keeps its own and is no longer one of the study's."""
    study, (one, _) = replace(STUDY, name="anew"), STUDY.planned_jobs(SETTING)
    book = tracking.MlflowRecord(StudyRun(study, SETTING, home))
    tags = {"precision": "float32", "numerics": "1"}
    kinds = [tags, tags, {**tags, "numerics": "2"}, {**tags, "numerics": "2", "precision": "bf16"}]
    ids = [book.record(one, {**METRICS, "AP": 0.1 * i}, [], kind, folder) for i, kind in enumerate(kinds)]
    assert ids[0] == ids[1] and len(set(ids)) == 3
    known = tracking.run_ids(home, "anew")
    assert {key: value.partition("/")[2] for key, value in known.items()} == {tracking.run_key(one, kinds[3]): ids[3]}
    client = tracking.open_client(home)
    assert [client.get_run(i).data.metrics["AP"] for i in ids[1:]] == pytest.approx([0.0, 0.2, 0.3])


def test_the_record_goes_to_the_store_that_was_named(
    home: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that many machines record to: artifacts lie in the folder that they share, not in the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.store_address(home))
    mine = tmp_path / "mine"
    run = StudyRun(replace(STUDY, name="named"), SETTING, mine)
    run_id = tracking.MlflowRecord(run).record(run.jobs()[0], METRICS, CURVE, {}, folder)
    assert tracking.has_record(mine) and not (mine / "mlflow.db").exists()
    assert [*(mine / "artifacts").rglob("curve.csv")] and not (tmp_path / "mlruns").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert not tracking.has_record(mine)
    assert [one.partition("/")[2] for one in tracking.run_ids(home, "named").values()] == [run_id]


def test_a_file_on_a_network_file_system_is_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "file_system", lambda folder: "nfs4")
    with pytest.raises(Refused, match="is on nfs4, where MLflow's file loses data: set MLFLOW_TRACKING_URI"):
        tracking.open_client(tmp_path)


def test_looking_for_ids_makes_no_store(tmp_path: Path) -> None:
    assert tracking.run_ids(tmp_path, "tracked") == {} and not list(tmp_path.iterdir())


def test_protocols_can_be_sorted_by_their_numbers(home: Path) -> None:
    book = tracking.MlflowRecord(StudyRun(STUDY, SETTING, home))
    for decided in (1.0, 2.0):
        book.summarise("text", {"claims_decided": decided, "best_AP": float("nan")})
    (parent,) = [run for run in runs(home, "setting") if run.data.tags["changes"] == "none"]
    assert parent.data.metrics["claims_decided"] == 2.0 and "best_AP" not in parent.data.metrics


def test_a_timing_keeps_its_latency(home: Path, folder: Path) -> None:
    timed = replace(SETTING, name="cost", protocol=Protocol(data="none"), trains=False)
    one = STUDY.planned_jobs(timed)[0]
    run_id = tracking.MlflowRecord(StudyRun(STUDY, timed, home)).record(one, METRICS, [], {}, folder)
    run = tracking.open_client(home).get_run(run_id)
    assert run.data.metrics["latency_ms_p50"] == 40.0 and not (run.inputs and run.inputs.dataset_inputs)


def test_changes_of_every_job_have_a_page_and_a_tag_of_their_own(home: Path) -> None:
    for changes in ({}, {"recipe.lr": 2e-3}, {"recipe.lr": 2e-3}):
        tracking.MlflowRecord(StudyRun(STUDY, SETTING, home, changes=changes)).summarise(f"with {changes}")
    said = {run.data.tags["changes"]: run.data.tags["mlflow.note.content"] for run in runs(home, "setting")}
    assert said == {"none": "with {}", "recipe.lr=0.002": "with {'recipe.lr': 0.002}"}


@pytest.mark.filterwarnings("ignore")  # of MLflow's own imports
def test_a_metric_that_is_added_to_the_table_is_recorded_and_described(home: Path, added: Metric) -> None:
    study = replace(STUDY, name=f"tracked {added.name}")
    record = tracking.MlflowRecord(StudyRun(study, SETTING, home))
    run_id = record.record(study.planned_jobs(SETTING)[0], {**METRICS, added.name: 0.25}, [], {}, home)
    run = tracking.open_client(home).get_run(run_id)
    assert run.data.metrics[added.name] == 0.25 and f"| {added.name} |" in run.data.tags["mlflow.note.content"]


SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_RUN_CONTEXT",
    "DATABASE_URL",
    "HF_TOKEN",
    "GITHUB_TOKEN",
)


def test_no_secret_of_the_environment_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the store, nor in what lies beside it."""
    for name in SECRETS:
        monkeypatch.setenv(name, f"secret-{name}")
    run = StudyRun(STUDY, SETTING, tmp_path)
    book, (one, *_) = tracking.MlflowRecord(run), STUDY.planned_jobs(SETTING)
    folder = tmp_path / "jobs" / one.job.key
    folder.mkdir(parents=True)
    (folder / "curve.csv").write_text("epoch,AP\n1,0.1\n")
    book.record(one, METRICS, CURVE, result_tags("a machine", 1, "float32"), folder)
    book.summarise("text")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in written) and any("artifacts" in path.parts for path in written)
    assert [path for path in written if b"secret-" in path.read_bytes()] == []


def test_a_failed_job_is_recorded_with_its_reason_until_it_is_complete(home: Path, folder: Path) -> None:
    study, (one, other) = replace(STUDY, name="failing"), STUDY.planned_jobs(SETTING)
    book = tracking.MlflowRecord(StudyRun(study, SETTING, home))
    client = tracking.open_client(home)

    def found() -> list[Any]:
        experiment = client.get_experiment_by_name("failing")
        assert experiment is not None
        return list(client.search_runs([experiment.experiment_id], "tags.`workbench.role` = 'job'"))

    for reason in ("RuntimeError: not finite", "RuntimeError: not finite", "OSError: no room"):
        book.record_failure(one, reason)
    (run,) = found()
    assert run.info.status == "FAILED" and run.data.tags["failure"] == "OSError: no room"
    assert run.data.tags["mlflow.note.content"] == "OSError: no room" and run.data.tags["row"] == one.row
    run_id = book.record(one, METRICS, CURVE, {"precision": "float32"}, folder)
    book.record_failure(one, "late")
    assert [(run.info.run_id, run.info.status) for run in found()] == [(run_id, "FINISHED")]
    book.record_failure(other, "it fails")
    assert len(found()) == 2 and set(tracking.run_ids(home, "failing")) >= {
        tracking.run_key(one, {"precision": "float32"})
    }


@pytest.mark.parametrize("kind", ["text", "a folder"])
def test_a_record_that_can_not_be_read_is_named_within_seconds(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study goes on without it, and a report is written without the numbers of its runs."""
    path = tmp_path / "mlflow.db"
    if kind == "text":
        path.write_bytes(b"no database" * 1000)
    else:
        path.mkdir()
    began, book = time.monotonic(), tracking.MlflowRecord(StudyRun(STUDY, SETTING, tmp_path))
    with pytest.raises(Refused, match=r"mlflow\.db can not be used \(.*move it away: the next command records anew"):
        book.summarise("text")
    book.attach([path])
    assert tracking.run_ids(tmp_path, "tracked") == {}
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in out] == [
        "not attached to the record in MLflow",
        "without the numbers of runs in MLflow",
    ]
    assert time.monotonic() - began < 60 and (path.is_dir() or path.read_bytes().startswith(b"no database"))


@pytest.mark.parametrize("cut", range(1, 12, 3))
def test_a_store_that_goes_away_in_the_middle_gets_each_run_once_when_it_is_back(
    cut: int, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any of its requests, whether that was carried out or not; the next try makes one whole run of it."""
    study = replace(STUDY, name=f"away {cut}")
    planned = study.planned_jobs(SETTING)
    book, said = tracking.MlflowRecord(StudyRun(study, SETTING, home)), list[str]()
    delivery, requests = Delivery(said.append), 0
    for one in planned:
        delivery.add(one.title, partial(book.record, one, METRICS, CURVE, {}, folder))

    def breaking(method: Any) -> Any:
        def call(*given: Any, **more: Any) -> Any:
            nonlocal requests
            requests += 1
            done = method(*given, **more)
            if cut <= requests < cut + 2:
                raise ConnectionError("the server is away")
            return done

        return call

    from mlflow import MlflowClient

    for name in ("create_run", "set_tag", "log_batch", "log_artifact", "set_terminated", "log_inputs"):
        monkeypatch.setattr(MlflowClient, name, breaking(getattr(MlflowClient, name)))
    monkeypatch.setattr("workbench.experiments.delivery.FIRST", 0.0)  # it is always time to ask again
    for _ in range(5):
        while delivery.step():
            pass
    delivery.finish()
    client = tracking.open_client(home)
    experiment = client.get_experiment_by_name(study.name)
    assert experiment is not None and said and all("not recorded yet" in line for line in said)
    found = client.search_runs([experiment.experiment_id], "tags.`workbench.role` = 'job'")
    assert sorted(run.data.tags["row"] for run in found) == sorted(one.row for one in planned)
    assert all(run.info.status == "FINISHED" and run.data.metrics["AP"] == 0.3 for run in found)
    parents = client.search_runs([experiment.experiment_id], "tags.`workbench.role` = 'setting'")
    assert len(parents) == 1


def test_a_server_that_does_not_answer_is_left_alone_after_its_time(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and says nothing: one run costs one wait, whatever else is to be recorded."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        planned, said = STUDY.planned_jobs(SETTING), list[str]()
        book, delivery = tracking.MlflowRecord(StudyRun(STUDY, SETTING, tmp_path)), Delivery(said.append)
        for one in planned:
            delivery.add(one.title, partial(book.record, one, METRICS, CURVE, {}, folder))
        began = time.monotonic()
        assert not any(delivery.step() for _ in range(50))
        assert 1 <= time.monotonic() - began < 30
    assert len(said) == 1 and said[0].startswith(f"not recorded yet: {planned[0].title}: ")
