"""A study by two machines of two workers each, with its queue in PostgreSQL and its record at an MLflow server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from benchmarks._postgres import Server
from tests.experiments.seven import JOBS, Place, ended, numbers
from tests.shared_store import cutting
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.stores import store_of
from workbench.experiments.tracking import QUIET, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.soak]
PATIENCE = 300.0  # seconds in which a busy machine starts a server that makes its tables first
MINUTE = 60.0  # seconds without a database


@contextmanager
def mlflow_server(store: str, folder: Path, port: int = 0) -> Iterator[str]:
    """The address of an MLflow server that keeps runs in a database and files in a folder; it is killed in the end."""
    port = port or free_port()
    folder.mkdir(exist_ok=True)
    words = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--backend-store-uri", store]
    command = [sys.executable, "-m", "mlflow", "server", *words, "--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, **QUIET, "PGCLIENTENCODING": "UTF8"}  # or it is given bytes by a plain database
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + PATIENCE
        while not _healthy(address):
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text("utf-8")
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _healthy(address: str) -> bool:
    try:
        return build_opener(ProxyHandler({})).open(f"{address}/health", timeout=10).status == 200
    except OSError:
        return False


def recorded(address: str, *, whole: bool = True) -> list[tuple[str, str, str]]:
    """Of each run of a job in the record: row, seed and how it stands. `whole`: each has its files by now."""
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiments = [one.experiment_id for one in client.search_experiments() if one.name == "seven"]
    if not experiments:
        return []
    runs = client.search_runs(experiments, f"tags.`{ROLE}` = 'job'", max_results=1000)
    for run in runs if whole else ():
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"result.json", "weights.safetensors"}
    return [(run.data.tags["row"], run.data.tags["seed"], run.info.status) for run in runs]


@pytest.mark.timeout(1800)
def test_four_workers_on_servers_compute_what_one_machine_does(
    postgres: Server, alone: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    queue, record = (
        postgres.database("queue"),
        postgres.database("record").replace("postgresql:", "postgresql+psycopg:"),
    )
    with mlflow_server(record, tmp_path / "server") as address:
        many = Place(tmp_path / "many", WORKBENCH_STORE=queue, MLFLOW_TRACKING_URI=address)
        planner = many.start("study", "--jobs", "0")
        workers = [many.start("worker", "--jobs", "2", "--wait") for _ in range(2)]
        said = ended(planner)
        assert f"{JOBS} of {JOBS} complete" in said and "other machines join with: workbench worker seven" in said
        for worker in workers:
            worker.terminate()
            ended(worker, 130)
        runs = recorded(address)
    assert numbers(many.home) == alone
    assert {status for *_, status in runs} == {"FINISHED"}
    assert set(Counter(runs).values()) == {1} and len(runs) == JOBS == len({row for row, *_ in runs})
    assert not (many.home / "optuna.db").exists() and not (many.home / "mlflow.db").exists()


@pytest.mark.timeout(1800)
def test_a_server_of_the_record_that_dies_in_the_middle_gets_each_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is killed while runs are recorded, jobs end meanwhile, and it comes back at its address: before the study has
    said that it waits, or after."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    store, port = f"sqlite:///{tmp_path / 'record.db'}", free_port()
    with mlflow_server(store, tmp_path / "server", port) as address:
        place = Place(tmp_path / "place", MLFLOW_TRACKING_URI=address)
        study = place.start("study", "--jobs", "1")
        wait_until(lambda: len(recorded(address, whole=False)) > 0)
    there = len(numbers(place.home))
    assert study.poll() is None and there < JOBS
    wait_until(lambda: len(numbers(place.home)) > there)
    with mlflow_server(store, tmp_path / "server", port):
        said = ended(study)
        assert f"{JOBS} of {JOBS} complete" in said, said
        if "run the same command again" in said:  # the study was over before the server was back
            place.run("study", "--jobs", "1")
        runs = recorded(address)
    assert {status for *_, status in runs} == {"FINISHED"}
    assert set(Counter(runs).values()) == {1} and len(runs) == JOBS


@pytest.mark.timeout(1800)
def test_a_minute_without_the_database_costs_no_job(
    postgres: Server, alone: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who trains ends that job meanwhile; then all wait, and the same processes go on when it is back."""
    store = postgres.database("outage")
    monkeypatch.setenv("WORKBENCH_STORE", store)
    place = Place(tmp_path, WORKBENCH_STORE=store)
    worker, study = place.start("worker", "--jobs", "1", "--wait"), place.start("study", "--jobs", "1")
    try:
        wait_until(lambda: states(place.home)["RUNNING"] == 2)
        postgres.stop()
        try:
            there = len(numbers(place.home))
            time.sleep(MINUTE)
            meanwhile = len(numbers(place.home))
        finally:
            postgres.start()
        assert f"{JOBS} of {JOBS} complete" in ended(study)
        worker.terminate()
        ended(worker, 130)
    finally:
        study.kill()
        worker.kill()
    assert there <= meanwhile <= there + 2 < JOBS, "each may have ended its job, and took no other"
    assert numbers(place.home) == alone
    found = states(place.home)  # who was in the middle of a step begins again, and its attempt is given up
    assert found["COMPLETE"] == JOBS and found.keys() <= {"COMPLETE", "FAIL"}


@pytest.mark.timeout(1800)
def test_connections_that_are_cut_in_the_middle_cost_no_job(
    postgres: Server, alone: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes meets some process in the middle of a step. Here each connection is cut once a second."""
    store = postgres.database("cut")
    monkeypatch.setenv("WORKBENCH_STORE", store)
    place = Place(tmp_path, WORKBENCH_STORE=store)
    study = place.start("study", "--jobs", "2")
    try:
        cut = cutting(store, lambda: study.poll() is None, 1.0)
        assert f"{JOBS} of {JOBS} complete" in ended(study)
    finally:
        study.kill()
    assert cut > JOBS and numbers(place.home) == alone


def states(home: Path) -> Counter[str]:
    """How the attempts of the one queue in the store stand."""
    import optuna

    names = optuna.get_all_study_names(store_of(home).open(heartbeat=False)) if store_of(home).exists() else []
    return Counter(one.state.name for name in names for one in JobQueue(home, name).attempts())


def wait_until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.2)
