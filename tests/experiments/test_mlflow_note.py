"""The description of a run."""

from dataclasses import replace

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments.mlflow_note import CURVE_POINTS, run_note


def note(epochs: int, pictured: str = "") -> str:
    curve = [{"epoch": float(e), "AP": e / 1000} for e in range(1, epochs + 1)]
    factors = {"coords.padding": "1.5"}
    return run_note(STUDY.planned_jobs(SETTING)[1], "Does it hold?", factors, {"AP": 0.5, "lr": 1.0}, curve, pictured)


def test_it_says_first_what_differs_and_last_what_was_asked() -> None:
    parts = note(2, "abc").split("\n\n")
    assert parts[0].startswith("**padding**, seed 0.") and parts[1].startswith("| coords.padding |")
    assert parts[2].splitlines()[0] == "| epoch | 1 | 2 |" and parts[3].endswith("run_uuid=abc)")
    assert parts[4].splitlines()[0] == "| AP |", "what the saved view shows, no other number"
    assert parts[5] == "Does it hold?"


def test_words_of_others_are_no_markup() -> None:
    planned = replace(STUDY.planned_jobs(SETTING)[0], row="<img src=x onerror=a> | b")
    said = run_note(planned, "<script>alert(1)</script>", {"a|b": "[x](javascript:a)"}, {}, [], "")
    assert "<" not in said and "](" not in said
    assert "**&lt;img src=x onerror=a> / b**" in said and said.splitlines()[2].count("|") == 2


def test_without_curve_and_picture_it_has_no_place_for_them() -> None:
    assert len(note(0).split("\n\n")) == 4 and "![" not in note(3)


def test_a_long_curve_is_thinned_to_its_end() -> None:
    head = note(95).split("\n\n")[2].splitlines()[0].strip("| ").split(" | ")
    assert len(head) <= CURVE_POINTS + 1 and head[-1] == "95"
