"""How fast are the deployed forms, and what do persons cost? One image, all forms side by side.

Run:   workbench bench deploy [--network rtmo-s] [--size 640] [--threads 2] [--quick] [--anyway]

Appends to reports/data/bench_deploy.csv:
    forms     each runtime and precision, against the network as it is trained: eager, float32, nothing fused
    persons   two of them with other numbers of persons, against themselves with one
    rest      what comes after the network proper: decoding, NMS and the coordinate stage

`extra_ms` is the median over rounds of a form's time minus its reference's in the same round.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._record import append, conditions
from workbench.inference import onnx_export, runtimes
from workbench.inference.deployed import Deployed, agreement, detections
from workbench.inference.latency import TimingTask, noise_images, with_batch_statistics, with_persons
from workbench.inference.timing import Call, Comparison, Patience, measure
from workbench.models import zoo
from workbench.models.decode import detect
from workbench.models.network import Network

PERSONS = (0, 1, 5, 10, 20, 50, 100)
EAGER = "eager float32"
Find = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]  # images to dets and keypoints


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records; returns 1 where a form finds other persons than the network."""
    parser = argparse.ArgumentParser(prog="workbench bench deploy")
    parser.add_argument("--network", default="rtmo-s", help="as in: workbench latency NAME")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=120.0, help="at most, per table")
    parser.add_argument("--quick", action="store_true", help="ten seconds per table, without int8 and compilation")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    torch.set_num_threads(args.threads)
    task = TimingTask((args.size, args.size), 10, args.threads)
    patience = Patience(seconds=10.0 if args.quick else args.seconds)

    def timed(calls: Mapping[str, Call], reference: str) -> Comparison:
        return measure(calls, reference, threads=args.threads, patience=patience, anyway=args.anyway)

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(with_batch_statistics(zoo.network_named(args.network), task), task, Path(folder), args.quick)
        agree = bench.check()
        tables = {"forms": timed(bench.forms(), EAGER)}
        for name in ("onnx float32", "torch bf16"):
            tables[f"persons, {name}"] = timed(bench.by_persons(name), f"{name} 1")
        tables["rest"] = timed(bench.rests(), "torch rest 10")
    lines = [line for table, found in tables.items() for line in _lines(table, found, args)]
    for line in lines:
        print("  ".join(str(value) for value in list(line.values())[:9]))
    print(append("deploy", lines))
    return int(not agree)


def _lines(table: str, found: Comparison, args: argparse.Namespace) -> list[dict[str, object]]:
    lines = []
    for name, seconds in found.seconds.items():
        ms, ratio = found.milliseconds(name), found.ratio(name)
        extra = float(np.median(seconds - found.seconds[found.reference])) * 1e3
        lines.append(
            {
                "table": table,
                "network": args.network,
                "size": args.size,
                "form": name,
                "p50_ms": f"{ms.value:.3f}",
                "p90_ms": f"{found.milliseconds(name, 0.9).value:.3f}",
                "faster": f"{1 / ratio.value:.3f}",  # than the reference, so many times
                "low": f"{1 / ratio.high:.3f}",
                "high": f"{1 / ratio.low:.3f}",
                "extra_ms": f"{extra:.3f}",
                "reference": found.reference,
                **conditions(found),
            }
        )
    return lines


