"""Do the statistics keep what they promise? Studies with a known truth, simulated by the thousand.

Run:   workbench bench coverage          (about seven minutes of one core; writes reports/data/coverage.csv)

Whole studies: the rule by which claims are judged, with rows that vary alike or not (`_studies` says how they are
made). The other checks go the workbench's own way, from draws of images to verdicts, with fewer and smaller studies.

Coverage: how often an interval of 95 % holds the truth that it speaks of. Over images that is the difference between
these checkpoints on other images, over seeds the difference between the methods on these images. The widest, which
decides, has to hold the difference between the methods on other images. It holds it more often than 95 % where two or
three seeds err each on images of its own: both intervals then tell of the same errors, and one of them is too wide by
chance. Two that are not used stand beside it, and show why: both errors added up without the rule that the widest
decides, and percentiles of draws of images and seeds with replacement.

Under a probe the trunks are the repeats, each with one seed or two: there the truth is the difference over all trunks
that might have been drawn.

Errors: how often a study of claims without any truth in them decides at least one, in one look, until decided, and with
as many looks but no correction for them. A study with truth in it shows what until decided saves, and what it misses.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import _studies
from workbench.core.provenance import commit
from workbench.evaluation.bootstrap import (
    Resampled,
    blocked_bootstrap,
    image_weights,
    metric_from_records,
    paired_bootstrap,
    resample,
)
from workbench.evaluation.intervals import Interval
from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ClaimResult, judge_claims
from workbench.experiments.plan import SequentialSettings, StudyRun
from workbench.experiments.sequential import LEAST_SEEDS, LEVELS, LOOKS, follow_looks
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Better, PlannedJob, Row, Study, StudyProtocol
from workbench.training.record import Result

Floats = NDArray[np.float64]
OUT = Path("reports/data/coverage.csv")
IMAGES, RESAMPLES = 100, 400
SIMULATIONS = 500
IMAGE_PART, SEED_PART, WIDEST = "over images", "over seeds", "the widest, which decides"
SUM, DRAWN = "not used: the sum of both alone", "not used: seeds drawn with replacement"


_MADE = "standard deviations: of a run 1 AP, of a seed 1 AP; 95 % intervals, 5 % of a family"
_DRAWN = f"{IMAGES} images, {RESAMPLES} resamples"
CONDITIONS = {
    "studies without truth": _MADE,
    "one true claim": _MADE,
    "three looks": f"{_MADE}, at {' '.join(map(str, LEVELS))}",
    "coverage": f"two rows; {_DRAWN}",
    "coverage of AP": "two rows; 60 images, 200 resamples",
    "errors": f"five rows, four claims; {_DRAWN}",
    "savings": f"five rows, four claims; {_DRAWN}",
}


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a difference: between seeds, of images that all runs share, of a run's own, of trunks."""

    name: str
    seeds: float
    shared: float
    own: float
    trunks: float = 0.0


NOISE = (
    Noise("seeds alone", 1, 0, 0),
    Noise("images alone", 0, 1, 0),
    Noise("seeds and images alike", 1, 1, 0),
    Noise("seeds twice the images", 1, 0.5, 0),
    Noise("images twice the seeds", 0.5, 1, 0),
    Noise("all three alike", 1, 1, 1),
    Noise("each seed errs on images of its own", 0.3, 0.3, 1),
)


ON_TRUNKS = (
    Noise("trunks alone", 0, 0, 0, 1),
    Noise("trunks and seeds alike", 1, 0, 0, 1),
    Noise("trunks, seeds and images alike", 1, 1, 1, 1),
    Noise("seeds and images, no trunks", 1, 1, 1, 0),
)


def main(options: Sequence[str] = ()) -> int:
    """Writes the table and prints it. Gives 0: the numbers are for reading, tests hold them to their bounds."""
    argparse.ArgumentParser(prog="workbench bench coverage", description="It has no options.").parse_args(options)
    about = (commit(), datetime.now(UTC).isoformat(timespec="minutes"))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with OUT.open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(
            ["check", "scenario", "seeds", "simulations", "measured", "value", "conditions", "commit", "date"]
        )
        for line in table():
            lines.writerow((*line, CONDITIONS[line[0]], *about))
            print(*line, sep="; ", flush=True)
    return 0


