"""What is wrong with a port or with the record is said before MLflow is started; what it shows is `cli/test_ui.py`."""

import socket
from pathlib import Path

import pytest

from workbench.core import leash
from workbench.core.errors import Refused
from workbench.experiments.mlflow_server import check_port, ui


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leash, "on_leash", lambda *_: pytest.fail("it was started"))


def test_a_port_that_is_taken_is_refused_at_once(tmp_path: Path, never: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=f"--port {port}: Address already in use; end the program that has it, or"):
            ui(tmp_path, port)
    check_port(port)


@pytest.mark.slow
def test_a_record_that_can_not_be_read_is_refused(tmp_path: Path, never: None) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Refused, match=r"mlflow\.db can not be used .*: the next command records anew what is complete"):
        ui(tmp_path, port)
