"""How long things take: the one instrument behind every latency, and behind every ratio of two.

What makes its numbers mean something:

- A fixed number of threads on fixed cores, the idlest there are; all is as it was before afterwards.
- A machine on which others leave too few cores is refused, unless the caller wants the numbers anyway.
- Variants are interleaved: each round calls every one of them, in a new random order, so that a slow minute meets all
  alike and nobody always runs after the same neighbour. Before each timed call stands one that is not timed: the caches
  hold this variant's weights, and the threads of the variant before have gone to sleep.
- Rounds are recorded once nothing gets faster any more, and until the ratios are known well enough or time is up.
- A ratio is the median over rounds of the two times of the same round. On a machine that others use as well, it is
  steady where the medians themselves are not. The ratio to a fixed network compares over machines.
- Every number comes with the 95 % interval that its order statistics give. It assumes that rounds are independent and
  that the number of rounds is given; rounds end early when the interval is narrow, so it is a little optimistic.

The coordinate stage runs per person who was found, so each latency states its number of persons.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.provenance import machine_name

LEVEL = 0.95  # of every interval
WINDOW = 0.5  # seconds for which other processes are watched before a measurement
SLACK = 0.2  # cores that a quiet machine takes for itself
CALM, WARMEST = 3, 30  # rounds without progress that end the warm-up; rounds that end it in any case
PROGRESS = 0.02  # a time this much better than the best so far is progress
LEAST_ROUNDS = 10  # recorded rounds, also where time is up

Call = Callable[[], object]
Clock = Callable[[], float]
Times = Sequence[float] | NDArray[np.float64]


# Numbers


@dataclass(frozen=True)
class Estimate:
    """A quantile and its interval; an end is infinite where there are too few rounds to know it."""

    value: float
    low: float
    high: float

    def shown(self, digits: int) -> str:
        low, high = ("?" if np.isinf(end) else f"{end:.{digits}f}" for end in (self.low, self.high))
        return f"{self.value:.{digits}f} [{low}, {high}]"

    @property
    def within(self) -> float:
        """The farther end's distance from the value, relative to it."""
        return max(self.value - self.low, self.high - self.value) / self.value

    def times(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


def quantile(values: Times, q: float, level: float = LEVEL) -> Estimate:
    """The `q` quantile of what `values` were drawn from, with the interval between two of them that holds it.

    The number of values below the quantile is binomial, whatever the distribution.
    """
    ordered = np.sort(np.asarray(values, float))
    low, high = _ranks(len(ordered), q, level)
    return Estimate(
        float(np.quantile(ordered, q)),
        float(ordered[low - 1]) if low >= 1 else -np.inf,
        float(ordered[high - 1]) if high <= len(ordered) else np.inf,
    )


@cache
def _ranks(count: int, q: float, level: float) -> tuple[int, int]:
    """The ranks, from 1, of the two of `count` values between which the quantile lies."""
    from scipy.special import bdtr  # half a second, and not every command times

    tail, below = (1 - level) / 2, bdtr(np.arange(count + 1), count, q)  # chance of so many values below it, or fewer
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail)) + 1


def paired(times: Times, reference: Times, level: float = LEVEL) -> Estimate:
    """How many times the reference's time: the median over rounds, both (rounds,)."""
    return quantile(np.asarray(times) / np.asarray(reference), 0.5, level)


