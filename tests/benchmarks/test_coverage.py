"""Intervals and verdicts on simulated truth. `workbench bench coverage` does the same with ten times the studies."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import _studies
from benchmarks.coverage import (
    DRAWN,
    IMAGE_PART,
    NOISE,
    ON_PROBE,
    ON_TRUNKS,
    RUN,
    SEED_PART,
    SUM,
    WIDEST,
    Noise,
    ap_coverage,
    coverage,
    errors,
    errors_until_decided,
    main,
    savings,
    trunk_coverage,
)
from workbench.evaluation.moderation import residual_of
from workbench.experiments.claims import judge_claims
from workbench.study import Better, Contrast
from workbench.training.record import Result

BY_NAME = {noise.name: noise for noise in NOISE}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["seeds alone", "images alone", "seeds and images alike", "all three alike"])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_cover_what_they_speak_of(name: str, seeds: int) -> None:
    found = coverage(BY_NAME[name], seeds, 400)
    assert SEED_PART in found or name == "images alone"  # else there is nothing between seeds
    for part in {IMAGE_PART, SEED_PART} & set(found):
        assert found[part] == pytest.approx(0.95, abs=0.02 + 0.011)  # 0.011: of 400 simulations
    assert found[WIDEST] > 0.93 - 0.011
    assert found[WIDEST] >= found[SUM]


def test_drawing_seeds_with_replacement_would_not_cover() -> None:
    """Why it is not done: the check above can fail."""
    assert coverage(BY_NAME["seeds alone"], 3, 300)[DRAWN] < 0.85
    assert coverage(BY_NAME["seeds and images alike"], 8, 300)[SEED_PART] > 0.92


@pytest.mark.soak
@pytest.mark.parametrize("noise", [NOISE[0], NOISE[5]], ids=lambda noise: noise.name)
def test_claims_without_truth_are_not_decided(noise: Noise) -> None:
    """Four of them in each study. One look, and until decided."""
    once = errors(noise, 3, 150)
    assert once["one look, each claim"] < 0.05
    assert once["one look, any of four claims"] < 0.05 + 0.036  # two standard deviations of 150 simulations
    often = errors_until_decided(noise, 50)
    assert often["until decided, any of four claims"] < 0.05
    careless = often["3 looks without correction, any of four claims"]
    assert careless > often["until decided, any of four claims"]  # what the correction is for


@pytest.mark.slow
def test_until_decided_saves_jobs_and_finds_what_is_there() -> None:
    large = savings(4.0, 40)
    assert large["share of the jobs"] < 0.8
    assert large["true claims held, until decided"] > 0.8
    assert large["false claims decided, until decided"] <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("noise", ON_TRUNKS, ids=lambda noise: noise.name)
@pytest.mark.parametrize("seeds", [1, 2])
def test_intervals_over_trunks_cover_other_trunks(noise: Noise, seeds: int) -> None:
    found = trunk_coverage(noise, seeds, 300)
    assert found[WIDEST] > 0.93 - 0.013  # 0.013: of 300 simulations
    if not noise.shared + noise.own:
        assert found[WIDEST] < 0.97 + 0.013  # not wider than it has to be


@pytest.mark.soak
@pytest.mark.parametrize("seeds", [1, 2])
def test_claims_without_truth_are_not_decided_on_trunks(seeds: int) -> None:
    once = errors(ON_TRUNKS[1], seeds, 300, ON_PROBE)
    assert once["one look, each claim"] < 0.05
    assert 0 < once["one look, any of four claims"] < 0.05 + 0.025  # two standard deviations of 300 simulations


@pytest.mark.slow
def test_the_interval_of_ap_covers() -> None:
    assert ap_coverage(3, 40)[WIDEST] >= 0.85  # 0.95 less three standard deviations of 40 simulations


def test_many_tables_at_once_have_the_residual_of_each() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4, 3))
    found = _studies.residuals(values)
    for one, variance in zip(values, found.variance[:, 0], strict=True):
        assert (pytest.approx(variance), found.freedom) == residual_of(one)


def _asked(number: int, contrast: Contrast) -> Better:
    (row, *worse), (than, *better) = contrast
    return Better(str(number), "", row, than, "AR", more_than=(better[0], worse[0]) if better else None)


@pytest.mark.parametrize("kind", _studies.KINDS)
@pytest.mark.parametrize("rows", [4, 5])
def test_many_studies_at_once_are_judged_as_the_workbench_judges_one(rows: int, kind: _studies.Kind) -> None:
    shape = _studies.Shape(rows, kind)
    values = _studies.runs(np.random.default_rng(1), 3, shape, 4) / 100 + 0.5 * (kind != "floor")
    judged = _studies.judge(values, shape, True)
    asked = [_asked(i, contrast) for i, contrast in enumerate(shape.claims)]
    assert [claim.contrast for claim in asked] == shape.claims
    jobs = [job for job in RUN.jobs(4) if job.row in "abcde"[:rows]]
    for n, one in enumerate(values):
        results = []
        for job in jobs:
            row = "abcde".index(job.row)
            learnt = 0.0 if kind == "floor" and row == 0 else 0.5
            metrics = {"AR": float(one[row, job.seed]) + 0.6 * (kind == "floor"), "AP": learnt}
            results.append((job, Result(job.job.key, metrics, [], {}, Path())))
        found = judge_claims(asked, RUN.protocol, results)
        assert [c.p for c in found] == pytest.approx(judged.p[n].tolist())
        assert [c.interval.low for c in found if c.interval] == pytest.approx((judged.mean - judged.half)[n].tolist())


@pytest.mark.slow
@pytest.mark.parametrize("kind", _studies.KINDS)
@pytest.mark.parametrize("seeds", [2, 3])
def test_the_rule_covers_and_decides_little_that_is_false(kind: _studies.Kind, seeds: int) -> None:
    found = _studies.without_truth(_studies.Shape(7, kind), seeds, 1_500)
    assert found["rule: coverage of all claims"] > 0.93
    assert found["rule: any claim decided"] < 0.057 + 0.012  # two standard deviations of 1,500 simulations


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["equal", "9x"])
def test_the_rule_covers_an_interaction(kind: _studies.Kind) -> None:
    """With the variance of a pair of runs in place of that of four it would not: the check can fail."""
    shape = _studies.Shape(4, kind)
    found = _studies.without_truth(shape, 3, 1_500)
    assert found["rule: coverage of the interaction"] > (0.93 if kind == "equal" else 0.88)
    assert found["rule: any claim decided"] < 0.057 + 0.012
    values = _studies.runs(np.random.default_rng(2), 1_500, shape, 3)
    gaps = np.einsum("r,nrs->ns", shape.signs[-1], values)
    spread = (2 * _studies.residuals(values).variance[:, 0] / 3) ** 0.5
    assert (np.abs(gaps.mean(1)) < 2.45 * spread).mean() < 0.9


@pytest.mark.slow
def test_the_rule_decides_what_students_test_does_not() -> None:
    """With the variance of the study alone the odd row would not be covered: the check above can fail."""
    found = _studies.power(7, 3, 5.0, 500)
    assert found["rule: +5 AP decided"] > 0.85 > 0.5 > found["Student, the rule before: +5 AP decided"]
    values = _studies.runs(np.random.default_rng(2), 1_000, _studies.Shape(7, "9x"), 3)
    spread = (2 * _studies.residuals(values).variance[:, 0] / 3) ** 0.5
    assert (np.abs((values[:, 0] - values[:, 1]).mean(1)) < 2.18 * spread).mean() < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("kind", _studies.KINDS)
def test_three_looks_decide_little_that_is_false(kind: _studies.Kind) -> None:
    assert _studies.looks(kind, 0.0, 600)["rule: any false claim decided"] < 0.05


def test_options_that_there_are_not_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--rounds", "3"])
    assert "unrecognized arguments: --rounds 3" in capsys.readouterr().err
