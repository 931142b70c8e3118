"""A search as a study of Optuna: made from the log, made anew where it does not agree, and its samplers."""

import math
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from tests.experiments.search.planted import SPACE, WORTH
from tests.experiments.search.searched import SEARCH, plant, searching, without_counting
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import Log, LogFile, Proposal, State
from workbench.experiments.search.optuna_study import NUMBER, Outcome, SearchStudy, SurrogateSampler, importances
from workbench.experiments.search.plan import SAMPLERS, SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.stores import store_of
from workbench.space import Candidate, Factor

pytestmark = pytest.mark.slow
ALL = SEARCH.space.candidates
NAME = "search planted/small"


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    without_counting(monkeypatch)
    return Searcher(plant(tmp_path)).know()


def loaded(run: SearchRun) -> optuna.Study:
    return optuna.load_study(study_name=NAME, storage=store_of(run.home).open(heartbeat=False))


def by_number(run: SearchRun) -> dict[int, FrozenTrial]:
    return {one.user_attrs[NUMBER]: one for one in loaded(run).get_trials() if NUMBER in one.user_attrs}


def proposal(number: int, state: State = State.ORDERED, why: str = "") -> Proposal:
    return Proposal(number, ALL[number].pairs, state, why, f"key{number}", {"gflops": 2.0 + number, "params": 1e6})


def refuse() -> Candidate:
    raise AssertionError("our own proposer is not asked")


