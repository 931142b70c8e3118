"""The commands on runs that are done: what they print, and their exit codes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.own import small_run
from workbench.__main__ import main
from workbench.experiments.rerun import Again
from workbench.experiments.two_runs import MetricOfTwo, TwoRuns, UnlikeImage
from workbench.training.record import job_folder, write_result

FOUND = TwoRuns(
    "a",
    "b",
    "figures-easy at 64 x 64",
    40,
    (
        MetricOfTwo("AP", 0.5, 0.625, 0.125, 0.1, 0.15, "second"),
        MetricOfTwo("NME", 0.1, 0.1, 0.0, -0.01, 0.01, ""),
        MetricOfTwo("params", 1e6, 2e6, 1e6, math.nan, math.nan, ""),
    ),
    (UnlikeImage(103, "street.jpg", 2, 0.9, 0.1),),
    ("computed otherwise: bf16, and float32",),
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete run in a home of its own."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    folder = small_run(tmp_path / "first").folder
    write_result(folder, "0" * 12, {"AP": 0.5}, {})
    return folder


def test_two_runs_are_shown_beside_each_other(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("workbench.experiments.two_runs.compare_runs", lambda *given: asked.append(given) or FOUND)
    assert main(["compare", str(run), str(run)]) == 0
    text = capsys.readouterr().out
    assert asked == [(run, run, None)]
    lines = {line.split(",")[0].strip(): " ".join(line.split()) for line in text.splitlines()}
    assert lines["AP"] == "AP, % 50.0 62.5 +12.5 +10.00 to +15.00 B is ahead"
    assert lines["NME"].endswith("+0.000 -0.0100 to +0.0100 open")
    assert "to" not in lines["parameters"], "no interval"
    assert "street.jpg 2 0.900 0.100" in " ".join(text.split()) and "note: computed otherwise" in text
    assert "matched no person" not in text
    assert main(["compare", str(run), str(run), "--data", "some/folder", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert asked[-1] == (run, run, Path("some/folder"))
    assert found["metrics"][0]["difference"] == 0.125 and found["metrics"][2]["low"] is None


def test_a_run_that_is_none_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(run), "nobody"]) == main(["rerun", "nobody"]) == 2
    assert capsys.readouterr().err.count("'nobody': no such folder, key of a job or number of an MLflow run") == 2


@pytest.mark.parametrize("identical", [True, False])
def test_a_run_again_ends_with_whether_it_is_the_same(
    identical: bool, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unlike = "" if identical else "epoch 2, loss_oks: 0.25 then, 0.5 now"
    again = Again("0" * 12, "again", identical, unlike, 120, {} if identical else {"threads": ("1", "2")})
    asked: list[Any] = []
    monkeypatch.setattr("workbench.experiments.rerun.train_again", lambda *given: asked.append(given[:4]) or again)
    assert main(["rerun", str(run)]) == main(["rerun", str(run), "--json", "--data", "x"]) == 1 - identical
    text = capsys.readouterr().out
    assert asked[0] == (run, run.parent / "reruns" / ("0" * 12), run.parent, None) and asked[1][3] == Path("x")
    if identical:
        assert text.startswith("bit-identical: 120 numbers and tensors of job")
    else:
        assert f"differs, after 119\n  {unlike}\n  threads: 1 then, 2 now\n" in text
    assert json.loads(text[text.index("{") :])["identical"] is identical


def test_an_interrupted_one_goes_on_by_the_same_command(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.experiments.rerun.train_again", interrupt)
    assert main(["rerun", str(run)]) == 130
    assert capsys.readouterr().err.endswith("stopped; the same command goes on\n")
    assert not job_folder(run.parent, "0" * 12).exists()


def test_what_is_no_number_is_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that has matched nobody has no mean error."""
    unmatched = MetricOfTwo("NME", math.nan, 0.1, math.nan, math.nan, math.nan, "")
    found = replace(FOUND, metrics=(*FOUND.metrics[:1], unmatched))
    monkeypatch.setattr("workbench.experiments.two_runs.compare_runs", lambda *_: found)
    assert main(["compare", str(run), str(run)]) == 0
    out = capsys.readouterr().out
    assert "nan" not in out and "-: that run has matched no person" in out
    (line,) = [line.split() for line in out.splitlines() if line.strip().startswith("NME")]
    assert line[-3:] == ["-", "0.100", "-"]
