"""The table of verdicts: every claim of today's studies once per record, with what was recorded of it."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import studies
from tests.report.made_up import ROOT
from workbench.report.verdict_frames import EARLIER
from workbench.report.verdict_table import recorded_claims, verdict_table
from workbench.space import Search
from workbench.study import Better, Cheaper, Study, find_study, known_studies

STUDY = """
from workbench.models.zoo import nano
from workbench.study import Better, Cheaper, Row, Study

STUDY = Study(
    "my_study", "?", "a test", nano(), (Row("a"), Row("b", {"coords.padding": 1.5})),
    claims=(
        Better("C2", "a, and b", "a", "b"),
        Better("B1", "c", "a", "b", "NME"),
        Better("B2, x", "turned", "b", "a", part_of="B2"),
    ),
    costs=(Cheaper("C1", "d | d", "a", "b"), Cheaper("C10", "e", "a", "b", "gflops")),
    default="short",
)
"""
CLAIMS = """claim,text,row,than,metric,margin,verdict,reason,mean,low,high
C2,old words,a,b,AP,0,STATE,"why; more",0.1234,-0.05,0.2
B1,c,a,b,NME,0,open,why; would take about 7 seeds for 4 chances in 5,-0.01,-0.02,0.005
"B2, x",turned,a,b,AP,0,holds,why,0.1,0.05,0.2
"""
COSTS = """claim,text,row,than,metric,times,verdict,reason,mean,low,high
C1,d | d,a,b,ms,1,holds,why,0.5,0.4,0.6
C10,e,a,b,gflops,1,holds,"counted 0.9 times; claimed",,,
"""
RUNS = "row,seed,trunk,job,AP,numerics\na,0,,x,0.5,{0}\nb,0,,y,0.4,{0}\n"
AUDIT = """row,kind,name,value,than,other,moment,part
a,flag,trunk,five times,b,,start,trunk
"""
VERDICTS = {"short": "holds", "laptop": "fails", "short_recipe.lr-1": "open"}
TEXT = "# A\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nafter\n"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one study of a folder, recorded under two protocols, its costs, and a record made with other settings."""
    for folder in ("reports/data", "reports/rendered", "mine"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mine/my_study.py").write_text(STUDY)
    monkeypatch.setattr(studies, "__path__", [str(tmp_path / "mine")])
    monkeypatch.delitem(sys.modules, "studies.my_study", raising=False)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "reports/data"
    for stem, numerics in (("short", 2), ("laptop", 1), ("short_recipe.lr-1", 2)):
        (data / f"my_study_{stem}.csv").write_text(RUNS.format(numerics))
        (data / f"my_study_{stem}_claims.csv").write_text(CLAIMS.replace("STATE", VERDICTS[stem]))
    (data / "my_study_cost_claims.csv").write_text(COSTS)
    (data / "my_study_short_audit.csv").write_text(AUDIT)
    (tmp_path / "reports/rendered/my_study_short.md").write_text("page")
    return tmp_path


def test_a_line_for_each_claim_and_protocol(records: Path) -> None:
    """A claim is said once, however often it was judged; of a statement the parts are left to the page."""
    short, laptop, cost = (f"[{p}](reports/rendered/my_study_short.md)" for p in ("short", "laptop", "cost"))
    lines = verdict_table().splitlines()
    assert lines[2:-2] == [
        rf"|C1|d \| d|*holds*|{cost}|0.500 times (0.400 to 0.600)|||",
        f"|C2|a, and b|*holds*|{short}|+12.3 (-5.0 to +20.0)|2 runs, 1 seed, 0 min|1|",
        f"|||*fails*†|{laptop}|+12.3 (-5.0 to +20.0)|2 runs, 1 seed, 0 min|not audited|",
        f"|C10|e|*holds*|{cost}|counted 0.9 times|||",
    ]
    assert lines[-2:] == ["", f"† {EARLIER.partition('. ')[0]}."]
    short, laptop = (one.replace("(", "(../") for one in (short, laptop))
    b1 = "-0.010 root of area (-0.020 to +0.005); about 7 seeds would tell"
    assert verdict_table(published=False, root="../").splitlines()[2:-2] == [
        f"|B1|c|*open*|{short}|{b1}|2 runs, 1 seed, 0 min|1|",
        f"|||*open*†|{laptop}|{b1}|2 runs, 1 seed, 0 min|not audited|",
        f"|B2|turned|*open*|{short}|holds only if all of its 1 parts do: 1 is open|2 runs, 1 seed, 0 min|0|",
        f"|||*open*†|{laptop}|holds only if all of its 1 parts do: 1 is open|2 runs, 1 seed, 0 min|not audited|",
    ]


def test_a_claim_that_was_recorded_otherwise_says_so(records: Path) -> None:
    found = {(one.protocol, one.line["claim"]): one for one in recorded_claims()}
    assert found["short", "B2, x"].effect == "not judged: recorded of other rows"
    assert found["short", "C2"].line["text"] == "a, and b", "today's words"


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.slow
@pytest.mark.usefixtures("committed")
def test_every_committed_claim_is_in_the_table_as_it_was_recorded() -> None:
    """Read by another way: the CSV files, and the studies' own words."""
    shown = {(one.study, one.protocol, one.line["claim"]): one.line for one in recorded_claims()}
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
    for path in sorted(Path("reports/data").glob("*_claims.csv")):
        study = next(name for name in known_studies() if path.name.startswith(f"{name}_"))
        with path.open(newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file):
                yield study, path.name.removeprefix(f"{study}_").removesuffix("_claims.csv"), line


def alike(claim: Better | Cheaper, line: dict[str, str]) -> bool:
    """Whether a recorded claim compares what today's does."""
    bound = claim.times if isinstance(claim, Cheaper) else claim.margin
    said = line["row"], line["than"], line["metric"], float(line.get("times") or line.get("margin") or "nan")
    sides = claim.sides if isinstance(claim, Better) else claim.rows
    return said == (*sides, claim.metric, bound)
