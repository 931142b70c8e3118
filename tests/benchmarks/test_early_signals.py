"""Early signals: the statistic on planted curves, the trainings on fakes that are killed, and a tiny real one."""

import csv
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks import _record, early_signals
from benchmarks.early_signals import (
    Agreement,
    across_seeds,
    agreeing,
    agreements,
    chosen,
    in_all,
    is_signal,
    plan,
    recorded,
    taus,
    trained,
)
from tests.small import SMALL, small_job
from workbench.core import processes
from workbench.core.errors import Refused
from workbench.experiments.protocols import NANO_RECIPE, PROTOCOLS
from workbench.experiments.queue_entry import JobState
from workbench.models.job import Job
from workbench.models.zoo import rtmo
from workbench.space import Search
from workbench.study import Changes, Row, Study, StudyProtocol, find_study
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result, job_folder, read_result, write_curve, write_losses, write_result
from workbench.training.rung import SINCE_START

TINY = StudyProtocol("tiny", "a few steps", small_job(epochs=5).protocol, NANO_RECIPE, SMALL)


def few(rng: np.random.Generator) -> Iterator[tuple[str, Changes]]:
    """Candidates that differ in a number; the first comes twice."""
    for label, padding in (("0", 1.0), ("0 again", 1.0), ("1", 1.1), ("2", 1.2), ("3", 1.3), ("4", 1.4)):
        yield label, {"coords.padding": padding}


def test_tau_of_resamples_is_that_of_what_was_drawn() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, (2, 12)).astype(float)  # with ties
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=20)
    for counts, tau in zip(weights, taus(a, b, weights.astype(float)), strict=True):
        assert tau == pytest.approx(kendalltau(np.repeat(a, counts), np.repeat(b, counts))[0])
    assert np.isnan(taus(np.ones(12), b, np.ones((1, 12)))).all()


def test_a_signal_is_judged_by_what_it_says_of_the_other_seed() -> None:
    """One that follows the luck of its own run says nothing of another one."""
    rng = np.random.default_rng(1)
    quality, luck = rng.normal(size=(60, 1)), rng.normal(size=(60, 2))
    final = quality + luck
    good, lucky = (across_seeds(of + 0.3 * rng.normal(size=(60, 2)), final) for of in (quality, luck))
    assert good[0] > 0.35 and good[1] > 0.2 and good[1] < good[0] < good[2]
    assert lucky[1] < 0.1 < lucky[2] + 0.2 and lucky[0] < good[1]
    assert across_seeds(final, final)[0] < 1
    assert across_seeds(quality.repeat(2, 1), quality.repeat(2, 1)) == pytest.approx((1, 1, 1))


def test_the_signal_with_the_highest_lower_end_is_chosen_or_none() -> None:
    found = [
        Agreement("AP", 0.2, 0.7, 0.1, 0.9, 40),
        Agreement("loss_oks", 0.2, 0.45, 0.26, 0.6, 40),
        Agreement("mean_loss_oks", 0.2, 0.5, 0.3, 0.6, 40),
        Agreement("AP", 1.0, 0.9, 0.8, 0.95, 40),
    ]
    assert chosen(found) == "mean_loss_oks"
    assert chosen(found, floor=0.35) == "" == chosen([])
    assert chosen(found, part=1.0) == "AP"


def test_what_is_a_signal() -> None:
    names = ["AP", "AR50", "mOKS", "loss_oks", "mean_loss_mle", "AP50", "lr", "NME"]
    assert [name for name in names if is_signal(name)] == names[:5]


def test_candidates_are_drawn_once_and_the_same_each_time() -> None:
    planned = plan(TINY, 5, 2, few)
    assert [(one.row, one.seed) for one in planned] == [(row, seed) for seed in (0, 1) for row in "01234"]
    assert [one.job.key for one in planned] == [one.job.key for one in plan(TINY, 5, 2, few)]
    with pytest.raises(Refused, match="5 candidates differ in what they compute, 6 are asked for"):
        plan(TINY, 6, 2, few)


