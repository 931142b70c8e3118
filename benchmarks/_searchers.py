"""The ways to search that are compared. Each sees the same trainings of a table and pays for them.

None trains what is over the limit, and none trains twice: the checks stand before all of them. A searcher yields after
each training what it has paid, in minutes, and what it would recommend.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import optuna

from benchmarks._tables import SearchTable
from workbench.experiments.search.front import front_of, front_ranks
from workbench.experiments.search.process import Observations, Pool, Process, observations
from workbench.experiments.search.proposer import Terms, front_so_far, proposed
from workbench.tensors import Floats, Ints

RUNG = 0.2  # of a training
ASKS = 600  # at most, of samplers that ask for what is known
ETA = 2  # of the successive halving: the better half goes on
Recommends = Callable[[], Ints]
Searcher = Callable[[SearchTable, int, "Account"], Iterator[tuple[float, Recommends]]]


@dataclass
class Account:
    """What a search did: proposals, and what it predicted of each whole training before it, with what came."""

    proposals: int = 0
    trained: list[int] = field(default_factory=list)
    predicted: list[tuple[float, float, float]] = field(default_factory=list)  # mean, variance with noise, told


def _best_told(table: SearchTable, account: Account) -> Recommends:
    """The front of what whole trainings have told by now."""
    return partial(_told_front, table, tuple(account.trained))


def _told_front(table: SearchTable, trained: tuple[int, ...]) -> Ints:
    done = np.asarray(trained, np.int64)
    return done[front_of(table.told[done], table.pool.log_cost[done])]


def random(table: SearchTable, seed: int, account: Account) -> Iterator[tuple[float, Recommends]]:
    paid = 0.0
    for which in np.random.default_rng([1, seed]).permutation(np.flatnonzero(table.allowed)):
        account.proposals += 1
        account.trained.append(int(which))
        paid += float(table.price[which])
        yield paid, _best_told(table, account)


def of_optuna(
    make: Callable[[int], Any], table: SearchTable, seed: int, account: Account
) -> Iterator[tuple[float, Recommends]]:
    """A sampler of Optuna's. It is told the cost and a violated limit of what is not trained, and that a trial failed
    whose candidate is not in the table."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make(seed))
    paid, done = 0.0, set[int]()
    for _ in range(ASKS):
        trial = study.ask()
        which = table.line_of(_asked(table, trial))
        account.proposals += 1
        if which is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        cost = float(table.pool.log_cost[which])
        trial.set_constraint("cost", cost - table.limit)
        if which in done:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif not table.allowed[which]:
            study.tell(trial, [float(table.told.min()), cost])
        else:
            done.add(which)
            account.trained.append(which)
            paid += float(table.price[which])
            study.tell(trial, [float(table.told[which]), cost])
            yield paid, _best_told(table, account)


def _asked(table: SearchTable, trial: Any) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for factor in table.space.factors:
        if factor.active(chosen):
            chosen[factor.name] = trial.suggest_categorical(factor.name, factor.labels)
    return chosen


def halving(table: SearchTable, seed: int, account: Account) -> Iterator[tuple[float, Recommends]]:
    """Asynchronous successive halving with several objectives: of those at the rung the better part goes on, by the
    front that they are on; else a new one at random begins."""
    order = iter(np.random.default_rng([1, seed]).permutation(np.flatnonzero(table.allowed)).tolist())
    paid, waiting = 0.0, list[int]()  # at the rung, promoted ones included
    while True:
        there = np.asarray(waiting, np.int64)
        signal = table.told_early[there]
        ranked = there[np.lexsort((-signal, front_ranks(signal, table.pool.log_cost[there])))]
        better = [one for one in ranked[: len(ranked) // ETA].tolist() if one not in account.trained]
        if better:
            account.trained.append(better[0])
            paid += (1 - RUNG) * float(table.price[better[0]])
        else:
            if (new := next(order, None)) is None:
                return
            account.proposals += 1
            waiting.append(new)
            paid += RUNG * float(table.price[new])
        yield paid, _best_told(table, account)


class LibraryProcess(Process):
    """scikit-learn's process in place of ours: effects of options, nearness with a length of its own, all scales fitted
    by evidence from three beginnings. It knows whole trainings alone, and the noise of each."""

    def __init__(self, pool: Pool, seen: Observations) -> None:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

        self.pool, self.seen = pool, seen
        cost = (pool.log_cost - pool.log_cost.mean()) / (pool.log_cost.std() or 1.0)
        self._inputs = np.column_stack([pool.features, cost])
        values = seen.values
        self._center, self._scale = float(values.mean()), float(values.std()) or 1.0
        kernel = ConstantKernel(0.5) * DotProduct() + ConstantKernel(0.5) * RBF(2.0)
        noise: Any = seen.noise / self._scale**2 + 1e-6
        self._fit: Any = GaussianProcessRegressor(kernel, alpha=noise, n_restarts_optimizer=2, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scales at their bounds, which few trainings lead to
            self._fit.fit(self._inputs[seen.which], (values - self._center) / self._scale)

    def predicted(self, which: Ints) -> tuple[Floats, Floats]:
        mean, deviation = self._fit.predict(self._inputs[which], return_std=True)
        return mean * self._scale + self._center, (deviation * self._scale) ** 2


def ours(
    rungs: bool, model: type[Process], table: SearchTable, seed: int, account: Account
) -> Iterator[tuple[float, Recommends]]:
    """The proposer, with one rung or without."""
    first = RUNG if rungs else 1.0
    noise = table.noise**2
    terms = Terms(table.pool, table.allowed, table.price, noise, table.limit, first, seed)
    paid, taken, lines = 0.0, list[int](), list[tuple[int, int, float, float]]()
    while (one := proposed(terms, observations(lines), taken, model=model)) is not None:
        which, ends = one.which, one.promoted or not rungs
        if not one.promoted:
            taken.append(which)
            account.proposals += 1
        if ends:
            account.trained.append(which)
            if one.variance == one.variance:
                account.predicted.append((one.mean, one.variance + noise, float(table.told[which])))
            lines.append((which, 0, float(table.told[which]), noise))
        else:
            lines.append((which, 1, float(table.told_early[which]), 0.0))
        paid += float(table.price[which]) * (1 - first if one.promoted else first)
        yield paid, partial(_predicted_front, table, model, tuple(lines))


def _predicted_front(
    table: SearchTable, model: type[Process], lines: tuple[tuple[int, int, float, float], ...]
) -> Ints:
    return front_so_far(model(table.pool, observations(lines)), table.pool.log_cost)


SEARCHERS: Mapping[str, Searcher] = {
    "random": random,
    "TPE": partial(of_optuna, lambda seed: optuna.samplers.TPESampler(seed=seed)),
    "NSGA-II": partial(of_optuna, lambda seed: optuna.samplers.NSGAIISampler(population_size=20, seed=seed)),
    "MO-ASHA": halving,
    "ours": partial(ours, False, Process),
    "ours with rungs": partial(ours, True, Process),
    "ours by scikit-learn": partial(ours, False, LibraryProcess),
}
