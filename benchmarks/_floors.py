"""What a training step can not be faster than: its multiply-adds as plain matrix products, and its data alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from workbench.inference import cost
from workbench.inference.timing import Call
from workbench.models.job import Job
from workbench.training.machine import Machine

SIDE, CUDA_SIDE = 512, 4096  # of the square matrices: three fit into a core's cache; enough work for a whole GPU


def multiply_adds(job: Job, positives: int) -> int:
    """Of one step: forward in the form that is trained, then as much again for each of the two gradients.

    The coordinate stage runs for `positives` cells of the whole batch.
    """
    one = cost.flops(job.variant, job.protocol.size, persons=1, form="published", counter="torch")
    return 3 * ((one.total - one.coords) * job.protocol.batch + one.coords * positives)


def products(amount: int, machine: Machine) -> Call:
    """About `amount` multiply-adds as products of square matrices, in the precision that the step uses."""
    number = torch.bfloat16 if machine.bf16 else torch.float32
    side = CUDA_SIDE if torch.device(machine.device).type == "cuda" else SIDE
    a, b = torch.rand(2, side, side, device=machine.device, dtype=number)
    out = torch.empty_like(a)
    count = max(round(amount / side**3), 1)

    def call() -> None:
        for _ in range(count):
            torch.mm(a, b, out=out)

    return call


def per_second(batches: Callable[[int], Iterable[Any]], size: int) -> float:
    """Images per second of a loader with nobody to wait for, after one epoch to start its workers."""
    for _ in batches(0):
        pass
    count, began = 0, time.perf_counter()
    for _ in batches(1):
        count += size
    return count / (time.perf_counter() - began)
