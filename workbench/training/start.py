"""What training of a job begins with."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from workbench.models.job import Job
from workbench.training.loop import TrainingState
from workbench.training.machine import Machine
from workbench.training.record import job_folder
from workbench.training.source import Source


def initial_state(job: Job, machine: Machine, source: Source, home: Path) -> TrainingState:
    """The state before the first step: initial weights of its seed, on its frozen trunk where it has one, or the
    weights of the complete job that it begins with.

    Args:
        source: of the job; its network is the state's own from here on.
        home: holds the folder of the job that this one begins with.

    Raises:
        FileNotFoundError: that job is not complete.
    """
    state = TrainingState(job, machine, source.network)
    if job.start.key:
        state.begin_with(load_file(job_folder(home, job.start.key) / "weights.safetensors"))
    return state