@dataclass(frozen=True)
class Comparison:
    """What was measured, with the conditions that make it mean something.

    Fields:
        seconds: of each call, (rounds,); the same index is the same round.
        cores: that the process was bound to; none where the system does not bind.
        others: cores that other processes took, mean over the measurement.
        warmup: rounds before; steady: nothing got faster any more when they ended.
    """

    seconds: Mapping[str, NDArray[np.float64]]
    reference: str
    machine: str
    threads: int
    cores: tuple[int, ...]
    others: float
    warmup: int
    steady: bool

    @property
    def rounds(self) -> int:
        return len(self.seconds[self.reference])

    def milliseconds(self, name: str, q: float = 0.5) -> Estimate:
        return quantile(self.seconds[name], q).times(1e3)

    def ratio(self, name: str) -> Estimate:
        return paired(self.seconds[name], self.seconds[self.reference])

    def conditions(self) -> str:
        """One line."""
        bound = f"core {', '.join(map(str, self.cores))}" if self.cores else "no fixed core"
        warm = f"{self.warmup} of warm-up" + ("" if self.steady else " (still getting faster)")
        return (
            f"{self.machine}; {self.threads} thread{'s' * (self.threads != 1)} on {bound}, other processes on "
            f"{self.others:.1f}; {self.rounds} interleaved rounds after {warm}; intervals of {LEVEL:.0%}"
        )


# The instrument


@dataclass(frozen=True)
class Patience:
    """When a measurement ends: after `rounds` if each ratio is known to `within`, at `most` rounds, or in `seconds`."""

    seconds: float = 60.0
    rounds: int = 100
    most: int = 2000
    within: float = 0.01

    def over(self, times: Mapping[str, Times], reference: str, seconds: float) -> bool:
        rounds = len(times[reference])
        if rounds >= self.most or (rounds >= LEAST_ROUNDS and seconds > self.seconds):
            return True
        if rounds < self.rounds or rounds % 10:
            return False
        return all(paired(t, times[reference]).within <= self.within for t in times.values())


def measure(
    calls: Mapping[str, Call],
    reference: str,
    *,
    threads: int = 1,
    device: str = "cpu",
    patience: Patience = Patience(),
    anyway: bool = False,
    primed: bool = True,
    clock: Clock = time.perf_counter,
) -> Comparison:
    """Times the calls side by side. On a GPU each call is waited for.

    Args:
        anyway: measure also where others leave too few cores.
        primed: a call that is not timed before each that is; for calls so long that caches do not matter, False.

    Raises:
        Refused: the machine is busy; the reference is not among the calls.
    """
    if reference not in calls:
        raise Refused(f"latency: reference {reference!r} is not among {list(calls)}")
    allowed = allowed_cores()
    cores = quietest(allowed, threads, anyway)
    waited = {name: synchronised(call, device) for name, call in calls.items()}
    with isolated(threads, cores):
        watch = CoreWatch(allowed)
        rounds = _rounds(waited, primed, clock)
        warmup, steady = _warm(rounds, patience.seconds / 2, clock)
        seconds = _recorded(rounds, reference, patience, clock)
        others = watch.others()
    return Comparison(seconds, reference, machine_name(device), threads, cores, others, warmup, steady)


def synchronised(call: Call, device: str) -> Call:
    """The call until its result is there: a GPU's kernels run on after the call has returned."""
    if torch.device(device).type != "cuda":
        return call

    def whole() -> None:
        call()
        torch.cuda.synchronize(device)

    return whole


def _rounds(calls: Mapping[str, Call], primed: bool, clock: Clock) -> Iterator[dict[str, float]]:
    """Seconds of each call, round by round without end, each in a new random order."""
    names, draw = list(calls), np.random.default_rng(0)
    while True:
        took = dict.fromkeys(names, 0.0)
        for name in (names[i] for i in draw.permutation(len(names))):
            if primed:
                calls[name]()
            began = clock()
            calls[name]()
            took[name] = clock() - began
        yield took


def _warm(rounds: Iterator[dict[str, float]], patience: float, clock: Clock) -> tuple[int, bool]:
    """Rounds until none has got faster for `CALM` of them: how many, and whether that came to pass.

    The best time tells, because others' work makes times longer and never shorter.
    """
    best: dict[str, float] = {}
    calm, began = 0, clock()
    for count, took in enumerate(rounds, start=1):
        progress = any(s < (1 - PROGRESS) * best.get(name, np.inf) for name, s in took.items())
        best = {name: min(s, best.get(name, np.inf)) for name, s in took.items()}
        calm = 0 if progress else calm + 1
        if calm == CALM:
            return count, True
        if count >= WARMEST or clock() - began > patience:
            return count, False
    raise AssertionError("rounds have no end")


