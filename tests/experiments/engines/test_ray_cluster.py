"""Ray clusters: what is refused before one is used."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import time

import pytest

from workbench.core.errors import Refused
from workbench.experiments.engines import ray_cluster
from workbench.experiments.engines.ray_cluster import check_cluster, connect


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"^--engine ray: ray is missing; .* pip install 'rtmo-workbench\[cluster\]'$"):
        check_cluster("auto")


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "ray://head:10001", "head:6379/x", "", "local"])
def test_an_address_is_that_of_a_head(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(Refused, match=r"^--address .*: expected HOST:PORT"):
        check_cluster(address)
    for good in ("auto", "head:6379", "10.0.0.1:6379", "[::1]:6379"):
        check_cluster(good)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "no-such-host.invalid"])
def test_where_nothing_answers_is_refused_at_once(host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(Refused, match=rf"^--engine ray, --address .*:{port}: no Ray cluster .*; start one with: ray"):
        connect(f"{host}:{port}")
    assert time.monotonic() - began < ray_cluster.PROBE + 5


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_what_is_no_head_of_a_cluster_is_refused_soon() -> None:
    """Ray itself would try for many minutes."""
    pytest.importorskip("ray", reason="no ray: it is the extra `cluster`")
    with socket.create_server(("0.0.0.0", 0)) as dumb:
        address = f"127.0.0.1:{dumb.getsockname()[1]}"
        began = time.monotonic()
        code = f"from workbench.experiments.engines.ray_cluster import connect; connect({address!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"Refused: --engine ray, --address {address}: no Ray cluster" in done.stderr
        assert time.monotonic() - began < 90
