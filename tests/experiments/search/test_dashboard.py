"""Which page of optuna-dashboard is shown, and what is refused. The pages themselves: tests/cli/test_dashboard.py."""

import socket
import sys
from pathlib import Path

import pytest

from tests.experiments.search.searched import searching
from workbench.core.errors import Refused
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.search import dashboard
from workbench.experiments.search.dashboard import dashboard_address, serve_dashboard
from workbench.experiments.search.log import Log
from workbench.experiments.search.optuna_study import SearchStudy, studies_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    JobQueue(tmp_path, "some study")
    SearchStudy(searching(tmp_path), Log(), {})
    return tmp_path


def test_it_is_that_of_the_last_search(home: Path) -> None:
    (one,) = studies_of(home)
    assert one.name == "search planted/small", "plans of jobs are no searches"
    assert dashboard_address(home, 8081) == f"http://127.0.0.1:8081/dashboard/studies/{one.id}"


def test_without_a_search_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no search was begun in .*; run one first, as in: nox -s study -- search_rtmo"):
        serve_dashboard(tmp_path, 8080)
    assert not (tmp_path / "optuna.db").exists()


def test_without_the_package_its_extra_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(Refused, match="it is the extra `dashboard`: nox -s dashboard"):
        serve_dashboard(home, 8080)


def test_a_port_that_is_taken_is_refused(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"--port {port}: .*; give another"):
            serve_dashboard(home, port)


def test_only_this_machine_can_see_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def make_server(host: str, *_: object) -> None:
        asked.append(host)
        raise OSError(98, "over")

    monkeypatch.setattr(dashboard, "make_server", make_server)
    with pytest.raises(Refused, match="over"):
        serve_dashboard(home, 8080)
    assert asked == ["127.0.0.1"]
