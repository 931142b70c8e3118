"""A search that is over: six candidates, a planted log, and jobs whose results are made up."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from workbench.experiments.search.log import LogFile, Order, Proposal, State
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.pricing import Price
from workbench.experiments.search.rounds import Searcher
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.space import Factor, Search
from workbench.study import StudyProtocol
from workbench.training.record import job_folder, write_curve, write_losses, write_result
from workbench.training.rung import write_pause

SEARCH = Search(
    name="planted",
    question="Which bins?",
    source="a test",
    base=nano(),
    factors=(
        Factor("bins", {"dynamic": {}, "static": {"coords.dynamic_allocation": False}}),
        Factor("padding", {"usual": {}, "wide": {"coords.padding": 1.5}}, when={"bins": ("dynamic",)}),
        Factor("layers", {1: {}, 0: {"neck.transformer_encoder_layers": 0}}),
    ),
    limits={"gflops": 5.5},
    published={"Base": {}, "Dear": {"bins": "static", "layers": 0}},
)
SETTING = StudyProtocol(
    "small", "a made-up one", Protocol(size=(96, 96), epoch_images=600, eval_images=40), answers="It says nothing."
)
GFLOPS = (3.0, 1.0, 5.0, 2.0, 4.0, 6.0)  # of candidates, in the order of the space
PRICES = [Price(params=1e6 * g, gflops=g, over=("gflops 6, at most 5.5",) if g > 5.5 else ()) for g in GFLOPS]
SCORES: Mapping[int, tuple[float, ...]] = {  # in points, of proposals, by seed
    0: (30.0, 27.0, 27.6),
    1: (20.0, 19.0),
    2: (40.0, 36.0, 38.0),
    4: (28.0,),
}
EXPLORED = [(0, 0), (2, 0), (3, 0), (4, 0)]  # number and seed of orders; that of #003 failed
FRONT = [(1, 1), (0, 1), (2, 1), (0, 2), (2, 2)]
TAGS = {"commit": "abc", "machine": "box", "threads": "1", "precision": "float32"}
MINUTES = 0.5  # of each training


def searching(home: Path, search: Search = SEARCH) -> SearchRun:
    return SearchRun(search, SETTING, home, budget=9.0)


def plant(home: Path) -> SearchRun:
    """The log, and the jobs that are complete. Of #001 the first seed is known from elsewhere, #003 failed."""
    run = searching(home)
    proposals = [_proposal(run, number) for number in range(len(GFLOPS))]
    lines = [Order(*one) for one in EXPLORED] + [Order(*one, purpose="front") for one in FRONT]
    LogFile(run.log_folder).add(*proposals, *lines)
    trained = [(1, 0), *(one for one in [*EXPLORED, *FRONT] if one != (3, 0))]
    for clock, (number, seed) in enumerate(trained):
        _complete(run, number, seed, clock)
    return run


def plant_paused(home: Path) -> SearchRun:
    """As `plant`, of a search with a rung: #003 waits there, #004 has gone on from it to the end."""
    run = searching(home, replace(SEARCH, rungs=(0.2, 1.0)))
    proposals = [_proposal(run, number) for number in range(len(GFLOPS))]
    orders = [Order(number, seed, until=run.rung) for number, seed in EXPLORED]
    LogFile(run.log_folder).add(*proposals, *orders, *(Order(n, purpose="promoted") for n in (0, 2, 4)))
    for clock, one in enumerate([(1, 0), (0, 0), (2, 0), (4, 0)]):
        _complete(run, *one, clock)
    folder = job_folder(home, proposals[3].key)
    folder.mkdir(parents=True)
    write_losses(folder, [{"epoch": epoch, "loss_oks": 0.5} for epoch in range(1, run.rung + 1)])
    write_pause(folder, proposals[3].key, run.rung, {})
    return run


def _proposal(run: SearchRun, number: int) -> Proposal:
    candidate = run.search.space.candidates[number]
    states = {1: (State.KNOWN, "trained before"), 5: (State.OVER, "gflops 6, at most 5.5")}
    state, why = states.get(number, (State.ORDERED, ""))
    predicted = () if number == 0 else (30.0, 25.0, 35.0)
    costs = {"params": PRICES[number].params, "gflops": PRICES[number].gflops}
    key = run.planned(candidate).job.key
    return Proposal(number, candidate.pairs, state, why, key, costs, predicted, 0.1 * number, "surrogate")


def _complete(run: SearchRun, number: int, seed: int, clock: int) -> None:
    job = run.planned(run.search.space.candidates[number], seed).job
    folder, score = job_folder(run.home, job.key), SCORES[number][seed] / 100
    folder.mkdir(parents=True, exist_ok=True)
    epochs = job.protocol.epochs
    speed = epochs * 600 / (60 * MINUTES)
    write_curve(folder, [{"epoch": float(epochs), "AP": score, "train_images_per_s": speed}])
    finished = {"finished": f"2026-01-01T00:{clock:02d}:00+00:00"}
    write_result(folder, job.key, {"AP": score, "gflops": 0.1, "params": 1e5}, {**TAGS, **finished})


def without_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted prices stand for those that would be counted, which takes seconds."""
    monkeypatch.setattr(Searcher, "prices", PRICES)