def test_every_option_is_a_network() -> None:
    """At published size, where every path has to lead somewhere, and under the protocol that they are trained with."""
    drawn = dict(islice(early_signals.random_candidates(np.random.default_rng(0)), 40))
    assert {word for label in drawn for word in label.split(", ")} == {w for o in early_signals.OPTIONS for w in o}
    rows = tuple(Row(label, changes) for label, changes in drawn.items())
    jobs = [one.job for one in Study("all", "", "", rtmo("s"), rows).planned_jobs(PROTOCOLS["short"], 1)]
    assert len({job.key for job in jobs}) == len(rows)


def record(folder: Path, study: str, rows: Mapping[str, Sequence[str]]) -> None:
    """Curves of rows whose seeds have these jobs: the loss of the first epoch falls as the last AP rises; no MLE."""
    with (folder / f"{study}_tiny_curves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "seed", "trunk", "job", "epoch", "AP", "lr", "loss_oks", "loss_mle"])
        for row, keys in rows.items():
            for seed, key in enumerate(keys):
                quality, mle = int(key[1:]), "" if row == "regression" else 1
                writer.writerow([row, seed, "", key, 1, 0, 0.1, 20 - quality, mle])
                writer.writerow([row, seed, "", key, 5, quality, 0.1, quality, mle])


def test_recorded_networks_count_once_and_losses_by_their_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "a", {"base": ("k1", "k2"), "b": ("k3", "k4"), "once": ("k9",), "more": ("k5", "k6", "k7")})
    record(tmp_path, "z", {"another name": ("k1", "k2"), "regression": ("k7", "k8")})
    assert len(recorded(TINY, 2, tmp_path)) == 4, "base is in both, `once` has one seed"
    found = {(one.part, one.signal): one for one in agreeing(recorded(TINY, 2, tmp_path), (0.2, 1.0))}
    assert found[0.2, "loss_oks"].tau == 1 and found[1.0, "loss_oks"].tau == -1 and found[1.0, "AP"].count == 4
    assert not any(signal == "loss_mle" for _, signal in found), "regression has none"
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(early_signals, "protocol_named", lambda name: TINY)
    assert early_signals.main(["--recorded"]) == 0
    assert "signal for rungs, by candidates recorded: loss_oks" in capsys.readouterr().out
    assert "\nrecorded,tiny,0.2,loss_oks,1.000," in (tmp_path / "bench_early_signals.csv").read_text()
    with pytest.raises(Refused, match="0 networks have 4 seeds of tiny on record"):
        recorded(TINY, 4, tmp_path)


def of_record(source: str, count: int) -> dict[str, Agreement]:
    """What the record says last of those networks at the rung, by signal."""
    with (_record.FOLDER / "bench_early_signals.csv").open(newline="", encoding="utf-8") as file:
        lines = [one for one in csv.DictReader(file) if one["source"] == source and one["part"] == "0.2"]
    assert {(one["candidates"], one["seeds"], one["protocol"]) for one in lines} == {(str(count), "2", "short")}
    ends = ("part", "tau", "low", "high")
    return {one["signal"]: Agreement(one["signal"], *(float(one[end]) for end in ends), count=count) for one in lines}


def test_the_record_is_of_the_curves_that_are_committed() -> None:
    found = {one.signal: f"{one.tau:.3f}" for one in agreeing(recorded(PROTOCOLS["short"], 2), (0.2,))}
    assert found == {signal: f"{one.tau:.3f}" for signal, one in of_record("recorded", 20).items()}


def test_the_shipped_search_ranks_by_what_the_record_says() -> None:
    """Its loss has one weight in all candidates by then, so it may be compared; MLE is none of regression."""
    short, asked = PROTOCOLS["short"], find_study("search_rtmo")
    assert isinstance(asked, Search) and asked.rungs == (0.2, 1.0)
    terms, term = in_all(short), asked.signal.removeprefix(SINCE_START)
    fit = {*terms, "AP", "AR50", "mOKS"}
    assert asked.signal == chosen(
        one for one in of_record("random", 40).values() if one.signal.removeprefix(SINCE_START) in fit
    )
    on_record = of_record("recorded", 20).values()  # their curves have no means
    assert term == chosen(one for one in on_record if one.signal in fit) and "loss_mle" not in terms
    for scale in ({}, short.scale):
        losses = [loss for one in asked.space.candidates for loss in asked.variant(one, scale).losses]
        assert {loss.weights[0] for loss in losses if loss.term == term} == {30.0}
        assert sum(loss.term == term for loss in losses) == len(asked.space)


