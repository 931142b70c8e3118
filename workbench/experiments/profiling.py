"""Timing studies: the rows of a study counted and timed side by side. Nothing is trained.

HOME/profiles/STUDY_PROTOCOL_N.json     the N-th measurement, from 0, with every round; the last one counts
reports/data/STUDY_cost.csv             one line per row, at published size; STUDY_cost_claims.csv: what it says
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from workbench.components.blocks import fused
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.provenance import result_tags
from workbench.core.words import cells
from workbench.evaluation.intervals import Interval
from workbench.evaluation.metrics import METRICS
from workbench.evaluation.verdicts import Verdict
from workbench.experiments import console, tracking
from workbench.experiments.claims import ClaimResult
from workbench.experiments.plan import StudyRun
from workbench.inference import cost, timing
from workbench.inference.latency import TimingTask, as_call, with_batch_statistics, with_persons
from workbench.inference.timing import Comparison, Patience, paired
from workbench.models.job import Job
from workbench.models.network import Network, gather
from workbench.models.variant import Variant
from workbench.study import Cheaper, PlannedJob, Row, Study, StudyProtocol, TimedRow, TimingStudy
from workbench.tensors import Dense

ROUNDS = 20
THREADS = 1
TWIN = "the first line again"
CROP = (256, 192)  # height, width: what top-down methods cut out for a person
REPORT_DATA = Path("reports/data")


@dataclass(frozen=True)
class Reading:
    """What one line of a timing study costs: gflops are 10^9 multiply-adds of one image, ms of every round."""

    row: str
    persons: int
    way: str
    params: int
    gflops: float
    ms: tuple[float, ...]


@dataclass(frozen=True)
class Measurement:
    """The readings of a timing study, the same index of `ms` being the same round, and their conditions.

    `twin` has the times of the first line's network built and timed once more: what they differ by is the instrument's.
    """

    readings: tuple[Reading, ...]
    conditions: Mapping[str, str]
    twin: tuple[float, ...]

    @property
    def slack(self) -> float:
        """How far from 1 a ratio may be that is 1, as the twin shows it."""
        seen = paired(self.twin, self.readings[0].ms)
        return max(seen.high, 1 / seen.low if seen.low > 0 else math.inf) - 1

    def of(self, row: str) -> Reading | None:
        return next((reading for reading in self.readings if reading.row == row), None)


@dataclass(frozen=True)
class TimingRun:
    """A timing study under a protocol, and the folder that holds its measurements."""

    study: TimingStudy
    protocol: StudyProtocol
    home: Path

    def files(self) -> list[Path]:
        """The measurements so far, oldest first."""
        name = f"{self.study.name}_{self.protocol.name}"
        return sorted((self.home / "profiles").glob(f"{name}_[0-9][0-9][0-9].json"))

    def last(self) -> Measurement | None:
        """The last measurement; None if there is none.

        Raises:
            Refused: its file can not be read.
        """
        files = self.files()
        return _read(files[-1]) if files else None

    def add(self, found: Measurement) -> int:
        """Keeps a measurement, its file whole or not at all. Gives its number."""
        number = len(self.files())
        path = self.home / "profiles" / f"{self.study.name}_{self.protocol.name}_{number:03}.json"
        with write_whole(path) as part:
            part.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
        return number


def run_timing(run: TimingRun, again: bool = False) -> int:
    """Measures unless that is done, shows the table and the verdicts, and records them. `again`: measures even so.

    A measurement that can not be read is said, and made again.
    """
    found = None
    try:
        found = None if again else run.last()
    except Refused as error:
        print(f"{error}; measured again")
    if found is None:
        found = measure_costs(run.study, run.protocol)
        _record(run, found, run.add(found))
    judged = judge_costs(run.study, found)
    console.console().print(cost_table(run.study, found), ", ".join(f"{k} {v}" for k, v in found.conditions.items()))
    twice = paired(found.twin, found.readings[0].ms)
    print(f"{TWIN}: {twice.shown(3)} times; by so much may this instrument be wrong")
    console.print_verdicts(judged)
    if not run.protocol.scale:  # the published networks
        write_costs(run.study, found, judged)
    return 0


def print_measured(run: TimingRun) -> int:
    """Says whether there is a measurement: 0 if so, else 1."""
    try:
        found = run.last()
    except Refused as error:
        print(f"not measured: {error}; the next run measures again")
        return 1
    print(f"measured: {run.files()[-1]}" if found else "not measured")
    return 0 if found else 1


def _read(path: Path) -> Measurement:
    """Raises Refused for a file that is cut short, or of a version that did not time the first line twice."""
    try:
        data = json.loads(path.read_text("utf-8"))
        readings = (Reading(**{**line, "ms": tuple(line["ms"])}) for line in data["readings"])
        return Measurement(tuple(readings), data["conditions"], tuple(data["twin"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} can not be read ({type(error).__name__}: {error})") from None


# ------------------------------------------------------------------------------------------------------- measurement


def measure_costs(study: TimingStudy, protocol: StudyProtocol) -> Measurement:
    """Every line. One of more persons than its network has cells is left out, which is said."""
    size = protocol.protocol.size
    every = [(line, study.variant(line, protocol.scale)) for line in study.rows]
    lines = [(line, variant) for line, variant in every if line.persons <= _cells(variant, size)]
    if len(lines) < len(every):
        left_out = [line.label for line, variant in every if line.persons > _cells(variant, size)]
        print(f"left out, more persons than cells: {', '.join(left_out)}")
    networks = {
        variant: fused(with_batch_statistics(variant, TimingTask(size)))
        for variant in dict.fromkeys(v for _, v in lines)
    }
    calls = {line.label: timed_call(networks[variant], line, size) for line, variant in lines}
    (first, variant), *_ = lines
    found = timing.measure(
        {**calls, TWIN: timed_call(fused(with_batch_statistics(variant, TimingTask(size))), first, size)},
        first.label,
        threads=THREADS,
        patience=Patience(seconds=math.inf, rounds=ROUNDS, most=ROUNDS),
        anyway=True,  # claims are on ratios; how busy the machine was is recorded
    )
    ms = {label: tuple((1e3 * seconds).tolist()) for label, seconds in found.seconds.items()}
    readings = [
        Reading(line.label, line.persons, line.way, _params(v), line_gflops(v, size, line), ms[line.label])
        for line, v in lines
    ]
    return Measurement(tuple(readings), _conditions(size, found), ms[TWIN])


def _conditions(size: tuple[int, int], found: Comparison) -> dict[str, str]:
    return {
        "size": f"{size[0]} x {size[1]}",
        "rounds": str(found.rounds),
        "others": f"{found.others:.1f}",  # cores that other processes took
        **result_tags(found.machine, found.threads, "float32"),
    }


def timed_call(network: Any, line: TimedRow, size: tuple[int, int]) -> Callable[[], object]:
    """The line as a call without arguments, on an image of `size` (height, width)."""
    if line.way == "crops":
        return partial(_crops, network.backbone, torch.rand(line.persons, 3, *CROP) * 255)
    task = TimingTask(size, line.persons)
    whole = with_persons(network, task)
    return as_call(whole if line.way == "kept" else cast(Network, _EveryCell(whole).eval()), task)


@torch.no_grad()
def _crops(backbone: nn.Module, images: Tensor) -> object:
    return backbone(images)


class _EveryCell(nn.Module):
    """The network with every cell decoded at once; of those who are kept the answer is only looked up."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.coords = Regression().build(network.head.pose_channels, network.variant.num_keypoints)

    def forward(self, images: Tensor) -> Dense:
        dense = self.network(images)
        cell = torch.arange(len(dense.points))
        return replace(dense, proxy=self.network.coords.decode(gather(dense, torch.zeros_like(cell), cell))[None])


