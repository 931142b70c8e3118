"""How fast is another implementation of RTMO beside ours, in one run, with the same weights and the same picture?

Run:   workbench bench beside_peers PYTHON PEER.py WEIGHTS [--size 640] [--threads 1] [--rounds 20] [--cpu]

PYTHON is the interpreter of an environment in which the peer is installed. PEER.py is a file for it that defines
`find(picture)`: from the path of a picture to a list of its persons' key points, each a list of [x, y];
docs/deployment.md has one. Nothing of a peer is imported here: it runs in a process of its own, which works when it is
asked. Appends to reports/data/bench_beside_peers.csv: the peer and `infer`, round by round.
`--cpu` counts CPU seconds: on a busy machine the clock says what others do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks._record import append, conditions
from workbench.core.errors import Refused
from workbench.core.provenance import machine_name
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.inference.timing import Comparison, CoreWatch, allowed_cores
from workbench.models.named import open_network
from workbench.rtmo import RTMO

SCORE = 0.1  # persons above it are compared
PEER = "peer"
_ANSWERS = """
import json, sys, time
file, cpu = sys.argv[1:]
clock = time.process_time if cpu == "1" else time.perf_counter
answers, sys.stdout = sys.stdout, sys.stderr  # what the peer prints is no answer
space = {"__name__": "peer", "__file__": file}
exec(compile(open(file).read(), file, "exec"), space)
print("ready", file=answers, flush=True)
for line in sys.stdin:
    began = clock()
    found = space["find"](line.strip())
    took = clock() - began
    print(json.dumps([took, found]), file=answers, flush=True)
"""
Points = list[list[list[float]]]  # persons, key points, x and y
Timed = Callable[[Path], tuple[float, Points]]  # seconds, and what was found in a file


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records; returns 1 where the peer finds other persons."""
    parser = argparse.ArgumentParser(prog="workbench bench beside_peers")
    parser.add_argument("python", help="the interpreter of the peer's environment")
    parser.add_argument("peer", type=Path, help="a file that defines find(picture)")
    parser.add_argument("weights", help="the weights that the peer has, as in: workbench latency NAME")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20, help="below 6 there is no interval")
    parser.add_argument("--picture", type=Path, help="a file; without, a made-up scene")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds in place of the clock's")
    args = parser.parse_args(options)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder, answering(args.python, args.peer, args.threads, args.cpu) as peer:
        picture = args.picture or _scene(Path(folder), args.size)
        ways = {PEER: peer, "infer": ours(args.weights, args.size, args.cpu)}
        persons = {name: way(picture)[1] for name, way in ways.items()}  # and warm
        found = compare(ways, picture, args.rounds, args.threads)
    apart = distance(persons["infer"], persons[PEER])
    print(f"key points differ by {apart:.3f} px (median), of {len(persons[PEER])} and {len(persons['infer'])} persons")
    lines = []
    for name in ways:
        ratio, ms = found.ratio(name), found.milliseconds(name)
        print(f"{name:6} {ms.value:.1f} ms, {ratio.shown(3)} x peer")
        line = {"peer": args.peer.stem, "what": name, "size": args.size, "clock": "cpu" if args.cpu else "wall"}
        line |= {"persons": len(persons[name]), "apart_px": f"{apart:.4f}", "p50_ms": f"{ms.value:.2f}"}
        line |= {"ratio": f"{ratio.value:.4f}", "low": f"{ratio.low:.4f}", "high": f"{ratio.high:.4f}"}
        lines.append(line | conditions(found))
    print(append("beside_peers", lines))
    return int(not apart < 1)


@contextmanager
def answering(python: str, peer: Path, threads: int, cpu: bool) -> Iterator[Timed]:
    """A process that has the peer ready.

    Raises:
        Refused: no such interpreter or file, or the peer can not be had there; it says why.
    """
    if not peer.is_file():
        raise Refused(f"{peer}: no such file; expected one that defines find(picture), see docs/deployment.md")
    words = [python, "-c", _ANSWERS, str(peer), str(int(cpu))]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    own |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    with tempfile.TemporaryFile("w+") as said:
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=own
            )
        except OSError as error:
            raise Refused(
                f"{python}: no interpreter ({error.strerror}); give that of the peer's environment"
            ) from error
        assert process.stdin is not None and process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def answer() -> str:
            line = answers.readline()
            if not line:
                process.wait()
                said.seek(0)
                why = (said.read().strip().splitlines() or ["no word"])[-1]
                raise Refused(
                    f"{python} {peer}: the peer ended with {why!r}; docs/deployment.md says how to install it"
                )
            return line

        def ask(picture: Path) -> tuple[float, Points]:
            asked.write(f"{picture}\n")
            asked.flush()
            seconds, points = json.loads(answer())
            return seconds, points

        try:
            answer()
            yield ask
        finally:
            process.kill()
            process.communicate()


def ours(weights: str, size: int, cpu: bool) -> Timed:
    """`infer` of a network with these weights."""
    network, _ = open_network(weights, None)
    model, clock = RTMO(None, (size, size), network).eval(), time.process_time if cpu else time.perf_counter

    def timed(picture: Path) -> tuple[float, Points]:
        began = clock()
        found = model.infer(str(picture), SCORE)
        took = clock() - began
        return took, [[point[:2] for point in person.keypoints] for person in found.detections]

    return timed


def compare(ways: Mapping[str, Timed], picture: Path, rounds: int, threads: int) -> Comparison:
    """Seconds of each, one after the other, round by round, as busy as the machine is."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    watch = CoreWatch(allowed_cores())
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way(picture)[0])
    mine, others = sum(map(sum, seconds.values())) * threads, watch.others()
    others = max(others - mine / watch.seconds, 0.0)  # the peer is no other
    every = {name: np.array(values) for name, values in seconds.items()}
    return Comparison(every, PEER, machine_name(), threads, (), others, warmup=1, steady=True)


def distance(found: Points, reference: Points) -> float:
    """The median distance in pixels from each key point to that of the nearest person of the reference."""
    if len(found) != len(reference):
        return float("inf")
    if not found:
        return 0.0
    a, b = np.asarray(found), np.asarray(reference)
    apart = np.hypot(*np.moveaxis(a[:, None] - b[None], -1, 0))  # (P, P, K)
    nearest = apart.mean(-1).argmin(1)
    return float(np.median(apart[np.arange(len(a)), nearest]))


def _scene(folder: Path, size: int) -> Path:
    picture = folder / "scene.png"
    cv2.imwrite(str(picture), next(iter(SyntheticScenes("easy", size, count=1))).image)
    return picture
