"""Ray clusters: whether one can be reached, and of which nodes it is made."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import socket
from typing import Any

from workbench.core.errors import Refused, one_line
from workbench.core.processes import ONE_THREAD

AUTO = "auto"  # the address of the cluster that this machine is a node of
PROBE = 10.0  # seconds in which its head has to answer
# Read when ray is imported: one attempt to connect, or it tries for many minutes. And no word of what is to come.
_QUIET = {
    "RAY_gcs_server_port_wait_time_s": "1",
    "RAY_py_gcs_connect_timeout_s": "5",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def check_cluster(address: str) -> None:
    """Refuses what needs no look at the cluster.

    Raises:
        Refused: ray is not installed, or that is no address of a cluster.
    """
    if importlib.util.find_spec("ray") is None:
        raise Refused("--engine ray: ray is missing; it is the extra `cluster`: pip install 'rtmo-workbench[cluster]'")
    if address != AUTO and not re.fullmatch(r"(\[[\da-fA-F:.]+\]|[\w.-]+):\d{1,5}", address):
        raise Refused(
            f"--address {address}: expected HOST:PORT of a Ray cluster that this machine is a node of, or auto"
        )


def connect(address: str) -> None:
    """Makes this process a driver of a cluster; does nothing where it is one.

    Raises:
        Refused: no cluster answers there.
    """
    if address != AUTO:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PROBE).close()
        except (OSError, OverflowError) as error:
            raise _no_cluster(address, error) from None
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.update(ONE_THREAD)  # as in every command that trains: its nodes are kept busy by others
    import ray

    if ray.is_initialized():
        return
    try:
        ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds, RuntimeError and ConnectionError among them
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> Refused:
    return Refused(
        f"--engine ray, --address {address}: no Ray cluster that this machine is a node of ({one_line(error)}); start "
        "one with: ray start --head, and on other machines: ray start --address=HOST:PORT"
    )


def nodes_of() -> list[dict[str, Any]]:
    """What the cluster says of each of its nodes that live, by Ray's names."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]
