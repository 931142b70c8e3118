"""What docs/scale.md has others run: its commands are ours, and its files can be read."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml

from tests.cli.commands import all_commands
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/scale.md"


def block(mark: str) -> str:
    (found,) = [one.text for one in blocks(PAGE) if mark in one.text]
    return found


def accepted(words: list[str]) -> dict[str, Any]:
    """The options of a command of ours, as it reads them."""
    program, name, *rest = words
    assert program == "workbench"
    return dict(all_commands())[(name,)].make_context(name, rest).params


def test_slurm_starts_workers() -> None:
    words = shlex.split(block("sbatch").replace("\\\n", " "))
    assert "--requeue" in words and words[1] == "--array=0-31"
    given = accepted(shlex.split(words[words.index("--wrap") + 1]))
    assert given["name"] == "ablate_dcc" and given["wait"]


def test_kubernetes_starts_workers() -> None:
    job = yaml.safe_load(block("kind: Job"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert accepted(container["args"])["protocol"] == "short"
    named = {one["name"] for one in container["env"]}
    assert {"WORKBENCH_HOME", "WORKBENCH_STORE", "PGPASSWORD"} == named
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


def test_compose_starts_a_database_and_an_mlflow_server() -> None:
    found = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    services = found["services"]
    assert set(services) == {"database", "record-database", "mlflow"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {one.partition(":")[0] for one in service.get("volumes", [])} <= set(found["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), "nobody else can see it"
    wanted = re.search(r'"mlflow(.*?)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert wanted is not None and f'"mlflow{wanted[1]}"' in " ".join(services["mlflow"]["command"])
