"""The files of a search say what its log and its jobs say."""

from pathlib import Path

import pytest

from tests.experiments.search.searched import GFLOPS, MINUTES, SCORES, plant, searching, without_counting
from workbench.core.errors import Refused
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.report.frames import Frame
from workbench.report.search_frames import open_search
from workbench.report.search_record import search_frames, searched, write_search_record
from workbench.study import find_study


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Frame]:
    without_counting(monkeypatch)
    run = plant(tmp_path)
    run.write_settings()
    known, entries = searched(run)
    failed = known.log.proposals[3].key
    return search_frames(known, {**entries, failed: QueueEntry(JobState.FAILED, note="out of memory")})


def test_every_candidate_has_a_line(frames: dict[str, Frame]) -> None:
    lines = frames["candidates"].set_index("number")
    assert [*lines["candidate"]] == [f"#{n:03d}" for n in range(6)] and [*lines["gflops"]] == [*GFLOPS]
    assert [*lines["state"]] == ["complete", "known", "complete", "failed", "complete", "over a limit"]
    assert lines["why"][3] == "out of memory" and lines["why"][5] == "gflops 6, at most 5.5"
    assert [*lines["factor.padding"]] == ["usual", "usual", "wide", "wide", "", ""]
    assert [*lines["factor.layers"]] == ["1", "0"] * 3
    for number, scores in SCORES.items():
        assert [lines[f"AP_seed{seed}"][number] for seed in range(len(scores))] == pytest.approx(
            [score / 100 for score in scores]
        )
        assert lines["AP"][number] == pytest.approx(sum(scores) / len(scores) / 100)
        assert lines["seeds"][number] == len(scores)
    assert [*lines["minutes"]] == pytest.approx([3 * MINUTES, MINUTES, 3 * MINUTES, 0, MINUTES, 0])
    assert [*lines["front_minutes"]] == pytest.approx([2 * MINUTES, MINUTES, 2 * MINUTES, 0, 0, 0])
    assert lines["predicted"][2] == pytest.approx(0.3) and lines["predicted"].isna()[0]
    assert lines["commit"][0] == "abc" and lines["threads"][2] == "1" and lines["machine"][3] == ""
    names = [*frames["candidates"]]
    assert names.index("AP_seed0") < names.index("AP_seed1") < names.index("AP_seed2") < names.index("AP")


def test_the_front_comes_cheapest_first(frames: dict[str, Frame]) -> None:
    front = frames["front"]
    assert [*front["candidate"]] == ["#001", "#000", "#004", "#002"] and [*front["cost"]] == pytest.approx([1, 3, 4, 5])
    on = front[front["front"]]
    assert {"#001", "#002"} <= {*on["candidate"]} and on["estimate"].is_monotonic_increasing
    assert (front["low"] < front["estimate"]).all() and (front["estimate"] < front["high"]).all()
    assert front["estimate"].between(0.1, 0.5).all() and [*front["seeds"]] == [2, 3, 1, 3]


def test_options_are_compared_with_the_first(frames: dict[str, Frame]) -> None:
    effects = frames["effects"].set_index(["factor", "option"])
    assert [*effects.index] == [("bins", "static"), ("padding", "wide"), ("layers", "0")]
    wide = effects.loc["padding", "wide"]
    assert wide["first"] == "usual" and wide["trained"] == 1 and wide["first_trained"] == 2 and wide["worth"] > 0
    assert wide["cost_ratio"] == pytest.approx((5.0 * 2.0 / (3.0 * 1.0)) ** 0.5)


def test_the_search_has_a_line(frames: dict[str, Frame]) -> None:
    (line,) = frames["search"].to_dict("records")
    assert (line["candidates"], line["admitted"], line["over"], line["impossible"]) == (6, 5, 1, 0)
    assert line["limit_gflops"] == 5.5 and line["budget"] == 9.0 and 0.01 < line["noise"] < 0.03
    assert [*frames["over"]["gflops"]] == [6.0]
    assert frames["importance"]["share"].sum() == pytest.approx(1) and len(frames["importance"]) == 3


def test_the_files_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    without_counting(monkeypatch)
    with pytest.raises(Refused, match="nothing of planted, small is complete"):
        write_search_record(searching(tmp_path))
    run = plant(tmp_path)
    run.write_settings()
    paths = write_search_record(run)
    assert all(path.is_file() and path.name.startswith("planted_small_") for path in paths) and len(paths) == 7
    monkeypatch.setattr("workbench.report.search_frames.find_study", lambda _: run.search)
    monkeypatch.setattr("workbench.report.search_frames.protocol_named", lambda _: run.protocol)
    record = open_search("planted", "small", run.stem)
    assert record.limits == {"gflops": 5.5} and [*record.candidates["factor.layers"]] == ["1", "0"] * 3
    assert [*record.candidates["state"]].count("complete") == 3 and len(record.on_front) >= 2


def test_only_a_search_has_such_a_record() -> None:
    assert find_study("profile_persons")
    with pytest.raises(Refused, match=r"profile_persons is no search: .*persons\.ipynb"):
        open_search("profile_persons", "short", "x")
    with pytest.raises(Refused, match=r"there is no reports/data/nothing_candidates\.csv; write it with"):
        open_search("search_rtmo", "short", "nothing")
