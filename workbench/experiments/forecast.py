"""What it would take to decide an open claim, at the difference and the spread seen so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workbench.evaluation.intervals import MOST, Interval, images_needed, repeats, repeats_needed, seeds_needed
from workbench.evaluation.verdicts import FEW

_SURE = " for 4 chances in 5, were effect and spread as seen"


class Forecast(NamedTuple):
    """A sentence, and the seeds per row (and trunk) that would do; None: no number of them, or they are not it."""

    text: str
    seeds: int | None


def over_seeds(interval: Interval, bound: float, level: float) -> Forecast:
    """Of a claim whose interval is over seeds (and images).

    Args:
        bound: the difference that the interval is to leave out; level: of the interval.
    """
    seeds, images = seeds_needed(interval, bound, level), images_needed(interval, bound, level)
    return Forecast(_outlook(seeds, images) + _guess(interval, "seeds"), seeds)


def over_trunks(per_trunk: Mapping[str, Interval], interval: Interval, bound: float, level: float) -> Forecast:
    """Of a claim whose interval is over trunks: seeds on the same ones, else more of these.

    Args:
        per_trunk: the trunks that the interval is over; the others as `over_seeds`.
    """
    wanted = repeats_needed(per_trunk, interval, bound, level)
    text = _on_trunks(wanted, repeats(per_trunk), _takes(seeds_needed(interval, bound, level), "trunks"))
    return Forecast(text + _guess(interval, "trunks"), wanted)


def _on_trunks(wanted: int | None, seen: int, trunks: str) -> str:
    if wanted is not None:
        return _takes(wanted, "seeds per trunk")
    if seen < 2:
        return f"with one seed per trunk it is not known whether trunks or seeds differ, --seeds 2 tells; {trunks}"
    return f"more seeds would not do, the trunks differ; {trunks}"


def _guess(interval: Interval, what: str) -> str:
    """What a forecast from a spread is worth that was seen in a handful."""
    count = len(interval.differences)
    return f"; a guess from {count} {what}" if count <= FEW else ""


def _takes(count: int | None, what: str) -> str:
    if count is None:
        return f"would take more than {MOST} {what}: practically undecidable at this size of effect"
    return f"would take about {count} {what}{_SURE}"


def _outlook(seeds: int | None, images: float | None) -> str:
    if seeds is not None:
        return _takes(seeds, "seeds") + (
            f"; or {images:.1f} times the images" if images else "; more images would not do"
        )
    if images is not None:
        return f"would take about {images:.1f} times the images{_SURE}; more seeds would not do"
    return _takes(None, "seeds or times the images")
