"""The heartbeat of a trial: its process says that it lives, for those on other machines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage


@contextmanager
def beating(storage: RDBStorage, trial_id: int) -> Iterator[None]:
    """Says until the end of the block that a trial's process lives, in a thread.

    Optuna does so in `optimize` alone, which reads the whole queue for each trial.
    """
    interval, over = storage.get_heartbeat_interval(), threading.Event()

    def beat() -> None:
        while not over.wait(interval):
            storage.record_heartbeat(trial_id)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
