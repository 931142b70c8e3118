"""The instrument: its intervals, its rounds, what it does to the process, and when it refuses."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.core import provenance
from workbench.core.errors import Refused
from workbench.inference import timing
from workbench.inference.timing import Patience, measure, paired, quantile

bound = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind to cores")


class Clock:
    """Every call takes as many seconds as its price says: a number, or a function of how often it was called."""

    def __init__(self, prices: Mapping[str, float | Callable[[int], float]]) -> None:
        self.now, self.prices, self.order = 0.0, prices, list[str]()

    def __call__(self) -> float:
        return self.now

    def calls(self) -> dict[str, timing.Call]:
        return {name: lambda name=name: self.spend(name) for name in self.prices}

    def spend(self, name: str) -> None:
        price = self.prices[name]
        self.now += price(self.order.count(name)) if callable(price) else price
        self.order.append(name)


# Numbers


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_an_interval_holds_the_quantile_as_often_as_it_says(q: float) -> None:
    draw, truth, held = np.random.default_rng(0), -np.log(1 - q), 0
    for _ in range(400):
        found = quantile(draw.exponential(size=60), q)
        assert found.low <= found.value <= found.high
        held += found.low < truth < found.high
    assert 0.93 < held / 400 < 0.99


def test_an_interval_is_as_wide_as_the_binomial_says() -> None:
    """100 values: the 40th and the 61st hold the median with 96 %; the 41st and the 60th with 94 %."""
    found = quantile(np.arange(1.0, 101.0), 0.5)
    assert (found.value, found.low, found.high) == (50.5, 40, 61)


def test_too_few_rounds_leave_an_end_open() -> None:
    found = quantile(np.arange(1.0, 101.0), 0.99)
    assert found.high == np.inf and found.low == 97
    assert quantile([1.0], 0.5).within == np.inf
    assert found.shown(0) == "99 [97, ?]"


def test_a_ratio_is_between_times_of_one_round() -> None:
    """The machine is ten times slower in every other round: the ratio does not see it."""
    weather = np.tile([1.0, 10.0], 50)
    found = paired(1.5 * weather, weather)
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)


# Rounds


def test_rounds_call_each_once_in_changing_order_after_a_call_that_is_not_timed(quiet: None) -> None:
    clock = Clock({"a": 1, "b": 2, "c": 3})
    found = measure(clock.calls(), "a", patience=Patience(seconds=1e9, rounds=40, most=40), clock=clock)
    turns = [clock.order[i : i + 2] for i in range(0, len(clock.order), 2)]
    assert all(first == second for first, second in turns)
    rounds = ["".join(t[0] for t in turns[i : i + 3]) for i in range(0, len(turns), 3)]
    assert {"".join(sorted(r)) for r in rounds} == {"abc"}
    assert len(set(rounds)) == 6, "every order comes"
    assert len(rounds) == found.warmup + found.rounds == found.warmup + 40
    assert [found.milliseconds(n).value for n in "abc"] == [1e3, 2e3, 3e3]
    assert found.ratio("c").value == 3


def test_long_calls_are_not_called_twice(quiet: None) -> None:
    clock = Clock({"a": 1, "b": 2})
    found = measure(clock.calls(), "a", patience=Patience(rounds=12, most=12), primed=False, clock=clock)
    assert len(clock.order) == 2 * (found.warmup + 12)


def test_warm_up_lasts_as_long_as_something_gets_faster(quiet: None) -> None:
    clock = Clock({"a": 1, "b": lambda n: max(20 - n, 10)})  # two calls a round
    found = measure(clock.calls(), "a", patience=Patience(seconds=1e9, rounds=10, most=10), clock=clock)
    assert (found.warmup, found.steady) == (6 + timing.CALM, True)
    assert set(found.seconds["b"]) == {10}
    assert "still" not in found.conditions()


def test_warm_up_without_end_is_said(quiet: None) -> None:
    clock = Clock({"a": lambda n: 0.9**n})
    found = measure(clock.calls(), "a", patience=Patience(seconds=1e9, rounds=10, most=10), clock=clock)
    assert (found.warmup, found.steady) == (timing.WARMEST, False)
    assert "still getting faster" in found.conditions()


@pytest.mark.slow
def test_rounds_end_when_the_ratio_is_known_or_time_is_up(quiet: None) -> None:
    clock = Clock({"a": 1, "b": 2})
    assert measure(clock.calls(), "a", patience=Patience(seconds=1e9), clock=clock).rounds == 100
    draw = np.random.default_rng(0)
    clock = Clock({"a": 1, "b": lambda _: draw.uniform(1.85, 2.15)})
    patient = measure(clock.calls(), "a", patience=Patience(seconds=1e9), clock=clock)
    assert 100 < patient.rounds < 2000 and patient.ratio("b").within <= 0.01
    assert measure(clock.calls(), "a", patience=Patience(seconds=1e9, within=1e-9, most=130), clock=clock).rounds == 130
    assert measure(clock.calls(), "a", patience=Patience(seconds=100), clock=clock).rounds == 17  # of 6 s
    assert measure(clock.calls(), "a", patience=Patience(seconds=0), clock=clock).rounds == timing.LEAST_ROUNDS


# The machine


def test_a_busy_machine_is_refused_unless_anyway(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "allowed_cores", lambda: (0, 1))
    clock = Clock({"a": 1})
    run = lambda **more: measure(clock.calls(), "a", clock=clock, patience=Patience(most=10), **more)  # noqa: E731
    monkeypatch.setattr(timing, "busy_seconds", lambda cores: dict.fromkeys(cores, 0.0))
    monkeypatch.setattr(timing, "isolated", lambda *_: nullcontext())
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 1.1)
    assert run(threads=1).rounds == 10
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 1.3)
    with pytest.raises(Refused, match=r"other processes take 1.3 of 2 cores .* load of 2.3; .*--anyway"):
        run(threads=1)
    assert run(threads=1, anyway=True).others == 1.3
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 0.0)
    with pytest.raises(Refused, match="3 thread"):
        run(threads=3)


def test_the_work_of_others_is_what_is_not_idle_and_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Core 0: 2 s of work of which 1 is ours; core 1: 1 s of waiting, 0.5 stolen; core 2 is not open to us."""
    core = lambda **t: Times(**{**dict.fromkeys(FIELDS, 0.0), **t})  # noqa: E731
    states = iter(
        [
            [core(user=5.0, idle=7.0), core(), core()],
            [core(user=6.0, guest=3.0, system=1.0, idle=8.0), core(iowait=1.0, steal=0.5), core(user=9.0)],
        ]
    )
    clocks = iter([10.0, 12.0]), iter([3.0, 4.0])
    monkeypatch.setattr(timing.psutil, "cpu_times", lambda percpu: next(states))
    fake = SimpleNamespace(perf_counter=lambda: next(clocks[0]), process_time=lambda: next(clocks[1]))
    monkeypatch.setattr(timing, "time", fake)
    assert timing.CoreWatch((0, 1)).others() == pytest.approx((2 + 0.5 - 1) / 2)


