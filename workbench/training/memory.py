"""Out of memory: what is such an error, and a job whose batches are cut into parts.

The parts of a batch are worked on one after the other and their gradients added up, so a step is of the same batch and
in half of the memory. It is not quite the same job: batch norm sees a part at a time. So its record says so.
"""

from __future__ import annotations

import gc

import torch

from workbench.models.job import Job

_SAYS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "outofmemoryerror")


def out_of_memory(error: BaseException) -> bool:
    """Of a GPU, or of this process; also as one of several ranks tells it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError | OSError) and any(word in str(error).lower() for word in _SAYS)
    )


def can_be_cut(job: Job, parts: int, ranks: int) -> bool:
    """Whether every rank gets as many images in each part, and at least two: batch norm has no spread of one."""
    share, rest = divmod(job.protocol.batch, job.protocol.accumulate * parts * ranks)
    return not rest and share >= 2


def in_parts(job: Job, parts: int) -> Job:
    """The job as it is computed with each of its batches cut so. Its key is that of another job, and of no use."""
    return job.vary({"protocol.accumulate": job.protocol.accumulate * parts}) if parts > 1 else job


def make_room() -> None:
    """Gives back what a run has left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
