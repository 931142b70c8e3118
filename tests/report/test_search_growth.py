"""What a search had after each training."""

from pathlib import Path

import numpy as np
import pytest

from tests.experiments.search.searched import EXPLORED, FRONT, MINUTES, plant, plant_paused, searching, without_counting
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.rounds import Searcher
from workbench.report.search_growth import growth_frame


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Knowledge:
    without_counting(monkeypatch)
    return Searcher(plant(tmp_path)).know()


def test_there_is_a_line_per_training_in_the_order_of_their_ends(known: Knowledge) -> None:
    frame = growth_frame(known)
    trained = len(EXPLORED) - 1 + len(FRONT)  # one failed
    assert [*frame["purpose"]] == ["known", *["explore"] * 3, *["front"] * 5]
    assert [*frame["minutes"]] == pytest.approx([MINUTES * i for i in range(trained + 1)])
    assert [*frame["candidates"]] == [1, 2, 3, 4, 4, 4, 4, 4, 4] and frame["front"].between(1, 4).all()


def test_minutes_are_also_those_of_who_waits_at_the_rung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """#003 has paused, at a time that nobody wrote down: before all that ended."""
    without_counting(monkeypatch)
    known = Searcher(plant_paused(tmp_path)).know()
    frame = growth_frame(known)
    assert [*frame["trainings"]] == [1, 2, 3, 4]
    assert [*frame["minutes"]] == pytest.approx([0.0, *(0.2 * MINUTES + MINUTES * i for i in (1, 2, 3))])
    assert frame["minutes"].iloc[-1] == pytest.approx(known.spent)


def test_areas_are_those_of_draws(known: Knowledge) -> None:
    frame = growth_frame(known)
    assert (frame["low"] <= frame["hypervolume"]).all() and (frame["hypervolume"] <= frame["high"]).all()
    assert frame["hypervolume"].iloc[-1] > frame["hypervolume"].iloc[0] and frame["random"].iloc[0] == 0
    assert frame["random"].is_monotonic_increasing or np.ptp(frame["random"]) > 0
    assert growth_frame(known).equals(frame), "the same draws each time"


def test_before_any_training_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    assert growth_frame(Searcher(searching(tmp_path)).know()).empty
