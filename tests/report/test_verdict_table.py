"""The table of verdicts: every claim of today's studies once per record, with what was recorded of it."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.committed import committed, committed_claims
from tests.report.made_up import ROOT
from tests.report.recorded import repeat_stem, write_claims, write_records
from workbench.report.verdict_frames import EARLIER
from workbench.report.verdict_table import RecordedClaim, recorded_claims, verdict_table
from workbench.space import Search
from workbench.study import Better, Cheaper, Study, find_study, known_studies


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_records(tmp_path, monkeypatch)


def test_a_line_for_each_claim(records: Path) -> None:
    """Of further protocols the verdicts stand behind it; of a statement the parts are left to the page."""
    short, laptop, cost = (f"[{p}](reports/rendered/my_study_short.md)" for p in ("short", "laptop", "cost"))
    lines = verdict_table().splitlines()
    assert lines[0].endswith("|from|flagged|elsewhere|")
    assert lines[2:-2] == [
        rf"|C1|d \| d|*holds* {cost}|0.500 times (0.400 to 0.600)||||",
        f"|C2|a, and b|*holds* {short}|+12.3 (-5.0 to +20.0)|2 runs, 1 seed, 0 min|1|*fails*† {laptop}|",
        f"|C10|e|*holds* {cost}|counted 0.9 times||||",
    ]
    assert lines[-2:] == ["", f"† {EARLIER.partition('. ')[0]}."]
    short, laptop = (one.replace("(", "(../") for one in (short, laptop))
    b1 = "-0.010 root of area (-0.020 to +0.005); about 7 seeds would tell"
    b2 = "holds only if all of its 1 parts do: 1 is open"
    assert verdict_table(published=False, root="../").splitlines()[2:-2] == [
        f"|B1|c|*open* {short}|{b1}|2 runs, 1 seed, 0 min|1|*open*† {laptop}|",
        f"|B2|turned|*open* {short}|{b2}|2 runs, 1 seed, 0 min|0|*open*† {laptop}|",
    ]


def test_repeats_have_a_column_of_their_own(records: Path) -> None:
    """Only where there are any."""
    assert "repeats" not in verdict_table()
    for first, verdict in ((2, "holds"), (4, "open")):
        write_claims(records / f"{repeat_stem(first)}_claims.csv", verdict)
    *lines, blank, note = verdict_table().splitlines()
    assert lines[0].endswith("|flagged|repeats|elsewhere|") and lines[1].count("---") == 8 and not blank
    assert [line.split("|")[-3] for line in lines[2:]] == ["", "1 of 2", ""]
    assert note.startswith("†")
    assert "1 of 2" not in verdict_table(published=False) and "2 of 2|" in verdict_table(published=False)


def test_a_claim_that_was_recorded_otherwise_says_so(records: Path) -> None:
    found = {(one.protocol, one.line["claim"]): one for one in recorded_claims()}
    assert found["short", "B2, x"].effect == "not judged: recorded of other rows"
    assert found["short", "C2"].line["text"] == "a, and b", "today's words"


@pytest.mark.parametrize(
    ("forecast", "said"),
    [
        ("would take about 7 seeds for 4 chances in 5", "about 7 seeds would tell"),
        ("would take about 40 seeds per trunk for 4 chances", "about 40 seeds per trunk would tell"),
        ("would take about 2.5 times the images for 4 chances", "about 2.5 times the images would tell"),
        ("would take more than 100 seeds or times the images: practically", "100 seeds would not tell"),
        ("would take more than 100 trunks: practically", "100 trunks would not tell"),
    ],
)
def test_what_would_settle_an_open_claim_is_said_as_it_was_forecast(forecast: str, said: str) -> None:
    line = {"claim": "C2", "verdict": "open", "reason": f"difference; {forecast}", "effect": "+1.0 AP (0.0 to 2.0)"}
    assert RecordedClaim("a", "short", line).effect == f"+1.0 (0.0 to 2.0); {said}"
    assert RecordedClaim("a", "short", line | {"verdict": "holds"}).effect == "+1.0 (0.0 to 2.0)"


def test_one_seed_has_no_interval() -> None:
    line = {"claim": "C2", "verdict": "open", "reason": "one seed: difference", "effect": "+1.0 AP (+0.5 to +2.0)"}
    assert RecordedClaim("a", "short", line).effect == "+1.0; one seed"


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
@pytest.mark.usefixtures("checkout")
def test_every_committed_claim_is_in_the_table_as_it_was_recorded() -> None:
    """Read by another way: the CSV files, and the studies' own words."""
    shown = {(one.study, one.protocol, one.line["claim"]): one.line for one in committed_claims()}
    counted = 0
    for study, protocol, line in lines():
        asked = find_study(study)
        assert not isinstance(asked, Search)
        claims = (*asked.claims, *(asked.costs if isinstance(asked, Study) else ()))
        for claim in (one for one in claims if one.id == line["claim"] and alike(one, line)):
            found = shown[study, protocol, claim.id]
            assert (found["verdict"], found["text"]) == (line["verdict"], claim.text)
            counted += 1
    assert counted > 12


def lines() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Study, protocol and line of every committed claim."""
    for path in committed("reports/data"):
        if not path.name.endswith("_claims.csv") or "_first_seed-" in path.name:
            continue  # of a repeat
        study = max((name for name in known_studies() if path.name.startswith(f"{name}_")), key=len)
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                yield study, path.name.removeprefix(f"{study}_").removesuffix("_claims.csv"), line


def alike(claim: Better | Cheaper, line: dict[str, str]) -> bool:
    """Whether a recorded claim compares what today's does."""
    bound = claim.times if isinstance(claim, Cheaper) else claim.margin
    said = line["row"], line["than"], line["metric"], float(line.get("times") or line.get("margin") or "nan")
    sides = claim.sides if isinstance(claim, Better) else claim.rows
    return said == (*sides, claim.metric, bound)
