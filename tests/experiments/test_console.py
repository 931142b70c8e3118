"""What a study says on the terminal."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.evaluation.intervals import Interval
from workbench.evaluation.verdicts import Verdict
from workbench.experiments import console
from workbench.experiments.claims import ClaimResult
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.time_left import Left, TimeLeft
from workbench.study import Better
from workbench.training.record import Progress, Result


def test_the_table_has_differences_and_their_spread(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for one in STUDY.planned_jobs(SETTING):
        ap = {"base": 0.30, "padding": 0.32, "static": 0.20}[one.row] + (0.02 if one.row == "static" else 0) * one.seed
        results.append((one, Result(one.job.key, {"AP": ap, "params": 2e6, "gflops": 1.5}, [], {}, tmp_path)))
    console.print_table(StudyRun(STUDY, SETTING, tmp_path), results)
    out = capsys.readouterr().out
    assert "+2.0 ± 0.0" in out and "-9.0 ± 1.4" in out and "2.00" in out


def test_where_no_display_can_be_drawn_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    planned = STUDY.planned_jobs(SETTING)
    entries = {one.job.key: QueueEntry(JobState.PLANNED) for one in planned}
    running = planned[0].job.key
    entries[running] = QueueEntry(JobState.RUNNING)
    said = Progress(1, 8, 0.0, 120.0, 3700.0, {"loss_cls": 1.25}, {})
    with console.Display("fake, test") as screen:
        for _ in range(3):
            screen.update(planned, entries, {running: said})
        screen.say("a line that stays")
    assert capsys.readouterr().out.splitlines() == [
        "fake, test: 1 running, 5 planned",
        "  base, seed 0: epoch 1/8, 120 images/s, cls 1.25, 1:01:40 left",
        "a line that stays",
    ]


@pytest.mark.parametrize("one_round", [False, True])
def test_the_time_that_is_left_is_that_of_the_round(
    one_round: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a study until decided others may follow."""
    monkeypatch.setattr(console, "PLAIN_EVERY", -1.0)
    monkeypatch.setattr(TimeLeft, "look", lambda *_: Left(3700.0, one_round))
    planned = STUDY.planned_jobs(SETTING)
    with console.Display("fake, test", one_round) as screen:
        screen.update(planned, {one.job.key: QueueEntry(JobState.PLANNED) for one in planned}, {})
    said = "more than 1:01:40 left of this round" if one_round else "1:01:40 left"
    assert capsys.readouterr().out == f"fake, test: 6 planned, {said}\n"


def test_the_summary_has_means_and_verdicts(tmp_path: Path) -> None:
    run = StudyRun(STUDY, SETTING, tmp_path)
    results = [
        (one, Result(one.job.key, {"AP": 0.25 + 0.5 * one.seed}, [], {}, tmp_path))
        for one in STUDY.planned_jobs(SETTING)
        if one.row != "static"
    ]
    text = console.summary_text(run, results, [ClaimResult(STUDY.claims[0], Verdict.OPEN, "no pair is complete")])
    assert text.startswith("Does the plan hold?\n\n`test`: two seeds, nothing trained.\n\n| row | n | AP |")
    first, *_, last = text.split("| --- |\n")[1].splitlines()[:3]
    assert first.startswith("| base | 2 | 0.5 |") and last.startswith("| static | 0 |  |")
    assert text.endswith("- F1 **open**: the base beats the static one: no pair is complete")


def test_end_points_beside_ap_and_statements_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims = [Better(name, "a beats b", "a", "b", part_of="S") for name in ("S1", "S2")]
    found = Interval(mean=-0.0250, low=-0.0296, high=-0.0204)
    beside = ClaimResult(replace(claims[0], metric="NME"), Verdict.HOLDS, "not said", found, adjusted=0.002)
    missing = ClaimResult(replace(claims[0], metric="mOKS"), Verdict.OPEN, "not said")
    judged = [
        ClaimResult(claims[0], Verdict.HOLDS, "clear", beside=(missing, beside)),
        ClaimResult(claims[1], Verdict.OPEN, "unclear"),
    ]
    console.print_verdicts(judged)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "S open: a beats b: holds only if all of its 2 parts do: 1 holds, 1 is open"
    assert lines[1] == "S1 holds: a beats b: clear"
    said = "mOKS open, not measured; NME holds, -0.0250 (-0.0296 to -0.0204), corrected p 0.002"
    assert lines[2] == f"  beside AP: {said}"
    assert lines[3] == "S2 open: a beats b: unclear"
    assert [line.partition(":")[0] for line in lines[4:]] == ["mOKS", "NME"]
    assert "false positives do not count" in lines[4] and "persons that it matches" in lines[5]
    text = console.summary_text(StudyRun(STUDY, SETTING, tmp_path), [], judged)
    assert "- S **open**: a beats b: holds only if" in text and f"clear; beside AP: {said}" in text


def test_images_that_could_not_be_read_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = STUDY.planned_jobs(SETTING)[0]
    for lost, said in ((0, ""), (3, "3 images could not be read and are missing in what was trained and judged\n")):
        console.print_warnings([(one, Result(one.job.key, {"unreadable_images": lost}, [], {}, tmp_path))])
        assert capsys.readouterr().out == said


def test_what_is_no_number_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run that has matched nobody."""
    results = []
    for one in STUDY.planned_jobs(SETTING):
        metrics = {"AP": math.nan if one.row == "padding" else 0.3, "mOKS": math.nan}
        results.append((one, Result(one.job.key, metrics, [], {}, tmp_path)))
    console.print_table(StudyRun(STUDY, SETTING, tmp_path), results)
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.startswith("│")}
    cells = [cell.strip() for cell in lines["padding"].split("│")]
    assert "nan" not in "".join(lines.values()) and cells.count("-") == 3, "AP, mOKS, and AP less that of the first"
    nobody = Interval(mean=math.nan, low=math.nan, high=math.nan)
    claim = Better("S1", "a beats b", "a", "b", metric="NME")
    assert console.beside_text(ClaimResult(claim, Verdict.OPEN, "", nobody)) == "NME open, no person matched"
    console.print_noise_floor([0.01, math.nan])
    assert "differs by +1.0, - AP" in capsys.readouterr().out


def test_what_runs_were_trained_with_is_said_where_it_differs(capsys: pytest.CaptureFixture[str]) -> None:
    """The key of a job knows none of it."""
    one = {"commit": "abc", "precision": "float32", "machine": "m", "torch": "2.9"}
    console.print_unlike([one, one])
    assert not capsys.readouterr().out
    console.print_unlike([one, {**one, "machine": "\x1b]0;title\x07"}])
    assert capsys.readouterr().out.splitlines()[-1].endswith(r"m (1), \x1b]0;title\x07 (1)")
    console.print_unlike([one, one, {**one, "commit": "def", "parts": "2"}])
    assert capsys.readouterr().out.splitlines() == [
        "runs differ in the code that trained them: abc (2), def (1)",
        "1 runs did not fit into memory: each batch was trained in parts, and batch norm saw one at a time",
    ]
