"""A search as a study of Optuna: one trial per proposal, for its samplers, its plots and optuna-dashboard.

It is made from the log and from results, and made anew where it does not agree with these (a process was killed, an
option was added or taken out): nothing is known from it alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from workbench.experiments.job_queue import PLAN_LOCK
from workbench.experiments.search.log import Log, Proposal, State
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.stores import store_of
from workbench.space import Candidate, Space

_PREFIX = "search "  # of the names of these studies: plans of jobs have studies in the same store
NUMBER = "proposal"  # the attribute of a trial by which it is found
ABSENT = "none"  # the option of a factor that a candidate does not have
AGAIN = 200  # times that a sampler may ask for what it knows; then the next candidate that it does not know is taken
_CONTROLS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    "nsga3": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


@dataclass(frozen=True)
class Outcome:
    """What is known of a proposal: the mean of the metric over its seeds (nan: not yet), what else a trial says of it,
    and why its training failed for good."""

    up: float = math.nan
    words: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""


class SurrogateSampler(BaseSampler):
    """Takes the candidate that our own proposer chooses; Optuna asks for it one parameter after the other."""

    def __init__(self, choose: Callable[[], Candidate]) -> None:
        self._choose = choose
        self._chosen: dict[int, dict[str, str]] = {}

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if trial.number not in self._chosen:
            self._chosen = {trial.number: dict(self._choose().pairs)}
        return self._chosen[trial.number][param_name]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a word on what Optuna may still change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class SearchStudy:
    """The study of a search; `run` says where it lies."""

    def __init__(self, run: SearchRun, log: Log, outcomes: Mapping[int, Outcome]) -> None:
        self._run, self._space = run, run.search.space
        store = store_of(run.home)
        self._storage = store.open(heartbeat=False)  # its trials are not processes
        self._name = f"{_PREFIX}{run.name}"
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        with store.locked(PLAN_LOCK):
            self._study = self._opened()
            if not self._agrees(log, outcomes):
                optuna.delete_study(study_name=self._name, storage=self._storage)
                self._study = self._opened()
                for proposal in self._held(log):
                    self._study.add_trial(self._trial(proposal, outcomes.get(proposal.number, Outcome())))
        self.update(log, outcomes)

    def _opened(self) -> optuna.Study:
        study = optuna.create_study(
            storage=self._storage, study_name=self._name, directions=["maximize", "minimize"], load_if_exists=True
        )
        with _quiet():
            study.set_metric_names([self._run.search.up, self._run.search.down])
        return study

    def _agrees(self, log: Log, outcomes: Mapping[int, Outcome]) -> bool:
        """Whether each proposal of the space has a trial, with its choices among today's options.

        A trial that has ended stays so: one that failed, of a training that is tried again, does not agree.
        """
        trials, held = self._by_number(), self._held(log)
        if trials.keys() != {one.number for one in held}:
            return False
        return all(
            trials[one.number].params == dict(one.pairs)
            and trials[one.number].distributions == self._choices(one.pairs)
            and (trials[one.number].state is not TrialState.FAIL or self._fails(one, outcomes))
            for one in held
        )

    def _fails(self, proposal: Proposal, outcomes: Mapping[int, Outcome]) -> bool:
        return self._ended(proposal, outcomes.get(proposal.number, Outcome()))[0] is TrialState.FAIL

    def _held(self, log: Log) -> list[Proposal]:
        """Proposals that are in the space: an option may have been taken out of the search."""
        there = {one.pairs for one in self._space.candidates}
        return [one for one in log.proposals if one.pairs in there]

    def _by_number(self) -> dict[int, FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return {one.user_attrs[NUMBER]: one for one in trials if NUMBER in one.user_attrs}

    def _choices(self, pairs: tuple[tuple[str, str], ...]) -> dict[str, BaseDistribution]:
        labels = {factor.name: factor.labels for factor in self._space.factors}
        return {name: CategoricalDistribution(labels[name]) for name, _ in pairs}

    def propose(self, choose: Callable[[], Candidate], known: set[Candidate], number: int, by: str = "") -> Candidate:
        """A candidate that is not known.

        Args:
            choose: proposes where `by`, or else the sampler of the run, is none of Optuna's.
            number: of the proposal; the sampler's chance follows from it, not from what it did before.
        """
        by = by or self._run.sampler
        with _quiet():
            self._study.sampler = (
                _CONTROLS[by](1000 * self._run.seed + number) if by in _CONTROLS else SurrogateSampler(choose)
            )
        for _ in range(AGAIN):
            with _quiet():
                trial = self._study.ask()
                candidate = self._asked(trial)
            if candidate not in known:
                trial.set_user_attr(NUMBER, number)
                return candidate
            self._study.tell(trial, state=TrialState.PRUNED)  # told as complete, it would stand twice on the front
        candidate = next(one for one in self._space.candidates if one not in known)
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(candidate.pairs),
            distributions=self._choices(candidate.pairs),
            user_attrs={NUMBER: number},
        )
        self._study.add_trial(trial)
        return candidate

    def _asked(self, trial: Trial) -> Candidate:
        chosen: dict[str, str] = {}
        for factor in self._space.factors:
            if factor.active(chosen):
                chosen[factor.name] = trial.suggest_categorical(factor.name, factor.labels)
        return self._space.candidate(chosen)

    def update(self, log: Log, outcomes: Mapping[int, Outcome]) -> None:
        """Ends the trials whose proposals have come to an end, and gives up those that never became one."""
        trials = self._by_number()
        for proposal in log.proposals:
            trial, outcome = trials.get(proposal.number), outcomes.get(proposal.number, Outcome())
            if trial is not None and trial.state is TrialState.RUNNING:
                self._end(trial, proposal, outcome)
        there = {one.number for one in log.proposals}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(NUMBER) not in there:
                self._study.tell(trial.number, state=TrialState.FAIL)

    def _end(self, trial: FrozenTrial, proposal: Proposal, outcome: Outcome) -> None:
        state, values = self._ended(proposal, outcome)
        if state is TrialState.RUNNING:
            return
        live = Trial(self._study, trial._trial_id)
        for name, over in self._over(proposal).items():
            if name not in trial.constraints:
                live.set_constraint(name, over)
        for name, value in self._attributes(proposal, outcome).items():
            live.set_user_attr(name, value)
        self._study.tell(trial.number, values=values, state=state)

    def _ended(self, proposal: Proposal, outcome: Outcome) -> tuple[TrialState, list[float] | None]:
        """The state of a trial and its values. What is over a limit has values too: else samplers come back to it."""
        cost = proposal.costs.get(self._run.search.down, math.nan)
        if proposal.state is State.IMPOSSIBLE or outcome.fault:
            return TrialState.FAIL, None
        if proposal.state is State.SAME:
            return TrialState.PRUNED, None
        if proposal.state is State.OVER:
            return TrialState.COMPLETE, [0.0, cost]
        if math.isnan(outcome.up):
            return TrialState.RUNNING, None
        return TrialState.COMPLETE, [outcome.up, cost]

    def _over(self, proposal: Proposal) -> dict[str, float]:
        """By limit, the log of the cost's ratio to it: all in one unit, because Optuna adds them up."""
        limits = self._run.all_limits
        return {name: math.log(proposal.costs[name] / most) for name, most in limits.items() if name in proposal.costs}

    def _attributes(self, proposal: Proposal, outcome: Outcome) -> dict[str, Any]:
        why = outcome.fault or proposal.why
        about = {"key": proposal.key, "state": str(proposal.state), "why": why, "by": proposal.by}
        return {**about, **proposal.costs, **outcome.words}

    def _trial(self, proposal: Proposal, outcome: Outcome) -> FrozenTrial:
        state, values = self._ended(proposal, outcome)
        trial = create_trial(
            state=state,
            values=values,
            params=dict(proposal.pairs),
            distributions=self._choices(proposal.pairs),
            user_attrs={NUMBER: proposal.number, **self._attributes(proposal, outcome)},
        )
        for name, over in self._over(proposal).items():
            trial.set_constraint(name, over)
        return trial