def test_a_trial_per_proposal(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    study, trials = loaded(known.run), by_number(known.run)
    assert study.metric_names == ["AP", "gflops"] and [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trials[number].params for number in range(6)] == [dict(one.pairs) for one in ALL]
    assert {number: one.state.name for number, one in trials.items() if one.state.name != "COMPLETE"} == {3: "RUNNING"}
    assert trials[2].values == pytest.approx([0.38, 5.0]) and trials[1].values == pytest.approx([0.195, 1.0])
    assert trials[2].user_attrs["seeds"] == 3 and trials[2].user_attrs["state"] == "ordered"
    assert trials[1].user_attrs["why"] == "trained before" and trials[1].user_attrs["key"] == known.log.proposals[1].key


def test_what_is_over_a_limit_has_values_and_breaks_a_constraint(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    trials = by_number(known.run)
    assert trials[5].values == [0.0, 6.0] and trials[5].constraints == {"gflops": pytest.approx(math.log(6 / 5.5))}
    assert all(trials[number].constraints["gflops"] < 0 for number in (0, 1, 2, 4))


def test_states_of_proposals_that_are_not_trained(tmp_path: Path) -> None:
    run, states = searching(tmp_path), [State.ORDERED, State.SAME, State.IMPOSSIBLE, State.OVER]
    SearchStudy(run, Log(tuple(proposal(i, state) for i, state in enumerate(states))), {})
    found = by_number(run)
    assert [found[i].state for i in range(4)] == [
        TrialState.RUNNING,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.COMPLETE,
    ]


def test_a_trial_ends_when_its_training_does(tmp_path: Path) -> None:
    run, log = searching(tmp_path), Log((proposal(0), proposal(1, State.SAME, "computes the same as it")))
    study = SearchStudy(run, log, {})
    assert by_number(run)[0].state is TrialState.RUNNING
    study.update(log, {0: Outcome(0.4, {"seeds": 1})})
    one = by_number(run)[0]
    assert one.state is TrialState.COMPLETE and one.values == [0.4, 2.0] and one.user_attrs["seeds"] == 1
    study.update(log, {0: Outcome(0.5, {"seeds": 2})})
    assert by_number(run)[0].values == [0.4, 2.0], "it is told once"
    assert len(loaded(run).get_trials()) == 2


def test_a_training_that_failed_for_good_has_failed_and_says_why(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    assert by_number(known.run)[3].state is TrialState.RUNNING, "it may be tried again"
    key = known.log.proposals[3].key
    lost = Searcher(known.run).know({key: "the gradient is not finite"})
    assert {3} == lost.outcomes().keys() - known.outcomes().keys()
    SearchStudy(known.run, lost.log, lost.outcomes())
    failed = by_number(known.run)[3]
    assert failed.state is TrialState.FAIL and failed.user_attrs["why"] == "the gradient is not finite"
    assert failed.user_attrs["key"] == key and failed.values is None
    study = loaded(known.run)._study_id
    SearchStudy(known.run, lost.log, lost.outcomes())
    assert loaded(known.run)._study_id == study, "it agrees"
    SearchStudy(known.run, known.log, known.outcomes())
    assert by_number(known.run)[3].state is TrialState.RUNNING, "`retry` has forgotten the failure"


def test_one_that_agrees_is_kept(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    before = loaded(known.run)
    SearchStudy(known.run, known.log, known.outcomes())
    assert loaded(known.run)._study_id == before._study_id and loaded(known.run).get_trials() == before.get_trials()


def test_it_is_made_anew_where_the_log_has_more(known: Knowledge) -> None:
    SearchStudy(known.run, Log(known.log.proposals[:3]), known.outcomes())
    assert set(by_number(known.run)) == {0, 1, 2}
    SearchStudy(known.run, known.log, known.outcomes())
    assert set(by_number(known.run)) == set(range(6)) and len(loaded(known.run).get_trials()) == 6


def test_it_is_made_anew_where_the_log_says_otherwise(tmp_path: Path) -> None:
    run = searching(tmp_path)
    SearchStudy(run, Log((proposal(0), proposal(1))), {})
    other = replace(proposal(1), pairs=ALL[4].pairs)
    SearchStudy(run, Log((proposal(0), other)), {})
    assert by_number(run)[1].params == dict(ALL[4].pairs) and len(loaded(run).get_trials()) == 2


def test_it_is_made_anew_where_an_option_was_added(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    more = Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (1, 0, 2)})
    wider = replace(known.run, search=replace(SEARCH, factors=(*SEARCH.factors[:2], more)))
    SearchStudy(wider, known.log, known.outcomes())
    trials = by_number(wider)
    choices = {one.distributions["layers"] for one in trials.values()}
    assert choices == {optuna.distributions.CategoricalDistribution(("1", "0", "2"))} and len(trials) == 6
    assert trials[2].values == pytest.approx([0.38, 5.0])


@pytest.mark.parametrize("gone", ["bins", "padding"])
def test_it_is_made_anew_where_an_option_was_taken_out(known: Knowledge, gone: str) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    bins, padding, layers = SEARCH.factors
    left = {"bins": (Factor("bins", {"dynamic": {}}), padding, layers), "padding": (bins, layers)}[gone]
    run = replace(known.run, search=replace(SEARCH, factors=left, published={}))
    SearchStudy(run, known.log, Searcher(run).know().outcomes())
    assert set(by_number(run)) == {"bins": {0, 1, 2, 3}, "padding": {4, 5}}[gone]


def test_a_trial_that_never_became_a_proposal_is_given_up(tmp_path: Path) -> None:
    """The process was killed after it asked and before it wrote into the log."""
    run, log = searching(tmp_path), Log((proposal(0),))
    study = SearchStudy(run, log, {})
    study.propose(lambda: ALL[1], {ALL[0]}, 1)
    assert by_number(run)[1].state is TrialState.RUNNING
    study.update(log, {})
    assert by_number(run)[1].state is TrialState.FAIL and by_number(run)[0].state is TrialState.RUNNING
    SearchStudy(run, log, {})
    assert len(loaded(run).get_trials()) == 1, "it does not agree with the log"


def test_our_own_proposer_is_asked_once(tmp_path: Path) -> None:
    run, asked = searching(tmp_path), list[int]()

    def choose() -> Candidate:
        asked.append(1)
        return ALL[3]

    study = SearchStudy(run, Log(), {})
    assert study.propose(choose, set(), 0) == ALL[3] and len(asked) == 1, "not for each of three factors"
    assert by_number(run)[0].params == dict(ALL[3].pairs)


def test_a_published_network_is_proposed_whatever_the_sampler(tmp_path: Path) -> None:
    study = SearchStudy(replace(searching(tmp_path), sampler="tpe"), Log(), {})
    assert study.propose(lambda: ALL[5], set(), 0, "published") == ALL[5]


def test_the_sampler_takes_the_choice_of_each_trial() -> None:
    choices = iter((ALL[0], ALL[4]))
    study = optuna.create_study(sampler=SurrogateSampler(lambda: next(choices)))
    labels = {factor.name: factor.labels for factor in SEARCH.factors}
    for one in (ALL[0], ALL[4]):
        trial = study.ask()
        assert {name: trial.suggest_categorical(name, labels[name]) for name, _ in one.pairs} == dict(one.pairs)


@pytest.mark.parametrize("sampler", SAMPLERS[1:])
def test_samplers_follow_from_the_number_alone(tmp_path: Path, sampler: str) -> None:
    """Whatever the process did before: one that goes on proposes what the one that was killed would have."""
    found: list[list[Candidate]] = []
    for name, again in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        run, log, taken = replace(searching(tmp_path / name), sampler=sampler), Log(), list[Candidate]()
        outcomes: dict[int, Outcome] = {}
        study = SearchStudy(run, log, outcomes)
        for number in range(3):
            if again:
                study = SearchStudy(run, log, outcomes)
            one = study.propose(refuse, set(taken), number)
            taken.append(one)
            log = Log((*log.proposals, replace(proposal(number), pairs=one.pairs)))
            outcomes[number] = Outcome(0.1 * number)
            study.update(log, outcomes)
        found.append(taken)
    assert found[0] == found[1] and len(set(found[0])) == 3


def test_what_is_known_is_pruned_and_another_asked_for(tmp_path: Path) -> None:
    run = replace(searching(tmp_path), sampler="random")
    study = SearchStudy(run, Log(), {})
    last = study.propose(refuse, set(ALL[:5]), 0)
    assert last == ALL[5]
    trials = loaded(run).get_trials()
    twins = [one for one in trials if one.state is TrialState.PRUNED]
    assert len(twins) == len(trials) - 1 and all(NUMBER not in one.user_attrs and not one.values for one in twins)
    assert all(one.params != dict(ALL[5].pairs) for one in twins)


def test_a_sampler_that_knows_nothing_new_is_helped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.experiments.search.optuna_study.AGAIN", 3)
    run = searching(tmp_path)
    study = SearchStudy(run, Log(), {})
    assert study.propose(lambda: ALL[0], set(ALL[:2]), 7) == ALL[2]
    trials = loaded(run).get_trials()
    assert [one.state.name for one in trials] == ["PRUNED"] * 3 + ["RUNNING"]
    assert trials[-1].user_attrs == {NUMBER: 7} and trials[-1].params == dict(ALL[2].pairs)


def test_the_log_alone_is_enough(known: Knowledge) -> None:
    SearchStudy(known.run, known.log, known.outcomes())
    before = {number: (one.state, one.values, one.params) for number, one in by_number(known.run).items()}
    (known.run.home / "optuna.db").unlink()
    for more in ("-wal", "-shm"):
        (known.run.home / f"optuna.db{more}").unlink(missing_ok=True)
    SearchStudy(known.run, LogFile(known.run.log_folder).read(), known.outcomes())
    assert {number: (one.state, one.values, one.params) for number, one in by_number(known.run).items()} == before


def test_what_explains_most_is_most_important() -> None:
    scores = {one: 60 + sum(WORTH.get(pair, 0.0) for pair in one.pairs) for one in SPACE.candidates}
    found = importances(SPACE, scores)
    assert set(found) == {"a", "b", "c", "d"} and sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.__getitem__) == "a" and found["c"] < found["d"]
    assert importances(SPACE, dict.fromkeys(SPACE.candidates[:9], 1.0)) == {}
