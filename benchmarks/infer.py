"""How fast is `infer`, from a picture to its persons? Folded beside unfused, a list beside one by one, by persons.

Run:   workbench bench infer [--network rtmo-s] [--size 640] [--threads 1] [--images 64] [--only TABLE] [--cpu]

Appends to reports/data/bench_infer.csv:
    forms     `infer` beside the same with the network as it is trained, one picture with 10 persons
    list      files in one call beside one after the other
    persons   1, 10, 100 and 1,000 persons, beside 100

`--cpu` counts CPU seconds: on a busy machine the clock says what others do.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks._record import append, conditions
from workbench.data.find import found_in
from workbench.inference.latency import TimingTask, with_batch_statistics, with_persons
from workbench.inference.timing import Call, Comparison, Patience, measure
from workbench.models.decode import detect
from workbench.models.named import blueprint
from workbench.models.network import Network
from workbench.rtmo import RTMO
from workbench.tensors import Detections

PERSONS = (1, 10, 100, 1000)
TABLES = {"forms": "unfused", "list": "one by one", "persons": "100 persons"}  # with what each is compared to


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench infer")
    parser.add_argument("--network", default="rtmo-s", help="as in: workbench latency NAME")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=64, help="of the list")
    parser.add_argument("--seconds", type=float, default=60.0, help="at most, per table")
    parser.add_argument("--only", choices=list(TABLES), help="one table alone")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds in place of the clock's")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    torch.set_num_threads(args.threads)
    task = TimingTask((args.size, args.size), 10, args.threads)
    network = with_batch_statistics(blueprint(args.network).variant, task)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for table in [args.only] if args.only else TABLES:
            found = measure(
                _calls(table, network, task, args.images, Path(folder)),
                TABLES[table],
                threads=args.threads,
                patience=Patience(seconds=args.seconds),
                anyway=args.anyway,
                primed=table != "list",  # 64 images fill the caches themselves
                clock=time.process_time if args.cpu else time.perf_counter,
            )
            lines += _lines(table, found, args)
    print(append("infer", lines))
    return 0


def _calls(table: str, network: Network, task: TimingTask, images: int, folder: Path) -> Mapping[str, Call]:
    picture = np.random.default_rng(0).integers(0, 256, (*task.size, 3), np.uint8)
    model = _model(network, task, task.persons)
    if table == "forms":
        return {"unfused": lambda: unfused(model, picture), "infer": lambda: model.infer(picture)}
    if table == "persons":
        models = {persons: _model(network, task, persons) for persons in PERSONS}
        return {_named(persons): lambda m=m: m.infer(picture) for persons, m in models.items()}
    files = [str(folder / f"{i}.jpg") for i in range(images)]
    for file in files:
        cv2.imwrite(file, picture)
    return {"one by one": lambda: [model.infer(file) for file in files], "list": lambda: model.infer(files)}


def _named(persons: int) -> str:
    return f"{persons} person{'s' * (persons != 1)}"


def _model(network: Network, task: TimingTask, persons: int) -> RTMO:
    planted = with_persons(copy.deepcopy(network), replace(task, persons=persons))
    return RTMO(None, task.size, planted).eval()


def unfused(model: RTMO, picture: np.ndarray) -> Detections:
    """What `infer` finds, by the network as it is trained."""

    def find(images: np.ndarray) -> list[Detections]:
        return detect(model.network, torch.from_numpy(images).permute(0, 3, 1, 2).float())

    (seen,) = found_in([lambda: picture], find, model.size)
    assert not isinstance(seen, Exception)
    return seen.found


def _lines(table: str, found: Comparison, args: argparse.Namespace) -> list[dict[str, object]]:
    lines = []
    for name in found.seconds:
        ratio, ms = found.ratio(name), found.milliseconds(name)
        print(f"{table:8} {name:12} {ms.value:8.1f} ms, {ratio.shown(3)} x {found.reference}")
        lines.append(
            {
                "table": table,
                "network": args.network,
                "size": args.size,
                "what": name,
                "clock": "cpu" if args.cpu else "wall",
                "p50_ms": f"{ms.value:.2f}",
                "ratio": f"{ratio.value:.4f}",
                "low": f"{ratio.low:.4f}",
                "high": f"{ratio.high:.4f}",
                "reference": found.reference,
                **conditions(found),
            }
        )
    print(f"         {found.conditions()}")
    return lines