@dataclass
class Bench:
    """The forms of one network, made when they are first asked for."""

    network: Network
    task: TimingTask
    folder: Path
    quick: bool

    def __post_init__(self) -> None:
        self.image = noise_images(self.task)
        self.dtypes = {"float32": torch.float32, "bf16": torch.bfloat16}
        self.sessions, self.openvino = self._sessions(), self._openvino()
        self.made: dict[tuple[str, int], Find] = {}

    def with_persons(self, persons: int) -> Network:
        return with_persons(copy.deepcopy(self.network), replace(self.task, persons=persons))

    def deployed(self, name: str, persons: int) -> Deployed:
        """Of "torch float32", "compiled bf16" and the like."""
        runtime, precision = name.split()
        module = Deployed(self.with_persons(persons), dtype=self.dtypes[precision])
        return module.compiled() if runtime == "compiled" else module

    def _sessions(self) -> dict[str, onnx_export.Session]:
        """Files in which up to 100 persons are found; how many, an optional input says."""
        plain, small = self.folder / "float32.onnx", self.folder / "int8.onnx"
        onnx_export.write_onnx(Deployed(self.with_persons(PERSONS[-1])), plain, {})
        self.halves = [onnx_export.Session(half, self.task.threads) for half in onnx_export.halves(plain, self.folder)]
        sessions = {"onnx float32": onnx_export.Session(plain, self.task.threads)}
        if not self.quick:
            onnx_export.quantise(plain, small, [self.image.numpy()])
            sessions["onnx int8"] = onnx_export.Session(small, self.task.threads)
        return sessions

    def _openvino(self) -> dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
        """Files in which as many persons are found as the task says: these have no such input in OpenVINO."""
        if not runtimes.runtime_installed("openvino"):
            return {}
        folder, precisions = self.folder / "openvino", ("float32",) if self.quick else ("float32", "int8")
        folder.mkdir()
        files = {one: runtimes.onnx_file(self.network, self.task, one, folder) for one in precisions}
        return {
            f"openvino {one}": runtimes.file_session("openvino", file, self.task.threads) for one, file in files.items()
        }

    def named(self, name: str, persons: int) -> Find:
        if (name, persons) not in self.made:
            self.made[name, persons] = self._made(name, persons)
        return self.made[name, persons]

    def _made(self, name: str, persons: int) -> Find:
        if name in self.sessions:
            return self._in_onnx(self.sessions[name], persons)
        if name in self.openvino:
            return lambda images: self.openvino[name](images.numpy())
        module = self.deployed(name, persons)
        return lambda images: tuple(t.numpy() for t in module(images))  # pyright: ignore[reportReturnType]

    def _in_onnx(self, session: onnx_export.Session, persons: int) -> Find:
        limit = {"max_persons": np.array([persons])}

        def find(images: Tensor) -> tuple[np.ndarray, np.ndarray]:
            found = session.run({"input": images.numpy(), **limit})
            return found["dets"], found["keypoints"]

        return find

    def names(self) -> list[str]:
        compiled = [] if self.quick else ["compiled float32", "compiled bf16"]
        return ["torch float32", "torch bf16", *compiled, *self.sessions, *self.openvino]

    def _call(self, name: str, persons: int) -> Call:
        find = self.named(name, persons)
        return lambda: find(self.image)

    def forms(self) -> dict[str, Call]:
        eager = self.with_persons(self.task.persons)
        ours = {name: self._call(name, self.task.persons) for name in self.names()}
        return {EAGER: lambda: detect(eager, self.image), **ours}

    def by_persons(self, name: str) -> dict[str, Call]:
        return {f"{name} {persons}": self._call(name, persons) for persons in PERSONS}

    def rests(self) -> dict[str, Call]:
        calls: dict[str, Call] = {}
        first, second = self.halves
        given = {"input": self.image.numpy()}
        given |= first.run(given)
        for persons in (0, 10, 100):
            module = self.deployed("torch float32", persons)
            answers = module.answers(self.image)
            calls[f"torch rest {persons}"] = lambda m=module, a=answers: m.persons(a, self.task.size)
            limit = {"max_persons": np.array([persons])}
            calls[f"onnx rest {persons}"] = lambda inputs=given | limit: second.run(inputs)
        return calls

    def check(self) -> bool:
        """Prints how well each form agrees with the network; true where none misses a person."""
        fine = True
        for name in self.names():
            # a file has its best 100, and which of them are left with a smaller limit is no matter of agreement
            persons = PERSONS[-1] if name in self.sessions else self.task.persons
            theirs = detect(self.with_persons(persons), self.image)
            seen = agreement(detections(*self.named(name, persons)(self.image)), theirs)
            print(f"{name}: {seen}", flush=True)
            fine &= seen.missing == seen.extra == 0
        return fine
