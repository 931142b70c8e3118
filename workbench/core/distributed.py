"""Several processes that train one job together, one per GPU: starting them, their numbers, means over all of them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist

RANK_START = "spawn"  # a process that has used CUDA must not be forked
PATIENCE = timedelta(hours=2)  # the others wait while the first one evaluates


def together() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized()


def world() -> int:
    """The number of processes; 1 where this one is alone."""
    return dist.get_world_size() if together() else 1


def rank() -> int:
    """The number of this process, from 0. Number 0 evaluates and writes."""
    return dist.get_rank() if together() else 0


def mean(value: Tensor) -> Tensor:
    """The mean over all processes of a tensor that each has."""
    if together():
        dist.all_reduce(value)
        return value / world()
    return value


def wait() -> None:
    """Waits until all processes have called this."""
    if together():
        dist.barrier()


def average_gradients(model: nn.Module) -> None:
    """The mean over ranks, in one message. A rank on which nothing matched takes part with zeros."""
    if not together():
        return
    ps = [p for p in model.parameters() if p.requires_grad]
    flat = mean(torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in ps]))
    for p, grad in zip(ps, flat.split([p.numel() for p in ps]), strict=True):
        p.grad = grad.view_as(p)


def start(count: int, work: Callable[..., None], *args: Any) -> None:
    """Calls `work(*args)` in `count` new processes that know of each other, and waits for them.

    Raises:
        ProcessRaisedException: one of them failed; the others are ended.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    multiprocessing.start_processes(_join, (count, address, work, args), nprocs=count, start_method=RANK_START)  # pyright: ignore[reportPrivateImportUsage]


def _join(number: int, count: int, address: str, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(number)
    torch.set_num_threads(1)
    backend = "nccl" if cuda else "gloo"
    dist.init_process_group(backend, init_method=address, world_size=count, rank=number, timeout=PATIENCE)
    try:
        work(*args)
    finally:
        dist.destroy_process_group()
