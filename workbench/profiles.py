"""Profiles: the rows of a study counted and timed side by side. Nothing is trained.

All lines take turns on one thread (A B C, A B C, ...), so that a slow minute of the machine meets them alike, and two
lines are compared inside a pass. Each pass builds the networks anew: where they lie in memory is part of their time.
Intervals are over passes of one process on one machine; another machine has other ratios.

    HOME/profiles/STUDY_PROTOCOL_N.json     the N-th measurement, from 0; the last one counts
    reports/data/STUDY_cost.csv             the same at published size, and ..._cost_claims.csv: what it says
"""

from __future__ import annotations

import csv
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from workbench import cost, show, track
from workbench.components.blocks import fused
from workbench.components.coords.regression import Regression
from workbench.judge import Judgement
from workbench.model import Network, gather
from workbench.run import commit
from workbench.stats import Decision, Verdict, t_interval
from workbench.study import Cell, Cheaper, Profile, Row, Setting, Study, Timed
from workbench.tensors import Dense
from workbench.variant import Job, Variant

ROUNDS = 5  # of a pass that are recorded
THREADS = 1
CROP = (256, 192)  # height, width: what top-down methods cut out for a person
DATA = Path("reports/data")


@dataclass(frozen=True)
class Reading:
    """One line of a profile in one pass, with the conditions that make it mean something.

    Fields:
        gflops: 10^9 multiply-adds of one image; ms: medians over the rounds of the pass, and their spread.
        load: processes that ran or waited, mean over the minute before.
    """

    row: str
    persons: int
    way: str
    number: int  # of the pass
    params: int
    gflops: float
    ms: float
    ms_p10: float
    ms_p90: float
    size: tuple[int, int]  # height, width
    rounds: int
    threads: int
    precision: str
    machine: str
    load: float
    commit: str
    torch: str
    finished: str


def run_profile(profile: Profile, setting: Setting, home: Path, passes: int | None = None, again: bool = False) -> int:
    """Measures unless that is done, shows the table and the verdicts, and records them.

    Args:
        passes: None is the setting's number of seeds.
        again: measure even so.
    """
    known = sorted(_folder(home).glob(f"{profile.name}_{setting.name}_*.json"))
    path = _folder(home) / f"{profile.name}_{setting.name}_{len(known):03}.json"
    if known and not again:
        readings = _read(known[-1])
    else:
        readings = measure(profile, setting, passes or setting.seeds)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([asdict(reading) for reading in readings], indent=1))
        _record(profile, setting, home, readings, len(known))
    judged = verdicts(profile, readings)
    show.console().print(table(profile, readings), _conditions(readings[0]))
    show.verdicts(judged)
    if not setting.scale:  # the published networks
        write(profile, readings, judged)
    return 0


def status(profile: Profile, setting: Setting, home: Path) -> int:
    """Says whether there is a measurement. Gives 0 if so, else 1."""
    known = sorted(_folder(home).glob(f"{profile.name}_{setting.name}_*.json"))
    print(f"measured: {known[-1]}" if known else "not measured")
    return 0 if known else 1


def _folder(home: Path) -> Path:
    return home / "profiles"


def _read(path: Path) -> list[Reading]:
    return [Reading(**{**line, "size": tuple(line["size"])}) for line in json.loads(path.read_text())]


# ------------------------------------------------------------------------------------------------------- measurement


def measure(profile: Profile, setting: Setting, passes: int) -> list[Reading]:
    """Every line in every pass. A line of more persons than its network has cells is left out, which is said."""
    size = setting.protocol.size
    every = [(line, profile.variant(line, setting.scale)) for line in profile.rows]
    lines = [(line, variant) for line, variant in every if line.persons <= _cells(variant, size)]
    if left_out := [line.label for line, _ in every if line not in [kept for kept, _ in lines]]:
        print(f"left out, more persons than cells: {', '.join(left_out)}")
    found = []
    for number in range(passes):
        conditions, seconds = _now(size), _seconds(lines, size)
        for line, variant in lines:
            p10, p50, p90 = (1e3 * float(np.percentile(seconds[line.label], q)) for q in (10, 50, 90))
            words: dict[str, Any] = {"row": line.label, "persons": line.persons, "way": line.way, "number": number}
            counts = {"params": _params(variant), "gflops": _gflops(variant, size, line)}
            found.append(Reading(**words, **counts, ms=p50, ms_p10=p10, ms_p90=p90, **conditions))
    return found


