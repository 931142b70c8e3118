"""The record of a search as its page reads it: the CSV files, and what is counted from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS, PERCENT, Metric
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import protocol_named
from workbench.experiments.queue_entry import JobState
from workbench.report.frames import Frame
from workbench.report.freshness import SEARCH_PARTS
from workbench.report.record import read_csv
from workbench.space import Search
from workbench.study import StudyProtocol, find_study

FACTOR = "factor."  # what the columns of factors begin with: a factor may be called anything
LATER = "after."  # what the columns of scores under longer protocols begin with
_PAUSED = str(JobState.PAUSED)
Z95 = 1.959964
ESTIMATE = ("estimate", "low", "high")
COSTS = {
    "gflops": "10^9 multiply-adds of one image, published size, 640 px",
    "params": "parameters, published size",
    "ms": "time by that of the search's base, published size, 640 px",
}
SHORT_COSTS = {"gflops": "GFLOPs", "params": "parameters", "ms": "times the base's time"}


@dataclass(frozen=True)
class SearchRecord:
    """What is known of a search from its files. `summary`: the one line of the first; the others as of their names."""

    search: Search
    protocol: StudyProtocol
    stem: str
    summary: dict[str, Any]
    candidates: Frame
    front: Frame
    effects: Frame
    hypervolume: Frame
    importance: Frame
    over: Frame

    @property
    def metric(self) -> Metric:
        """What is searched for."""
        return METRICS[self.search.up]

    @property
    def trained_as(self) -> str:
        """Of which network scores are: the one that the protocol trains, not the published one."""
        height, width = self.protocol.protocol.size
        scaled = "network scaled down" if self.protocol.scale else "network of published size"
        return f"as trained under {self.protocol.name}: {scaled}, {height} x {width} px"

    @property
    def difference(self) -> str:
        """What a difference of scores is called on an axis."""
        unit = "points" if self.metric.shown is PERCENT else self.metric.shown.unit
        return f"difference in {self.metric.column}, {unit}".removesuffix(", ")

    @property
    def cost(self) -> str:
        """The axis of costs."""
        return COSTS[self.search.down]

    def cost_text(self, value: float) -> str:
        """A cost with its unit, for sentences."""
        number = f"{value / 1e6:.2f} M" if self.search.down == "params" else f"{value:.2f}"
        return f"{number} {SHORT_COSTS[self.search.down]}"

    @property
    def limits(self) -> dict[str, float]:
        """Largest costs, by name."""
        there = {
            name.removeprefix("limit_"): value for name, value in self.summary.items() if name.startswith("limit_")
        }
        return {name: float(value) for name, value in there.items()}

    @property
    def rung(self) -> int:
        """The epoch after which new candidates pause; 0: they do not."""
        return int(self.summary["rung"])

    @property
    def paused(self) -> Frame:
        """The lines of the candidates that wait at the rung, those first whose signal is lowest."""
        return self.candidates[self.candidates["state"] == _PAUSED].sort_values("signal", kind="stable")

    @property
    def published(self) -> Frame:
        """The lines of the candidates that go by a name, cheapest first, with their estimates where they have any."""
        named = self.candidates[self.candidates["published"] != ""].sort_values(self.search.down, kind="stable")
        return named.merge(self.front[["candidate", *ESTIMATE, "chance", "front"]], on="candidate", how="left",
                           suffixes=("_predicted", ""))  # fmt: skip

    @property
    def longer(self) -> dict[str, Frame]:
        """By longer protocol the lines of the front's file that were trained under it, with the score as `later`."""
        names = [name for name in self.front if name.startswith(LATER)]
        return {n.removeprefix(LATER): self.front.assign(later=self.front[n]).dropna(subset=["later"]) for n in names}

    @property
    def on_front(self) -> Frame:
        """The lines of the front, cheapest first."""
        return self.front[self.front["front"]]


def open_search(study: str, protocol: str, stem: str) -> SearchRecord:
    """Reads the record of `studies/STUDY.py` from its CSV files.

    Raises:
        Refused: it is no search, or there is no record of it.
    """
    asked = find_study(study)
    if not isinstance(asked, Search):
        raise Refused(f"study {study} is no search: reports/ablation.ipynb or reports/persons.ipynb shows it")
    if not (REPORT_DATA / f"{stem}_candidates.csv").exists():
        raise Refused(f"there is no {REPORT_DATA / stem}_candidates.csv; write it with: nox -s report -- {study}")
    frames = {part: read_csv(f"{stem}_{part}") for part in SEARCH_PARTS}
    frames["candidates"] = _with_labels(pd.read_csv(REPORT_DATA / f"{stem}_candidates.csv", dtype=_labels(frames)))
    summary = frames.pop("search").to_dict("records")[0]
    return SearchRecord(asked, protocol_named(protocol), stem, {str(k): v for k, v in summary.items()}, **frames)


