"""A search from its first proposal to the seeds of its front, with trainings that are made up, and what kills it."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest

from benchmarks._postgres import Server
from tests.experiments.fakes import FAKED
from tests.shared_store import cutting
from workbench.core.errors import Refused
from workbench.experiments import queue_entry, worker_pool
from workbench.experiments.engines.engine import Engine
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search import pricing, rounds
from workbench.experiments.search.decision import front
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import Log, LogFile, Order, Proposal, State
from workbench.experiments.search.optuna_study import SearchStudy
from workbench.experiments.search.plan import SEEDS, SearchRun
from workbench.experiments.search.pricing import NEAR
from workbench.experiments.search.rounds import Searcher, run_search, status
from workbench.experiments.search.shared_log import SharedLog
from workbench.experiments.stores import store_of
from workbench.experiments.worker_pool import Workers, WorkerSettings
from workbench.models.job import Job
from workbench.models.variant import Variant
from workbench.models.zoo import nano
from workbench.space import Factor, Search
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_losses, write_result
from workbench.training.rung import Paused, read_pause, write_pause

pytestmark = FAKED
SEARCH = Search(
    "made_up",
    "Which is best?",
    "none",
    nano(),
    (
        Factor("depth", {"none": {"neck.depth": 0.0}, "some": {"neck.depth": 0.33}}),
        Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (0, 1, 2)}),
        Factor("bins", {n: {"coords.num_bins": (n, n + n // 3)} for n in (24, 48, 96)}),
        Factor("padding", {p: {"coords.padding": p} for p in (1.0, 1.25)}),
    ),
)
SHORT = PROTOCOLS["short"]
BUDGET = 24.0  # minutes; a made-up training takes one to three


class NoTwins:
    """Told apart by their keys: to build and compare networks takes seconds, and has its own tests."""

    def earlier(self, label: str, job: Job) -> str:
        return ""


@pytest.fixture(autouse=True)
def _no_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "Twins", NoTwins)
    monkeypatch.setattr(pricing, "PartCounter", COUNTER)


COUNTER = cache(pricing.PartCounter)  # each part is built and counted once for all searches here: it takes seconds


def score(job: Job) -> float:
    """AP that follows from the options, and chance that follows from the seed."""
    words = json.dumps(job.variant.to_dict())
    best = 0.30 + 0.05 * ('"depth": 0.0' not in words) + 0.02 * ('"padding"' not in words)
    chance = int(hashlib.sha256(f"{job.key}".encode()).hexdigest()[:6], 16) / 16**6
    return best + 0.01 * chance


def made_up(
    job: Job,
    machine: Machine,
    home: Path,
    data: Path | None,
    tell: Callable[[Progress], None],
    until: int,
    seconds: float = 0.0,
) -> Result:
    folder = job_folder(home, job.key)
    with (home / "begun").open("a") as file:
        file.write(f"{job.key}\n")
    time.sleep(seconds)
    images = job.protocol.epoch_images * job.protocol.epochs
    speed = images / (60 * (1 + 2 * ('"depth": 0.0' not in json.dumps(job.variant.to_dict()))))
    (folder / "curve.csv").write_text(f"epoch,AP,train_images_per_s\n{job.protocol.epochs},{score(job)},{speed}\n")
    write_result(folder, job.key, {"AP": score(job)}, {"commit": "abc"})
    with (home / "ended").open("a") as file:
        file.write(f"{job.key}\n")
    return read_result(folder)


def slowly(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    return made_up(job, machine, home, data, tell, until, 0.2)


def run_in(home: Path, budget: float = BUDGET, search: Search = SEARCH, **more: Any) -> SearchRun:
    home.mkdir(exist_ok=True)
    return SearchRun(search, SHORT, home, budget=budget, **more)


def start(run: SearchRun, jobs: int = 1) -> int:
    return run_search(run, machine=Machine(), jobs=jobs, train=made_up)


def log_of(run: SearchRun) -> Log:
    return LogFile(run.log_folder).read()


def ended(home: Path) -> Counter[str]:
    path = home / "ended"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def trials_of(run: SearchRun) -> list[optuna.trial.FrozenTrial]:
    storage = store_of(run.home).open(heartbeat=False)
    return optuna.load_study(study_name=f"search {run.name}", storage=storage).get_trials()


@pytest.mark.slow
def test_a_search_trains_within_its_budget_and_gives_the_front_its_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_in(tmp_path)
    assert start(run) == 0
    known = Searcher(run).know()
    assert known.trained_minutes < 2 * BUDGET and len(known.log.proposals) >= 8
    on = [number for number, seeds in known.values.items() if len(seeds) >= SEEDS]
    out = capsys.readouterr().out
    assert on and all(f"#{number:03d}" in out for number in on)
    best = {dict(one.pairs)["depth"] for one in known.log.proposals if one.number in on}
    assert "some" in best, "five points better for its cost"
    # predicted before it was trained, but for the first ones
    assert all(bool(one.predicted) == (one.number > 0) for one in known.log.proposals if one.state is State.ORDERED)
    assert set(ended(tmp_path).values()) == {1}
    states = Counter(one.state.name for one in trials_of(run))
    assert states == {"COMPLETE": len(known.log.proposals)}
    before = log_of(run)
    assert start(run) == 0 and log_of(run) == before, "nothing more to do"
    assert status(run) == 0


@pytest.mark.soak
def test_what_is_over_a_limit_or_known_is_never_trained(tmp_path: Path) -> None:
    full = run_in(tmp_path)
    prices = Searcher(full).prices
    most = sorted(one.gflops for one in prices)[len(prices) // 2]
    run = run_in(tmp_path, budget=12.0, limits={"gflops": most}, sampler="random")
    assert start(run) == 0
    dear = {one.key for one in log_of(run).proposals if one.state is State.OVER}
    assert dear and not dear & set(ended(tmp_path))
    over = [one for one in trials_of(run) if one.user_attrs.get("state") == str(State.OVER)]
    assert over and all(one.values[0] == 0 and one.constraints["gflops"] > 0 for one in over)  # pyright: ignore
    # another search in the same folder takes over what is there
    other = run_in(tmp_path, budget=12.0, search=replace(SEARCH, name="another"))
    trained = set(ended(tmp_path))
    assert start(other) == 0
    known = {one.key for one in log_of(other).proposals if one.state is State.KNOWN}
    assert trained >= known and len(known) == sum(one.state is State.ORDERED for one in log_of(run).proposals)
    assert set(ended(tmp_path).values()) == {1}


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param("tpe", marks=pytest.mark.slow),
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("nsga2", "nsga3", "random")),
    ],
)
def test_samplers_of_optuna_may_propose_as_well(tmp_path: Path, sampler: str) -> None:
    run = run_in(tmp_path, budget=6.0, sampler=sampler)
    assert start(run) == 0
    proposals = log_of(run).proposals
    assert len({one.pairs for one in proposals}) == len(proposals) and {one.by for one in proposals} == {sampler}


@pytest.mark.soak
def test_an_option_may_be_added_to_a_search(tmp_path: Path) -> None:
    run = run_in(tmp_path, budget=8.0)
    assert start(run) == 0
    before = log_of(run)
    factors = [*SEARCH.factors[:-1], Factor("padding", {p: {"coords.padding": p} for p in (1.0, 1.25, 1.5)})]
    wider = run_in(tmp_path, budget=40.0, search=replace(SEARCH, factors=tuple(factors)))
    assert start(wider) == 0
    after = log_of(wider)
    assert after.proposals[: len(before.proposals)] == before.proposals and len(after.proposals) > len(before.proposals)
    assert set(ended(tmp_path).values()) == {1}
    assert len(trials_of(wider)) == len(after.proposals)


def at_rungs(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result | Paused:
    """Its loss at the rung tells its score well."""
    folder = job_folder(home, job.key)
    if until:
        with (home / "paused").open("a") as file:
            file.write(f"{job.key}\n")
        write_losses(folder, [{"epoch": e, "loss_oks": 10 * (1 - score(job))} for e in range(1, until + 1)])
        write_pause(folder, job.key, until, {})
        return read_pause(folder)
    return made_up(job, machine, home, data, tell, until)


@pytest.mark.soak
def test_with_a_rung_few_go_on_to_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_in(tmp_path, budget=10.0, search=replace(SEARCH, rungs=(0.2, 1.0)))
    assert run_search(run, machine=Machine(), jobs=1, train=at_rungs) == 0
    paused, whole = (Counter((tmp_path / name).read_text().split()) for name in ("paused", "ended"))
    orders = log_of(run).orders
    assert set(paused.values()) == {1} == set(whole.values())
    assert len(paused) > len({one.number for one in orders if not one.until}), "more were looked at than trained"
    assert any(one.purpose == "promoted" for one in orders) and "goes on to the end" in capsys.readouterr().out
    known = Searcher(run).know()
    assert known.at_rung and not known.at_rung & {point.which for point in front(known)}
    assert all(len(known.values[p.which]) >= SEEDS for p in front(known) if p.on_front)
    assert {t.state.name for t in trials_of(run) if t.user_attrs["proposal"] in known.at_rung} == {"RUNNING"}


@pytest.mark.soak
def test_where_nothing_has_changed_nothing_is_worked_out_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, looks, known = run_in(tmp_path, budget=1.0), list[Any](), list[Log]()

    def fill(queue: JobQueue, plan: Mapping[str, PlannedJob], of: Any = JobQueue.fill) -> Any:
        looks.append((log_of(run), of(queue, plan)))
        return looks[-1][1]

    def know(searcher: Searcher, *lost: Any, of: Any = Searcher.know) -> Knowledge:
        known.append(searcher.file.read())
        return of(searcher, *lost)

    monkeypatch.setattr(worker_pool, "LONGEST", worker_pool.POLL)  # it looks as often on a slow machine
    monkeypatch.setattr(JobQueue, "fill", fill)
    monkeypatch.setattr(Searcher, "know", know)
    assert run_search(run, machine=Machine(), jobs=1, train=partial(made_up, seconds=2.0)) == 0
    changes = 1 + sum(one != other for one, other in pairwise(looks))
    assert len(looks) > changes + 5, "at some of them nothing has changed"
    assert changes <= len(known) <= changes + 2, "and once before and once behind"


@pytest.mark.soak
def test_two_at_a_time_train_nothing_twice(tmp_path: Path) -> None:
    run = run_in(tmp_path, budget=12.0)
    assert start(run, jobs=2) == 0
    assert set(ended(tmp_path).values()) == {1}
    pairs = [one.pairs for one in log_of(run).proposals]
    assert len(set(pairs)) == len(pairs)


@pytest.mark.slow
def test_a_training_that_fails_is_said_and_the_search_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(
        job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
    ) -> Result:
        if '"depth": 0.0' in json.dumps(job.variant.to_dict()):
            raise RuntimeError("the gradient is not finite")
        return made_up(job, machine, home, data, tell, until)

    run = run_in(tmp_path, budget=8.0)
    assert run_search(run, machine=Machine(), jobs=1, train=failing) == 1
    assert "the gradient is not finite" in capsys.readouterr().out
    failed = [one for one in trials_of(run) if one.params["depth"] == "none"]
    assert failed and all(one.state.name == "FAIL" for one in failed)
    assert {one.user_attrs["why"] for one in failed} == {"RuntimeError: the gradient is not finite"}
    assert status(run) == 1 and f"{len(failed)} failed" in capsys.readouterr().out
    assert any(one.result is not None for one in Searcher(run).know().trainings)


class Instrument:
    """Stands for the one that times networks: those with further layers take more of the base's time."""

    def __init__(self) -> None:
        self.timed: list[str] = []

    def __call__(self, base: Variant) -> Callable[[Variant], float]:
        return self.ratio

    def ratio(self, variant: Variant) -> float:
        layers = int(str(dict(variant.neck.flat())["transformer_encoder_layers"]))
        self.timed.append(variant.key)
        return 1.0 + 0.2 * layers