def _now(size: tuple[int, int]) -> dict[str, Any]:
    return {
        "size": size,
        "rounds": ROUNDS,
        "threads": THREADS,
        "precision": "float32",
        "machine": cost.machine_name(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan"),
        "commit": commit(),
        "torch": torch.__version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _seconds(lines: Sequence[tuple[Timed, Variant]], size: tuple[int, int]) -> Mapping[str, np.ndarray]:
    """(rounds,) of each line in one pass. Lines of one variant share a network."""
    networks = {variant: fused(Network(variant, seed=0).eval()) for variant in dict.fromkeys(v for _, v in lines)}
    calls = {line.label: _call(networks[variant], line, size) for line, variant in lines}
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        return cost.interleaved(calls, ROUNDS)
    finally:
        torch.set_num_threads(before)


def _call(network: Any, line: Timed, size: tuple[int, int]) -> Callable[[], object]:
    """The line as a call without arguments."""
    if line.way == "crops":
        return partial(_crops, network.backbone, torch.rand(line.persons, 3, *CROP) * 255)
    whole = network if line.way == "kept" else _EveryCell(network).eval()
    return cost.deployed(cast(Network, whole), size, line.persons)


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


def _gflops(variant: Variant, size: tuple[int, int], line: Timed) -> float:
    if line.way == "crops":
        return line.persons * _flops(variant, CROP, 1).backbone / 1e9
    return _flops(variant, size, line.persons if line.way == "kept" else _cells(variant, size)).total / 1e9


@cache
def _flops(variant: Variant, size: tuple[int, int], persons: int) -> cost.Flops:
    return cost.flops(variant, size, persons, counter="torch")


# ---------------------------------------------------------------------------------------------------------- verdicts


def ratios(readings: Sequence[Reading], row: str, than: str, metric: str = "ms") -> list[float]:
    """What `row` takes by what `than` takes, pass by pass."""
    found = {(r.row, r.number): getattr(r, metric) for r in readings}
    return [found[row, n] / found[than, n] for n in sorted({n for _, n in found}) if {(row, n), (than, n)} <= set(found)]


def verdicts(profile: Profile, readings: Sequence[Reading]) -> list[Judgement]:
    """One judgement per claim; its interval is of the ratio."""
    return [_judged(claim, ratios(readings, claim.row, claim.than, claim.metric)) for claim in profile.claims]


def _judged(claim: Cheaper, found: Sequence[float]) -> Judgement:
    if not found:
        return Judgement(claim, Decision(Verdict.OPEN, f"{claim.row!r} or {claim.than!r} is not measured here"))
    limit = f"at most {claim.times:g} was claimed"
    if claim.metric == "gflops":
        state = Verdict.HOLDS if found[0] <= claim.times else Verdict.FAILS
        return Judgement(claim, Decision(state, f"counted {found[0]:.3f} times; {limit}"))
    if len(found) < 2:
        return Judgement(claim, Decision(Verdict.OPEN, f"one pass: {found[0]:.3f} times; {limit}"))
    interval = t_interval(found)
    numbers = f"{interval.mean:.3f} times, 95 % interval {interval.low:.3f} to {interval.high:.3f}, {len(found)} passes"
    state = Verdict.OPEN
    if interval.high <= claim.times or interval.low > claim.times:
        state = Verdict.HOLDS if interval.high <= claim.times else Verdict.FAILS
    return Judgement(claim, Decision(state, f"{numbers}; {limit}"), interval)


# ------------------------------------------------------------------------------------------------------------ record


def _lines(profile: Profile, readings: Sequence[Reading]) -> Iterator[list[Reading]]:
    """The passes of each line, in the order of the profile."""
    for line in profile.rows:
        if mine := [reading for reading in readings if reading.row == line.label]:
            yield mine


def table(profile: Profile, readings: Sequence[Reading]) -> Table:
    """Cost of each line: medians over passes."""
    first = readings[0].row
    heads = ("row", "persons", "params, M", "gflops", "ms", "p10 to p90", f"times {first!r}")
    out = Table(*heads, title=f"{profile.name}: cost", header_style="dim", title_justify="left")
    for mine in _lines(profile, readings):
        one = mine[0]
        out.add_row(
            Text(one.row),
            str(one.persons),
            f"{one.params / 1e6:.2f}",
            f"{one.gflops:.3f}",
            f"{statistics.median(r.ms for r in mine):.1f}",
            f"{min(r.ms_p10 for r in mine):.1f} to {max(r.ms_p90 for r in mine):.1f}",
            f"{statistics.median(ratios(readings, one.row, first)):.3f}",
        )
    return out


def _conditions(one: Reading) -> str:
    return (
        f"{one.size[0]} x {one.size[1]}, {one.precision}, {one.threads} thread, {one.machine}, load {one.load:.1f}; "
        f"{one.rounds} rounds a pass; gflops are 10^9 multiply-adds"
    )


def _record(profile: Profile, setting: Setting, home: Path, readings: Sequence[Reading], number: int) -> None:
    """Into MLflow: one run per line, its passes as the curve, the number of the measurement in place of a seed."""
    rows = {line.label: Row(line.label, line.changes) for line in profile.rows}
    study = Study(profile.name, profile.question, profile.source, profile.base, tuple(rows.values()))
    book = track.Book(home, study, setting)
    for mine in _lines(profile, readings):
        one = mine[0]
        cell = Cell(one.row, number, "", Job(variant=study.variant(rows[one.row], setting.scale), protocol=setting.protocol))
        metrics = {"persons": float(one.persons), "params": float(one.params), "gflops": one.gflops}
        metrics["latency_ms_p50"] = statistics.median(r.ms for r in mine)
        metrics["latency_ratio"] = statistics.median(ratios(readings, one.row, readings[0].row))
        curve = [{"epoch": float(r.number), "latency_ms_p50": r.ms} for r in mine]
        tags = {k: str(getattr(one, k)) for k in ("way", "size", "threads", "precision", "machine", "load", "commit")}
        book.record(cell, metrics, curve, tags, _folder(home))


def write(profile: Profile, readings: Sequence[Reading], judged: Sequence[Judgement]) -> None:
    """The files below `reports/data`."""
    DATA.mkdir(parents=True, exist_ok=True)
    _csv(DATA / f"{profile.name}_cost.csv", [{"study": profile.name, **asdict(r)} for r in readings])
    claims = [
        {"claim": j.claim.id, "text": j.claim.text, "verdict": str(j.decision.state), "reason": j.decision.reason}
        | ({} if j.interval is None else {"mean": j.interval.mean, "low": j.interval.low, "high": j.interval.high})
        for j in judged
    ]
    if claims:
        _csv(DATA / f"{profile.name}_cost_claims.csv", claims)


def _csv(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, names)
        out.writeheader()
        out.writerows(lines)
