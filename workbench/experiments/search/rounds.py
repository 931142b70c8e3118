"""Runs a search: proposes, checks, orders, and lets workers train, until the budget is used up.

Each decision is written to the log before anything is queued, and follows from the log and from results alone. So a
search that was killed goes on where it stood, whatever else it had in mind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.processes import interruptible
from workbench.experiments import commands, console
from workbench.experiments.engines.engine import LOCAL, Engine
from workbench.experiments.job_claim import read_progress
from workbench.experiments.job_queue import JobQueue, stored_entries
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.runner import say_joining
from workbench.experiments.search.decision import BY_NAME, chosen, explores, front, next_published, next_seed
from workbench.experiments.search.knowledge import Knowledge, Training
from workbench.experiments.search.log import Log, LogFile, Order, Proposal, State
from workbench.experiments.search.optuna_study import SearchStudy
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.pricing import Price, Timed, Twins, check_admits, counted, priced, ratio_to
from workbench.experiments.search.recorded import Recorder
from workbench.experiments.search.refusals import check_any_met, check_search_data
from workbench.experiments.search.shared_log import SharedLog
from workbench.experiments.search.standing import given_up
from workbench.experiments.search.tables import print_search, print_states
from workbench.experiments.stores import outlasting
from workbench.experiments.worker_pool import TrainJob, Workers, WorkerSettings, work_off
from workbench.space import Candidate
from workbench.study import PlannedJob
from workbench.training.machine import Machine
from workbench.training.record import read_curve, train_minutes
from workbench.training.run import run as train_job
from workbench.training.rung import rung_of, signals_at


@dataclass
class Searcher:
    """A search at work: its files, its prices, and what it knows."""

    run: SearchRun
    jobs: dict[tuple[tuple[tuple[str, str], ...], int], PlannedJob] = field(default_factory=dict)

    @cached_property
    def prices(self) -> list[Price]:
        """Of all candidates, counted; a limit on time is measured of those alone that are proposed.

        Raises:
            Refused: no candidate meets the limits.
        """
        search = self.run.search
        variants = {str(i): search.variant(one) for i, one in enumerate(search.space.candidates) if self._builds(one)}
        limits = {name: most for name, most in self.run.all_limits.items() if name != "ms"}
        known = counted(variants, limits)
        texts = {one.text: known[str(i)] for i, one in enumerate(search.space.candidates) if str(i) in known}
        check_admits(texts, limits)
        impossible = Price(impossible="it can not be built")
        return [known.get(str(i), impossible) for i in range(len(search.space))]

    def _builds(self, candidate: Candidate) -> bool:
        return not self.why_not(candidate)

    def why_not(self, candidate: Candidate) -> str:
        """The rule by which a candidate is impossible; "" where it is not."""
        try:
            self.run.search.variant(candidate)
            self.run.planned(candidate)
        except (Refused, KeyError) as error:
            return str(error.args[0] if error.args else error)
        return ""

    @cached_property
    def times(self) -> dict[str, Timed]:
        """Networks that were timed, by the key of their variant: as the log has them, and since."""
        space = self.run.search.space
        return {
            self.run.search.variant(space.candidate(one.pairs)).key: Timed(one.costs["gflops"], one.costs["ms"])
            for one in self.file.read().proposals
            if one.timed and one.pairs in self._there
        }

    @cached_property
    def twins(self) -> Twins:
        """Of the jobs that were looked at."""
        return Twins()

    @property
    def file(self) -> LogFile:
        return LogFile(self.run.log_folder)

    def know(self, lost: Mapping[str, str] | None = None) -> Knowledge:
        """What is known now. `lost`: keys of jobs that failed for good, and why."""
        log = self.file.read()
        by_number = {one.number: one for one in log.proposals}
        last = {(order.number, order.seed): order for order in log.orders}
        trainings = [
            self._training(order, by_number[order.number], lost or {})
            for order in last.values()
            if order.seed == 0 or by_number[order.number].pairs in self._there
        ]
        found = {one.number: self.run.result(one.key) for one in log.proposals if one.state is State.KNOWN}
        return Knowledge(
            self.run, lambda: self.prices, log, trainings, {n: r for n, r in found.items() if r is not None}
        )

    def _training(self, order: Order, proposal: Proposal, lost: Mapping[str, str]) -> Training:
        key = proposal.key if order.seed == 0 else self.job(proposal, order.seed).job.key
        result, folder, rung = self.run.result(key), self.run.folder(key), self.run.rung
        there = result is not None or 0 < rung <= rung_of(folder)
        signal = signals_at(folder, rung).get(self.run.search.signal, math.nan) if rung and there else math.nan
        if result is None and 0 < order.until <= rung_of(folder):
            if math.isnan(signal):
                name = self.run.search.signal
                raise Refused(f"{self.run.search.name}: job {key} has no {name!r} at the rung; give `signal` another")
            return Training(order, key, None, True, signal, pace=self._pace(folder))
        gone = proposal.pairs not in self._there
        closed = result is not None or gone or key in lost
        return Training(
            order, key, result, closed, signal, lost.get(key, ""), self._pace(folder) if there else math.nan
        )

    def _pace(self, folder: Path) -> float:
        """Minutes of a whole training, by its epochs before the rung."""
        curve = [line for line in read_curve(folder) if line["epoch"] <= self.run.rung]
        protocol = self.run.job_protocol
        minutes = train_minutes(curve, protocol.epoch_images)
        return minutes * protocol.epochs / curve[-1]["epoch"] if curve else math.nan

    @cached_property
    def _there(self) -> set[tuple[tuple[str, str], ...]]:
        """The choices of all candidates: an option that was proposed may have been taken out of the search."""
        return {one.pairs for one in self.run.search.space.candidates}

    def job(self, proposal: Proposal, seed: int) -> PlannedJob:
        """The job of a proposal, called by its number."""
        if (proposal.pairs, seed) not in self.jobs:
            one = self.run.planned(self.run.search.space.candidate(proposal.pairs), seed)
            self.jobs[proposal.pairs, seed] = PlannedJob(f"#{proposal.number:03d} {one.row}", seed, "", one.job)
        return self.jobs[proposal.pairs, seed]

    def adopt(self, known: Knowledge) -> bool:
        """Takes over what other searches and studies have trained. Whether there was any."""
        have = set(known.places.values())
        fresh = [
            (i, one, key)
            for i, one in enumerate(self.run.search.space.candidates)
            if i not in have and not self.prices[i].impossible
            if self.run.result(key := self.run.planned(one).job.key) is not None
        ]
        lines = [
            Proposal(number, one.pairs, State.KNOWN, "trained before", key, _costs(self.prices[i]))
            for number, (i, one, key) in enumerate(fresh, start=len(known.log.proposals))
        ]
        if lines:
            self.file.add(*lines)
        return bool(lines)

    def about(self) -> str:
        """What is searched, in a line, before it begins."""
        over = sum(bool(one.over) for one in self.prices)
        impossible = sum(bool(one.impossible) for one in self.prices)
        allowed = len(self.prices) - over - impossible
        limits = ", ".join(f"{name} at most {most:g}" for name, most in self.run.all_limits.items()) or "no limits"
        return (
            f"{self.run.search.name}: {len(self.prices)} candidates, {allowed} may be trained ({over} over a limit, "
            f"{impossible} impossible); {limits}; {self.run.budget:g} minutes of training on one core"
        )

    def plan(self) -> dict[str, PlannedJob]:
        """Every job that was ordered and that is in the space, by key."""
        log = self.file.read()
        by_number = {one.number: one for one in log.proposals if one.pairs in self._there}
        jobs = [
            replace(self.job(by_number[one.number], one.seed), until=one.until)
            for one in log.orders
            if one.number in by_number
        ]
        return {one.job.key: one for one in jobs}  # the last order of each

    def since(self, before: Log) -> list[str]:
        """What was decided after a log, a line each."""
        now = self.file.read()
        by_number = {one.number: one for one in now.proposals}
        lines = [_said(one, self) for one in now.proposals[len(before.proposals) :]]
        further = [one for one in now.orders[len(before.orders) :] if one.seed or one.purpose == "promoted"]
        what = ("goes on to the end" if one.purpose == "promoted" else f"seed {one.seed}" for one in further)
        return lines + [
            f"#{o.number:03d} {self.text(by_number[o.number])}: {w}" for o, w in zip(further, what, strict=True)
        ]

    def text(self, proposal: Proposal) -> str:
        """The candidate in words."""
        return self.run.search.space.candidate(proposal.pairs).text

    def step(self, known: Knowledge, study: SearchStudy) -> bool:
        """Writes the next decision into the log. False: there is none for now."""
        unordered = [p for p in known.log.proposals if p.state is State.ORDERED and not known.log.orders_of(p.number)]
        if unordered:  # it was killed between two lines
            self.file.add(*(Order(one.number, until=self.run.rung) for one in unordered))
            return True
        if explores(known) and (lines := self._proposal(known, study)):
            self.file.add(*lines)
            return True
        if any(one.order.seed == 0 for one in known.open):
            return False  # the front may change
        order = next_seed(known)
        if order is None:
            return False
        self.file.add(order)
        return True

    def _proposal(self, known: Knowledge, study: SearchStudy) -> list[Proposal | Order]:
        best = chosen(known)
        if best is None:
            return []
        if best.promoted:
            waiting = next(number for number, place in known.places.items() if place == best.which)
            return [Order(waiting, purpose="promoted")]
        number, candidates = len(known.log.proposals), self.run.search.space.candidates
        seen = {candidates[i] for i in known.places.values()}
        by = self.run.sampler if next_published(known) is None else BY_NAME
        candidate = study.propose(lambda: candidates[best.which], seen, number, by)
        place = known.place[candidate]
        state, why, price = self._checked(candidate, place)
        proposal = Proposal(
            number,
            candidate.pairs,
            state,
            why,
            "" if state is State.IMPOSSIBLE else self.run.planned(candidate).job.key,
            _costs(price),
            known.prediction(place),
            best.gain if candidates[best.which] == candidate else 0.0,
            by,
            price.measured,
        )
        return [proposal, Order(number, until=self.run.rung)] if state is State.ORDERED else [proposal]

    def _checked(self, candidate: Candidate, place: int) -> tuple[State, str, Price]:
        """The checks before a second of training, in their order, and what the candidate costs."""
        price = self.prices[place]
        if why := self.why_not(candidate) or price.impossible:
            return State.IMPOSSIBLE, why, price
        job = self.run.planned(candidate).job
        if self.run.result(job.key) is not None:
            return State.KNOWN, "trained before", price
        price = self._with_time(candidate, price)
        if price.over:
            return State.OVER, "; ".join(price.over), price
        if same := self.twins.earlier(candidate.text, job):
            return State.SAME, f"computes the same as {same}", price
        return State.ORDERED, "", price

    def _with_time(self, candidate: Candidate, price: Price) -> Price:
        """Where there is a limit on time, its time too.

        What may be proposed does not depend on it, so a search that was killed goes on as it would have.
        """
        if not price.admitted or "ms" not in self.run.all_limits:
            return price
        ratio = ratio_to(self.run.search.base)
        return priced({"one": self.run.search.variant(candidate)}, self.run.all_limits, self.times, ratio)["one"]


def _costs(price: Price) -> dict[str, float]:
    found = {"params": price.params, "gflops": price.gflops, "ms": price.ms}
    return {name: value for name, value in found.items() if value == value}


def _said(proposal: Proposal, searcher: Searcher) -> str:
    """A decision in a line: what, what was expected, what becomes of it."""
    expected = "" if not proposal.predicted else ", {:.1f} ({:.1f} to {:.1f}) expected".format(*proposal.predicted)
    why = "" if proposal.state is State.ORDERED else f": {proposal.state}, {proposal.why}"
    return f"#{proposal.number:03d} {searcher.text(proposal)}{expected}{why}"


def run_search(
    run: SearchRun,
    *,
    machine: Machine,
    jobs: int | None = None,
    train: TrainJob = train_job,
    again: bool = False,
    engine: Engine = LOCAL,
) -> int:
    """Searches until the budget is used up and the front has its seeds, and prints what was found.

    Args:
        jobs, train, engine: as for `run_study`.
        again: failures are forgotten first, and these trainings tried again.

    Returns:
        0 all that was ordered is complete, 1 something failed, 130 interrupted.

    Raises:
        Refused: no candidate meets the limits, a data set that is missing or does not suit, or a home that can not hold
            a queue.
    """
    engine.check(jobs, run.home)
    check_search_data(run)
    searcher, shared = Searcher(run), SharedLog(run)
    shared.bring(console.say)
    if again:
        console.say(f"{retry(run)} jobs are tried again")
    console.say(searcher.about())
    run.write_settings()
    shared.begin(lambda: searcher.adopt(searcher.know()), console.say)
    workers, record = WorkerSettings(run.home, run.name, machine, run.data, train), Recorder(run, console.say)
    say_joining(run)
    with interruptible() as check:
        try:
            with engine.pool(workers, jobs, check) as pool:
                entries = _work(searcher, shared, pool, record)
        except KeyboardInterrupt:
            console.say("stopped; the same command goes on from there")
            return 130
    known = searcher.know(given_up(entries))
    points = front(known)
    check_any_met(known)
    print_search(known, points)
    record.conclude(known, points)
    failed = [one for one in known.trainings if one.result is None and not one.paused and one.key in entries]
    for one in failed:
        console.say(f"#{one.order.number:03d}, seed {one.order.seed} ({one.key}): {entries[one.key].note}")
    _say_next(run, bool(failed))
    return 1 if failed else 0


def _say_next(run: SearchRun, failed: bool) -> None:
    """The commands that go on from a search that was run."""
    words, again = commands.of_search(run), [*commands.terms_of(run), *commands.on_store()]
    console.print_next(
        *[("tries failed ones again", commands.command("study", "retry", *words, *again))] * failed,
        ("writes its page into reports/rendered", commands.command("report", *words)),
        ("makes a study of its front", f"workbench search front {' '.join(words)} --as-study studies/my_front.py"),
        ("shows its candidates", commands.command("dashboard")),
    )


def _work(searcher: Searcher, shared: SharedLog, pool: Workers, record: Recorder) -> dict[str, QueueEntry]:
    """Until nothing is open and nothing is left to decide."""
    run = searcher.run
    queue = outlasting(lambda: JobQueue(run.home, run.name))
    seen, plan = searcher.file.read(), searcher.plan()
    study: SearchStudy | None = None
    settled: tuple[Log, Mapping[str, QueueEntry], Knowledge] | None = None  # the last look that decided nothing
    with console.Display(f"{run.search.name}, {run.protocol.name}") as screen:
        record.say = screen.say

        def decided(entries: Mapping[str, QueueEntry]) -> tuple[Knowledge, bool]:
            """What is known, and whether there is anything new in the log. It may be done twice."""
            nonlocal settled, study
            with queue.store.locked(shared.lock):  # another process may be at work on the same search
                shared.catch_up(screen.say)  # their study is this one: what no log has is given up in it
                log = searcher.file.read()
                if settled and settled[:2] == (log, entries):
                    return settled[2], False  # what would be decided is what was
                held, study = study, None  # made anew, as after a kill, where it ends in the middle of this
                known = searcher.know(given_up(entries))
                held = held or SearchStudy(run, known.log, known.outcomes())
                held.update(known.log, known.outcomes())
                # how many workers other machines have, nobody says: one job always waits for them
                idle = queue.store.shared and not any(entry.queued for entry in entries.values())
                due = len(known.open) < pool.size or idle
                news = known.log.length != seen.length  # of another command in this folder
                news = news or (due and shared.decide(lambda: searcher.step(known, held), screen.say))
                study, settled = held, None if news else (log, entries, known)
            return known, news

        def look(entries: Mapping[str, QueueEntry]) -> bool:
            nonlocal seen
            running = [key for key, entry in entries.items() if entry.state is JobState.RUNNING]
            screen.update([*plan.values()], entries, {key: read_progress(run.folder(key)) for key in running})
            known, news = outlasting(lambda: decided(entries))
            if not news:
                return record.next(known)
            before, seen = seen, searcher.file.read()
            for line in searcher.since(before):
                screen.say(line)
            plan.update(searcher.plan())
            return True

        return work_off(queue, plan, pool, look)


def status(run: SearchRun) -> int:
    """Prints where each candidate stands. Changes nothing, but brings what other machines have decided.

    Returns:
        0 all that was ordered is complete, 1 something is missing or nothing was begun.
    """
    SharedLog(run).bring(console.say)
    searcher = Searcher(run)
    plan = searcher.plan()
    entries = stored_entries(run.home, run.name, list(plan))
    known = searcher.know(given_up(entries))
    print_states(known, entries)
    done = (one.result is not None or one.paused or one.key not in plan for one in known.trainings)
    return 0 if known.trainings and all(done) else 1


def retry(run: SearchRun) -> int:
    """Forgets the failures of a search, so that the next run tries these trainings again. Gives how many."""
    return JobQueue(run.home, run.name).reset_failures(Searcher(run).plan())
