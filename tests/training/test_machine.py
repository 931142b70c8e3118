"""The machine of a job: what is used of a machine, and in which precision."""

import pytest
import torch

from workbench.core.errors import Refused
from workbench.training import machine
from workbench.training.machine import CPU, Machine, machine_on, this_machine


@pytest.mark.parametrize(("cores", "gpus", "workers"), [(8, 2, 3), (1, 1, 0), (2, 4, 0), (64, 1, 12)])
def test_gpus_share_the_cores(cores: int, gpus: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    for bf16 in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, bf16=bf16: bf16)
        assert this_machine() == Machine("cuda", bf16, workers, gpus)


def test_what_has_not_been_shown_to_pay_on_a_gpu_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that stay on it and are augmented there, and a compiler, are asked for; `docs/gpu.md` says so."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    for found in (this_machine(), machine_on("cuda"), machine_on()):
        assert (found.device, found.resident, found.compiler) == ("cuda", 0.0, "")


def place(monkeypatch: pytest.MonkeyPatch, local: int, world: int) -> None:
    """As torchrun says it to a process."""
    numbers = {"RANK": 0, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": local, "WORLD_SIZE": world, "MASTER_PORT": 1}
    for name, value in {**numbers, "MASTER_ADDR": "a"}.items():
        monkeypatch.setenv(name, str(value))


def test_torchrun_says_how_many_processes_share_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its machine they share the cores; each has a GPU of its own."""
    place(monkeypatch, 4, 8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert this_machine().ranks == machine_on("cpu").ranks == 8
    monkeypatch.setattr(machine, "usable_cores", lambda: 32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert this_machine() == Machine("cuda", True, 7, 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(Refused, match=r"torchrun has started 4 processes for 2 GPU\(s\): --nproc-per-node 2"):
        this_machine()


@pytest.mark.parametrize(("jobs", "workers"), [(1, 12), (2, 7), (4, 3), (16, 0), (40, 0)])
def test_jobs_at_a_time_share_cores_and_memory(jobs: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 16)
    whole = Machine("cuda", bf16=True, workers=12, resident=0.5)
    assert whole.shared(jobs) == Machine("cuda", bf16=True, workers=workers, resident=0.5 / jobs)
    assert CPU.shared(jobs) == CPU


def test_without_a_gpu_one_process_works_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = this_machine()
    assert found in (CPU, Machine("cpu", bf16=True))


def test_products_are_in_bf16_where_the_machine_says_so() -> None:
    ones = torch.ones(2, 2)
    for one, dtype in ((Machine(bf16=True), torch.bfloat16), (CPU, torch.float32)):
        with one.autocast():
            assert (ones @ ones).dtype == dtype


def test_one_kind_of_device_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "this_machine", lambda: Machine("cuda", workers=3, ranks=2))
    assert machine_on("cpu").device == "cpu" and machine_on("cuda") == machine_on() == Machine("cuda", False, 3, 2)
    monkeypatch.setattr(machine, "this_machine", lambda: CPU)
    assert machine_on() == CPU
    with pytest.raises(Refused, match="device 'cuda': torch sees none here, only cpu"):
        machine_on("cuda")
