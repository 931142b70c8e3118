"""A SLURM of one node for tests: in a folder that is deleted, on free ports, with GPUs and cores that it only counts.

Needs Debian's packages `slurm-wlm` and `munge`, and root, as which all parts of it run here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds in which a busy machine starts it, or a job
GPUS, CORES = 32, 256
DAEMONS = ("munged", "slurmctld", "slurmd")


def missing() -> str:
    """Why there can be none here; "" where there can."""
    if gone := [name for name in (*DAEMONS, "sbatch", "scontrol") if shutil.which(name, path=_path()) is None]:
        return f"no {gone[0]}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons of a test run as root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Slurm:
    """A cluster of one node."""

    folder: Path

    def run(self, *words: str, cwd: Path | None = None, path: Path | None = None) -> str:
        """What a command of SLURM says.

        Args:
            path: a folder where jobs find their commands first.
        """
        found = f"{path}:{_path()}" if path else _path()
        environment = {**os.environ, "PATH": found, "SLURM_CONF": str(self.folder / "slurm.conf")}
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(words, cwd=cwd or self.folder, env=environment, timeout=PATIENCE, **both)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout}"
        return done.stdout

    def start(self) -> None:
        munge = {name: str(self.folder / name) for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")}
        self.run("munged", "--force", *(f"--{name}={path}" for name, path in munge.items()))
        self.run("slurmctld", "-c")
        self.run("slurmd", "-N", "one")
        end = time.monotonic() + PATIENCE
        while (state := self.run("sinfo", "--noheader", "--format=%T").strip()) != "idle":
            assert time.monotonic() < end, f"{state}: {(self.folder / 'slurmctld.log').read_text('utf-8')[-2000:]}"
            time.sleep(0.2)

    def stop(self) -> None:
        for name in ("slurmd.pid", "slurmctld.pid", "pid-file"):
            with suppress(OSError, ValueError):
                os.kill(int((self.folder / name).read_text("utf-8")), signal.SIGKILL)


def _settings(folder: Path, ports: list[int]) -> str:
    host = socket.gethostname()
    return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 CPUs={CORES} RealMemory=100 Gres=gpu:{GPUS} State=UNKNOWN
PartitionName=main Nodes=one Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm() -> Iterator[Slurm]:
    """One that runs until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # who munges wants to see its own folder
    for name in ("state", "spool", "jobs"):
        (folder / name).mkdir()
    (folder / "key-file").write_bytes(secrets.token_bytes(1024))
    (folder / "key-file").chmod(0o600)
    for number in range(GPUS):  # what it takes for devices; nobody opens them
        os.mknod(folder / f"gpu{number}", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (folder / "gres.conf").write_text(f"NodeName=one Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    (folder / "slurm.conf").write_text(_settings(folder, ports))
    made = Slurm(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
