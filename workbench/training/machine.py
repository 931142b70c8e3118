"""Machine: the devices and processes that a job runs on. Never part of its identity."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from workbench.core.errors import Refused
from workbench.core.processes import usable_cores
from workbench.core.provenance import has_bf16
from workbench.core.torchrun import launched

RESIDENT = 0.5  # of a GPU's free memory: the other half holds a step


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a job runs. Never part of its identity.

    Fields:
        workers: loader processes; ranks: processes that share the job, one per GPU.
        resident: share of the device's free memory that the training images may stay in; 0 loads them for each batch.
        parts: into which each batch is cut, one after the other, where it does not fit into memory at once.
        compiler: a backend of `torch.compile` for the dense part of the network where sizes are fixed; "" for none.
    """

    device: str = "cpu"
    bf16: bool = False
    workers: int = 0
    ranks: int = 1
    resident: float = 0.0
    compiler: str = ""
    parts: int = 1

    @property
    def precision(self) -> str:
        return "bf16" if self.bf16 else "float32"

    def shared(self, jobs: int) -> Machine:
        """What each of so many jobs at a time has of the machine: cores for its loader processes, memory for images."""
        workers = min(self.workers, max(usable_cores() // (jobs * self.ranks) - 1, 0))
        return replace(self, workers=workers, resident=self.resident / jobs)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(torch.device(self.device).type, torch.bfloat16) if self.bf16 else nullcontext()


CPU = Machine()


def this_machine() -> Machine:
    """All CUDA devices where there are any, with loader processes. Under torchrun, as many ranks as it has started.

    bf16 where the device has matrix units for it, and where a CPU multiplies it at all (`reports/LOG.md` has why).
    """
    if not torch.cuda.is_available():
        return _cpu()
    place, gpus = launched(), torch.cuda.device_count()
    here = gpus if place is None else place.local_world
    if here > gpus:
        raise Refused(f"torchrun has started {here} processes for {gpus} GPU(s): --nproc-per-node {gpus}")
    workers = max(min(usable_cores() // here - 1, 12), 0)
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Machine("cuda", bf16, workers, here if place is None else place.world)


def _cpu() -> Machine:
    place = launched()
    return Machine("cpu", has_bf16(), ranks=1 if place is None else place.world)


def machine_on(device: str = "") -> Machine:
    """This machine with one kind of its devices, "cpu" or "cuda"; "" as `this_machine`.

    Raises:
        Refused: it has no such device, or torchrun has started more processes than it has GPUs.
    """
    if device == "cpu":
        return _cpu()
    found = this_machine()
    if device not in ("", found.device):
        raise Refused(f"device {device!r}: torch sees none here, only {found.device}; see workbench doctor")
    return found
