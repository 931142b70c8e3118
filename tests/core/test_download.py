"""A download has an end: in bytes, in seconds, and a slow one is told of."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.served import served
from workbench.core import download as module
from workbench.core.download import download
from workbench.core.errors import Refused


class _Endless(BaseHTTPRequestHandler):
    """Sends until the other side has enough: `/fast` at once, `/slow` a byte now and then."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        slow = self.path == "/slow"
        try:
            while True:
                self.wfile.write(b"x" if slow else bytes(1 << 20))
                time.sleep(0.05 * slow)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_never_ends_is_cut_at_the_limit_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    with (
        _endless(monkeypatch) as address,
        pytest.raises(Refused, match="more than 3 MB, the limit"),
    ):
        download(f"{address}/fast", file, largest=3_000_000)
    assert file.tell() < 3_100_000


def test_what_comes_byte_by_byte_is_told_of_and_cut_at_the_limit_of_its_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "TOLD_EVERY", 0.2)
    with _endless(monkeypatch) as address, pytest.raises(Refused, match=r"after 1 s only 0\.0 MB arrived"):
        download(f"{address}/slow", io.BytesIO(), longest=1.0)
    told = capsys.readouterr().err.splitlines()
    assert told and all(line.endswith("/slow: 0.0 MB") for line in told)


def test_an_announced_size_is_refused_before_a_byte_is_written() -> None:
    file = io.BytesIO()
    with served({"a": bytes(5000)}) as server:
        with pytest.raises(Refused, match="more than 0 MB"):
            download(f"{server.address}/a", file, largest=4000)
        assert file.tell() == 0
        download(f"{server.address}/a", file, largest=5000)
    assert file.tell() == 5000


def test_what_ends_too_early_is_an_error() -> None:
    short = served({"a": bytes(5000)}, short=frozenset({"a"}))
    with short as server, pytest.raises(OSError, match="5000 of 5009 bytes"):
        download(f"{server.address}/a", io.BytesIO())
