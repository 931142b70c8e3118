"""Every metric, once: how it is measured, which way is better, how it is written and where it is shown.

A new metric is one entry of `METRICS`, for example

    Metric("AP60", Average("precision", (0.6,)))
    Metric("hits", Ratio(lambda r: count_by_image(r, r.matched[:, 5]), lambda r: r.positives.sum(0)))

The evaluation then gives its value, match records give its interval, a claim may name it, and the terminal, MLflow and
the report show it. Metrics without a measure are recorded by other parts, such as what a network costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from enum import Flag, auto
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.evaluation.average_precision import resampled_ap
from workbench.evaluation.matching import PERSON_SIZES, PersonSize
from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.tensors import Floats

UNDEFINED = -1.0  # COCO's value where no person counts; ratios have nan there
Span = tuple[float, float]  # lower end included, upper end not
Resampling = Callable[[MatchRecords, NDArray[Any]], Floats]  # weights (R, I) to values (R,)
Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Curves:
    """What COCO averages over. Legend: C classes, A size ranges, T OKS thresholds, R recalls. -1: no person counts."""

    precision: Floats  # (C, A, T, R)
    recall: Floats  # (C, A, T), of all detections


CurvesOf = Callable[[Span | None], Curves]  # on images whose crowd index is in the span; None: on all


@dataclass(frozen=True)
class Average:
    """COCO's average of precision or recall; -1 where no person counts.

    Fields:
        thresholds: OKS thresholds to average over; () is all of them.
        size: only persons of that size.
        crowding: only images with a crowd index in that span.

    Raises:
        Refused: a threshold that the evaluation does not match at.
    """

    of: Literal["precision", "recall"]
    thresholds: tuple[float, ...] = ()
    size: PersonSize = "all"
    crowding: Span | None = None

    def __post_init__(self) -> None:
        for threshold in self.thresholds:
            if not np.isclose(OKS_THRESHOLDS, threshold).any():
                known = ", ".join(f"{t:.2f}" for t in OKS_THRESHOLDS)
                raise Refused(f"OKS threshold {threshold:g}: persons are matched at {known}; choose among these")

    @property
    def columns(self) -> list[int]:
        """The thresholds as columns of the T ones."""
        chosen = self.thresholds or tuple(OKS_THRESHOLDS.tolist())
        return [int(np.abs(OKS_THRESHOLDS - threshold).argmin()) for threshold in chosen]

    def value(self, records: MatchRecords, curves: CurvesOf) -> float:
        """On all images."""
        found = curves(self.crowding)
        values = found.precision if self.of == "precision" else found.recall
        values = values[:, PERSON_SIZES.index(self.size), self.columns]
        known = values[values > UNDEFINED]
        return float(known.mean()) if len(known) else UNDEFINED

    @property
    def resample(self) -> Resampling | None:
        """Match records hold persons of all sizes together, and no crowd index. Recall is not resampled."""
        if self.of == "recall" or self.size != "all" or self.crowding is not None:
            return None
        return partial(resampled_ap, thresholds=self.columns)


@dataclass(frozen=True)
class Ratio:
    """One sum over images divided by another; nan where the second is 0. Both are functions that give (I,) numbers."""

    total: Callable[[MatchRecords], NDArray[Any]]
    count: Callable[[MatchRecords], NDArray[Any]]

    def value(self, records: MatchRecords, curves: CurvesOf) -> float:
        """On all images."""
        count = self.count(records).sum()
        return float(self.total(records).sum() / count) if count else math.nan

    @property
    def resample(self) -> Resampling:
        return self._resampled

    def _resampled(self, records: MatchRecords, weights: NDArray[Any]) -> Floats:
        amount = weights @ self.count(records)
        return np.where(amount > 0, (weights @ self.total(records)) / np.maximum(amount, 1), np.nan)


Measure = Average | Ratio


def count_by_image(records: MatchRecords, detections: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(I,): how many of the chosen detections (D,) each image has."""
    return np.bincount(records.image[detections], minlength=len(records.image_ids))


@dataclass(frozen=True)
class Shown:
    """How a number is written: times `factor`, with `digits` after the point, in `unit`."""

    factor: float = 1.0
    digits: int = 3
    unit: str = ""


PERCENT = Shown(100, 1, "%")


class Place(Flag):
    """Where a metric is shown. Everywhere else it is recorded and may be claimed."""

    TERMINAL = auto()  # the table of a study
    MLFLOW = auto()  # the saved view and the descriptions
    REPORT = auto()  # the table of a page
    INTERVAL = auto()  # an interval of every row, and values by kind of image, in the report
    NOWHERE = 0
    EVERYWHERE = TERMINAL | MLFLOW | REPORT | INTERVAL


