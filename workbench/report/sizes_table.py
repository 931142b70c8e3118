"""What settings of one trained network cost and score: as a frame, a table for the terminal, a CSV file and JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from workbench.core.provenance import commit
from workbench.evaluation.intervals import Interval
from workbench.evaluation.metrics import METRICS
from workbench.experiments.sizes import JUDGED, SizeReading, SizesMeasured
from workbench.report.frames import Frame, write_csv
from workbench.report.front import with_front

FRONTS = {"latency": "latency_ratio", "gflops": "gflops"}  # cost and its column
WORDS = {"better": "better", "worse": "worse", "open": "no difference seen"}
_AP = METRICS["AP"]


def sizes_frame(found: SizesMeasured) -> Frame:
    """A line per setting, by its text, the own one first.

    Columns: height, width, bins ("192x256"), runtime, precision, own; by metric its value, its difference to the own
    setting with low and high (95 %, paired, over images) and what that says; gflops, ms and latency_ratio with low and
    high; front_latency, front_gflops: no other setting has as much AP for less.
    """
    frame = pd.DataFrame([_line(one, one is found.own) for one in found.readings]).set_index("setting")
    for cost, column in FRONTS.items():
        points = frame[["AP"]].assign(cost=frame[column])
        frame[f"front_{cost}"] = with_front(points, found.slack if cost == "latency" else 0.0)["front"]
    return frame


def _line(one: SizeReading, own: bool) -> dict[str, Any]:
    height, width = one.setting.size
    line = {"setting": str(one.setting), "height": height, "width": width, "bins": one.setting.grid}
    line |= {"runtime": one.setting.runtime, "precision": one.setting.precision, "own": own}
    for metric in JUDGED:
        seen = one.differences[metric]
        line |= {metric: one.values[metric], f"{metric}_difference": seen.mean}
        line |= {f"{metric}_low": seen.low, f"{metric}_high": seen.high, f"{metric}_is": said_of(seen)}
    line |= {"gflops": one.gflops, "ms": one.ms.value, "ms_low": one.ms.low, "ms_high": one.ms.high}
    return line | {"latency_ratio": one.ratio.value, "ratio_low": one.ratio.low, "ratio_high": one.ratio.high}


def said_of(difference: Interval) -> str:
    """What the interval of a difference says, of a metric of which more is better."""
    return WORDS["better" if difference.low > 0 else "worse" if difference.high < 0 else "open"]


def cheapest_free(found: SizesMeasured) -> SizeReading | None:
    """The quickest setting whose AP is not seen to be worse than the own one's; None: none is surely quicker."""
    quicker = [one for one in found.readings if one.ratio.high < 1 and one.ratio.value * (1 + found.slack) < 1]
    free = [one for one in quicker if said_of(one.differences["AP"]) != WORDS["worse"]]
    return min(free, key=lambda one: one.ratio.value, default=None)


def sizes_finding(found: SizesMeasured) -> str:
    """What to take home, in a sentence."""
    best = cheapest_free(found)
    if best is None:
        return "nothing that is surely quicker than the network's own setting keeps its AP"
    loss = best.differences["AP"]
    return (
        f"{best.setting} takes {best.ratio.value:.2f} of the time and changes AP by {_difference(loss)}: "
        f"the quickest without a loss that these {found.images:,} images show"
    )


def _difference(seen: Interval) -> str:
    if math.isnan(seen.low):
        return "?"
    mean, low, high = (_AP.difference(value) for value in (seen.mean, seen.low, seen.high))
    return f"{mean} ({low} to {high})"


def sizes_text(found: SizesMeasured) -> str:
    """For the terminal."""
    frame = sizes_frame(found)
    head = ("", "AP", "to own", "", "mOKS", "to own", "x own time", "ms", "GFLOPs")
    lines = [_cells(one, frame.loc[str(one.setting)]) for one in found.readings]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    table = [
        "  ".join(
            cell.ljust(w) if i in (0, 3) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *lines)
    ]
    return "\n".join([f"{found.source} on {_images(found)}", "", *map(str.rstrip, table), "", *_notes(found)])


def _cells(one: SizeReading, line: Any) -> tuple[str, ...]:
    stars = {cost: " *" if line[f"front_{cost}"] else "  " for cost in FRONTS}
    seen = one.differences
    said = ("own", "") if line["own"] else (_difference(seen["AP"]), line["AP_is"])
    moks = "" if line["own"] else _difference(seen["mOKS"])
    return (
        str(one.setting), _AP.text(one.values["AP"]), *said, METRICS["mOKS"].text(one.values["mOKS"]), moks,
        one.ratio.shown(3) + stars["latency"], one.ms.shown(1), f"{one.gflops:.3g}" + stars["gflops"],
    )  # fmt: skip


def _images(found: SizesMeasured) -> str:
    lost = f", of which {found.unreadable:,} can not be read" if found.unreadable else ""
    return f"{found.images:,} images of {found.data}{lost}"


def _notes(found: SizesMeasured) -> list[str]:
    finding = sizes_finding(found)
    return [
        f"{finding[:1].upper()}{finding[1:]}.",
        "*: no other setting has as much AP for less time, or for fewer multiply-adds.",
        "Differences in points, 95 %, paired over images; each speaks for itself, and of this network alone.",
        f"Time: one image, {found.persons} persons found, from network to key points; {found.conditions}; the own "
        f"setting twice differs by up to {100 * found.slack:.1f} %.",
    ]


def sizes_csv(found: SizesMeasured) -> str:
    """The frame with what its numbers are of."""
    frame = sizes_frame(found).reset_index()
    frame = frame.assign(**origin(found))
    return str(write_csv(frame, lineterminator="\n"))


def origin(found: SizesMeasured) -> dict[str, Any]:
    """What the numbers are of."""
    return {
        "source": found.source,
        "data": found.data,
        "images": found.images,
        "unreadable": found.unreadable,
        "persons": found.persons,
        "threads": found.threads,
        "slack": found.slack,
        "conditions": found.conditions,
        "commit": commit(),
    }


def sizes_json(found: SizesMeasured) -> str:
    """The same as JSON: what is not a number is null."""
    lines = sizes_frame(found).reset_index().to_dict("records")
    return json.dumps(_plain({**origin(found), "finding": sizes_finding(found), "settings": lines}), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