def with_instrument(run: SearchRun, monkeypatch: pytest.MonkeyPatch) -> Instrument:
    found = Instrument()
    monkeypatch.setattr(rounds, "ratio_to", found)
    assert start(run) == 0
    return found


@pytest.mark.soak
def test_a_limit_on_time_is_measured_where_it_may_be_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_in(tmp_path, budget=12.0, limits={"ms": 1.1})
    timed = with_instrument(run, monkeypatch).timed
    proposals = log_of(run).proposals
    space, variant = run.search.space, run.search.variant
    asked = {one.number: variant(space.candidate(one.pairs)).key for one in proposals}
    assert timed == list(dict.fromkeys(asked[one.number] for one in proposals if one.timed)), "each once, in order"
    for one in proposals:
        layers = int(dict(one.pairs)["layers"])
        assert (one.state is State.OVER) == (layers > 0) and "at most 1.1" in (one.why or "at most 1.1")
        if one.timed:
            assert one.costs["ms"] == pytest.approx(1.0 + 0.2 * layers)
        else:
            assert one.state is State.OVER and "as predicted" in one.why and one.costs["ms"] > NEAR * 1.1
    assert any(not one.timed for one in proposals), "the time of some was plain before"
    over = {one.key for one in proposals if one.state is State.OVER}
    assert over and not over & set(ended(tmp_path))
    # what was timed stands in the log: the same command times nothing, a higher limit only what is new
    assert with_instrument(run, monkeypatch).timed == []
    assert not {*timed} & {*with_instrument(run_in(tmp_path, limits={"ms": 1.3}, budget=16.0), monkeypatch).timed}


