"""A Ray cluster for tests: nodes on this machine, with folders of their own, started here and ended by their numbers.

Needs the package ray, which is in the extra `cluster`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PATIENCE = 180.0  # seconds in which a busy machine starts a node; an idle one needs ten
SLOWLY = {"RAY_agent_register_timeout_ms": "170000"}  # a node gives up when its agent needs longer


@dataclass
class Node:
    """A node: the process that started it, under which all others of it are."""

    process: subprocess.Popen[Any]
    log: Path

    def wait(self) -> None:
        """Until it is up."""
        end = time.monotonic() + PATIENCE
        while "Ray runtime started" not in self.log.read_text("utf-8"):
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text("utf-8")
            time.sleep(0.2)

    def kill(self) -> None:
        """All of it at once, as when its power fails."""
        if not psutil.pid_exists(self.process.pid):
            return
        top = psutil.Process(self.process.pid)
        every = [top, *top.children(recursive=True)]
        for one in every:
            one.suspend()  # or those that notice would end in an orderly way
        for one in every:
            one.kill()
        psutil.wait_procs(every, 10)
        self.process.wait()

    def processes(self) -> set[int]:
        """The numbers of all that belong to it, those that run tasks among them."""
        return {one.pid for one in psutil.Process(self.process.pid).children(recursive=True)}


@dataclass
class Cluster:
    """Nodes of one core each; the first one is the head."""

    folder: Path
    environment: Mapping[str, str]
    port: int
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add(self, *words: str) -> Node:
        """One more node, which is up."""
        place = self.folder / str(len(self.nodes))  # a short path: sockets are in there
        place.mkdir()
        head = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        where = head if not self.nodes else [f"--address={self.address}"]
        mine = [f"--temp-dir={place}", "--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats", *words]
        little = [f"--object-store-memory={100 << 20}", "--include-log-monitor=false"]
        log = place / "log"
        with log.open("wb") as out:
            command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *where, *mine, *little]
            process = subprocess.Popen(
                command, stdout=out, stderr=out, cwd=place, env={**self.environment, **SLOWLY}, start_new_session=True
            )
        self.nodes.append(Node(process, log))
        self.nodes[-1].wait()
        return self.nodes[-1]


@contextmanager
def cluster(nodes: int, environment: Mapping[str, str] = os.environ) -> Iterator[Cluster]:
    """A cluster of so many nodes, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Cluster(folder, environment, port)
    try:
        for _ in range(nodes):
            made.add()
        yield made
    finally:
        for node in reversed(made.nodes):
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)
