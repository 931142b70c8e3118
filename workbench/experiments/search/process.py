"""A Gaussian process over options: what candidates will score, from those that were trained, and how sure that is.

What a candidate scores is a sum of the parts in `PARTS`. How much of it is which part, and how much it all varies, is
not known: a small grid of settings is weighted by evidence, and predictions are the mixture. Few trainings would not
fix a scale for each factor; free optimisation overfits there.

A rung's signal is a line of what is predicted, with noise. Its correlation with that is one more axis of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from workbench.tensors import Floats, Ints

PARTS = ("options", "pairs of options", "nearness", "the cell alone", "log cost")
SHARES = (  # of the variance, by part
    (0.80, 0.05, 0.05, 0.05, 0.05),
    (0.60, 0.20, 0.05, 0.10, 0.05),
    (0.40, 0.20, 0.25, 0.10, 0.05),
    (0.35, 0.15, 0.10, 0.35, 0.05),
    (0.35, 0.10, 0.10, 0.05, 0.40),
    (0.15, 0.10, 0.60, 0.10, 0.05),
)
AMPLITUDES = (0.5, 1.0, 2.0, 4.0)  # times the variance that was seen
CORRELATIONS = (0.35, 0.6, 0.85)  # of a rung's signal with what the whole training will tell
LEVEL = 25.0  # variance of a constant, in those of the rest: nothing is known of it
DISTANCE = 2.0  # options, over which nearness falls to 1/e
BELIEF = 8.0  # trainings that the width of intervals is believed for before they are compared with what came
FAINT = 5.0  # log evidence below the best setting's, from which one has no say: less than a hundredth of its weight


class Pool(NamedTuple):
    """All candidates that may be asked for."""

    features: Floats  # (N, options): 1 where a candidate has the option
    log_cost: Floats  # (N,)


class Observations(NamedTuple):
    """What trainings have told; of one candidate there may be several. More is better, of signals too."""

    which: Ints  # (n,), of the pool
    rung: Ints  # (n,): 0 after the whole training, 1 and more at a rung before it
    values: Floats  # (n,)
    noise: Floats  # (n,): variance of a whole training's value by chance; not used of rungs

    def plus(self, which: Ints, values: Floats, noise: float) -> Observations:
        """With further whole trainings."""
        more = Observations(which, np.zeros(len(which), np.int64), values, np.full(len(which), noise))
        return Observations(
            np.concatenate([self.which, more.which]),
            np.concatenate([self.rung, more.rung]),
            np.concatenate([self.values, more.values]),
            np.concatenate([self.noise, more.noise]),
        )


def observations(lines: Sequence[tuple[int, int, float, float]]) -> Observations:
    """From lines of candidate, rung, value and variance of its noise."""
    which, rung, values, noise = zip(*lines, strict=True) if lines else ((), (), (), ())
    return Observations(
        np.asarray(which, np.int64), np.asarray(rung, np.int64), np.asarray(values, float), np.asarray(noise, float)
    )


@dataclass(frozen=True)
class _Setting:
    """One point of the grid, fitted: `lift` is d(observation)/d(score), 1 of whole trainings."""

    variances: Floats  # (parts,)
    lift: Floats  # (n,)
    root: Floats  # (n, n), lower
    solved: Floats  # (n,)
    evidence: float

    def left_out(self) -> Floats:
        """(n,): the error of each over its standard deviation, as it was predicted from the others."""
        inverse = cho_solve((self.root, True), np.eye(len(self.solved)), check_finite=False)
        return self.solved / np.sqrt(np.diag(inverse))


class Process:
    """The process after some observations.

    Args:
        spread: standard deviation of scores to assume where fewer than three whole trainings are known.
    """

    def __init__(self, pool: Pool, seen: Observations, spread: float = 3.0) -> None:
        self.pool, self.seen, whole = pool, seen, seen.rung == 0
        self.active = max(float(pool.features.sum(1).max()), 2.0)
        self.cost_scale = float(pool.log_cost.mean()), float(pool.log_cost.std()) or 1.0
        values = seen.values[whole]
        self.center = float(values.mean()) if len(values) else 0.0
        noise = float(seen.noise[whole].mean()) if len(values) else 0.0
        typical = max(values.var(ddof=1) - noise, 0.25 * noise) if len(values) > 2 else spread**2
        fitted = list(self._fitted(max(float(typical), 1e-12)))
        best = max(one.evidence for one in fitted)
        self.settings = [one for one in fitted if one.evidence > best - FAINT]
        weights = np.exp([one.evidence - best for one in self.settings])
        self.weights = weights / weights.sum()
        self.widening = self._widening(whole)

    def _fitted(self, typical: float) -> Iterator[_Setting]:
        seen, rungs = self.seen, sorted(set(self.seen.rung.tolist()) - {0})
        parts = self._parts(seen.which, seen.which)
        target, of_rung, spreads = seen.values - self.center, np.zeros_like(seen.values), np.ones_like(seen.values)
        for rung in rungs:
            there = seen.rung == rung
            target[there] = seen.values[there] - seen.values[there].mean()
            spreads[there] = (target[there] ** 2).mean() ** 0.5 or 1.0
            of_rung[there] = 1.0
        same = (seen.rung[:, None] == seen.rung[None]).astype(float)
        for shares, amplitude, r in product(SHARES, AMPLITUDES, CORRELATIONS if rungs else (1.0,)):
            variances = np.asarray(shares) * typical * amplitude
            lift = np.where(of_rung > 0, r * spreads / variances.sum() ** 0.5, 1.0)
            covariance = np.tensordot(variances, parts, 1) * np.outer(lift, lift)
            scale = np.where(of_rung > 0, spreads**2, variances.sum())
            covariance += LEVEL * same * scale[:, None]
            noise = np.where(of_rung > 0, spreads**2 * (1 - r * r), seen.noise) + 1e-9 * scale
            covariance[np.diag_indices_from(covariance)] += noise
            yield _solved(variances, lift, covariance, target)

    def _parts(self, a: Ints, b: Ints) -> Floats:
        """(parts, a, b): the covariance that each part would give alone, of variance 1."""
        x, y = self.pool.features[a], self.pool.features[b]
        shared = x @ y.T
        apart = (x.sum(1)[:, None] + y.sum(1)[None]) / 2 - shared
        mean, scale = self.cost_scale
        u, v = ((self.pool.log_cost[i] - mean) / scale for i in (a, b))
        pairs = shared * (shared - 1) / (self.active * (self.active - 1))
        return np.stack([shared / self.active, pairs, np.exp(-apart / DISTANCE), apart < 0.25, np.outer(u, v)])

    def _widening(self, whole: np.ndarray) -> float:
        """What variances are multiplied with: as each whole training was predicted from the others."""
        errors = np.stack([one.left_out()[whole] for one in self.settings])
        return float((BELIEF + self.weights @ np.square(errors).sum(1)) / (BELIEF + whole.sum()))

    def predicted(self, which: Ints) -> tuple[Floats, Floats]:
        """Mean and variance of what candidates score, (N,) each, without the noise of a training."""
        parts, found = self._parts(which, self.seen.which), []
        alone = self._alone(which)
        for one in self.settings:
            mean, reached = self._conditioned(one, parts)
            found.append((mean, one.variances @ alone + LEVEL * one.variances.sum() - np.square(reached).sum(0)))
        means, variances = (np.stack(each) for each in zip(*found, strict=True))
        mean = self.weights @ means
        variance = self.weights @ (np.maximum(variances, 0) + np.square(means - mean))
        return mean + self.center, variance * self.widening

    def joint(self, which: Ints) -> tuple[Floats, Floats]:
        """Mean (N,) and covariance (N, N) of the same: for draws, and for differences of means."""
        parts, own, found = self._parts(which, self.seen.which), self._parts(which, which), []
        for one in self.settings:
            mean, reached = self._conditioned(one, parts)
            prior = np.tensordot(one.variances, own, 1) + LEVEL * one.variances.sum()
            found.append((mean, prior - reached.T @ reached))
        mean = self.weights @ np.stack([m for m, _ in found])
        each = (w * (c + np.outer(m - mean, m - mean)) for w, (m, c) in zip(self.weights, found, strict=True))
        return mean + self.center, np.sum(list(each), axis=0) * self.widening

    def _conditioned(self, one: _Setting, parts: Floats) -> tuple[Floats, Floats]:
        """Mean (N,), and what observations explain: (n, N), whose squares sum up to variance."""
        covariance = np.tensordot(one.variances, parts, 1) * one.lift
        covariance += LEVEL * one.variances.sum() * (self.seen.rung == 0)
        return covariance @ one.solved, solve_triangular(one.root, covariance.T, lower=True, check_finite=False)

    def _alone(self, which: Ints) -> Floats:
        """(parts, N): the diagonal of `_parts`."""
        count, ones = self.pool.features[which].sum(1), np.ones(len(which))
        mean, scale = self.cost_scale
        pairs = count * (count - 1) / (self.active * (self.active - 1))
        return np.stack([count / self.active, pairs, ones, ones, ((self.pool.log_cost[which] - mean) / scale) ** 2])


def _solved(variances: Floats, lift: Floats, covariance: Floats, target: Floats) -> _Setting:
    root = cholesky(covariance, lower=True, check_finite=False)
    solved = cho_solve((root, True), target, check_finite=False)
    evidence = -0.5 * float(target @ solved) - float(np.log(np.diag(root)).sum())
    return _Setting(variances, lift, root, solved, evidence)