@pytest.mark.slow
def test_a_limit_on_time_that_nobody_meets_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ratio_to", Instrument())
    with pytest.raises(Refused, match=r"no candidate meets --max ms=0.5, where .*layers 0.* is the cheapest with 1: "):
        start(run_in(tmp_path, limits={"ms": 0.5}))
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limits": {"gflops": 0.01}}, "no candidate meets --max gflops=0.01.* is the cheapest"),
        ({"limits": {"watts": 5.0}}, "'watts' is not measured; there are"),
        ({"limits": {"ms": -1.0}}, "must be above 0"),
        ({"sampler": "grid"}, "--sampler grid: there are surrogate, tpe"),
        ({"changes": {"recipe.nothing": 1}}, "has no 'nothing'"),
        ({"changes": {"seed": 1}}, "seed has an option of its own"),
    ],
)
def test_bad_terms_are_refused_before_anything_runs(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        start(run_in(tmp_path, **given))
    assert not (tmp_path / "begun").exists()


def test_a_protocol_without_whole_networks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="protocol thaw does not train whole networks from scratch"):
        SearchRun(SEARCH, PROTOCOLS["thaw"], tmp_path)


def begun_apart(run: SearchRun) -> Any:
    def main() -> None:
        os.setpgid(0, 0)
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        os._exit(run_search(run, machine=Machine(), jobs=1, train=slowly))

    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    return process