def table() -> Iterator[tuple[str, str, int | str, int, str, str]]:
    """One line per number: what is checked, under which noise, seeds per row, simulations, what of it, the number."""
    yield from _studies.table()
    for noise in NOISE:
        for seeds in (2, 3, 5, 8):
            for part, rate in coverage(noise, seeds, SIMULATIONS).items():
                yield "coverage", noise.name, seeds, SIMULATIONS, part, f"{rate:.4f}"
    for noise in ON_TRUNKS:
        for seeds in (1, 2):
            name = f"{len(TRUNKS)} trunks: {noise.name}"
            for part, rate in trunk_coverage(noise, seeds, SIMULATIONS).items():
                yield "coverage", name, seeds, SIMULATIONS, part, f"{rate:.4f}"
            for what, rate in errors(noise, seeds, SIMULATIONS, ON_PROBE).items():
                yield "errors", name, seeds, SIMULATIONS, what, f"{rate:.4f}"
    for seeds in (2, 3, 5):
        for part, rate in ap_coverage(seeds, 200).items():
            yield "coverage of AP", "match records", seeds, 200, part, f"{rate:.4f}"
    for noise in (NOISE[0], NOISE[2], NOISE[5]):
        for seeds in (2, 3, 5):
            for what, rate in errors(noise, seeds, SIMULATIONS).items():
                yield "errors", noise.name, seeds, SIMULATIONS, what, f"{rate:.4f}"
        for what, rate in errors_until_decided(noise, 200).items():
            yield "errors", noise.name, "3 to 8", 200, what, f"{rate:.4f}"
    for gain in (1.0, 2.0, 4.0):
        for what, value in savings(gain, 60).items():
            name = f"two claims of four true, by {gain:g} times the spread of a difference"
            yield "savings", name, "3 to 8", 60, what, f"{value:.4f}"


# ---------------------------------------------------------------------------------------------------------- intervals


def coverage(noise: Noise, seeds: int, simulations: int) -> dict[str, float]:
    """How often each interval holds its truth; the true difference is 0.3."""
    rng = np.random.default_rng([1, seeds])
    hits: dict[str, int] = {}
    for run in range(simulations):
        at, by_image = rng.normal(0.3, noise.seeds or 1e-12, seeds), _per_image(rng, noise.shared)
        values = at[:, None] + by_image + np.stack([_per_image(rng, noise.own) for _ in range(seeds)])
        weights = image_weights(IMAGES, RESAMPLES, run)
        pairs = [_resampled(v, weights) for v in values]
        zero = Resampled(image_ids=np.arange(IMAGES), observed=0.0, drawn=np.zeros(RESAMPLES))
        found = paired_bootstrap([zero] * seeds, pairs)
        truths = {IMAGE_PART: at.mean(), SEED_PART: 0.3 + by_image.mean()}
        for part, interval in (_parts(found) | {DRAWN: _drawing_seeds(pairs, rng)}).items():
            hits[part] = hits.get(part, 0) + (interval.low <= truths.get(part, 0.3) <= interval.high)
    if not noise.shared + noise.own:
        del hits[IMAGE_PART]  # there is nothing between images
    if not noise.seeds + noise.own:
        del hits[SEED_PART]
    return {part: count / simulations for part, count in hits.items()}


def trunk_coverage(noise: Noise, seeds: int, simulations: int) -> dict[str, float]:
    """How often the intervals over trunks hold the difference over all trunks, 0.3."""
    rng = np.random.default_rng([6, seeds])
    blocks = [trunk for trunk in TRUNKS for _ in range(seeds)]
    zero = [Resampled(image_ids=np.arange(IMAGES), observed=0.0, drawn=np.zeros(RESAMPLES))] * len(blocks)
    hits = dict.fromkeys((WIDEST, SUM), 0)
    for run in range(simulations):
        at = np.repeat(rng.normal(0.3, noise.trunks, len(TRUNKS)), seeds) + rng.normal(0, noise.seeds, len(blocks))
        values = at[:, None] + _per_image(rng, noise.shared) + np.stack([_per_image(rng, noise.own) for _ in blocks])
        weights = image_weights(IMAGES, RESAMPLES, run)
        _, overall = blocked_bootstrap(zero, [_resampled(v, weights) for v in values], blocks)
        found = _parts(overall)
        for part in hits:
            hits[part] += found[part].low <= 0.3 <= found[part].high
    return {part: count / simulations for part, count in hits.items()}


def _per_image(rng: np.random.Generator, spread: float) -> Floats:
    """Numbers of the images whose mean has that standard deviation."""
    return rng.normal(0, spread * IMAGES**0.5, IMAGES)


