"""Several processes that train one job together, one per GPU: starting them, their numbers, means over all of them.

They are started here, or by torchrun. Under torchrun the first one is the command, and the others do what it tells them
(`follow`), so that only one of them reads options, refuses, prints and writes.
"""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, multiprocessing, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from workbench.core.torchrun import QUIET_TORCH, launched

RANK_START = "spawn"  # a process that has used CUDA must not be forked
PATIENCE = timedelta(hours=6)  # the others wait while the first one looks at the data, or evaluates
_HOST = torch.device("cpu")
_P = ParamSpec("_P")
_R = TypeVar("_R")


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
    """Waits until all processes have called this. On the host: a GPU that waits for hours would be kept busy by it."""
    mean(torch.zeros(1, device=_HOST))


def from_first(make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """What `make` gives in the first process, sent to all: tensors, which others have on the CPU, and plain data."""
    if not together():
        return make()
    made = make() if rank() == 0 else {}
    file = io.BytesIO()
    torch.save(made, file)
    sent = _sent(file.getvalue())
    return made if rank() == 0 else torch.load(io.BytesIO(sent), map_location="cpu", weights_only=True)


def in_parallel(model: nn.Module, call: Callable[_P, _R]) -> Callable[_P, _R]:
    """A call that uses the parameters of `model`, so that a backward pass through what it gives leaves in each process
    the mean over all processes of their gradients. A process that did not use a parameter takes part with zeros; one
    that none used keeps no gradient. A process that is alone has the call as it is."""
    if not together():
        return call
    return DistributedDataParallel(_Called(model, call), find_unused_parameters=True)


def averaged(call: Callable[..., object], now: bool) -> AbstractContextManager[Any]:
    """The gradients of an `in_parallel` call are averaged `now`; otherwise they are kept for a later pass that is."""
    return call.no_sync() if isinstance(call, DistributedDataParallel) and not now else nullcontext()


class _Called(nn.Module):
    def __init__(self, model: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self._call = model, call

    def forward(self, *args: Any, **named: Any) -> Any:
        return self._call(*args, **named)


def start(count: int, work: Callable[..., None], *args: Any, first: Mapping[str, Any] | None = None) -> None:
    """Calls `work(*args)` in `count` processes that know of each other, and waits for them. They are new ones, or those
    that torchrun has started, of which this is the first.

    Args:
        first: what the first process alone is given beside, by name.

    Raises:
        ProcessRaisedException: a new one failed; the others are ended.
    """
    if launched() is not None:
        _join_launched()
        _sent((torch.get_num_threads(), work, args))
        return work(*args, **(first or {}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    os.environ.update(QUIET_TORCH | os.environ)
    given = (count, address, work, args, first or {})
    multiprocessing.start_processes(_work, given, nprocs=count, start_method=RANK_START)  # pyright: ignore[reportPrivateImportUsage]


def follow() -> None:
    """Does what the first of the processes of torchrun starts, until it dismisses this one."""
    _join_launched()
    while (told := _sent(None)) is not None:
        threads, work, args = told
        torch.set_num_threads(threads)
        work(*args)
    dist.destroy_process_group()


def dismiss() -> None:
    """Ends the processes of torchrun that `follow`, whether or not they have had anything to do."""
    _join_launched()
    _sent(None)
    dist.destroy_process_group()


def _sent(value: Any) -> Any:
    """The value of the first process, in all."""
    box = [value]
    dist.broadcast_object_list(box, device=_HOST)
    return box[0]


def _join_launched() -> None:
    place = launched()
    if place is None or together():
        return
    store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
    if place.local_world == world:  # then all count the same; over several machines c10d makes a store for each restart
        name = f"restart {place.restarts}"  # else they find the addresses of processes that are gone
        store = dist.PrefixStore(name, store)  # pyright: ignore[reportPrivateImportUsage]
    _join(place.local_rank, store=store, rank=rank, world_size=world)


def _join(gpu: int, **which: Any) -> None:
    """With ways between GPUs and, whatever they do, between hosts."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(gpu)
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE, **which)


def _work(
    number: int, count: int, address: str, work: Callable[..., None], args: tuple[Any, ...], first: Mapping[str, Any]
) -> None:
    torch.set_num_threads(1)
    _join(number, init_method=address, world_size=count, rank=number)
    try:
        work(*args, **(first if number == 0 else {}))
    finally:
        dist.destroy_process_group()