@pytest.mark.soak
def test_kills_at_random_moments_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty of them, of the parent or of a worker: the same proposals, each training once, none lost."""
    monkeypatch.setattr(queue_entry, "LIMIT", 100)  # one that is killed too often is given up otherwise
    plain, stormy = run_in(tmp_path / "plain", budget=20.0), run_in(tmp_path / "stormy", budget=20.0)
    assert start(plain) == 0
    chance, kills, process = random.Random(0), 0, begun_apart(stormy)
    while kills < 20 and process.is_alive():
        time.sleep(chance.uniform(0.05, 0.8))
        children = psutil.Process(process.pid).children(recursive=True) if process.is_alive() else []
        victim = chance.choice([process.pid, *(one.pid for one in children)])
        try:
            os.kill(victim or 0, signal.SIGKILL)
            kills += 1
        except ProcessLookupError:
            continue
        if victim == process.pid:
            process.join()
            process = begun_apart(stormy)
    process.join()
    assert start(stormy) == 0
    assert log_of(stormy) == log_of(plain)
    assert set(ended(stormy.home)) == set(ended(plain.home)) and set(ended(stormy.home).values()) == {1}
    assert kills >= 10


@pytest.mark.soak
def test_connections_that_are_cut_in_the_middle_end_no_search(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes meets the search in the middle of a step. Here each connection is cut three times a second."""
    monkeypatch.setattr(queue_entry, "LIMIT", 100)  # a training whose worker is cut off is tried again
    run, store = run_in(tmp_path / "runs", budget=20.0), postgres.database("cut_search")
    monkeypatch.setenv("WORKBENCH_STORE", store)
    process = begun_apart(run)
    cut = cutting(store, process.is_alive, 0.33)
    process.join()
    log, trained = log_of(run), ended(run.home)
    assert process.exitcode == 0 and cut > 20
    assert [one.number for one in log.proposals] == [*range(len(log.proposals))]
    assert set(trained.values()) == {1} and len(trained) == len({(one.number, one.seed) for one in log.orders}) >= 10
    assert {one.state.name for one in trials_of(run) if "proposal" in one.user_attrs} == {"COMPLETE"}


