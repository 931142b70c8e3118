"""Repeats with other seeds: which records count as such, what the table says of them, and the committed one."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.report.made_up import ROOT, SETTING, STUDY, run_in
from tests.report.recorded import RUNS, repeat_stem, write_claims, write_records
from workbench.core.errors import Refused
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.report.record import write_claims as write_own_claims
from workbench.report.repeats import (
    REPEATS_CSV,
    first_seeds,
    repeats_alike,
    repeats_frame,
    repeats_table,
    write_repeats,
)
from workbench.study import Study, find_study

STATES = {2: "holds", 4: "open", 6: "fails"}  # of C2, by the first seed; the study has two seeds of its own


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_records(tmp_path, monkeypatch)


@pytest.fixture
def repeated(data: Path) -> Path:
    for first, verdict in STATES.items():
        write_claims(data / f"{repeat_stem(first)}_claims.csv", verdict)
    return data


def recorded_first_seeds() -> list[int]:
    study = find_study("my_study")
    assert isinstance(study, Study)
    return first_seeds(study, PROTOCOLS["short"])


def test_every_claim_has_a_line_per_record(repeated: Path) -> None:
    frame = repeats_frame()
    c2 = frame[frame["claim"] == "C2"]
    assert dict(zip(c2["first_seed"], c2["verdict"], strict=True)) == {0: "holds"} | STATES
    assert set(frame["protocol"]) == {"short"}, "the others were not repeated"
    assert c2[["mean", "low", "high"]].to_numpy().tolist() == [[0.1234, -0.05, 0.2]] * 4
    assert "B1" in set(frame["claim"])
    assert not {"B2", "B2, x"} & set(frame["claim"]), "recorded of other rows than today's, and so is the whole"


def test_the_verdicts_that_are_the_same_are_counted(repeated: Path) -> None:
    frame = repeats_frame()
    assert repeats_alike(frame, "my_study", "short", "C2") == "1 of 3"
    assert repeats_alike(frame, "my_study", "short", "B1") == "3 of 3"
    assert repeats_alike(frame, "my_study", "laptop", "C2") == repeats_alike(frame, "my_study", "short", "B2") == ""


def test_the_table_shows_each_record_in_its_column(repeated: Path) -> None:
    table = repeats_table(repeats_frame(), "my_study", "short")
    assert "|claim|same|seeds from 0|seeds from 2|seeds from 4|seeds from 6|" in table
    numbers = "+12.3 (-5.0 to +20.0)"
    assert f"|C2|1 of 3|*holds*, {numbers}|*holds*, {numbers}|*open*, {numbers}|*fails*, {numbers}|" in table
    assert "other weights" in table and "trunks" not in table
    assert repeats_table(repeats_frame(), "my_study", "laptop") == ""


def test_without_repeats_nothing_is_said(data: Path) -> None:
    REPEATS_CSV.write_text("old")
    write_repeats()
    assert not REPEATS_CSV.exists() and repeats_frame().empty
    assert repeats_table(repeats_frame(), "my_study", "short") == ""
    assert repeats_alike(repeats_frame(), "my_study", "short", "C2") == ""


def test_the_file_holds_the_numbers(repeated: Path) -> None:
    write_repeats()
    written = pd.read_csv(REPEATS_CSV)
    assert list(written) == ["study", "protocol", "claim", "first_seed", "verdict", "mean", "low", "high"]
    assert len(written) == 8


def test_seeds_count_once(repeated: Path) -> None:
    """Repeats that share seeds with the study or with each other would agree because they are the same runs."""
    assert recorded_first_seeds() == [2, 4, 6]
    for first in (1, 5):
        write_claims(repeated / f"{repeat_stem(first)}_claims.csv", "holds")
    assert recorded_first_seeds() == [2, 4, 6]
    (repeated / "my_study_short.csv").write_text(RUNS.format(2) + "a,3,,z,0.5,2\n")
    assert recorded_first_seeds() == [4, 6], "seeds were added to the study"
    (repeated / f"{repeat_stem(4)}.csv").write_text(RUNS.format(2).replace(",0,", ",4,") + "a,7,,z,0.5,2\n")
    assert recorded_first_seeds() == [4]


def test_a_study_with_other_changes_as_well_is_no_repeat(data: Path) -> None:
    write_claims(data / f"{repeat_stem(2, changes={'recipe.weight_decay': 0.1})}_claims.csv", "holds")
    write_claims(data / "my_study_short_first_seed-2_12345678_claims.csv", "holds")
    assert recorded_first_seeds() == []


def test_a_repeat_has_a_file_of_claims_alone(home: Path) -> None:
    """From the folders of its jobs, and only when all of them are complete."""
    two = replace(SETTING, seeds=2)  # of the three that there are
    path = write_own_claims(StudyRun(STUDY, two, home, first_seed=1))
    assert [p.name for p in Path("reports/data").iterdir()] == [path.name]
    assert path.name.startswith("padding_small_first_seed-1_") and path.name.endswith("_claims.csv")
    assert pd.read_csv(path)["claim"].tolist() == ["P1"]
    with pytest.raises(Refused, match="of 9 runs are missing"):
        write_own_claims(run_in(home, first_seed=1))
    with pytest.raises(Refused, match="--seeds 2: a repeat has as many as the study, 3"):
        write_own_claims(run_in(home, seeds=2, first_seed=1))


@pytest.mark.slow
def test_the_committed_table_is_that_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    frame, there = repeats_frame(), REPEATS_CSV.exists()
    assert there != frame.empty, "repeats were added or removed: run nox -s docs"
    if there:
        written = pd.read_csv(REPEATS_CSV)
        assert written["verdict"].tolist() == frame["verdict"].tolist(), "run nox -s docs"
        assert written["mean"].tolist() == pytest.approx(frame["mean"].tolist(), nan_ok=True, rel=1e-4)
