"""What is counted from the record of a search, by hand."""

import pytest

from tests.experiments.search.searched import MINUTES
from tests.report.searched import planted_record
from workbench.report.search_frames import (
    SearchRecord,
    compute_frame,
    factors_of,
    fall_of,
    fresh_frame,
    growth_shares,
    predictions_frame,
    varying,
)


@pytest.fixture
def record() -> SearchRecord:
    return planted_record()


def test_predictions_are_held_against_the_first_training(record: SearchRecord) -> None:
    frame = predictions_frame(record).set_index("candidate")
    assert dict(frame["inside"]) == {"#001": False, "#002": False, "#004": True}, "of #000 nothing was expected"


def test_the_fall_is_that_of_fresh_seeds(record: SearchRecord) -> None:
    frame = fresh_frame(record).set_index("candidate")
    assert dict(frame["fall"]) == pytest.approx({"#000": 0.027, "#001": 0.01, "#002": 0.03})
    assert dict(frame["count"]) == {"#000": 2, "#001": 1, "#002": 2}
    fall = fall_of(record)
    assert fall is not None and fall.count == 3 and fall.mean == pytest.approx(0.067 / 3)
    noise = float(record.summary["noise"])
    assert fall.high - fall.mean == pytest.approx(1.959964 * (noise**2 * (1.5 + 2 + 1.5)) ** 0.5 / 3)


def test_compute_adds_up(record: SearchRecord) -> None:
    frame = compute_frame(record)
    assert frame["minutes"].sum() == pytest.approx(8 * MINUTES) and frame["trainings"].sum() == 8
    assert frame["minutes"].iloc[2:].sum() == pytest.approx(5 * MINUTES)


def test_shares_are_of_the_final_front(record: SearchRecord) -> None:
    assert growth_shares(record)["hypervolume"].iloc[-1] == 1 and varying(record)
    assert factors_of(record) == ["bins", "padding", "layers"]


def test_axes_say_which_network_is_meant(record: SearchRecord) -> None:
    assert record.trained_as == "as trained under small: network of published size, 96 x 96 px"
    assert "published size" in record.cost and record.cost_text(3.0) == "3.00 GFLOPs"
    assert record.difference == "difference in AP, points"


def test_what_waits_at_the_rung_has_a_line_of_its_own() -> None:
    record = planted_record(rungs=True)
    line = compute_frame(record).set_index("what").loc["up to the rung, not gone on with"]
    assert line["trainings"] == 1 and line["minutes"] == pytest.approx(MINUTES / 5)
    assert [*record.paused["candidate"]] == ["#003"] and record.paused["signal"].iloc[0] == pytest.approx(0.5)
    assert compute_frame(record)["minutes"].sum() == pytest.approx(3.2 * MINUTES)
