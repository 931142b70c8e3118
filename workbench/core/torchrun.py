"""What torchrun tells each of the processes that it starts: which of them it is. It needs no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_SET = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

# In every process torch says that it need not look for parameters without use where it finds none. It reads this when
# it is imported.
QUIET_TORCH = {"TORCH_CPP_LOG_LEVEL": "ERROR"}


@dataclass(frozen=True, slots=True)
class Launched:
    """One of several processes that share a job.

    Fields:
        rank: its number among all, from 0; world: how many there are.
        local_rank: its number among those of its machine, which is that of its GPU; local_world: how many these are.
        restarts: how often torchrun has started all of them anew, because one had failed.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    restarts: int = 0


def launched(env: Mapping[str, str] | None = None) -> Launched | None:
    """What the environment says; None where torchrun has not started this process, or has started it alone."""
    env = os.environ if env is None else env
    if not all(name in env for name in _SET) or env["WORLD_SIZE"] == "1":
        return None
    rank, world, local_rank, local_world = (int(env[name]) for name in _SET[:4])
    return Launched(rank, world, local_rank, local_world, int(env.get("TORCHELASTIC_RESTART_COUNT", 0)))