def planted(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """AP is the candidate's and follows the loss of its first epoch; the first attempt of one kills its process."""
    folder, quality = job_folder(home, job.key), dict(job.variant.flat())["coords.padding"]
    assert isinstance(quality, float)
    mark = home / "killed"
    if quality == 1.2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (home / "log").open("a") as file:
        file.write(f"{job.key}\n")
    rng = np.random.default_rng([job.seed, round(10 * quality)])
    curve = [{"epoch": float(e), "AP": rng.random(), "AR50": rng.random(), "mOKS": rng.random()} for e in range(1, 6)]
    curve[-1]["AP"] = quality
    write_curve(folder, curve)
    write_losses(folder, [{"epoch": float(e), "loss_oks": 10 - quality, "loss_cls": rng.random()} for e in range(1, 6)])
    write_result(folder, job.key, curve[-1], {})
    return read_result(folder)


def test_those_that_are_through_can_be_asked_before_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(early_signals, "protocol_named", lambda name: TINY)
    monkeypatch.setattr(early_signals, "runs_folder", lambda: tmp_path)
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    (tmp_path / "killed").touch()
    through = [one for one in plan(TINY, 5, 2, few) if (one.row, one.seed) not in (("1", 1), ("3", 0))]
    options = ["--candidates", "5", "--so-far"]
    with pytest.raises(Refused, match="fewer than two candidates are through"):
        early_signals.main(options, few)
    for one in sorted(through, key=lambda one: one.row != "0"):
        job_folder(tmp_path, one.job.key).mkdir(parents=True)
        planted(one.job, Machine(), tmp_path, None, print, 0)
        if one.row == "0":  # it alone
            with pytest.raises(Refused, match="fewer than two candidates are through"):
                early_signals.main(options, few)
    assert early_signals.main(options, few) == 0
    assert "signal for rungs, by candidates random, 3 of 5: loss_oks" in capsys.readouterr().out
    with (tmp_path / "bench_early_signals.csv").open(newline="") as file:
        (line,) = [one for one in csv.DictReader(file) if (one["part"], one["signal"]) == ("0.2", "loss_oks")]
    assert (line["source"], line["candidates"], line["tau"]) == ("random, 3 of 5", "3", "1.000")


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_bench_that_is_killed_goes_on_and_finds_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "START", "fork")
    planned = plan(TINY, 5, 2, few)
    first = trained(planned[:4], tmp_path, Machine(), 2, planted)
    assert {entry.state for entry in first.values()} == {JobState.COMPLETE}
    entries = trained(planned, tmp_path, Machine(), 2, planted)
    assert len(entries) == 10 and {entry.state for entry in entries.values()} == {JobState.COMPLETE}
    assert Counter((tmp_path / "log").read_text().split()) == {one.job.key: 1 for one in planned}
    found = agreements(planned, tmp_path)
    assert chosen(found) in ("loss_oks", "mean_loss_oks")
    assert {one.signal for one in found if one.part == 0.2} >= {"AP", "AR50", "mOKS", "loss_cls", "mean_loss_oks"}
    best = next(one for one in found if one.signal == "loss_oks")
    assert (best.part, best.tau, best.low, best.high, best.count) == (0.2, *[pytest.approx(1)] * 3, 5)
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    path = _record.append("early_signals", [early_signals.line(one, "tiny", 2, "random") for one in found])
    assert len(path.read_text().splitlines()) == 1 + len(found)


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_whole_bench_on_a_tiny_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START", "fork")
    monkeypatch.setattr(early_signals, "protocol_named", lambda name: TINY)
    monkeypatch.setattr(early_signals, "runs_folder", lambda: tmp_path)
    monkeypatch.setattr(early_signals, "this_machine", Machine)
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    options = ["--candidates", "3", "--seeds", "2", "--jobs", "1"]
    assert early_signals.main(options, few) == 0
    lines = (tmp_path / "bench_early_signals.csv").read_text().splitlines()
    assert any(line.startswith("random,tiny,0.2,mean_loss_oks,") for line in lines)
    assert len({p.name for p in (tmp_path / "jobs").iterdir()}) == 6
