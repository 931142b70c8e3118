"""The record of a search as CSV files: written from its log and the folders of its jobs. The page is drawn from these.

    reports/data/STEM_search.csv       one line: what was searched, under which limits, where and by what
    reports/data/STEM_candidates.csv   one line per candidate that was looked at: what it is, costs and became
    reports/data/STEM_front.csv        one line per candidate that was trained: its estimate and its chance
    reports/data/STEM_effects.csv      one line per option but the first of each factor: what it is worth against that
    reports/data/STEM_hypervolume.csv  one line per training, in the order of their ends: what the search had by then
    reports/data/STEM_importance.csv   one line per factor: its share of what explains the scores
    reports/data/STEM_over.csv         one line per candidate of the space that is over a limit

Scores, estimates and their differences are what the evaluation gives, AP from 0 to 1. Costs are those of the published
size, minutes are of training on one core. STEM is as of `SearchRun`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments.job_queue import stored_entries
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.queue_entry import QueueEntry
from workbench.experiments.search.decision import front
from workbench.experiments.search.front import effects_of
from workbench.experiments.search.knowledge import POINTS, Knowledge, Training
from workbench.experiments.search.log import Proposal, State
from workbench.experiments.search.longer import later_scores, longer_protocols
from workbench.experiments.search.optuna_study import importances
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.search.standing import given_up, standing
from workbench.report.frames import Frame, write_csv
from workbench.report.freshness import SEARCH_PARTS
from workbench.report.search_frames import FACTOR, LATER
from workbench.report.search_growth import growth_frame
from workbench.training.record import Result

WHERE = ("commit", "machine", "threads", "precision")
MOST_OVER = 1_000  # candidates over a limit that are recorded, cheapest first
FRONT, PROMOTED = "front", "promoted"  # purposes of orders


def write_search_record(run: SearchRun) -> list[Path]:
    """Writes the CSV files of a search.

    Raises:
        Refused: nothing was trained.
    """
    known, entries = searched(run)
    if not known.trained():
        raise Refused(f"nothing of {run.search.name}, {run.protocol.name} is complete in {run.home}; run it first")
    paths: list[Path] = []
    for part, frame in search_frames(known, entries).items():
        paths.append(REPORT_DATA / f"{run.stem}_{part}.csv")
        with write_whole(paths[-1]) as file:
            write_csv(frame, file)
    return paths


def searched(run: SearchRun) -> tuple[Knowledge, dict[str, QueueEntry]]:
    """What is known of a search, under the limits that it was last run with, and where its jobs stand."""
    searcher = Searcher(run.as_run())
    entries = stored_entries(run.home, run.name, list(searcher.plan()))
    return searcher.know(given_up(entries)), entries


def search_frames(known: Knowledge, entries: Mapping[str, QueueEntry]) -> dict[str, Frame]:
    """The tables of a search, by the ends of their files' names.

    Args:
        entries: where its jobs stand, by key.
    """
    frames = {
        "search": search_frame(known),
        "candidates": candidates_frame(known, entries),
        "front": front_frame(known),
        "effects": effects_frame(known),
        "hypervolume": growth_frame(known),
        "importance": importance_frame(known),
        "over": over_frame(known),
    }
    return {part: frames[part] for part in SEARCH_PARTS}


def search_frame(known: Knowledge) -> Frame:
    """One line on all of it. `noise`: standard deviation of a training by chance."""
    run, prices = known.run, known.prices
    results = [*known.taken_over.values(), *(one.result for one in known.trainings if one.result is not None)]
    counts = {
        "candidates": len(prices),
        "admitted": sum(one.admitted for one in prices),
        "over": sum(bool(one.over) for one in prices),
        "impossible": sum(bool(one.impossible) for one in prices),
    }
    about = {"search": run.search.name, "protocol": run.protocol.name, "up": run.search.up, "down": run.search.down}
    settings = {"budget": run.budget, "sampler": run.sampler, "seed": run.seed, "noise": known.noise**0.5 / POINTS}
    settings |= {"rung": run.rung, "epochs": run.job_protocol.epochs, "signal": run.search.signal if run.rung else ""}
    limits = {f"limit_{name}": most for name, most in run.all_limits.items()}
    return pd.DataFrame([{**about, **counts, **limits, **settings, **_where(results)}])


def candidates_frame(known: Knowledge, entries: Mapping[str, QueueEntry]) -> Frame:
    """One line per candidate that was looked at.

    `predicted` with its interval is what one training was expected to give when nothing was known of the candidate.
    """
    lines = [_candidate_line(proposal, known, entries) for proposal in known.log.proposals]
    names = list(dict.fromkeys(name for line in lines for name in line))
    scores = sorted((n for n in names if n.startswith(_seed_column(known, ""))), key=lambda n: int(n.rsplit("d", 1)[1]))
    rest = [name for name in names if name not in scores]
    at = rest.index(known.run.search.up) if known.run.search.up in rest else len(rest)
    return pd.DataFrame(lines, columns=[*rest[:at], *scores, *rest[at:]])


def _seed_column(known: Knowledge, seed: int | str) -> str:
    return f"{known.run.search.up}_seed{seed}"


def _candidate_line(proposal: Proposal, known: Knowledge, entries: Mapping[str, QueueEntry]) -> dict[str, Any]:
    up, values = known.run.search.up, known.values.get(proposal.number, {})
    trainings = [one for one in known.trainings if one.order.number == proposal.number]
    taken = known.taken_over.get(proposal.number)
    results = [*([] if taken is None else [taken]), *(one.result for one in trainings if one.result is not None)]
    state, why = standing(proposal, known, entries)
    waiting = next((one.signal for one in trainings if one.paused), math.nan)
    labels = {factor.name: "" for factor in known.run.search.factors} | dict(proposal.pairs)
    costs = {name: proposal.costs.get(name, math.nan) for name in ("params", "gflops", "ms")}
    predicted = dict(zip(("predicted", "low", "high"), (x / POINTS for x in proposal.predicted), strict=False))
    return {
        **{"number": proposal.number, "candidate": f"#{proposal.number:03d}", "text": text_of(proposal, known)},
        **{"published": published_as(proposal, known)},
        **{FACTOR + name: label for name, label in labels.items()},
        **{"key": proposal.key, "state": str(state), "why": why, **costs},
        **{"signal": waiting, "promoted": any(one.order.purpose == PROMOTED for one in trainings)},
        **{_seed_column(known, seed): value / POINTS for seed, value in sorted(values.items())},
        **{up: sum(values.values()) / len(values) / POINTS if values else math.nan, "seeds": len(values)},
        **{name: predicted.get(name, math.nan) for name in ("predicted", "low", "high")},
        **{"gain": proposal.gain, "sampler": proposal.by},
        "minutes": _minutes(trainings, known),
        "front_minutes": _minutes([one for one in trainings if one.order.purpose == FRONT], known),
        "front_seeds": sum(one.result is not None and one.order.purpose == FRONT for one in trainings),
        **_where(results),
    }


def text_of(proposal: Proposal, known: Knowledge) -> str:
    """The candidate in words, also where the space has no such option any more."""
    place = known.places.get(proposal.number)
    if place is None:
        return ", ".join(label for _, label in proposal.pairs)
    return known.run.search.space.candidates[place].text


def published_as(proposal: Proposal, known: Knowledge) -> str:
    """The name that the candidate goes by; "" where it has none."""
    search, place = known.run.search, known.places.get(proposal.number)
    return "" if place is None else search.landmarks.get(search.space.candidates[place], "")


def _minutes(trainings: Iterable[Training], known: Knowledge) -> float:
    return sum(m for one in trainings if math.isfinite(m := known.spent_by(one)))


def _where(results: Iterable[Result]) -> dict[str, str]:
    """Of which commit, where and how some jobs were trained, each word once."""
    tags = [one.tags for one in results]
    return {name: "; ".join(sorted({one[name] for one in tags if one.get(name)})) for name in WHERE}


def front_frame(known: Knowledge) -> Frame:
    """One line per candidate with a number, cheapest first; with what it scores after longer protocols, if it does."""
    later = {name: later_scores(known, one) for name, one in longer_protocols(known, PROTOCOLS).items()}
    texts = {one.number: text_of(one, known) for one in known.log.proposals}
    lines: list[dict[str, Any]] = []
    for point in sorted(front(known), key=lambda one: one.cost):
        values = [*known.values[point.which].values()]
        ends = {name: value / POINTS for name, value in zip(("estimate", "low", "high"), point.score, strict=True)}
        lines.append(
            {"candidate": f"#{point.which:03d}", "text": texts[point.which], "cost": point.cost, **ends}
            | {"measured": sum(values) / len(values) / POINTS, "seeds": len(values)}
            | {"chance": point.chance, "front": point.on_front}
            | {f"{LATER}{name}": mean(scores[point.which]) for name, scores in later.items() if point.which in scores}
        )
    return pd.DataFrame(lines)


def effects_frame(known: Knowledge) -> Frame:
    """One line per option: what it is worth, its cost by that of the first option, and how often each was trained."""
    trained = [dict(one.pairs) for one in known.trained()]
    lines = [
        {"factor": one.factor, "option": one.label, "first": one.first}
        | {name: value / POINTS for name, value in zip(("worth", "low", "high"), one.score, strict=True)}
        | {"cost_ratio": one.cost, "trained": sum(pairs.get(one.factor) == one.label for pairs in trained)}
        | {"first_trained": sum(pairs.get(one.factor) == one.first for pairs in trained)}
        for one in effects_of(known.run.search.space, known.process)
    ]
    return pd.DataFrame(lines)


def importance_frame(known: Knowledge) -> Frame:
    """One line per factor, from the means of all that was trained; none where they do not differ."""
    space = known.run.search.space
    scores = {
        space.candidates[known.places[one.number]]: sum(values.values()) / len(values)
        for one in known.trained()
        if (values := known.values[one.number])
    }
    found = importances(space, scores)
    lines = [{"factor": name, "share": share, "candidates": len(scores)} for name, share in found.items()]
    return pd.DataFrame(lines, columns=["factor", "share", "candidates"])


def over_frame(known: Knowledge) -> Frame:
    """One line per candidate of the space that is over a limit, cheapest first; on time, of the proposed ones."""
    down, names = known.run.search.down, ("params", "gflops", "ms")
    there = [(one, price) for one, price in zip(known.run.search.space.candidates, known.prices, strict=True)]
    lines = [
        {"text": one.text, **{name: getattr(price, name) for name in names}, "why": "; ".join(price.over)}
        for one, price in there
        if price.over
    ]
    lines += [
        {"text": text_of(one, known), **{name: one.costs.get(name, math.nan) for name in names}, "why": one.why}
        for one in known.log.proposals
        if one.state is State.OVER and one.number in known.places and not known.prices[known.places[one.number]].over
    ]
    frame = pd.DataFrame(lines, columns=["text", *names, "why"])
    return frame.sort_values(down, kind="stable", ignore_index=True).head(MOST_OVER)
