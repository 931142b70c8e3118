"""Tables of what candidates score, to search in: made up with a known truth, or really trained and read from a file.

Made up: 16 factors, 9 of them conditional, 48,600 cells. Each table draws new effects. Of the variance 65 % are effects
of single options, heavy-tailed, 20 % of pairs of options, 10 % numbers of one cell alone, 5 % the log of the cost. The
standard deviation of scores is 3.5 AP, that of a training by chance 1.25 AP, as recorded. A training takes 1.2 minutes
and 0.054 per million multiply-adds, fitted to recorded minutes. What is above the 60 % quantile of cost is over the
limit.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from workbench.core.errors import Refused
from workbench.experiments.search.front import hypervolume
from workbench.experiments.search.process import Pool
from workbench.space import Factor, Space
from workbench.tensors import Flags, Floats, Ints

DEVIATION, NOISE = 3.5, 1.25  # AP
TRUTHS = {"effects": (0.65, 0.20, 0.10, 0.05), "rough": (0.25, 0.30, 0.40, 0.05)}  # options, pairs, cells, log cost
FIXED, PER_MILLION = 1.2, 0.054  # minutes
LIMIT = 0.6  # quantile of the costs
_SIZES = {"96": 1.0, "128": 128**2 / 96**2, "160": 160**2 / 96**2}


def made_up_space() -> Space:
    """48,600 cells; options change nothing."""

    def factor(name: str, labels: str, **when: tuple[str, ...]) -> Factor:
        return Factor(name, {label: {} for label in labels.split()}, when)

    return Space(
        (
            factor("backbone", "csp stdc timm"),
            factor("width", "small middle wide", backbone=("csp",)),
            factor("blocks", "few some many", backbone=("csp",)),
            factor("stdc", "nano 1 2", backbone=("stdc",)),
            factor("timm", "mobilenet ghostnet resnet", backbone=("timm",)),
            factor("neck", "hybrid pafpn"),
            factor("layers", "0 1 2", neck=("hybrid",)),
            factor("depth", "0 0.33 0.67"),
            factor("levels", "P4 P3"),
            factor("coords", "dcc static regression"),
            factor("bins", "48 96 192", coords=("dcc",)),
            factor("gau", "no yes", coords=("dcc",)),
            factor("loss", "mle kld", coords=("dcc",)),
            factor("target", "kld l1", coords=("static",)),
            factor("head", "narrow middle wide"),
            factor("side", "96 128 160"),
        )
    )


_BACKBONE = {"nano": 10.0, "1": 20.0, "2": 35.0, "mobilenet": 14.0, "ghostnet": 9.0, "resnet": 22.0}
_WIDTH, _BLOCKS = {"small": 5.0, "middle": 12.0, "wide": 26.0}, {"few": 0.7, "some": 1.0, "many": 1.4}
_NECK = {"0": 8.0, "1": 9.5, "2": 11.0, "pafpn": 10.0}
_DEPTH = {"0": 0.8, "0.33": 1.0, "0.67": 1.3}
_HEAD = {"narrow": 3.0, "middle": 6.0, "wide": 12.0}
_BINS = {"48": 0.5, "96": 1.0, "192": 2.0}


def _millions(chosen: dict[str, str]) -> float:
    """Multiply-adds of a cell, in millions: a sum of parts, of the size of those that were counted."""
    family = chosen["backbone"]
    backbone = _BACKBONE.get(chosen.get(family, ""), 0.0)
    if family == "csp":
        backbone = _WIDTH[chosen["width"]] * _BLOCKS[chosen["blocks"]]
    finest = chosen["levels"] == "P3"
    neck = _NECK[chosen.get("layers", "pafpn")] * _DEPTH[chosen["depth"]] * (1.9 if finest else 1.0)
    head = _HEAD[chosen["head"]] * (4.0 if finest else 1.0)
    coords = {"dcc": 2.0 + _BINS.get(chosen.get("bins", ""), 0.0), "static": 1.5, "regression": 0.3}[chosen["coords"]]
    return (backbone + neck + head) * _SIZES[chosen["side"]] + coords + 0.5 * (chosen.get("gau") == "yes")


@cache
def _cells() -> tuple[Pool, Floats, Space]:
    space = made_up_space()
    millions = np.asarray([_millions(dict(one.pairs)) for one in space.candidates])
    return Pool(space.features(space.candidates), np.log(millions)), FIXED + PER_MILLION * millions, space


@dataclass(frozen=True)
class SearchTable:
    """What every candidate really scores, what it costs, and what trainings tell of it.

    Fields:
        truth: (N,) AP; told: (N,) what a whole training gives; told_early: (N,) what the rung gives, or empty.
        price: (N,) minutes of a whole training.
        noise: standard deviation of what a whole training gives by chance, in AP.
    """

    space: Space
    pool: Pool
    price: Floats
    truth: Floats
    told: Floats
    told_early: Floats
    limit: float  # log cost
    noise: float = NOISE

    @cached_property
    def place(self) -> Mapping[bytes, int]:
        """Where a candidate lies, by the bytes of its features."""
        return {row.tobytes(): i for i, row in enumerate(self.pool.features)}

    def line_of(self, chosen: Mapping[str, str]) -> int | None:
        """Where the candidate of those choices lies; None: it was not trained for this table."""
        return self.place.get(self.space.features([self.space.candidate(chosen)])[0].tobytes())

    @property
    def allowed(self) -> Flags:
        return self.pool.log_cost <= self.limit

    @cached_property
    def unit(self) -> float:
        """Minutes of a median training within the limit."""
        return float(np.median(self.price[self.allowed]))

    @cached_property
    def floor(self) -> float:
        """AP above which a front has worth: all but the lowest 5 % within the limit."""
        return float(np.quantile(self.truth[self.allowed], 0.05))

    @cached_property
    def whole(self) -> float:
        """The area of the true front."""
        return hypervolume(self.truth[self.allowed], self.pool.log_cost[self.allowed], self.floor, self.limit)

    def share(self, recommended: Ints) -> float:
        """The area of what is recommended, at its true AP, as a share of that."""
        at = self.pool.log_cost[recommended]
        return hypervolume(self.truth[recommended], at, self.floor, self.limit) / self.whole


def made_up(number: int, truth: str = "effects", correlation: float = 0.65) -> SearchTable:
    """Table `number`. `correlation`: of the signal at the rung with the true AP."""
    pool, price, space = _cells()
    rng = np.random.default_rng([13, number])
    x, cells = pool.features, len(pool.log_cost)
    pairs = np.triu(rng.normal(size=(x.shape[1],) * 2), 1)
    parts = (x @ rng.standard_t(3, x.shape[1]), ((x @ pairs) * x).sum(1), rng.normal(size=cells), pool.log_cost)
    scaled = [np.sqrt(share) * (p - p.mean()) / p.std() for share, p in zip(TRUTHS[truth], parts, strict=True)]
    scores = np.sum(scaled, axis=0)
    scores = DEVIATION * (scores - scores.mean()) / scores.std()
    told = scores + NOISE * rng.normal(size=cells)
    early = correlation * scores / DEVIATION + np.sqrt(1 - correlation**2) * rng.normal(size=cells)
    return SearchTable(space, pool, price, scores, told, early, float(np.quantile(pool.log_cost, LIMIT)))


def trained(path: Path, number: int, score: str = "AP") -> SearchTable:
    """A real table, one line per candidate: a column per factor, then gflops, minutes, AP_0, AP_1 ... and, if it was
    kept, signal_0 ... (more is better).

    The truth is the mean over seeds but that which the search sees, number `number`; with one seed it is that, so that
    nothing is chance in what a search is told. A factor that some lines leave empty is one that there is only under
    those labels of an earlier one under which no line does.

    Args:
        score: the columns to search by, AP, mOKS or a loss, of which less is better.

    Raises:
        Refused: there is no such file, or it has none of these columns.
    """
    if not path.exists():
        raise Refused(f"no table {path}; it is made by training every candidate of a search")
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    columns = list(lines[0]) if lines else []
    if "gflops" not in columns or f"{score}_0" not in columns:
        raise Refused(f"{path}: expected columns of factors, gflops, minutes, {score}_0 ...; it has {columns}")
    factors = columns[: columns.index("gflops")]
    names = {name: list(dict.fromkeys(line[name] for line in lines if line[name])) for name in factors}
    space = Space(tuple(_factor(lines, factors, name, labels) for name, labels in names.items()))
    place = {pair: i for i, pair in enumerate(space.columns)}
    features = np.zeros((len(lines), len(place)))
    for row, line in zip(features, lines, strict=True):
        row[[place[name, line[name]] for name in factors if line[name]]] = 1
    seeds = [name for name in columns if name.rpartition("_")[0] == score]
    scores = (-1 if "loss" in score else 100) * np.asarray([[float(line[name]) for name in seeds] for line in lines])
    seen = number % len(seeds)
    truth = np.delete(scores, seen, 1).mean(1) if len(seeds) > 1 else scores[:, 0]
    early = np.asarray([float(line.get(f"signal_{seen}") or "nan") for line in lines])
    log_cost = np.log([float(line["gflops"]) for line in lines])
    minutes = np.asarray([float(line["minutes"]) for line in lines])
    early = early[:0] if np.isnan(early).any() else early
    noise = float(np.sqrt(scores.var(1, ddof=1).mean())) if len(seeds) > 1 else 0.0
    pool = Pool(features, log_cost)
    return SearchTable(space, pool, minutes, truth, scores[:, seen], early, float(log_cost.max()), noise)


def _factor(lines: Sequence[Mapping[str, str]], factors: Sequence[str], name: str, labels: Sequence[str]) -> Factor:
    """With the condition that its empty cells tell of.

    Raises:
        Refused: they follow from no earlier factor.
    """
    options, when = {label: {} for label in labels}, dict[str, tuple[str, ...]]()
    if not all(line[name] for line in lines):
        for other in factors[: factors.index(name)]:
            under, without = ({line[other] for line in lines if bool(line[name]) is there} for there in (True, False))
            if not under & without:
                when = {other: tuple(sorted(under))}
                break
        else:
            raise Refused(f"column {name}: empty in some lines, and no earlier column says in which")
    return Factor(name, options, when)