@pytest.mark.slow
def test_what_another_command_decides_is_worked_off_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was killed before it could queue that."""
    run, fill = run_in(tmp_path), JobQueue.fill
    one = run.search.space.candidates[0]
    key = run.planned(one).job.key

    def decided(self: JobQueue, plan: Any) -> Any:
        if not LogFile(run.log_folder).path.exists():
            LogFile(run.log_folder).add(Proposal(0, one.pairs, State.ORDERED, key=key, costs={"gflops": 1.0}), Order(0))
        return fill(self, plan)

    monkeypatch.setattr(JobQueue, "fill", decided)
    monkeypatch.setattr(Searcher, "step", lambda *_: False)
    assert start(run) == 0
    assert ended(tmp_path) == {key: 1} and "#000" in capsys.readouterr().out


@pytest.mark.soak
def test_a_machine_without_the_folder_goes_on(address: str, tmp_path: Path) -> None:
    """With an object store: from what was decided elsewhere, and nothing is trained a second time."""
    one, two = run_in(tmp_path / "one", budget=6.0), run_in(tmp_path / "two", budget=30.0)
    assert start(one) == 0 and status(two) == 0, "who looks sees it"
    begun = log_of(one).proposals
    assert start(two) == 0 and log_of(two).proposals[: len(begun)] == begun
    assert start(replace(one, budget=30.0)) == 0 and log_of(one) == log_of(two), "and back, where all is there"
    _each_once(one, two)


@dataclass
class Deciding(Engine):
    """Nobody trains. At the first rest another machine decides."""

    other: SearchRun
    seen: list[list[str]] = field(default_factory=list)
    size = 0
    at_work = True

    def check(self, jobs: int | None, home: Path) -> None: ...

    def pool(self, settings: WorkerSettings, jobs: int | None, check: Callable[[], None]) -> Workers:
        return self

    def start_workers(self, queued: int, owners: Sequence[str]) -> None: ...

    def rest(self, seconds: float) -> None:
        if not self.seen:
            shared, searcher = SharedLog(self.other), Searcher(self.other)
            with store_of(self.other.home).locked(shared.lock):
                shared.catch_up(print)
                known = searcher.know()
                study = SearchStudy(self.other, known.log, known.outcomes())
                assert shared.decide(lambda: searcher.step(known, study), print)
        self.seen.append([one.state.name for one in trials_of(self.other)])
        if len(self.seen) == 2:
            raise KeyboardInterrupt

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, error: object, *_: object) -> None: ...


def test_who_only_looks_gives_up_nothing_that_others_have_decided(database: str, tmp_path: Path, address: str) -> None:
    one, two = run_in(tmp_path / "one"), run_in(tmp_path / "two")
    engine = Deciding(one)
    assert run_search(two, machine=Machine(), train=made_up, engine=engine) == 130
    assert engine.seen == [["RUNNING", "RUNNING"]] * 2 and log_of(two) == log_of(one)


@pytest.mark.soak
def test_two_machines_without_a_common_folder_search_together(address: str, database: str, tmp_path: Path) -> None:
    one, two = run_in(tmp_path / "one"), run_in(tmp_path / "two")
    process = begun_apart(one)
    assert start(two) == 0
    process.join()
    assert process.exitcode == 0 and log_of(one) == log_of(two)
    _each_once(one, two)


def _each_once(one: SearchRun, two: SearchRun) -> None:
    trained = ended(one.home) + ended(two.home)
    assert ended(one.home) and ended(two.home) and set(trained.values()) == {1}
    assert len(trained) == len({(order.number, order.seed) for order in log_of(one).orders})
