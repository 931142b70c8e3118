"""A command under torchrun: the first of its processes is the command, the others follow it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from workbench.cli.app import run_command_line
from workbench.cli.printed import remark
from workbench.core.errors import Refused
from workbench.core.torchrun import QUIET_TORCH, launched

_FAILED = 1


def run_as_rank(words: Sequence[str] | None) -> int:
    """Runs the command that the words ask for, as `run_command_line`; with the other processes, where torchrun has
    started several."""
    place = launched()
    if place is None:
        return run_command_line(words)
    os.environ.update(QUIET_TORCH | os.environ)
    if place.rank:
        return _follow(place.rank)
    given = list(sys.argv[1:] if words is None else words)
    done = run_command_line(given)
    if done == 0:  # else torchrun ends the others
        from workbench.core import distributed

        distributed.dismiss()
    return done


def _follow(rank: int) -> int:
    """Prints nothing: torchrun shows the failure that came first, wherever it was."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what to do of an interrupt is for the first to say
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    from workbench.core import distributed

    try:
        distributed.follow()
    except Exception as error:
        if isinstance(error, Refused):  # of its machine: the first one has found nothing to refuse
            remark(f"workbench: process {rank}: {error}")
        get_error_handler().record_exception(error)
        return _FAILED
    return 0