@cache
def _params(variant: Variant) -> int:
    return cost.parameters(variant)["total"]


@cache
def _cells(variant: Variant, size: tuple[int, int]) -> int:
    with torch.device("meta"):
        strides = Network(variant, seed=0).head.strides
    return sum((size[0] // s) * (size[1] // s) for s in strides)


def line_gflops(variant: Variant, size: tuple[int, int], line: TimedRow) -> float:
    """10^9 multiply-adds of one image of `size` (height, width), by the way of the line."""
    if line.way == "crops":
        return line.persons * _flops(variant, CROP, 1).backbone / 1e9
    return _flops(variant, size, line.persons if line.way == "kept" else _cells(variant, size)).total / 1e9


@cache
def _flops(variant: Variant, size: tuple[int, int], persons: int) -> cost.Flops:
    return cost.flops(variant, size, persons, counter="torch")


# ---------------------------------------------------------------------------------------------------------- verdicts


def time_ratio(row: Reading, than: Reading, slack: float = 0.0, level: float = timing.LEVEL) -> Interval:
    """What `row` takes by what `than` takes. It speaks of this process on this machine.

    `slack` is what the instrument itself may be wrong by, as a share.
    """
    found = paired(row.ms, than.ms, level)
    return Interval(mean=found.value, low=found.low / (1 + slack), high=found.high * (1 + slack))


def judge_costs(study: TimingStudy, found: Measurement) -> list[ClaimResult]:
    """One result per claim; its interval is of the ratio, as wide as all timed claims together need it."""
    timed = sum(claim.metric != "gflops" for claim in study.claims)
    return [_judged(claim, found, 1 - (1 - timing.LEVEL) / max(timed, 1)) for claim in study.claims]


def _judged(claim: Cheaper, measured: Measurement, level: float) -> ClaimResult:
    row, than = measured.of(claim.row), measured.of(claim.than)
    limit = f"claimed: at most {claim.times:g} times"
    if row is None or than is None:
        return ClaimResult(claim, Verdict.OPEN, f"not measured; {limit}")
    if claim.metric == "gflops":
        counted = row.gflops / than.gflops
        state = Verdict.HOLDS if counted <= claim.times else Verdict.FAILS
        return ClaimResult(claim, state, f"counted {counted:.3f} times; {limit}")
    found = time_ratio(row, than, measured.slack, level)
    state = Verdict.HOLDS if found.high <= claim.times else Verdict.FAILS if found.low > claim.times else Verdict.OPEN
    reason = (
        f"{found.mean:.3f} times, {100 * level:.3g} % interval {found.low:.3f} to {found.high:.3f}, {len(row.ms)} "
        f"rounds; {100 * measured.slack:.1f} % to either side is the instrument's own; {limit}"
    )
    return ClaimResult(claim, state, reason, found)


# ------------------------------------------------------------------------------------------------------------ record


def _summary(one: Reading, first: Reading) -> dict[str, float]:
    against = time_ratio(one, first)
    times = {f"latency_ms_p{q}": float(np.percentile(one.ms, q)) for q in (10, 50, 90)}
    counts = {"persons": float(one.persons), "params": float(one.params), "gflops": one.gflops}
    return {**counts, **times, "latency_ratio": against.mean, "ratio_low": against.low, "ratio_high": against.high}


def cost_table(study: TimingStudy, found: Measurement) -> Table:
    """Cost of each line."""
    counted = [METRICS[name] for name in ("params", "gflops", "latency_ms_p50")]
    costs = [metric.column for metric in counted]
    heads = ("row", "persons", *costs, "p10 to p90", "times the first, 95 % interval")
    out = Table(*heads, title=f"{study.name}: cost", header_style="dim", title_justify="left")
    for one in found.readings:
        s = _summary(one, found.readings[0])
        out.add_row(
            Text(one.row),
            f"{one.persons}",
            *(metric.text(s[metric.name]) for metric in counted),
            f"{s['latency_ms_p10']:.1f} to {s['latency_ms_p90']:.1f}",
            f"{s['latency_ratio']:.3f} [{s['ratio_low']:.3f}, {s['ratio_high']:.3f}]",
        )
    return out


def _record(run: TimingRun, found: Measurement, number: int) -> None:
    """Into MLflow: one run per line, with the number of the measurement in place of a seed."""
    timed, protocol = run.study, run.protocol
    rows = {line.label: Row(line.label, line.changes) for line in timed.rows}
    study = Study(timed.name, timed.question, timed.source, timed.base, tuple(rows.values()))
    record = tracking.MlflowRecord(StudyRun(study, protocol, run.home))
    for one in found.readings:
        job = Job(variant=study.variant(rows[one.row], protocol.scale), protocol=protocol.protocol)
        metrics, tags = _summary(one, found.readings[0]), {"way": one.way, **found.conditions}
        record.record(PlannedJob(one.row, number, "", job), metrics, [], tags, run.home / "profiles")


def write_costs(study: TimingStudy, found: Measurement, judged: Sequence[ClaimResult]) -> None:
    """The files below `reports/data`."""
    more = {"slack": found.slack, **found.conditions}
    lines = (
        {"study": study.name, "row": one.row, "way": one.way, **_summary(one, found.readings[0]), **more}
        for one in found.readings
    )
    _csv(REPORT_DATA / f"{study.name}_cost.csv", lines)
    claims = (
        {"claim": j.claim.id, "text": j.claim.text, "row": j.claim.row, "than": j.claim.than}
        | {"metric": j.claim.metric, "times": cast(Cheaper, j.claim).times}
        | {"verdict": str(j.verdict), "reason": j.reason}
        | {name: None if j.interval is None else getattr(j.interval, name) for name in ("mean", "low", "high")}
        for j in judged
    )
    _csv(REPORT_DATA / f"{study.name}_cost_claims.csv", claims)


def _csv(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    written = list(lines)
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, list(written[0]) if written else [])
        out.writeheader()
        out.writerows(dict(zip(line, cells(line.values()), strict=True)) for line in written)
