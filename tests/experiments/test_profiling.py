"""Timing studies: what is timed is what is claimed, and what is said of it is what was timed."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small import SMALL, small_variant
from workbench.evaluation.verdicts import Verdict
from workbench.experiments import profiling
from workbench.experiments.profiling import (
    Measurement,
    Reading,
    TimingRun,
    judge_costs,
    print_measured,
    run_timing,
    time_ratio,
)
from workbench.inference.timing import Call
from workbench.models.job import Protocol
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.study import Cheaper, Row, Study, StudyProtocol, TimedRow, TimingStudy
from workbench.tensors import Cells, Detections

SMALL_SETTING = StudyProtocol("t", "", Protocol(size=(64, 64)), scale=SMALL)  # 20 cells


def reading(row: str, ms: list[float], gflops: float = 1.0) -> Reading:
    return Reading(row, 1, "kept", 10, gflops, tuple(ms))


def profile(*claims: Cheaper, rows: tuple[TimedRow, ...] = (TimedRow("a", 1), TimedRow("b", 2))) -> TimingStudy:
    return TimingStudy("p", "", "", Variant(), rows, claims)


def judged(claim: Cheaper, *readings: Reading) -> Verdict:
    (judgement,) = judge_costs(profile(claim), Measurement(readings, {}, readings[0].ms))
    return judgement.verdict


def test_ratios_are_taken_within_a_round() -> None:
    drifting = [1.0 + i for i in range(21)]
    found = time_ratio(reading("a", [2 * ms for ms in drifting]), reading("b", drifting))
    assert (found.mean, found.low, found.high) == (2, 2, 2)


def test_the_interval_of_a_ratio_is_that_of_its_order_statistics() -> None:
    found = time_ratio(reading("a", [float(i) for i in range(1, 21)]), reading("b", [1.0] * 20))
    assert (found.mean, found.low, found.high) == (10.5, 6, 15)  # the binomial's: ranks 6 and 15 of 20, 95.9 %


@pytest.mark.parametrize(("times", "state"), [(1.5, Verdict.FAILS), (2.0, Verdict.OPEN), (2.5, Verdict.HOLDS)])
def test_a_claim_on_time_needs_the_whole_interval(times: float, state: Verdict) -> None:
    noisy = reading("a", [2 + 0.02 * (-1) ** i * (i % 5) for i in range(20)])
    assert judged(Cheaper("C", "", "a", "b", times=times), noisy, reading("b", [1.0] * 20)) is state


def test_what_the_instrument_is_wrong_by_widens_every_interval() -> None:
    faster, slower = reading("a", [1.0] * 20), reading("b", [1.02] * 20)
    claim = Cheaper("C", "", "a", "b")
    states = []
    for twin in ([1.01] * 20, [1.03] * 20, [0.97] * 20):
        measured = Measurement((faster, slower), {}, tuple(twin))
        states.append(judge_costs(profile(claim), measured)[0].verdict)
    assert states == [Verdict.HOLDS, Verdict.OPEN, Verdict.OPEN]


def test_of_several_claims_on_time_each_needs_a_wider_interval() -> None:
    rising = reading("a", [0.9 + 0.01 * i for i in range(20)])  # ranks 6 to 15: 0.95 to 1.04; 5 to 16: 0.94 to 1.05
    claim, others = Cheaper("C", "", "a", "b", times=1.045), [Cheaper(f"D{i}", "", "b", "a") for i in range(3)]
    measured = Measurement((reading("b", [1.0] * 20), rising), {}, (1.0,) * 20)
    alone, among = (judge_costs(profile(*claims), measured)[0] for claims in ((claim,), (claim, *others)))
    assert (alone.verdict, among.verdict) == (Verdict.HOLDS, Verdict.OPEN)


def test_a_claim_on_counts_is_exact_and_one_without_numbers_is_open() -> None:
    rows = reading("a", [9.0], gflops=1.0), reading("b", [1.0], gflops=1.0)
    assert judged(Cheaper("C", "", "a", "b", "gflops"), *rows) is Verdict.HOLDS
    assert judged(Cheaper("C", "", "a", "b", "gflops", 0.99), *rows) is Verdict.FAILS
    assert judged(Cheaper("C", "", "a", "b"), rows[0]) is Verdict.OPEN
    assert judged(Cheaper("C", "", "a", "b"), *rows) is Verdict.OPEN  # one round has no interval


def test_every_cell_is_decoded_and_those_who_are_kept_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    network, decoded = Network(small_variant(), seed=0).eval(), []
    decode = network.coords.decode

    def counted(cells: Cells) -> torch.Tensor:
        decoded.append(decode(cells))
        return decoded[-1]

    monkeypatch.setattr(network.coords, "decode", counted)
    (kept,) = _found(profiling.timed_call(network, TimedRow("a", 3), (64, 64)))
    assert [len(d) for d in decoded] == [3] and np.array_equal(kept.keypoints, decoded[0])
    (every,) = _found(profiling.timed_call(network, TimedRow("a", 3, "every cell"), (64, 64)))
    assert len(decoded[-1]) == 20
    assert np.array_equal(every.keypoints, decoded[-1][[0, 7, 14]])  # the cells that stand for persons


def _found(call: Call) -> list[Detections]:
    found = call()
    assert isinstance(found, list)
    return found


def test_crops_go_through_the_backbone_as_one_batch() -> None:
    network = Network(small_variant(), seed=0).eval()
    maps = profiling.timed_call(network, TimedRow("a", 3, "crops"), (64, 64))()
    assert isinstance(maps, list) and maps[0].shape[0] == 3 and maps[0].shape[2:] == (256 // 8, 192 // 8)


@pytest.mark.slow
def test_multiply_adds_follow_the_way() -> None:
    variant = small_variant()
    ten, twenty, cells = (
        profiling.line_gflops(variant, (64, 64), line)
        for line in (TimedRow("10", 10), TimedRow("20", 20), TimedRow("all", 3, "every cell"))
    )
    assert ten < twenty == cells  # there are 20 cells
    one, four = (profiling.line_gflops(variant, (64, 64), TimedRow("crops", n, "crops")) for n in (1, 4))
    assert four == pytest.approx(4 * one) and one > 0


@pytest.mark.slow
def test_a_profile_is_measured_once_recorded_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(profiling, "ROUNDS", 6)
    booked: list[str] = []
    monkeypatch.setattr(
        "workbench.experiments.tracking.MlflowRecord.record",
        lambda self, planned, *_: booked.append(f"{planned.row} {planned.seed}"),
    )
    asked = profile(
        Cheaper("C", "a is cheap", "a", "b", times=100), rows=(TimedRow("a", 1), TimedRow("b", 2), TimedRow("c", 21))
    )
    run = TimingRun(asked, SMALL_SETTING, tmp_path)
    assert print_measured(run) == 1
    assert run_timing(run) == 0
    said = capsys.readouterr().out
    assert "left out, more persons than cells: c" in said and "C holds: a is cheap" in said and "64 x 64" in said
    monkeypatch.setattr(profiling, "measure_costs", lambda *_: pytest.fail("measured again"))
    assert run_timing(run) == print_measured(run) == 0
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert booked == ["a 0", "b 0"]
    assert not (tmp_path / "reports").exists()  # not the published networks

    (path,) = (tmp_path / "profiles").iterdir()
    assert run.files() == [path]
    found = run.last()
    assert found is not None and [len(one.ms) for one in found.readings] == [6, 6]
    profiling.write_costs(asked, found, judge_costs(asked, found))
    with (tmp_path / "reports/data/p_cost.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["row"] for line in lines] == ["a", "b"] and float(lines[0]["latency_ratio"]) == 1
    assert {"commit", "machine", "threads", "rounds", "gflops", "latency_ms_p50", "persons"} <= set(lines[0])
    with (tmp_path / "reports/data/p_cost_claims.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["verdict"] == "holds"


def test_a_study_is_profiled_without_its_twins() -> None:
    rows = (Row("a"), Row("b", {"coords.padding": 1.5}), Row("A/A", seed_offset=100))
    study = Study("s", "", "", Variant(), rows, costs=(Cheaper("C", "", "b", "a"),))
    asked = study.profile()
    assert [line.label for line in asked.rows] == ["a", "b"] and asked.claims == study.costs
    assert asked.variant(asked.rows[1], SMALL) == study.variant(rows[1], SMALL)


FOUND = Measurement((reading("a", [1.0] * 20), reading("b", [2.0] * 20)), {"machine": "box"}, twin=(1.0,) * 20)


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TimingRun:
    """A study whose measurement takes no time."""
    monkeypatch.setattr(profiling, "measure_costs", lambda *_: FOUND)
    monkeypatch.setattr("workbench.experiments.tracking.MlflowRecord.record", lambda *_: "")
    return TimingRun(profile(), SMALL_SETTING, tmp_path)


@pytest.mark.parametrize("damage", ["cut short", "empty", "no JSON", "no readings", "a list", "an earlier version"])
def test_a_measurement_that_can_not_be_read_is_said_and_made_again(
    timed: TimingRun, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert timed.add(FOUND) == 0
    (path,) = timed.files()
    text = path.read_text()
    path.write_text(
        {
            "cut short": text[: len(text) // 2],
            "empty": "",
            "no JSON": "\0" * 64,
            "no readings": "{}",
            "a list": "[]",
            "an earlier version": text.replace("twin", "other"),
        }[damage]
    )
    assert print_measured(timed) == 1
    said = capsys.readouterr().out
    assert f"not measured: {path} can not be read" in said and "the next run measures again" in said
    assert run_timing(timed) == 0
    assert f"{path} can not be read" in capsys.readouterr().out
    assert print_measured(timed) == 0 and timed.last() == FOUND and len(timed.files()) == 2
    assert run_timing(timed) == 0 and len(timed.files()) == 2


def test_a_measurement_is_written_whole_or_not_at_all(timed: TimingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, text: str, **_: str) -> None:
        path.write_bytes(text[:20].encode())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            timed.add(FOUND)
    assert timed.files() == [] and print_measured(timed) == 1
    timed.add(FOUND)
    assert timed.last() == FOUND
