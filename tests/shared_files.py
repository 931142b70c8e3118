"""An object store for tests of what machines share: an S3 server in this process, and a folder.

Needs moto with its server, and the driver, which is in the extra `cluster`. Without them the tests are skipped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from workbench.experiments.object_store import FILES_VARIABLE

SECRET = "s3cret-k3y"
_NUMBERS = count()


class S3Server:
    """It can be away for a while: what it holds stays."""

    def __init__(self) -> None:
        self.port = 0
        self._server: Any = None

    def start(self) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self._server.start()
        self.port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        """Amazon's own."""
        import boto3

        return boto3.client("s3")


def forget() -> None:
    """As in a process that has asked nobody yet: the driver keeps who it is."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    pytest.importorskip("moto", reason="no moto: it is in the extra `dev`")
    pytest.importorskip("s3fs", reason="no s3fs: it is in the extra `cluster`")
    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, and who may use it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget()
    return s3_server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """The address of a place in an empty bucket."""
    name = f"bucket-{next(_NUMBERS)}"
    s3.client().create_bucket(Bucket=name)
    return f"s3://{name}/runs"


@pytest.fixture(params=["s3", "file"])
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty object store, of each kind that can be tried here; it is the one that was given."""
    if request.param == "s3":
        found = request.getfixturevalue("bucket")
    else:
        (tmp_path / "common").mkdir()
        found = f"file://{tmp_path}/common"
    monkeypatch.setenv(FILES_VARIABLE, found)
    return found
