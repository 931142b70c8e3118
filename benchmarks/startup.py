"""What does it cost until something happens: imports, help, refusals, the state of a study? Beside `import torch`.

Run:   workbench bench startup [--rounds 6] [--only WORD]

Appends to reports/data/bench_startup.csv: the CPU seconds of each as a process of its own with one thread, and their
ratio to `import torch` in the same round. CPU seconds, because on a busy machine the clock says what others do.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks._record import append, conditions
from workbench.core.errors import Refused
from workbench.core.processes import ONE_THREAD
from workbench.core.provenance import machine_name
from workbench.inference.timing import Comparison, CoreWatch, allowed_cores

REFERENCE = "import torch"


class Start(NamedTuple):
    """What Python is called with, and the exit code that it has to end with."""

    words: tuple[str, ...]
    code: int = 0


def _command(words: str, code: int = 0) -> Start:
    return Start(("-m", "workbench", *words.split()), code)


STARTS: Mapping[str, Start] = {
    REFERENCE: Start(("-c", "import torch")),
    "import workbench.rtmo": Start(("-c", "import workbench.rtmo")),
    "help": _command("--help"),
    "help of a command": _command("study --help"),
    "refused: study": _command("study ablate_dc", 2),
    "refused: protocol": _command("study ablate_dcc --protocol smoek", 2),
    "refused: option": _command("study ablate_dcc --sedes 3", 2),
    "refused: cost": _command("cost rtmo-x", 2),
    "refused: latency": _command("latency rtmo-s --runtime tvm", 2),
    "cost": _command("cost rtmo-s"),
    "status": _command("study status ablate_dcc --protocol smoke", 1),
}


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench startup")
    parser.add_argument(
        "--rounds", type=int, default=6, help="of all, one after the other; below 6 there is no interval"
    )
    parser.add_argument("--only", default="", metavar="WORD", help=f"those with this word alone, and {REFERENCE}")
    args = parser.parse_args(options)
    starts = {name: start for name, start in STARTS.items() if name == REFERENCE or args.only in name}
    found = compare(starts, args.rounds)
    lines = []
    for name in found.seconds:
        seconds, ratio = found.milliseconds(name).times(1e-3), found.ratio(name)
        print(f"{name:22} {seconds.value:7.2f} CPU s, {ratio.shown(3)} x {REFERENCE}")
        line = {"what": name, "cpu_s": f"{seconds.value:.3f}", "x_torch": f"{ratio.value:.4f}"}
        lines.append(line | {"low": f"{ratio.low:.4f}", "high": f"{ratio.high:.4f}"} | conditions(found))
    print(append("startup", lines))
    return 0


def compare(starts: Mapping[str, Start], rounds: int) -> Comparison:
    """CPU seconds of each start, round by round. A round before the first one fills the caches of files."""
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    with tempfile.TemporaryDirectory() as home:
        for start in starts.values():
            cpu_seconds(start, home)
        watch = CoreWatch(allowed_cores())
        for _ in range(rounds):
            for name, start in starts.items():
                seconds[name].append(cpu_seconds(start, home))
        mine, others = sum(map(sum, seconds.values())), watch.others()
        others = max(others - mine / watch.seconds, 0.0)  # the processes that are measured are no others
    every = {name: np.array(values) for name, values in seconds.items()}
    return Comparison(every, REFERENCE, machine_name(), 1, (), others, warmup=1, steady=True)


def cpu_seconds(start: Start, home: str) -> float:
    """Of one process, in user mode and in the system's.

    Raises:
        Refused: it ends with another exit code.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | ONE_THREAD | {"WORKBENCH_HOME": home}
    done = subprocess.run([sys.executable, *start.words], env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != start.code:
        said = (done.stderr.splitlines() or [""])[-1]
        raise Refused(f"{' '.join(start.words)}: exit code {done.returncode}, not {start.code}: {said}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
