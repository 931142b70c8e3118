"""A PostgreSQL database for tests of what machines share.

Needs Debian's package `postgresql` (or its programs on the path) and the driver, which is the extra `cluster`. Without
them the tests are skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from benchmarks._postgres import Server, private_server, programs
from workbench.experiments.stores import STORE_VARIABLE

_NUMBERS = count()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """One server for the tests of a file: it takes seconds to start."""
    pytest.importorskip("psycopg", reason="no psycopg: it is the extra `cluster`")
    if programs() is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with private_server() as server:
        yield server


@pytest.fixture
def database(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty database, which is the store that was given."""
    address = postgres.database(f"test{next(_NUMBERS)}")
    monkeypatch.setenv(STORE_VARIABLE, address)
    return address


def cutting(address: str, at_work: Callable[[], bool], seconds: float) -> int:
    """Cuts every connection of the workbench to a database, each so many seconds, while it is at work. How many."""
    import psycopg

    cut = 0
    with psycopg.connect(address, autocommit=True) as connection:
        while at_work():
            found = connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'workbench'"
            )
            cut += len(found.fetchall())
            time.sleep(seconds)
    return cut
