"""A PostgreSQL server of one's own, for tests and measurements: in a folder that is deleted, on a free port.

It is found where Debian's package `postgresql` puts it, or on the path. It does not run as root: there it runs as the
user `postgres`, or else as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused

USER, PASSWORD = "workbench", "s3cret-w0rd"
# Nothing of it is to last, so nothing has to reach the disk.
SETTINGS = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "16MB", "max_connections": "100"}
PATIENCE = 120  # seconds in which a busy machine starts it


def programs() -> Path | None:
    """The folder of the newest server's programs; None: there is none here."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    beside = shutil.which("initdb")
    return found[-1].parent if found else Path(beside).parent if beside else None


@dataclass
class Server:
    """A server in a folder."""

    bin: Path
    folder: Path
    port: int
    _process: subprocess.Popen[Any] | None = field(default=None, repr=False)

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """The address of a new, empty database."""
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            connection.execute(f'create database "{name}"')  # pyright: ignore[reportArgumentType,reportCallIssue]
        return self.address(name)

    def create(self) -> None:
        """Makes its files."""
        (self.folder / "password").write_text(PASSWORD)
        words = ["-D", "data", "-U", USER, "-A", "scram-sha-256", "--pwfile", "password", "--no-sync", "--locale=C"]
        done = subprocess.run([self.bin / "initdb", *words], capture_output=True, text=True, **self._as_nobody())
        if done.returncode:
            raise Refused(f"initdb: {done.stderr.strip()}")

    def start(self) -> None:
        settings = {**SETTINGS, "port": str(self.port), "unix_socket_directories": str(self.folder)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            command = [self.bin / "postgres", "-D", "data", *words]
            self._process = process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_nobody())
        end = time.monotonic() + PATIENCE
        ready = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode:
            if process.poll() is not None or time.monotonic() > end:
                raise Refused(f"postgres did not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """At once: who is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def _as_nobody(self) -> dict[str, Any]:
        owner = self.folder.stat()
        alone = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return {"cwd": self.folder, **alone}


@contextmanager
def private_server() -> Iterator[Server]:
    """A server that runs until the end of the block.

    Raises:
        Refused: none is installed, or it does not start.
    """
    if (bin := programs()) is None:
        raise Refused("PostgreSQL is not installed here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if os.geteuid() == 0:
        names = {user.pw_name: user for user in pwd.getpwall()}
        user = names.get("postgres") or names["nobody"]
        os.chown(folder, user.pw_uid, user.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(bin, folder, port)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
