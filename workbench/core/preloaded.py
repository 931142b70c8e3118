"""What the server of the workers imports once for all of them, see `processes`: it is imported by being named there.

A search for garbage would go through all that is imported again and again, and take a quarter of the time; in a worker
each would copy the pages that it shares with the others. So there is none meanwhile, and none looks there afterwards.
"""

import atexit
import gc
import importlib
from contextlib import suppress

IMPORTED_FIRST = [
    "workbench.experiments.runner",
    "torch._dynamo",  # an optimiser imports it when it is made,
    "torchvision.ops",  # and an evaluation this one, in every worker anew
    # What opens a store when a worker begins. A package that is not installed is passed over.
    "alembic.command",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql.psycopg",
    "psycopg",
]


def load() -> None:
    """Imports them all and keeps them out of searches for garbage."""
    gc.disable()
    try:
        for name in IMPORTED_FIRST:
            with suppress(ImportError):
                importlib.import_module(name)
        gc.freeze()
        atexit.register(gc.unfreeze)  # else triton finds its own objects left over in the end, and says so
    finally:
        gc.enable()


load()
