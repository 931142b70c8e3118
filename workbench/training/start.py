"""What training of a job begins with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from workbench.core.errors import Refused
from workbench.models.initial import begin_with_file
from workbench.models.job import Job
from workbench.training.loop import TrainingState
from workbench.training.machine import Machine
from workbench.training.record import job_folder
from workbench.training.rung import STATE
from workbench.training.source import Source


def initial_state(job: Job, machine: Machine, source: Source, home: Path) -> TrainingState:
    """The state before the first step: initial weights of the job's seed, on its frozen trunk where it has one; or what
    the file or the complete job has that it begins with.

    Args:
        source: of the job; its network becomes the state's own.
        home: holds the folder of the job, or the copy of the file, that this one begins with.

    Raises:
        FileNotFoundError: that job is not complete.
        Refused: it ended after another epoch than this one goes on from.
    """
    state = TrainingState(job, machine, source.network)
    if job.start.weights:
        state.begin_with(begin_with_file(state.model, home, job.start.weights))
    if job.start.key:
        _begin(state, job, home)
    return state


def _begin(state: TrainingState, job: Job, home: Path) -> None:
    """Takes over from the complete job that `job` begins with: its average alone, or its whole state."""
    folder, start = job_folder(home, job.start.key), job.start
    if not start.epoch:
        state.begin_with(_renamed(load_file(folder / "weights.safetensors"), start.coords))
        return
    data = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    if data["epoch"] != start.epoch:
        raise Refused(f"job {folder.name} ended after epoch {data['epoch']}, this one goes on after {start.epoch}")
    random = torch.get_rng_state()  # of this job: rows of one start differ in nothing else
    state.load(data | {part: _renamed(data[part], start.coords) for part in ("model", "ema", "optim")})
    torch.set_rng_state(random)


def _renamed(named: Mapping[str, Any], coords: str) -> dict[str, Any]:
    """What is known of a network by parameter, with the stage at `coords` in place of all its stages."""
    kept = {name: value for name, value in named.items() if not name.startswith("coords.")}
    stage = {name: value for name, value in named.items() if coords and name.startswith(f"{coords}.")}
    return kept | {f"coords.{name.removeprefix(f'{coords}.')}": value for name, value in stage.items()}
