"""What docs/scale.md has others run: its commands are ours, and its files can be read."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.commands import all_commands
from tests.docs.pages import DOCS, ROOT, blocks
from tests.slurm_node import PATIENCE, missing, slurm

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


@pytest.mark.soak
@pytest.mark.skipif(bool(missing()), reason=missing())
def test_slurm_takes_them_and_gives_each_a_gpu(tmp_path: Path) -> None:
    """A real one, of a single node; what stands for the workbench says how it was called."""
    words = shlex.split(block("sbatch").replace("\\\n", " "))
    called = shlex.split(words[words.index("--wrap") + 1])[1:]
    (tmp_path / "workbench").write_text(
        f'#!/bin/sh\necho "$CUDA_VISIBLE_DEVICES|$SLURM_CPUS_PER_TASK|$*" > {tmp_path}/$SLURM_ARRAY_TASK_ID.part\n'
        f"mv {tmp_path}/$SLURM_ARRAY_TASK_ID.part {tmp_path}/$SLURM_ARRAY_TASK_ID.said\nsleep 600\n"
    )
    (tmp_path / "workbench").chmod(0o755)
    with slurm() as cluster:
        cluster.run("sbatch", "--test-only", *words[1:])
        said = cluster.run(*words, cwd=tmp_path, path=tmp_path)
        number = said.split()[-1]
        end = time.monotonic() + PATIENCE
        while len(heard := [file.read_text("utf-8").strip() for file in tmp_path.glob("*.said")]) < 32:
            assert time.monotonic() < end, f"{len(heard)} workers began"
            time.sleep(0.2)
        gpus, cores, calls = zip(*(line.split("|") for line in heard), strict=True)
        assert sorted(map(int, gpus)) == list(range(32)) and set(cores) == {"8"}
        assert {tuple(shlex.split(call)) for call in calls} == {tuple(called)}
        cluster.run("scontrol", "requeue", f"{number}_3")
        while "Restarts=1" not in cluster.run("scontrol", "show", "job", f"{number}_3"):
            assert time.monotonic() < end, "it was not put back into the queue"
            time.sleep(0.2)
        cluster.run("scancel", number)
        while cluster.run("squeue", "--noheader"):
            assert time.monotonic() < end, "it can not be cancelled"
            time.sleep(0.2)


def test_kubernetes_starts_workers() -> None:
    job = yaml.safe_load(block("kind: Job"))
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert accepted(container["args"])["protocol"] == "short"
    named = {one["name"] for one in container["env"]}
    assert {"WORKBENCH_HOME", "WORKBENCH_STORE", "PGPASSWORD"} == named
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}


@pytest.mark.slow
def test_kubernetes_knows_every_field_of_it() -> None:
    """By the models of its own client, which come from its API."""
    client = pytest.importorskip("kubernetes.client", reason="no kubernetes: it is in the extra `consumers`")
    job = yaml.safe_load(block("kind: Job"))
    read = client.V1Job.model_validate(job, by_alias=True, by_name=False)
    assert read.model_dump(by_alias=True, exclude_none=True) == job
    job["spec"]["template"]["spec"]["containers"][0]["arguments"] = ["workbench"]
    with pytest.raises(ValueError, match="arguments"):
        client.V1Job.model_validate(job, by_alias=True, by_name=False)


def test_every_block_of_yaml_is_read_here() -> None:
    assert [one.text for page in DOCS for one in blocks(page) if one.language == "yaml"] == [block("kind: Job")]


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