def _resampled(values: Floats, weights: NDArray[np.int64]) -> Resampled:
    """A metric that is the mean of a number per image."""
    drawn = weights.astype(float) @ values / len(values)
    return Resampled(image_ids=np.arange(len(values)), observed=float(values.mean()), drawn=drawn)


def _parts(found: Interval) -> dict[str, Interval]:
    assert found.by_images is not None and found.by_seeds is not None and found.by_both is not None
    return {IMAGE_PART: found.by_images, SEED_PART: found.by_seeds, WIDEST: found, SUM: found.by_both}


def _drawing_seeds(pairs: Sequence[Resampled], rng: np.random.Generator) -> Interval:
    """Percentiles of draws of images and seeds, both with replacement."""
    drawn = np.stack([pair.drawn for pair in pairs], axis=1)  # (R, n)
    n = drawn.shape[1]
    counts = rng.multinomial(n, np.full(n, 1 / n), size=len(drawn))
    low, high = np.quantile((drawn * counts).sum(1) / n, [0.025, 0.975])
    return Interval(mean=float(np.mean([pair.observed for pair in pairs])), low=float(low), high=float(high))


def ap_coverage(seeds: int, simulations: int) -> dict[str, float]:
    """The same for AP from match records, where seeds, images and each seed's own errors all have a part."""
    truth = _true_ap_difference()
    rng = np.random.default_rng([2, seeds])
    hits = dict.fromkeys((WIDEST, SUM), 0)
    for run in range(simulations):
        scenes = _Scenes(rng, 60)
        than, better = ([resample(scenes.records(row, rng), "AP", 200, run) for _ in range(seeds)] for row in (0, 1))
        found = _parts(paired_bootstrap(than, better))
        for part in hits:
            hits[part] += found[part].low <= truth <= found[part].high
    return {part: count / simulations for part, count in hits.items()}


@cache
def _true_ap_difference() -> float:
    rng = np.random.default_rng(3)
    scenes = [_Scenes(rng, 2_000) for _ in range(30)]
    return float(
        np.mean([metric_from_records(s.records(1, rng)) - metric_from_records(s.records(0, rng)) for s in scenes])
    )


class _Scenes:
    """Images of two persons each; how hard they are is common to all rows and seeds, what suits a row to its seeds."""

    def __init__(self, rng: np.random.Generator, images: int) -> None:
        self.images, self.people = images, 2 * images
        self.hard, self.suits = rng.normal(0.9, 0.8, self.people), rng.normal(0, 0.3, (2, self.people))

    def records(self, row: int, rng: np.random.Generator) -> MatchRecords:
        """One training of a row: every person found, better or worse, and a wrong detection per image."""
        logit = self.hard + 0.15 * row + self.suits[row] + rng.normal(0, 0.1) + rng.normal(0, 0.5, self.people)
        oks = np.concatenate([1 / (1 + np.exp(-logit)), np.zeros(self.images)])
        sure = np.concatenate([logit + rng.normal(0, 0.5, self.people), rng.normal(-1, 1, self.images)])
        right = oks[:, None] > OKS_THRESHOLDS
        every, nothing = np.arange(self.images), np.zeros(self.images)
        return MatchRecords(
            image_ids=every,
            image=np.concatenate([np.repeat(every, 2), every]).astype(np.int32),
            category=np.zeros(len(oks), np.int16),
            scores=sure,
            matched=right,
            ignored=np.zeros_like(right),
            positives=np.full((1, self.images), 2, np.int32),
            oks_sum=nothing,
            oks_count=nothing.astype(np.int32),
            error_sum=nothing,
            error_count=nothing.astype(np.int32),
        )


# ------------------------------------------------------------------------------------------------------------- studies

STUDY = Study(
    name="simulated",
    question="",
    source="",
    base=nano(),
    rows=tuple(Row(label, {"coords.padding": 1 + i / 10}) for i, label in enumerate("abcde")),
    claims=tuple(Better(f"S{i}", "", row, "a", metric="mOKS") for i, row in enumerate("bcde")),
)
SETTING = StudyProtocol("simulated", "", Protocol(size=(96, 96)), seeds=3)
TRUNKS = ("x", "y", "z")
PROBE = StudyProtocol("simulated", "", Protocol(size=(96, 96)), seeds=1, trunks=TRUNKS)
TERMS = SequentialSettings(LEAST_SEEDS, budget=1_000)
SEEDS = (3, 5, 8)  # of the looks


