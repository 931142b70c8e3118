"""A search in MLflow: an experiment of its own, one run per training under the protocol's parent, as soon as it ends.

What can not be written is tried again, later and later, and is then left for the next run: results themselves are safe,
and no search fails for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from workbench.core.errors import one_line
from workbench.experiments import tracking
from workbench.experiments.delivery import Delivery
from workbench.experiments.search.front import FrontPoint
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import LogFile, Proposal, State
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.subject import Subject, said
from workbench.study import PlannedJob
from workbench.training.record import Result

ABSENT = "none"  # of a factor that a candidate does not have


def search_record(run: SearchRun) -> tracking.MlflowRecord:
    """The record of a search."""
    return tracking.MlflowRecord(search_subject(run))


def search_subject(run: SearchRun) -> Subject:
    """A search: its jobs differ in factors, and have the costs of the published size beside those of their own."""

    def of(planned: PlannedJob) -> Proposal:
        number = int(planned.row.removeprefix("#"))
        return next(one for one in LogFile(run.log_folder).read().proposals if one.number == number)

    def parameters(planned: PlannedJob) -> dict[str, str]:
        return {factor.name: ABSENT for factor in run.search.factors} | dict(of(planned).pairs)

    def tags(planned: PlannedJob) -> dict[str, str]:
        orders = LogFile(run.log_folder).read().orders_of(of(planned).number)
        purpose = next((one.purpose for one in orders if one.seed == planned.seed), "none")
        state = "known before" if of(planned).state is State.KNOWN and planned.seed == 0 else "complete"
        text = run.search.space.candidate(of(planned).pairs).text
        return {"state": state, "purpose": purpose, "candidate": text}

    def numbers(planned: PlannedJob) -> dict[str, float]:
        return {f"published_{name}": value for name, value in of(planned).costs.items()}

    about = run.search.name, run.search.question, run.search.source
    changes = said(sorted(run.given_changes.items()))
    return Subject(run.home, *about, run.protocol, changes, parameters, tags, numbers)


class _Trained(NamedTuple):
    number: int
    seed: int
    result: Result


class Recorder:
    """Records trainings while a search runs, one at a time: workers and decisions come first."""

    def __init__(self, run: SearchRun, say: Callable[[str], None]) -> None:
        self.say = say  # may be changed: while a display stands, it is the display's
        self._run, self._record = run, search_record(run)
        self._delivery = Delivery(lambda text: self.say(text))
        self._seen = set[tuple[int, int]]()

    def next(self, known: Knowledge) -> bool:
        """Records a training that is not recorded yet. False: there is none, or the store is away for now."""
        self._see(known)
        return self._delivery.step()

    def _see(self, known: Knowledge) -> None:
        for one in _trained(known):
            if (one.number, one.seed) not in self._seen:
                self._seen.add((one.number, one.seed))
                self._delivery.add(
                    f"#{one.number:03d}, seed {one.seed}", partial(self._write, one, known.places[one.number])
                )

    def _write(self, one: _Trained, place: int) -> None:
        candidate = self._run.search.space.candidates[place]
        planned = PlannedJob(f"#{one.number:03d}", one.seed, "", self._run.planned(candidate, one.seed).job)
        self._record.record(planned, one.result.metrics, one.result.curve, one.result.tags, one.result.folder)

    def conclude(self, known: Knowledge, points: Sequence[FrontPoint]) -> None:
        """Tries all that is not recorded once more, and writes the front into the description of the protocol's own
        run."""
        self._see(known)
        self._delivery.finish()
        numbers = {
            "candidates": float(len(known.log.proposals)),
            "runs": float(sum(1 for _ in _trained(known))),
            "front": float(sum(one.on_front for one in points)),
            "train_minutes": known.trained_minutes,
        }
        try:
            self._record.summarise(front_text(known, points), numbers)
        except Exception as error:
            self.say(f"not recorded: the front: {one_line(error)}; run the same command again")


def _trained(known: Knowledge) -> Iterator[_Trained]:
    """Every training with a result whose candidate is still in the space."""
    for number, result in known.taken_over.items():
        if number in known.places:
            yield _Trained(number, 0, result)
    for one in known.trainings:
        if one.result is not None and one.order.number in known.places:
            yield _Trained(one.order.number, one.order.seed, one.result)


def front_text(known: Knowledge, points: Sequence[FrontPoint]) -> str:
    """The front in Markdown, cheapest first."""
    search, texts = known.run.search, _texts(known)
    lines = [
        f"| #{one.which:03d} | {texts[one.which]} | {one.cost:.2f} | {one.score.mean:.1f} "
        f"({one.score.low:.1f} to {one.score.high:.1f}) | {len(known.values[one.which])} | {one.chance:.2f} |"
        for one in sorted(points, key=lambda one: one.cost)
        if one.on_front
    ]
    head = f"| | network | {search.down}, published size | {search.up}, estimate (95 %) | seeds | chance |"
    about = f"{search.question} Protocol `{known.run.protocol.name}`: {known.run.protocol.about}."
    table = "\n".join([head, "|---|---|---|---|---|---|", *lines])
    return f"{about}\n\nThe front by its estimates, cheapest first:\n\n{table}"


def _texts(known: Knowledge) -> Mapping[int, str]:
    candidates = known.run.search.space.candidates
    return {number: candidates[place].text for number, place in known.places.items()}
