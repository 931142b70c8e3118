"""Intervals and verdicts on simulated truth. `workbench bench coverage` does the same with ten times the studies."""

import pytest

from benchmarks.coverage import (
    DRAWN,
    IMAGE_PART,
    NOISE,
    ON_PROBE,
    ON_TRUNKS,
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


@pytest.mark.slow
@pytest.mark.parametrize("noise", [NOISE[0], NOISE[5]], ids=lambda noise: noise.name)
def test_claims_without_truth_are_not_decided(noise: Noise) -> None:
    """Four of them in each study. One look, and until decided."""
    once = errors(noise, 3, 300)
    assert once["one look, each claim"] < 0.05
    assert once["one look, any of four claims"] < 0.05 + 0.025  # two standard deviations of 300 simulations
    often = errors_until_decided(noise, 100)
    assert often["until decided, any of four claims"] < 0.05
    assert often["5 looks without correction, any of four claims"] > 0.05  # what the correction is for


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


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])
def test_claims_without_truth_are_not_decided_on_trunks(seeds: int) -> None:
    once = errors(ON_TRUNKS[1], seeds, 300, ON_PROBE)
    assert once["one look, each claim"] < 0.05
    assert 0 < once["one look, any of four claims"] < 0.05 + 0.025  # two standard deviations of 300 simulations


@pytest.mark.slow
def test_the_interval_of_ap_covers() -> None:
    assert ap_coverage(3, 40)[WIDEST] >= 0.85  # 0.95 less three standard deviations of 40 simulations


def test_options_that_there_are_not_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--rounds", "3"])
    assert "unrecognized arguments: --rounds 3" in capsys.readouterr().err
