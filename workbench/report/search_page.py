"""What the notebook of searches calls: one function for each piece of its page."""

from __future__ import annotations

import math
from shlex import quote
from typing import Any

from workbench.experiments.profiling import REPORT_DATA
from workbench.report import search_figures as figures
from workbench.report import search_findings as findings
from workbench.report.drawing import Hover, svg
from workbench.report.interactive import interactive
from workbench.report.pieces import LivePicture, Piece, Text, left_out, paragraphs, picture, sentence, table_text
from workbench.report.search_frames import (
    FACTOR,
    SearchRecord,
    compute_frame,
    factors_of,
    fall_of,
    fresh_frame,
    growth_shares,
    open_search,
    predictions_frame,
    varying,
)

ALIKE = "all trainings have the same score"

__all__ = [
    "compute",
    "effects",
    "fresh",
    "front",
    "front_table",
    "growth",
    "head",
    "importance",
    "longer",
    "named_networks",
    "open_search",
    "parallel",
    "predicted",
    "reproduce",
    "saved",
]  # fmt: skip


def head(record: SearchRecord) -> Text:
    """The question, the conclusion, what was searched under which protocol, and what to mind."""
    return paragraphs(
        f"# {record.search.question}", findings.conclusion(record), about(record), findings.looked_at(record)
    )


def about(record: SearchRecord) -> str:
    """Which question the protocol answers, and of which networks the numbers are."""
    protocol = record.protocol
    return (
        f"{sentence(record.search.source)} Protocol `{protocol.name}`: {protocol.about}. {protocol.answers} Candidates "
        f"were ranked at this length alone: young is not mature, and what is ahead here need not be after a longer "
        f"training. {record.metric.name} is of the networks as they are trained, costs are of the published size. "
        f"Numbers from job folders at commit {record.summary['commit']}; they stand in "
        f"`{REPORT_DATA / record.stem}_*.csv`."
    )


def front(record: SearchRecord) -> Piece:
    """Estimates over cost."""
    title, hover = findings.front_title(record), Hover()
    figure = figures.front_figure(record, title, hover)
    return LivePicture(picture(figure, title), interactive(svg(figure), hover, figures.GROUPS, "front"))


def front_table(record: SearchRecord) -> Text:
    """The front in numbers, cheapest first."""
    up, lines = record.metric.name, list[list[str]]()
    for _, line in record.on_front.iterrows():
        lines.append(
            [
                line["candidate"],
                line["text"],
                record.cost_text(line["cost"]),
                _score(record, line),
                record.metric.text(line["measured"]),
                str(line["seeds"]),
                f"{line['chance']:.2f}",
            ]
        )
    heads = ["", "network", "cost", f"{up}, estimate (95 %)", f"{up}, mean measured", "seeds", "chance"]
    return paragraphs(
        table_text(heads, lines),
        "Chance: to be on the true front of all that was trained. An estimate takes all trainings together, those of "
        "networks with the same options too; so it lies nearer to what these say than the mean of a candidate's own.",
    )


def named_networks(record: SearchRecord) -> Text:
    """What the networks that go by a name reach in the same search; nothing where there are none."""
    frame, up = record.published, record.metric
    if frame.empty:
        return paragraphs("")
    lines = [
        [line["published"], line["candidate"], record.cost_text(line[record.search.down]), *_reached(record, line)]
        for _, line in frame.iterrows()
    ]
    heads = ["published", "", "cost", f"{up.name}, estimate (95 %)", "seeds", f"best at its cost or below, {up.name}"]
    return paragraphs(table_text(heads, lines), findings.published_text(record))


def _reached(record: SearchRecord, line: Any) -> list[str]:
    """Its estimate and its seeds, or why it has none, and what the front gives for its cost."""
    cheaper = record.on_front[record.on_front["cost"] <= line[record.search.down] * (1 + 1e-9)]
    best = "" if cheaper.empty else f"{cheaper['candidate'].iloc[-1]} {_score(record, cheaper.iloc[-1])}"
    if math.isnan(line["estimate"]):
        return [line["state"], "", best]
    return [_score(record, line), str(line["seeds"]), best]


def _score(record: SearchRecord, line: Any) -> str:
    low, mean, high = (record.metric.text(line[name]) for name in ("low", "estimate", "high"))
    return f"{mean} ({low} to {high})"


