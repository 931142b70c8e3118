"""Optuna's own pages of searches, in a browser on this machine.

The server answers several requests at once: a browser keeps connections open on which it asks nothing.
"""

from __future__ import annotations

from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from workbench.core.errors import Refused
from workbench.core.processes import interruptible
from workbench.core.servers import HOST
from workbench.experiments.search.optuna_study import studies_of
from workbench.experiments.stores import store_of


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of each request."""


def dashboard_address(home: Path, port: int) -> str:
    """Of the search that was begun last.

    Raises:
        Refused: there is none.
    """
    found = studies_of(home)
    if not found:
        raise Refused(
            f"no search was begun in {store_of(home).shown}; run one first, as in: nox -s study -- search_rtmo"
        )
    return f"http://{HOST}:{port}/dashboard/studies/{found[-1].id}"


def serve_dashboard(home: Path, port: int) -> int:
    """Shows all searches until interrupted.

    Raises:
        Refused: there is none, the package is not installed, or the port is taken.
    """
    page = dashboard_address(home, port)
    try:
        import optuna_dashboard
    except ModuleNotFoundError:
        raise Refused("optuna-dashboard is not installed; it is the extra `dashboard`: nox -s dashboard") from None
    pages = optuna_dashboard.wsgi(store_of(home).open(heartbeat=False))
    try:
        server = make_server(HOST, port, pages, _Server, _Quiet)
    except OSError as error:
        raise Refused(f"--port {port}: {error.strerror}; give another") from None
    print(f"{page} shows the search that was begun last; Ctrl+C ends it", flush=True)
    with server, interruptible():  # SIGTERM, too: what is open is closed
        server.serve_forever()
    return 0
