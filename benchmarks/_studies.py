"""Whole studies with a known truth, thousands at a time: does the rule of the analysis keep what it promises?

A run's number is its row's, its seed's and chance: runs of one seed share a part (1 AP), what is left varies by 1 AP.
Kinds of studies differ in what is left:

    equal      every row varies alike
    3x, 9x     one row, which two claims touch, has that many times the variance
    heavy      the variance of each row is drawn: 2 divided by a chi-square of 4 degrees of freedom
    collapse   3 of 100 runs lose 10 AP; they do so in every row
    floor      one row, which two claims touch, never learns: no variance, and no part in the table

The study of four rows has an interaction among its claims: that one row beats another by more than a third beats the
fourth. The others are pairs of rows.

Two rules judge each study: the one of the workbench, and Student's test of each claim alone, which it has replaced.
Both combine with the images as the workbench does. In use seeds go only to rows of open claims; here all rows get them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from workbench.evaluation.intervals import errors_of, factor, holm, p_of
from workbench.evaluation.moderation import Residual, moderated
from workbench.experiments.claims import ALPHA
from workbench.experiments.sequential import LEVELS
from workbench.study import Contrast
from workbench.tensors import Floats

Kind = Literal["equal", "3x", "9x", "heavy", "collapse", "floor"]
KINDS: tuple[Kind, ...] = get_args(Kind)
RULES = {"rule": True, "Student, the rule before": False}
ROWS, SEEDS, LOOKED = (3, 4, 5, 7, 13), (2, 3, 4, 8), (3, 5, 8)
GAINS = (2.0, 3.0, 5.0)  # AP of a true claim
IMAGES = (0.35, 1.0)  # AP: standard error of a difference over images; the first is that of the records


INTERACTION = Contrast(("a", "d"), ("b", "c"))  # a beats b by more than c beats d


def _number(row: str) -> int:
    return ord(row) - ord("a")


@dataclass(frozen=True)
class Shape:
    """A study: its rows, which of them claims compare, and what its runs vary by."""

    rows: int
    kind: Kind = "equal"

    @property
    def claims(self) -> list[Contrast]:
        """Of rows by their letters. Row a is the odd one, where there is one."""
        pairs = ("ab", "ca", "de", "cd", "fg", "hi", "jk")
        chosen = {3: (0, 1), 4: (0, 3), 5: (0, 1, 2, 3), 7: (0, 1, 2, 4), 13: (0, 1, 2, 4, 5, 6)}
        found = [Contrast((pairs[i][0],), (pairs[i][1],)) for i in chosen[self.rows]]
        return [*found, INTERACTION] if self.rows == 4 else found

    @property
    def signs(self) -> Floats:
        """(C, rows): 1 where a row counts for a claim, -1 where it counts against it."""
        found = np.zeros((len(self.claims), self.rows))
        for claim, (ahead, behind) in zip(found, self.claims, strict=True):
            claim[[_number(row) for row in ahead]] = 1
            claim[[_number(row) for row in behind]] = -1
        return found

    @property
    def table(self) -> list[int]:
        """The rows behind the residual: those which claims compare, without one at the floor."""
        compared = np.flatnonzero(self.signs.any(0)).tolist()
        return [row for row in compared if row or self.kind != "floor"]


@dataclass(frozen=True)
class Judged:
    """Of many studies (N) and their claims (C): mean difference, half the interval of 95 %, and p, each (N, C)."""

    mean: Floats
    half: Floats
    p: Floats


def runs(rng: np.random.Generator, studies: int, shape: Shape, seeds: int) -> Floats:
    """(N, rows, seeds), in AP, without any truth in them."""
    chance = rng.normal(size=(studies, shape.rows, seeds))
    if shape.kind in ("3x", "9x"):
        chance[:, 0] *= float(shape.kind[0]) ** 0.5
    if shape.kind == "heavy":
        chance *= (2 / rng.chisquare(4, (studies, shape.rows, 1))) ** 0.5
    if shape.kind == "collapse":
        chance -= 10 * (rng.random(chance.shape) < 0.03)
    found = chance + rng.normal(size=(studies, 1, seeds))
    if shape.kind == "floor":
        found[:, 0] = 0
    return found


def judge(values: Floats, shape: Shape, moderates: bool, images: float = 0.0, seen: Any = 0.0) -> Judged:
    """The claims of many studies at once, with the functions that judge one.

    Args:
        images: standard error of a difference over images; seen: what these images make of each difference, (N, C).
    """
    differences = np.einsum("cr,nrs->ncs", shape.signs, values)  # (N, C, seeds)
    seeds = values.shape[2]
    study = residuals(values[:, shape.table]).of_difference(np.abs(shape.signs).sum(1)) if moderates else None
    variance, freedom = moderated(differences.var(axis=2, ddof=1), seeds, study)
    errors = errors_of(variance / seeds, freedom, images**2, 0.0)
    mean = differences.mean(axis=2) + seen
    half = np.max(np.broadcast_arrays(*(factor(f, 0.95) * e for e, f in errors)), axis=0)
    return Judged(mean, half, np.max(np.broadcast_arrays(*(p_of(np.abs(mean), e, f) for e, f in errors)), axis=0))


def residuals(values: Floats) -> Residual:
    """As `residual_of`, of many tables (N, rows, seeds) without gaps: variance (N, 1)."""
    left = values - values.mean(2, keepdims=True) - values.mean(1, keepdims=True) + values.mean((1, 2), keepdims=True)
    freedom = (values.shape[1] - 1) * (values.shape[2] - 1)
    return Residual(np.square(left).sum((1, 2))[:, None] / max(freedom, 1), freedom)


def without_truth(shape: Shape, seeds: int, studies: int, images: float = 0.0) -> dict[str, float]:
    """How often the intervals hold 0, over all claims and of the worst one, and how often a study decides any claim."""
    rng = np.random.default_rng([8, shape.rows, KINDS.index(shape.kind), seeds])
    values = runs(rng, studies, shape, seeds)
    seen = rng.normal(0, images, (studies, len(shape.claims)))
    found: dict[str, float] = {}
    for name, moderates in RULES.items():
        one = judge(values, shape, moderates, images, seen)
        held = np.abs(one.mean) <= one.half
        found[f"{name}: coverage of all claims"] = float(held.mean())
        found[f"{name}: coverage of the worst claim"] = float(held.mean(0).min())
        if INTERACTION in shape.claims:
            found[f"{name}: coverage of the interaction"] = float(held[:, shape.claims.index(INTERACTION)].mean())
        found[f"{name}: any claim decided"] = float((one.p.min(1) * len(shape.claims) < ALPHA).mean())
    return found


def power(rows: int, seeds: int, gain: float, studies: int) -> dict[str, float]:
    """How often the last claim is decided after Holm, where it is true and others are not; all rows vary alike.

    Where an interaction is true, so is one of the two pairs behind it.
    """
    shape = Shape(rows)
    values = runs(np.random.default_rng([9, rows, seeds]), studies, shape, seeds)
    values[:, _number(shape.claims[-1].ahead[0])] += gain
    found = {name: judge(values, shape, moderates).p for name, moderates in RULES.items()}
    return {f"{name}: +{gain:g} AP decided": _decided_last(p) for name, p in found.items()}


def _decided_last(pvalues: Floats) -> float:
    return float(np.mean([holm(p)[-1] < ALPHA for p in pvalues]))


def looks(kind: Kind, gain: float, studies: int) -> dict[str, float]:
    """Seven rows and four claims, the last two true by `gain` AP where that is not 0, in looks at 3, 5 and 8 seeds."""
    shape = Shape(7, kind)
    values = runs(np.random.default_rng([10, KINDS.index(kind)]), studies, shape, LOOKED[-1])
    true = [2, 3] if gain else []
    for claim in true:
        values[:, _number(shape.claims[claim].ahead[0])] += gain
    found: dict[str, float] = {}
    for name, moderates in RULES.items():
        each = [judge(values[:, :, :seeds], shape, moderates).p for seeds in LOOKED]
        at = np.asarray([_look_of_each(p) for p in zip(*each, strict=True)])  # (N, C): 0, 1, 2, or 3 for none
        false = [i for i in range(len(shape.claims)) if i not in true]
        found[f"{name}: any false claim decided"] = float((at[:, false] < len(LOOKED)).any(1).mean())
        if true:
            spent = np.asarray([*LOOKED, LOOKED[-1]])[at[:, true].max(1)]
            found[f"{name}: true claims decided"] = float((at[:, true] < len(LOOKED)).mean())
            found[f"{name}: seeds until both are"] = float(spent.mean())
    return found


def _look_of_each(pvalues: Sequence[Floats]) -> list[int]:
    """The look that decides each claim of a study, from their p at each look; the number of looks where none does."""
    found = [len(pvalues)] * len(pvalues[0])
    for look, (p, level) in enumerate(zip(pvalues, LEVELS, strict=True)):
        still = [i for i, at in enumerate(found) if at == len(pvalues)]
        for i, adjusted in zip(still, holm(p[still]), strict=True):
            if adjusted < level:
                found[i] = look
    return found


Line = tuple[str, str, int | str, int, str, str]


def table(studies: int = 2_500) -> Iterator[Line]:
    """One line per number: check, scenario, seeds, simulations, what is measured, the number."""
    for rows in ROWS:
        name = f"{rows} rows, {len(Shape(rows).claims)} claims"
        for seeds in SEEDS:
            for kind in KINDS:
                for what, rate in without_truth(Shape(rows, kind), seeds, studies).items():
                    yield "studies without truth", f"{name}, {kind}", seeds, studies, what, f"{rate:.4f}"
            for gain in GAINS:
                for what, rate in power(rows, seeds, gain, studies).items():
                    yield "one true claim", f"{name}, equal", seeds, studies, what, f"{rate:.4f}"
    for error in IMAGES:
        for seeds in (2, 3, 5):
            for kind in ("equal", "9x"):
                for what, rate in without_truth(Shape(7, kind), seeds, studies, error).items():
                    name = f"7 rows, 4 claims, {kind}, images {error:g} AP"
                    yield "studies without truth", name, seeds, studies, what, f"{rate:.4f}"
    for kind in KINDS:
        for gain in (0.0, *GAINS) if kind == "equal" else (0.0,):
            name = f"7 rows, 4 claims, {kind}" + f", two true by {gain:g} AP" * bool(gain)
            for what, rate in looks(kind, gain, studies).items():
                yield "three looks", name, "3, 5, 8", studies, what, f"{rate:.4f}"