def _labels(frames: dict[str, Frame]) -> Any:
    """Labels are text, also where they are numbers."""
    return {name: str for name in frames["candidates"] if name.startswith(FACTOR)} | {"commit": str, "threads": str}


def _with_labels(candidates: Frame) -> Frame:
    words = [name for name in candidates if name.startswith(FACTOR)] + [
        "state", "why", "text", "published", "sampler",
    ]  # fmt: skip
    return candidates.assign(**{name: candidates[name].fillna("").astype(str) for name in words})


def factors_of(record: SearchRecord) -> list[str]:
    """Of the candidates, in the order of the space."""
    return [name.removeprefix(FACTOR) for name in record.candidates if name.startswith(FACTOR)]


def predictions_frame(record: SearchRecord) -> Frame:
    """What the first training of each candidate was expected to give, and gave: predicted, low, high, measured, inside.

    Only where something was expected.
    """
    frame, first = record.candidates, f"{record.search.up}_seed0"
    if first not in frame:
        return pd.DataFrame(columns=["candidate", "predicted", "low", "high", "measured", "inside"])
    mine = frame.assign(measured=frame[first]).dropna(subset=["predicted", "measured"])
    inside = (mine["low"] <= mine["measured"]) & (mine["measured"] <= mine["high"])
    return mine.assign(inside=inside)[["candidate", "text", "predicted", "low", "high", "measured", "inside"]]


def fresh_frame(record: SearchRecord) -> Frame:
    """Candidates that got seeds because they were on the front: the first score, the mean of the others, the fall."""
    frame, first = record.candidates, f"{record.search.up}_seed0"
    others = [name for name in frame if name.startswith(f"{record.search.up}_seed") and name != first]
    if not others:
        return pd.DataFrame(columns=["candidate", "first", "others", "fall", "count"])
    mine = frame[(frame["front_seeds"] > 0) & frame[first].notna()]
    more = mine[others]
    found = mine.assign(first=mine[first], others=more.mean(axis=1), count=more.notna().sum(axis=1))
    found = found[found["count"] > 0]
    return found.assign(fall=found["first"] - found["others"])[
        ["candidate", "text", "first", "others", "fall", "count"]
    ]


@dataclass(frozen=True)
class Fall:
    """By how much scores were lower with fresh seeds, on average, with 95 % by the chance of trainings."""

    mean: float
    low: float
    high: float
    count: int


def fall_of(record: SearchRecord) -> Fall | None:
    """Of all candidates that got fresh seeds; None where none did."""
    frame = fresh_frame(record)
    if frame.empty:
        return None
    variance = float(record.summary["noise"]) ** 2 * (1 + 1 / frame["count"])
    mean, half = float(frame["fall"].mean()), Z95 * float(variance.sum()) ** 0.5 / len(frame)
    return Fall(mean, mean - half, mean + half, len(frame))


def compute_frame(record: SearchRecord) -> Frame:
    """Minutes of training on one core, by what they went into. One line each: what, minutes, trainings."""
    frame = record.candidates
    on = frame["candidate"].isin(record.on_front["candidate"])
    first, fresh = frame["minutes"] - frame["front_minutes"], frame["front_minutes"]
    paused = frame["state"] == _PAUSED
    below, begun = ~on & ~paused, first > 0
    lines = [
        ("first trainings, now on the front", first[on].sum(), int((on & begun).sum())),
        ("first trainings, now below the front", first[below].sum(), int((below & begun).sum())),
        *([("up to the rung, not gone on with", first[paused].sum(), int(paused.sum()))] if record.rung else []),
        ("further seeds, now on the front", fresh[on].sum(), int(frame.loc[on, "front_seeds"].sum())),
        ("further seeds, now below the front", fresh[~on].sum(), int(frame.loc[~on, "front_seeds"].sum())),
    ]
    return pd.DataFrame(lines, columns=["what", "minutes", "trainings"])


def growth_shares(record: SearchRecord) -> Frame:
    """The areas over compute, as shares of what the final front is worth."""
    frame = record.hypervolume
    final = float(frame["hypervolume"].iloc[-1]) if len(frame) else math.nan
    if not final > 0:
        return frame.iloc[:0]
    names = ["believed", "hypervolume", "low", "high", "random"]
    return frame.assign(**{name: frame[name] / final for name in names})


def varying(record: SearchRecord) -> bool:
    """Whether the candidates that were trained differ in their scores at all."""
    scores = record.front["measured"] if len(record.front) else pd.Series(dtype=float)
    return bool(len(scores) > 1 and np.ptp(scores) > 0)