FIELDS = ("user", "system", "idle", "iowait", "steal", "guest", "guest_nice")


class Times(SimpleNamespace):
    """As psutil's record: fields by name, and their sequence."""

    def __iter__(self) -> Iterator[float]:
        return iter(vars(self).values())


@pytest.mark.slow
@bound
def test_threads_and_cores_are_set_meanwhile_and_restored(quiet: None) -> None:
    seen, before = [], _state()
    other = threading.Thread(target=(gate := threading.Event()).wait)
    other.start()

    def call() -> None:
        seen.append((torch.get_num_threads(), gc.isenabled(), *timing.thread_cores().values()))

    try:
        places = timing.thread_cores()
        found = measure({"a": call}, "a", threads=1, patience=Patience(most=2))
        cores = set(found.cores)
        assert len(places) >= 2 and len(cores) == 1
        assert {(threads, enabled) for threads, enabled, *_ in seen} == {(1, False)}
        assert all(place == cores for _, _, *rest in seen for place in rest)
        assert timing.thread_cores() == places and _state() == before
        with pytest.raises(ZeroDivisionError):
            measure({"a": lambda: 1 / 0}, "a", threads=before[0] + 1, anyway=True)
        assert timing.thread_cores() == places and _state() == before
    finally:
        gate.set()
        other.join()


@bound
def test_a_thread_born_meanwhile_is_set_free(quiet: None) -> None:
    gate = threading.Event()
    born: list[threading.Thread] = []

    def call() -> None:
        if not born:
            born.append(threading.Thread(target=gate.wait))
            born[0].start()

    try:
        before = os.sched_getaffinity(0)
        measure({"a": call}, "a", patience=Patience(most=2))
        assert os.sched_getaffinity(born[0].native_id or 0) == before
    finally:
        gate.set()
        born[0].join()


def _state() -> tuple[int, bool, set[int]]:
    return torch.get_num_threads(), gc.isenabled(), os.sched_getaffinity(0)


@bound
def test_the_idlest_cores_are_taken(quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "busy_seconds", lambda cores: dict.fromkeys(cores, 0.0))
    monkeypatch.setattr(timing.CoreWatch, "cores", lambda _: {0: 0.3, 2: 0.0, 5: 0.5, 7: 0.1})
    assert timing.quietest((0, 2, 5, 7), 2, anyway=False) == (2, 7)


def test_a_gpu_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", done.append)
    timing.synchronised(lambda: done.append("call"), "cuda:1")()
    assert done == ["call", "cuda:1"]
    timing.synchronised(lambda: done.append("call"), "cpu")()
    assert done == ["call", "cuda:1", "call"]


def test_the_device_is_named(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    assert "core" in provenance.machine_name()
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    found = measure({"a": lambda: None}, "a", device="cuda", patience=Patience(most=1))
    assert found.machine == "GPU of cuda" and found.conditions().startswith("GPU of cuda; 1 thread on")
