"""What candidates cost and which of them are one computation, before a second of training.

Parameters and multiply-adds are counted for all, at the published size whatever the protocol trains. Time is measured,
beside a reference in the same rounds, for those alone that a limit on it may admit: what is predicted, from the
multiply-adds of those that have been timed, to lie more than `NEAR` above the limit is left out by that. A prediction
admits nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from workbench.core.errors import Refused
from workbench.experiments.noop_check import Fingerprint, fingerprint
from workbench.inference.latency import OWN, timed_beside
from workbench.inference.part_counts import Counted, PartCounter
from workbench.inference.timing import Patience
from workbench.models.job import Job, Start
from workbench.models.variant import Variant

SIZE = (640, 640)  # height, width: of the published networks
COSTS: Mapping[str, str] = {  # what a limit may be set on, and its unit
    "params": "parameters",
    "gflops": "10^9 multiply-adds of one image",
    "ms": "times the reference's time",
}
NEAR = 1.15
FITTED = 3  # networks that have to be timed before others are left out by a prediction
PATIENCE = Patience(seconds=10.0, rounds=20, most=40, within=0.02)  # of one measurement

Ratio = Callable[[Variant], float]


@dataclass(frozen=True)
class Timed:
    """A network that was timed: its 10^9 multiply-adds, and its time by the reference's."""

    gflops: float
    ratio: float


@dataclass(frozen=True)
class Price:
    """What a candidate costs.

    Fields:
        params, gflops: of the network at `SIZE`; nan where it can not be built.
        ms: its time by the reference's; nan where no limit asks for it.
        measured: it was timed, not predicted.
        over: why it is not trained, in words, one for each limit that it breaks; none where it may be.
        impossible: why it can not be built.
    """

    params: float = math.nan
    gflops: float = math.nan
    ms: float = math.nan
    measured: bool = False
    over: tuple[str, ...] = ()
    impossible: str = ""

    @property
    def admitted(self) -> bool:
        """Whether it may be trained."""
        return not self.over and not self.impossible


# Counting


def check_limits(limits: Mapping[str, float]) -> None:
    """Refuses limits on what is not priced.

    Raises:
        Refused: the message says what is.
    """
    for name, most in limits.items():
        if name not in COSTS:
            known = ", ".join(f"{cost} ({unit})" for cost, unit in COSTS.items())
            raise Refused(f"--max {name}={most:g}: {name} is not measured before training; there are {known}")
        if not most > 0:
            raise Refused(f"--max {name}={most:g}: expected a number above 0")


def counted(variants: Mapping[str, Variant], limits: Mapping[str, float] | None = None) -> dict[str, Price]:
    """Parameters and multiply-adds of every candidate by its label, and which limits on them they break. Times nothing.

    Args:
        variants: at published size.
        limits: the most of each cost, as in `COSTS`.

    Raises:
        Refused: a limit is on something else.
    """
    most, counter = limits or {}, PartCounter(SIZE)
    check_limits(most)
    return {label: _counted(variant, most, counter) for label, variant in variants.items()}


def _counted(variant: Variant, limits: Mapping[str, float], counter: PartCounter) -> Price:
    try:
        found: Counted = counter.count(variant)
    except Refused as error:
        return Price(impossible=str(error))
    numbers = {"params": float(found.params), "gflops": found.gflops}
    over = (
        f"{name} {n:.4g}, at most {limits[name]:g}" for name, n in numbers.items() if n > limits.get(name, math.inf)
    )
    return Price(numbers["params"], numbers["gflops"], over=tuple(over))


def check_admits(prices: Mapping[str, Price], limits: Mapping[str, float]) -> None:
    """Refuses limits that no candidate meets.

    Raises:
        Refused: the message names the cheapest by each limit that is broken.
    """
    if any(price.admitted for price in prices.values()):
        return
    built = {label: price for label, price in prices.items() if not price.impossible}
    if not built:
        raise Refused(f"none of {len(prices)} candidates can be built: {next(iter(prices.values())).impossible}")
    said: list[str] = []
    for name, most in limits.items():
        known = {label: n for label, price in built.items() if math.isfinite(n := getattr(price, name))}
        if known:
            least = min(known, key=known.__getitem__)
            said.append(f"{name}={most:g}, where {least} is the cheapest with {known[least]:.4g}")
    raise Refused(
        f"no candidate meets --max {'; --max '.join(said)}: raise a limit, or give the space a cheaper option"
    )


# Time


def priced(
    variants: Mapping[str, Variant],
    limits: Mapping[str, float],
    times: MutableMapping[str, Timed],
    ratio: Ratio,
) -> dict[str, Price]:
    """As `counted`, and with a limit on "ms" also the times. Call it with the few that are to be trained next.

    Args:
        times: of networks that have been timed, by the key of their variant. What is timed here is added.
        ratio: times a variant, as `ratio_to` does.

    Raises:
        Refused: a limit is on something that is not priced.
    """
    prices = counted(variants, limits)
    if "ms" not in limits:
        return prices
    return {
        label: _timed(price, variants[label], limits["ms"], times, ratio) if price.admitted else price
        for label, price in prices.items()
    }


def _timed(price: Price, variant: Variant, most: float, times: MutableMapping[str, Timed], ratio: Ratio) -> Price:
    if variant.key not in times:
        expected = predicted(price.gflops, times)
        if expected > NEAR * most:
            return replace(price, ms=expected, over=(f"ms {expected:.3g} as predicted, at most {most:g}",))
        times[variant.key] = Timed(price.gflops, ratio(variant))
    found = times[variant.key].ratio
    over = (f"ms {found:.3g} as measured, at most {most:g}",) if found > most else ()
    return replace(price, ms=found, measured=True, over=over)


def predicted(gflops: float, times: Mapping[str, Timed]) -> float:
    """Time by the reference's, on a straight line through those that were timed; nan before there are `FITTED`."""
    if len(times) < FITTED:
        return math.nan
    x, y = (np.array([getattr(one, name) for one in times.values()]) for name in ("gflops", "ratio"))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread else 0.0
    return float(y.mean()) + slope * (gflops - float(x.mean()))


def ratio_to(reference: Variant, patience: Patience = PATIENCE) -> Ratio:
    """Times networks beside the reference at `SIZE`, on one thread."""

    def ratio(variant: Variant) -> float:
        return timed_beside(variant, reference, SIZE, patience).ratio(OWN).value

    return ratio


# Twins


class Twins:
    """Jobs that have been seen, to tell which new one computes what an earlier one does.

    Networks are built and compared only among jobs of one price: others are no twins. The seed does not count.
    """

    def __init__(self) -> None:
        self._counter = cache(PartCounter)
        self._seen: dict[Counted, dict[str, Job]] = defaultdict(dict)
        self._marks: dict[str, Fingerprint] = {}

    def earlier(self, label: str, job: Job) -> str:
        """The label of an earlier job that computes the same; "" where there is none, and this one is remembered.

        Raises:
            Refused: its network can not be built.
        """
        bare = job.vary({"seed": 0, "start": Start()})
        alike = self._seen[self._counter(bare.protocol.size).count(bare.variant)]
        for other, known in alike.items():
            if known.key == bare.key or self._mark(known).same(self._mark(bare)):
                return other
        alike[label] = bare
        return ""

    def _mark(self, job: Job) -> Fingerprint:
        if job.key not in self._marks:
            self._marks[job.key] = fingerprint(job)
        return self._marks[job.key]
