"""MLflow's pages of the record, in a browser on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.experiments.mlflow_view import VIEW, VIEW_TAG, saved_view
from workbench.experiments.tracking import QUIET, open_client, store_address

if TYPE_CHECKING:
    from workbench.experiments.tracking import MlflowClient

PORT = 5000  # of the address in the browser
TRAINING = "workflowType=machine_learning"  # without it MLflow opens its pages of language models, "Traces 0"


def address(run: str, port: int = PORT) -> str:
    """Where the browser shows a run, as EXPERIMENT/ID, while `workbench ui` runs."""
    experiment, _, run_id = run.partition("/")
    return f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs/{run_id}?{TRAINING}"


def pages(home: Path, port: int) -> dict[str, str]:
    """Of each recorded study, the one that was recorded last first: where the browser shows its runs."""
    client = open_client(home)
    found = client.search_experiments(filter_string="name != 'Default'")
    query = f"{TRAINING}&viewStateShareKey={VIEW}"
    latest = {e.name: _last_start(client, e.experiment_id) for e in found}
    found = sorted(found, key=lambda e: latest[e.name], reverse=True)
    return {e.name: f"http://127.0.0.1:{port}/#/experiments/{e.experiment_id}/runs?{query}" for e in found}


def _last_start(client: MlflowClient, experiment: str) -> int:
    runs = client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=1)
    return max((run.info.start_time for run in runs), default=0)


def runs_page(home: Path, port: int) -> str:
    """The one address to open: the runs of the study that was recorded last; all studies where there is none."""
    every = f"http://127.0.0.1:{port}/#/experiments?{TRAINING}"
    return next(iter(pages(home, port).values()), every)


def renew_views(home: Path) -> None:
    """Gives every study the view of today: stores of old have another one, or none."""
    client = open_client(home)
    for experiment in client.search_experiments(filter_string="name != 'Default'"):
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, saved_view())


def ui(home: Path, port: int) -> int:
    """Shows the record in a browser, on this machine only, until interrupted. Gives the server's exit code."""
    renew_views(home)
    print(f"{runs_page(home, port)} shows the runs; Ctrl+C ends it", flush=True)
    # One worker and no job runner: 2 processes and 0.5 GB instead of 15 and 1.9.
    server = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return subprocess.call([*server, "--backend-store-uri", store_address(home)], env={**os.environ, **QUIET})
