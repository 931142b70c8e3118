"""The front of a search and its published networks trained under a longer protocol: young is not mature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from workbench.core.errors import Refused
from workbench.experiments import commands, console
from workbench.experiments.engines.engine import LOCAL, Engine
from workbench.experiments.plan import StudyRun
from workbench.experiments.runner import retry, run_study
from workbench.experiments.search.decision import front
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.plan import SEEDS, SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.worker_pool import TrainJob
from workbench.space import Candidate
from workbench.study import Better, Study, StudyProtocol
from workbench.training.machine import Machine
from workbench.training.run import run as train_job


def train_on(
    run: SearchRun,
    under: StudyProtocol,
    *,
    machine: Machine,
    jobs: int | None = None,
    train: TrainJob = train_job,
    retried: bool = False,
    engine: Engine = LOCAL,
) -> int:
    """Trains them under another protocol, each with its seeds. The page of the search shows their new order.

    Args:
        retried: failures are forgotten first.
        jobs, engine: as for `run_study`.

    Returns:
        as `run_study`.

    Raises:
        Refused: nothing of the search is complete, or the protocol is its own or trains no whole networks.
    """
    check_longer(run, under)
    study = front_study(Searcher(run).know())
    then = StudyRun(study, under, run.home, data=run.data, changes=run.changes)
    again = commands.command(
        "study", "retry", *commands.of_search(run), *commands.terms_of(run), f"--then {under.name}"
    )
    following = commands.Following(again, commands.command("report", *commands.of_search(run)))
    if retried:
        console.say(f"{retry(then)} jobs under {under.name} are tried again")
    return run_study(then, machine=machine, jobs=jobs, train=train, then=following, engine=engine)


def check_longer(run: SearchRun, under: StudyProtocol) -> None:
    """Before anything is searched.

    Raises:
        Refused: as of `train_on`.
    """
    if under.name == run.protocol.name:
        raise Refused(f"--then {under.name}: that is what the search trains under; name a longer protocol")
    try:
        run.search.planned(run.search.space.candidates[0], under)
    except Refused as error:
        raise Refused(f"--then {under.name}: {error}") from None


def watched(known: Knowledge) -> list[tuple[int, Candidate]]:
    """Numbers and candidates of the front and of published networks that were trained, cheapest first."""
    candidates, named = known.run.search.space.candidates, known.run.search.landmarks
    points = sorted(front(known), key=lambda one: one.cost)
    there = [(point, candidates[known.places[point.which]]) for point in points]
    return [(point.which, one) for point, one in there if point.on_front or one in named]


def front_study(known: Knowledge) -> Study:
    """A row of each, and one claim for each pair of neighbours on the front.

    Raises:
        Refused: nothing is complete.
    """
    search, rows = known.run.search, watched(known)
    if not rows:
        raise Refused(f"nothing of {search.name}, {known.run.protocol.name} is complete in {known.run.home}; run it")
    on = {point.which for point in front(known) if point.on_front}
    texts = [candidate.text for number, candidate in rows if number in on]
    claims = tuple(
        Better(f"F{i}", "the costlier network beats the cheaper one", b, a, metric=search.up, from_scratch=True)
        for i, (a, b) in enumerate(pairwise(texts), start=1)
    )
    return Study(
        f"{search.name}_then",
        f"Does the order of {search.name} last?",
        f"the search {search.name}",
        search.base,
        tuple(search.as_row(candidate) for _, candidate in rows),
        claims,
        default=search.default,
        whole="the rows change what a frozen trunk computes",
    )


def later_scores(known: Knowledge, under: StudyProtocol, seeds: int = SEEDS) -> dict[int, list[float]]:
    """What they score under another protocol, by number, as measured, with any of the first seeds."""
    run, found = known.run, dict[int, list[float]]()
    for number, candidate in watched(known):
        keys = [run.search.planned(candidate, under, seed, run.job_changes).job.key for seed in range(seeds)]
        scores = [result.metrics[run.search.up] for key in keys if (result := run.result(key)) is not None]
        if scores:
            found[number] = scores
    return found


def same_order(before: Sequence[float], after: Sequence[float]) -> tuple[int, int]:
    """How many pairs keep their order, of how many that differ in both."""
    signs = [np.sign(np.subtract.outer(np.asarray(x), np.asarray(x))) for x in (before, after)]
    both = np.triu(signs[0] * signs[1], 1)
    return int((both > 0).sum()), int((both != 0).sum())


def longer_protocols(known: Knowledge, protocols: Mapping[str, StudyProtocol]) -> dict[str, StudyProtocol]:
    """Those under which candidates are trained whole, but the search's own and the one that proves nothing."""
    found: dict[str, StudyProtocol] = {}
    for name, one in protocols.items():
        if name not in (known.run.protocol.name, "smoke"):
            try:
                check_longer(known.run, one)
            except Refused:
                continue
            found[name] = one
    return found
