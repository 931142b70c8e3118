"""The sentences of a page follow its numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.report.made_up import PERSONS, STUDY, run_in, with_study, write_persons
from workbench.experiments import console
from workbench.report import findings
from workbench.report.curves import flat, gains_frame
from workbench.report.persons import persons_frame
from workbench.report.record import Record, results_of
from workbench.study import Row
from workbench.training.record import FLAT, last_gain


def test_a_curve_that_still_rises_is_not_flat(record: Record, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = results_of(run_in(home))
    assert all((last_gain(result.curve) or 0) > FLAT for _, result in results)
    console.print_warnings(results)
    assert "9 of 9 curves still move" in capsys.readouterr().out
    gains = gains_frame(record)
    assert len(gains) == 9 and flat(gains) == 0
    assert findings.curves_finding(gains).startswith(
        "0 of 9 curves are flat"
    ) and "more still rises" in findings.curves_finding(gains)
    assert findings.curves_finding(gains.assign(gain=0.001)) == "9 of 9 curves are flat at the end"
    falling = findings.curves_finding(gains.assign(gain=gains["row"].map({"base": -0.02, "more": 0.0, "A/A": -0.03})))
    assert falling == "3 of 9 curves are flat at the end; A/A falls most, by 3.0 AP in the last quarter"
    turned = gains.assign(gain=[0.01, -0.01, 0.0] * 3)
    turned["row"] = [row for row in ("a", "b", "c") for _ in range(3)]
    assert findings.curves_finding(turned) == "3 of 9 curves are flat at the end; by the mean of its runs no row moves"


def test_titles_follow_the_numbers() -> None:
    verdict = {"holds": "C1", "fails": "C2", "open": "C3"}
    frame = pd.DataFrame(
        [
            {"claim": c, "verdict": v, "trunk": "", "mean": 0.031, "metric": "AP", "row": "a", "than": "b", "low": 0.0}
            | {"high": 1.0}
            for v, c in verdict.items()
        ]
    )
    assert findings.forest_finding(frame) == "holds: C1 (+3.1 AP); fails: C2 (+3.1 AP); open: C3 (+3.1 AP)"
    assert (
        findings.forest_finding(frame[frame["verdict"] == "open"]) == "No difference decides its claim: C3 stays open"
    )
    many = pd.concat([frame, frame.assign(verdict="holds"), frame.iloc[:1]])
    assert findings.forest_finding(many) == "Of 7 claims 5 hold, 1 fails and 1 is open", "too many for a title"
    bare = frame.assign(claim="", low=[-1.0, 0.01, -0.5])
    assert findings.forest_finding(bare) == "1 of 3 intervals of rows − b leave out 0, not corrected"
    means = pd.DataFrame({"few": [0.5, 0.6], "many": [0.4, 0.55]}, index=["a", "b"])
    assert findings.slices_finding(means, "crowding").endswith("-10.0 AP (a) to -5.0 AP (b)")


def test_a_best_row_is_named_only_as_far_as_chance_allows(record: Record) -> None:
    """`more` has the highest AP; the record has its difference from `base`, which is both the next and the base."""
    pair: dict[str, Any] = {"claim": "", "verdict": "", "row": "more", "than": "base", "metric": "AP", "trunk": ""}
    pair |= {"margin": 0.0, "count": 2}

    def said(low: float, **changes: str | int) -> str:
        pairs = pd.DataFrame([pair | {"low": low, "high": 0.2} | changes])
        return findings.quality_finding(replace(record, pairs=pairs)).partition(";")[0]

    assert said(0.1) == "more: highest AP, 65.1 %, above base by more than chance explains"
    assert said(-0.01) == "more: highest AP by the means, 65.1 %, not above base by more than chance explains"
    assert said(0.1, metric="NME") == said(0.1, trunk="a") == "more: highest AP by the means, 65.1 %"
    assert said(0.1, count=1) == said(0.1, metric="NME"), "one pair of runs knows nothing of the chance in others"
    turned = {"row": "base", "than": "more"}
    assert "not above base" in said(-0.3, **turned), "the difference the other way round reaches to 0.2"
    third = replace(record.study, rows=(*STUDY.rows[:2], Row("third", {"coords.padding": 1.1})))
    runs = pd.concat([record.runs, record.runs[record.runs["row"] == "base"].assign(row="third", AP=0.6)])
    distant = replace(with_study(record, third), runs=runs, pairs=pd.DataFrame([pair | {"low": 0.1, "high": 0.2}]))
    assert "by the means, 65.1 %, above base by more than chance explains" in findings.quality_finding(distant)


def test_a_lead_does_not_hide_that_its_claim_is_open(record: Record) -> None:
    """After the correction, or because it is asked of other networks; a margin is another claim."""
    pair: dict[str, Any] = {"row": "more", "than": "base", "metric": "AP", "trunk": "", "low": 0.1, "high": 0.2}
    pair["count"] = 2

    def said(*claims: tuple[str, str, float]) -> str:
        lines = [pair | {"claim": name, "verdict": verdict, "margin": margin} for name, verdict, margin in claims]
        return findings.quality_finding(replace(record, pairs=pd.DataFrame(lines))).partition("more: highest AP")[2]

    sure = ", 65.1 %, above base by more than chance explains"
    assert said(("P1", "holds", 0.0), ("P2", "open", 0.01)).startswith(f"{sure}; and smallest")
    assert said(("P1", "open", 0.0)).startswith(f"{sure}; P1 is open all the same")


def test_losses_that_stay_do_not_rise() -> None:
    frame = pd.DataFrame({"term": "mle", "row": "a", "epoch": [1, 2], "value": [0.5, 0.5]})
    assert findings.losses_finding(frame) == "No training loss, as it is weighted, ends above its first reading"
    assert "mle in 1 of 1 rows" in findings.losses_finding(frame.assign(value=[0.5, 0.6]))


def recalls(**reached: list[float]) -> pd.DataFrame:
    """Precision at recalls 0, 0.02 and 0.04, by row."""
    lines = [(row, 0.5, 0.02 * i, p) for row, each in reached.items() for i, p in enumerate(each)]
    return pd.DataFrame(lines, columns=["row", "threshold", "recall", "precision"])


def test_the_title_of_recall_names_rows_that_find_nobody_or_next_to_nobody() -> None:
    none, little, some, more = [0.0, 0.0, 0.0], [0.9, 0.0, 0.0], [0.9, 0.5, 0.0], [1.0, 0.9, 0.8]
    for rows, said in (
        (recalls(a=none, b=none), "no row finds a person"),
        (recalls(a=little, b=more), "recall ends at less than 2 % of the persons (a) to 4 % (b)"),
        (recalls(a=some, b=some), "recall ends at 2 % of the persons in every row"),
        (
            recalls(a=some, b=none, c=some),
            "recall ends at 2 % of the persons in every row that finds any; b finds nobody",
        ),
        (recalls(a=some), "recall ends at 2 % of the persons (a)"),
    ):
        assert findings.precision_finding(rows) == f"At OKS 0.50 {said}"


def test_a_row_without_errors_has_no_commonest_one() -> None:
    shares = pd.DataFrame({"good": [1.0, 0.5], "jitter": [0.0, 0.1], "miss": [0.0, 0.4]}, index=["a", "b"])
    assert findings.kinds_finding(shares).endswith(": 50 % (b) to 100 % (a); the commonest error is miss")
    assert findings.kinds_finding(shares[:1]).endswith(": 100 % (a); no row has another")


def test_the_title_of_persons_speaks_of_rtmo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kept, rtmo = PERSONS[:3], "RTMO: 330 ms with 16 persons, 300 with none"
    for crops, said in (
        (PERSONS[3:], "; one crop each costs more from about 12 on"),  # -100 ms with 8, +100 with 16
        ([("crops", 1, 20.0), ("crops", 16, 30.0)], "; one crop each costs less up to 16"),
        ([("crops", 8, 400.0), ("crops", 16, 800.0)], "; one crop each costs more with 8 and above"),
        ([], ""),
    ):
        write_persons("people", [*kept, *crops])
        assert findings.persons_finding(persons_frame("people")) == rtmo + said


def claims(*lines: tuple[str, str, str, str]) -> pd.DataFrame:
    """Verdicts by id, state, statement and what decides them."""
    rows = [
        {
            "claim": c,
            "text": c.lower(),
            "verdict": v,
            "effect": "",
            "reason": "why; more",
            "part_of": p,
            "decided_by": by,
        }
        for c, v, p, by in lines
    ]
    return pd.DataFrame(rows)


def test_a_conclusion_counts_a_statement_once_and_tells_training_from_timing() -> None:
    whole = [("S", "open", "", "training"), ("S1", "holds", "S", "training"), ("S2", "open", "S", "training")]
    said = findings.concluded(claims(*whole), "2 seeds of each row")
    assert said == "0 of 1 claims are decided, from 2 seeds of each row. **Open:** s (S), why."
    both = findings.concluded(claims(*whole, ("K", "fails", "", "timing"), ("L", "holds", "", "timing")), "2 seeds")
    assert "0 of 1 claims are decided, from 2 seeds. 2 of 2 claims are decided by timing and counting, from one" in both
    assert "corrected for each other" in both and "**Holds:** l (L), why. **Fails:** k (K), why. **Open:** s" in both
    alone = findings.concluded(claims(("K", "holds", "", "timing")))
    assert "training" not in alone and "corrected" not in alone, "one claim is corrected for no other"
    assert (
        findings.concluded(claims(*whole)[:0], "2 seeds") == "The study makes no claim; its numbers come from 2 seeds."
    )