RUN = StudyRun(STUDY, SETTING, Path())  # nothing is read from or written to its home
ON_PROBE = StudyRun(STUDY, PROBE, Path())


@dataclass
class World:
    """One simulated study: what each run would measure. `gains` is the true advantage of rows b, c, d, e over a."""

    noise: Noise
    number: int
    gains: Sequence[float] = (0, 0, 0, 0)
    _seen: dict[str, Resampled] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._weights = image_weights(IMAGES, RESAMPLES, self.number)
        rng = np.random.default_rng([4, self.number])
        self._suits = {row: _per_image(rng, self.noise.shared / 2**0.5) for row in "abcde"}
        self._level = dict(zip("abcde", (0, *self.gains), strict=True))

    def find(self, one: PlannedJob) -> Result:
        """Every run is complete."""
        return Result(f"{one.row} {one.seed} {one.trunk}", {}, [], {}, Path())

    def read(self, result: Result, _: str) -> Resampled:
        """A row minus another one has the noise asked for, of which each has half the variance."""
        if result.key not in self._seen:
            row, seed, trunk = result.key.split(" ")
            place = [TRUNKS.index(trunk)] if trunk else []
            by_trunk = np.random.default_rng([7, self.number, ord(row), *place]).normal(0, self.noise.trunks / 2**0.5)
            rng = np.random.default_rng([5, self.number, ord(row), int(seed), *place])
            at = self._level[row] + by_trunk + rng.normal(0, self.noise.seeds / 2**0.5)
            values = at + self._suits[row] + _per_image(rng, self.noise.own / 2**0.5)
            self._seen[result.key] = _resampled(values, self._weights)
        return self._seen[result.key]


def look(world: World, seeds: int, run: StudyRun = RUN) -> list[ClaimResult]:
    """The verdicts on so many seeds of every row."""
    results = [(one, world.find(one)) for one in run.jobs(seeds)]
    return judge_claims(STUDY.claims, run.protocol, results, read=world.read)


def errors(noise: Noise, seeds: int, simulations: int, run: StudyRun = RUN) -> dict[str, float]:
    """How often one look decides a claim without truth: each of the four of a study, and any of them."""
    wrong = np.asarray([[_decided(one) for one in look(World(noise, i), seeds, run)] for i in range(simulations)])
    return {"one look, each claim": float(wrong.mean()), "one look, any of four claims": float(wrong.any(1).mean())}


def errors_until_decided(noise: Noise, simulations: int) -> dict[str, float]:
    """The same until decided; and by as many looks without a correction for them, as long as it takes."""
    wrong, careless = [], []
    for i in range(simulations):
        world = World(noise, i)
        followed = follow_looks(RUN, TERMS, find=world.find, read=world.read)
        wrong.append([_decided(one) for one in followed.claims])
        careless.append(any(_decided(one) for seeds in SEEDS for one in look(world, seeds)))
    rates = np.asarray(wrong)
    return {
        "until decided, each claim": float(rates.mean()),
        "until decided, any of four claims": float(rates.any(1).mean()),
        f"{LOOKS} looks without correction, any of four claims": float(np.mean(careless)),
    }


def savings(gain: float, simulations: int) -> dict[str, float]:
    """Until decided beside all rows with the seeds of the last look: jobs, true claims found, false ones decided."""
    counts = np.zeros(5)
    for i in range(simulations):
        world = World(Noise("", 1, 0.2, 0.5), i, (gain, gain, 0, 0))
        followed = follow_looks(RUN, TERMS, find=world.find, read=world.read)
        whole = look(world, SEEDS[-1])
        found, wrong = zip(*(map(partial(sum), _split(side)) for side in (followed.claims, whole)), strict=True)
        counts += (followed.jobs / len(RUN.jobs(SEEDS[-1])), found[0] / 2, found[1] / 2, sum(wrong[:1]), sum(wrong[1:]))
    names = ("share of the jobs", "true claims held, until decided", "true claims held, all seeds")
    wrongs = ("false claims decided, until decided", "false claims decided, all seeds")
    return dict(zip((*names, *wrongs), (counts / simulations).tolist(), strict=True))


def _split(claims: Sequence[ClaimResult]) -> tuple[list[bool], list[bool]]:
    """Which true claims hold, which false ones are decided."""
    return [one.verdict is Verdict.HOLDS for one in claims[:2]], [_decided(one) for one in claims[2:]]


def _decided(one: ClaimResult) -> bool:
    return one.verdict is not Verdict.OPEN