def _recorded(
    rounds: Iterator[dict[str, float]], reference: str, patience: Patience, clock: Clock
) -> dict[str, NDArray[np.float64]]:
    times: dict[str, list[float]] = {}
    began = clock()
    for took in rounds:
        for name, seconds in took.items():
            times.setdefault(name, []).append(seconds)
        if patience.over(times, reference, clock() - began):
            break
    return {name: np.array(t) for name, t in times.items()}


# The machine


def quietest(allowed: Sequence[int], threads: int, anyway: bool) -> tuple[int, ...]:
    """The idlest of the cores, one per thread as far as there are; none where a process can not be bound to cores.

    Watches other processes for `WINDOW` seconds; the load average would still tell of the minute before.

    Raises:
        Refused: what they take and `threads` together are more than the cores, and not `anyway`.
    """
    watch = CoreWatch(allowed)
    time.sleep(WINDOW)
    others = watch.others()
    if others + threads > len(allowed) + SLACK and not anyway:
        raise Refused(
            f"latency: other processes take {others:.1f} of {len(allowed)} cores and {threads} thread(s) are asked for,"
            f" a load of {others + threads:.1f}; stop them, ask for fewer threads, or add --anyway to measure all the"
            " same: ratios hold to a few percent, milliseconds do not"
        )
    by_load = sorted(allowed, key=watch.cores().__getitem__)
    return tuple(sorted(by_load[:threads])) if hasattr(os, "sched_setaffinity") else ()


def allowed_cores() -> tuple[int, ...]:
    """The cores open to this process."""
    return tuple(sorted(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)))


class CoreWatch:
    """The work of some cores from now on."""

    def __init__(self, cores: Sequence[int]) -> None:
        self.began, self.own, self.busy = time.perf_counter(), time.process_time(), busy_seconds(cores)

    def cores(self) -> dict[int, float]:
        """Seconds that each has worked, for anybody."""
        return {core: seconds - self.busy[core] for core, seconds in busy_seconds(self.busy).items()}

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.perf_counter() - self.began

    def others(self) -> float:
        """Cores' worth of work for other processes, mean since the beginning."""
        elsewhere = sum(self.cores().values()) - (time.process_time() - self.own)
        return max(elsewhere / self.seconds, 0.0)


def busy_seconds(cores: Iterable[int]) -> dict[int, float]:
    """Seconds that each core has worked since the start of the machine; what a host takes from its guest counts."""
    idle = ("idle", "iowait", "guest", "guest_nice")  # the last two are also in user and nice
    times = psutil.cpu_times(percpu=True)
    return {core: sum(times[core]) - sum(getattr(times[core], name, 0.0) for name in idle) for core in cores}


@contextmanager
def isolated(threads: int, cores: Sequence[int]) -> Iterator[None]:
    """This process with so many threads, on these cores, without garbage collection; at the end as it was before."""
    before, collects, places = torch.get_num_threads(), gc.isenabled(), thread_cores()
    torch.set_num_threads(threads)
    if cores:
        _bind({thread: set(cores) for thread in places})
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
        if cores:  # threads born meanwhile have inherited ours
            _bind({thread: places.get(thread, places[os.getpid()]) for thread in thread_cores()})
        torch.set_num_threads(before)


def thread_cores() -> dict[int, set[int]]:
    """The cores open to each thread of this process, by its id; the first thread has the process's id."""
    found: dict[int, set[int]] = {}
    if hasattr(os, "sched_getaffinity"):
        for thread in psutil.Process().threads():
            with suppress(ProcessLookupError):  # it has just ended
                found[thread.id] = os.sched_getaffinity(thread.id)
    return found


def _bind(places: Mapping[int, set[int]]) -> None:
    for thread, cores in places.items():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)