def effects(record: SearchRecord) -> Piece:
    """What options are worth."""
    if record.effects.empty or not varying(record):
        return left_out("What options are worth", ALIKE if len(record.effects) else "no factor has two options")
    title = findings.effects_title(record)
    return picture(figures.effects_figure(record, title), title)


def growth(record: SearchRecord) -> Piece:
    """Hypervolume over compute."""
    shares = growth_shares(record)
    if len(shares) < 2 or not varying(record) or not shares["minutes"].iloc[-1] > 0:
        return left_out("Hypervolume over compute", "fewer than two trainings, or all with the same score")
    title = findings.growth_title(record)
    return picture(figures.growth_figure(record, shares, title), title)


def predicted(record: SearchRecord) -> Piece:
    """Predicted against measured."""
    frame = predictions_frame(record)
    if frame.empty or not varying(record):
        return left_out("Predicted against measured", "nothing was predicted" if frame.empty else ALIKE)
    title = findings.predicted_title(record)
    return picture(figures.predicted_figure(record, frame, title), title)


def fresh(record: SearchRecord) -> Piece:
    """How far the front fell."""
    if fall_of(record) is None or not varying(record):
        return left_out("Fresh seeds", "no candidate has any" if fall_of(record) is None else ALIKE)
    title = findings.fresh_title(record)
    return picture(figures.fresh_figure(record, fresh_frame(record), title), title)


def longer(record: SearchRecord) -> Piece:
    """How the order changed under the longest protocol that came after; nothing where there is none."""
    titles = findings.longer_titles(record)
    if not titles:
        return paragraphs("")
    protocol, title = [*titles.items()][-1]
    return picture(figures.longer_figure(record, protocol, title), title)


def compute(record: SearchRecord) -> Piece:
    """Where the compute went."""
    title = findings.compute_title(record)
    return picture(figures.compute_figure(compute_frame(record), title), title)


def saved(record: SearchRecord) -> Text:
    """What was not trained, or not to its end: with a rung, the candidates that wait there."""
    said = [findings.saved_text(record), *filter(None, [findings.rung_text(record)])]
    return paragraphs(*said, *([paused_table(record)] if len(record.paused) else []))


def paused_table(record: SearchRecord) -> str:
    """Candidates that wait at the rung, best signal first."""
    lines = [
        [
            line["candidate"],
            line["text"],
            record.cost_text(line[record.search.down]),
            f"{line['signal']:.4g}",
            "" if math.isnan(line["predicted"]) else record.metric.text(line["predicted"]),
        ]
        for _, line in record.paused.iterrows()
    ]
    heads = ["", "network that waits", "cost", str(record.summary["signal"]), f"{record.metric.name} expected before"]
    return table_text(heads, lines)


def importance(record: SearchRecord) -> Piece:
    """Which factors explain the scores."""
    if record.importance.empty:
        return left_out("Importance", "too few candidates, or all have the same score")
    title = findings.importance_title(record.importance)
    return picture(figures.importance_figure(record.importance, title), title)


def parallel(record: SearchRecord) -> Piece:
    """Parallel coordinates."""
    if not varying(record):
        return left_out("Parallel coordinates", ALIKE)
    labels = {factor.name: list(factor.labels) for factor in record.search.factors}
    for name in factors_of(record):
        seen = record.candidates[FACTOR + name]
        known = labels.setdefault(name, [])
        known += sorted(set(seen) - set(known) - {""})
    title = findings.parallel_title(record)
    return picture(figures.parallel_figure(record, labels, title), title)


def reproduce(record: SearchRecord) -> Text:
    """How to go on from here, and how to get this page once more."""
    name, protocol = record.search.name, record.protocol.name
    limits = "".join(
        f" --max {quote(f'{k}={v:g}')}" for k, v in record.limits.items() if record.search.limits.get(k) != v
    )
    budget = f" --budget {float(record.summary['budget']):g}min"
    return paragraphs(
        f"Decide the front: `workbench search front {name} --protocol {protocol} --as-study studies/my_front.py`, then "
        f"`nox -s study -- my_front --protocol {protocol} --until decided`.",
        f"Run again: `nox -s study -- {name} --protocol {protocol}{budget}{limits}`, then "
        f"`nox -s report -- {name} --protocol {protocol}`. Every number of this page: "
        f"`{REPORT_DATA / record.stem}_*.csv`.",
    )