@dataclass(frozen=True)
class Metric:
    """One number of a run.

    Fields:
        measure: how the evaluation makes it; None where another part of a run records it.
        crowdpose: how CrowdPose's evaluation makes it, where that differs.
        head: of a column, the name where empty; axis: of a figure, head and unit where empty.
        meaning: completes the sentence "NAME is ..."; empty for COCO's own.
        says: completes the sentence "a row that is better in NAME ..."; of end points that stand beside AP.
    """

    name: str
    measure: Measure | None = None
    _: KW_ONLY
    crowdpose: Measure | None = None
    better: Direction = "higher"
    shown: Shown = PERCENT
    places: Place = Place.EVERYWHERE
    head: str = ""
    axis: str = ""
    meaning: str = ""
    says: str = ""

    @property
    def resample(self) -> Resampling | None:
        """The metric of resampled images, from match records; None where those do not give it."""
        return None if self.measure is None else self.measure.resample

    @property
    def column(self) -> str:
        """The head of a column."""
        return self.head or self.name

    @property
    def label(self) -> str:
        """The text of an axis."""
        text = self.axis or f"{self.column}, {self.shown.unit}".removesuffix(", ")
        return text if self.better == "higher" else f"{text} (less is better)"

    def scaled(self, value: Any) -> Any:
        """A value, or many of them, in the unit in which they are shown."""
        return value * self.shown.factor

    def text(self, value: float) -> str:
        """A value as it is shown, without its unit; nothing for nan."""
        return "" if math.isnan(value) else f"{self.scaled(value):.{self.shown.digits}f}"

    def difference(self, value: float, more: int = 0) -> str:
        """A difference as it is shown, in points where the metric is in percent; `more` digits than a value has."""
        digits = self.shown.digits + more
        return f"{round(self.scaled(value), digits) + 0.0:+.{digits}f}"  # + 0.0: there is no -0.0

    def towards_better(self, difference: float) -> float:
        """A difference with the sign that makes more of it better. Done twice it is the difference again."""
        return difference if self.better == "higher" else -difference


_NUMBER = Place.EVERYWHERE & ~Place.TERMINAL
_TABLES = Place.TERMINAL | Place.MLFLOW | Place.REPORT
_EASY, _MEDIUM, _HARD = (-math.inf, 0.2), (0.2, 0.8), (0.8, math.inf)  # crowd index of CrowdPose's splits

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("AP", Average("precision")),
        Metric("AP50", Average("precision", (0.5,)), places=_TABLES),
        Metric("AP75", Average("precision", (0.75,)), places=_TABLES),
        Metric(
            "AP_M",
            Average("precision", size="medium"),
            crowdpose=Average("precision", crowding=_MEDIUM),
            places=Place.REPORT,
        ),
        Metric("AP_L", Average("precision", size="large"), places=Place.REPORT),
        Metric("AR", Average("recall"), places=_TABLES),
        Metric("AR50", Average("recall", (0.5,)), places=Place.NOWHERE),
        Metric("AR75", Average("recall", (0.75,)), places=Place.NOWHERE),
        Metric("AR_M", Average("recall", size="medium"), places=Place.NOWHERE),
        Metric("AR_L", Average("recall", size="large"), places=Place.NOWHERE),
        Metric("AP_E", crowdpose=Average("precision", crowding=_EASY), places=Place.REPORT),
        Metric("AP_H", crowdpose=Average("precision", crowding=_HARD), places=Place.REPORT),
        Metric(
            "mOKS",
            Ratio(lambda r: r.oks_sum, lambda r: r.oks_count),
            axis="mean OKS per person, %",
            meaning="the mean OKS of each person's best detection",
            says="places key points better, of the best detection of each person: false positives do not count",
        ),
        Metric(
            "NME",
            Ratio(lambda r: r.error_sum, lambda r: r.error_count),
            better="lower",
            shown=Shown(unit="root of area"),
            places=_NUMBER,
            axis="mean error, root of area",
            meaning="the mean distance of matched key points in units of the root of the person's area",
            says="places key points nearer on the persons that it matches: those that it misses do not count",
        ),
        Metric("params", better="lower", shown=Shown(1e-6, 2, "M"), places=_TABLES, head="parameters, M"),
        Metric("gflops", better="lower", places=_TABLES, shown=Shown(), head="GFLOPs"),
        Metric("latency", better="lower", shown=Shown(1, 1, "ms"), places=Place.NOWHERE, head="latency, ms"),
        Metric("latency_ms_p50", better="lower", shown=Shown(1, 1, "ms"), places=Place.MLFLOW, head="ms, median"),
        Metric("latency_ms_p90", better="lower", shown=Shown(1, 1, "ms"), places=Place.MLFLOW, head="ms, 90 %"),
        Metric("latency_ratio", better="lower", shown=Shown(), places=Place.NOWHERE),
    )
}


def metrics_at(place: Place) -> list[Metric]:
    """The metrics that are shown in a place, in the order of the table."""
    return [metric for metric in METRICS.values() if place in metric.places]


def with_intervals() -> list[Metric]:
    """The metrics of which the report gives intervals: those shown with one that match records give."""
    return [metric for metric in metrics_at(Place.INTERVAL) if metric.resample is not None]


def measures(crowdpose: bool = False) -> dict[str, Measure]:
    """What an evaluation measures, by name. CrowdPose knows no sizes of persons."""
    if not crowdpose:
        return {name: metric.measure for name, metric in METRICS.items() if metric.measure is not None}
    chosen = {name: metric.crowdpose or metric.measure for name, metric in METRICS.items()}
    return {
        name: measure
        for name, measure in chosen.items()
        if measure is not None and not (isinstance(measure, Average) and measure.size != "all")
    }


def claimable() -> list[str]:
    """The names that a claim of quality may use: all that an evaluation measures."""
    return [name for name, metric in METRICS.items() if (metric.measure or metric.crowdpose) is not None]
