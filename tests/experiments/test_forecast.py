"""What it would take to decide an open claim, in a sentence and as a number of seeds."""

import pytest

from workbench.evaluation.intervals import repeats_needed, seeds_needed, t_interval
from workbench.experiments.forecast import over_seeds, over_trunks

SURE = "for 4 chances in 5, were effect and spread as seen"


def test_seeds_that_would_do_are_named() -> None:
    interval = t_interval([0.01, 0.05, 0.012])
    found = over_seeds(interval, 0.0, 0.95)
    assert found.seeds is not None and found.seeds == seeds_needed(interval)
    assert found.text == (
        f"would take about {found.seeds} seeds {SURE}; more images would not do; a guess from 3 seeds"
    )
    farther = over_seeds(interval, 0.01, 0.95).seeds
    assert farther is not None and farther > found.seeds, "the nearer the margin, the more"


def test_what_no_number_decides_is_said() -> None:
    found = over_seeds(t_interval([0.05, -0.05, 0.001, 0.0, 0.002]), 0.0, 0.95)
    assert found == (
        "would take more than 100 seeds or times the images: practically undecidable at this size of effect",
        None,
    )


@pytest.mark.parametrize(
    ("trunks", "says"),
    [
        ({"x": (-0.05, 0.12), "y": (0.16, 0.02), "z": (0.01, 0.02)}, "would take about 40 seeds per trunk"),
        ({"x": (0.001, 0.002), "y": (0.03, 0.031), "z": (0.1, 0.101)}, "more seeds would not do, the trunks differ"),
    ],
)
def test_on_trunks_it_is_seeds_or_more_trunks(trunks: dict[str, tuple[float, ...]], says: str) -> None:
    per_trunk = {name: t_interval(each) for name, each in trunks.items()}
    overall = t_interval([sum(each) / 2 for each in trunks.values()])
    found = over_trunks(per_trunk, overall, 0.0, 0.95)
    assert found.seeds == repeats_needed(per_trunk, overall)
    assert found.text.startswith(says) and found.text.endswith("; a guess from 3 trunks")