class StoredSearch(NamedTuple):
    """A study of a search, as it stands in the store."""

    id: int
    name: str


def studies_of(home: Path) -> list[StoredSearch]:
    """Of all searches, the one that was begun last as the last; none where nothing was searched."""
    store = store_of(home)
    if not store.exists():
        return []
    found = store.open(heartbeat=False).get_all_studies()
    return [StoredSearch(one._study_id, one.study_name) for one in found if one.study_name.startswith(_PREFIX)]


def importances(space: Space, scores: Mapping[Candidate, float]) -> dict[str, float]:
    """Which share of what explains the scores each factor has alone, by a functional ANOVA over a forest of trees.

    A factor that a candidate does not have counts as an option of its own: Optuna itself would leave such factors out.

    Returns:
        by factor, 1 in all; nothing where all scores are equal.
    """
    from optuna.importance import FanovaImportanceEvaluator  # brings scikit-learn, which takes a second

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.create_study(direction="maximize")
    choices = {f.name: CategoricalDistribution((*f.labels, *((ABSENT,) if f.when else ()))) for f in space.factors}
    for candidate, score in scores.items():
        params = {name: dict(candidate.pairs).get(name, ABSENT) for name in choices}
        study.add_trial(create_trial(value=score, params=params, distributions=dict(choices)))
    try:
        return optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    except (RuntimeError, ValueError):  # nothing varies, or there are too few of them
        return {}
