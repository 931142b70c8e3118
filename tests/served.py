"""A server of files on this machine: what tests download from."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Server:
    """Serves `files` by name. Of `short` ones the last bytes never arrive. `asked` lists what was asked for."""

    files: Mapping[str, bytes]
    short: frozenset[str] = frozenset()
    address: str = ""
    asked: list[str] = field(default_factory=list)


class _Answer(BaseHTTPRequestHandler):
    def __init__(self, served: Server, *connection: object) -> None:
        self.served = served
        super().__init__(*connection)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        self.served.asked.append(name)
        if name not in self.served.files:
            self.send_error(404)
            return
        content = self.served.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + 9 * (name in self.served.short)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(files: Mapping[str, bytes], short: frozenset[str] = frozenset()) -> Iterator[Server]:
    server = Server(files, short)
    with (
        pytest.MonkeyPatch.context() as patch,
        ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, server)) as running,
    ):
        patch.setenv("no_proxy", ",".join(filter(None, ("127.0.0.1", os.environ.get("no_proxy")))))
        server.address = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()
