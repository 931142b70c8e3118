"""The table of verdicts: every recorded claim once, in the words of its record."""

import csv
from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.report.verdict_table import recorded_claims, renew, verdict_table, with_verdicts

ROOT = Path(__file__).parents[2]
TRAINED = "claim,text,row,than,metric,margin,verdict,reason,mean,low,high\n"
TIMED = TRAINED.replace("margin", "times")
TEXT = "# A\n<!-- verdicts -->\nold\n<!-- /verdicts -->\nafter\n"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A study under two protocols, its costs, and one of its records that was made with other settings."""
    for folder in ("reports/data", "reports/rendered"):
        (tmp_path / folder).mkdir(parents=True)
    data = tmp_path / "reports/data"
    trained = 'C2,"a, and b",a,b,AP,0,holds,"why; more",0.1234,-0.05,0.2\nB1,c,a,b,NME,0,open,why,-0.01,-0.02,0.005\n'
    (data / "my_study_short_claims.csv").write_text(TRAINED + trained)
    (data / "my_study_laptop_claims.csv").write_text(TRAINED + 'C2,"a, and b",a,b,AP,0,fails,why,-0.1,-0.2,-0.05\n')
    timed = 'C1,d | d,a,b,ms,1,holds,why,0.5,0.4,0.6\nC10,e,a,b,gflops,1,holds,"counted 0.9 times; claimed",,,\n'
    (data / "my_study_cost_claims.csv").write_text(TIMED + timed)
    (data / "my_study_short_recipe.lr-1_claims.csv").write_text(TRAINED + trained)
    (tmp_path / "reports/rendered/my_study_short.md").write_text("page")
    return tmp_path


def test_a_line_for_each_claim_and_protocol(records: Path) -> None:
    assert verdict_table(records).splitlines()[2:] == [
        r"|C1|d \| d|*holds*|[my_study, cost](reports/rendered/my_study_short.md)|0.500 times (0.400 to 0.600)|",
        "|C2|a, and b|*fails*|[my_study, laptop](reports/rendered/my_study_short.md)|-10.0 (-20.0 to -5.0)|",
        "|C2|a, and b|*holds*|[my_study, short](reports/rendered/my_study_short.md)|+12.3 (-5.0 to +20.0)|",
        "|C10|e|*holds*|[my_study, cost](reports/rendered/my_study_short.md)|counted 0.9 times|",
        "|B1|c|*open*|[my_study, short](reports/rendered/my_study_short.md)|-0.010 (-0.020 to +0.005)|",
    ]


def test_every_committed_claim_is_in_the_table() -> None:
    lines = verdict_table(ROOT).splitlines()[2:]
    files = list((ROOT / "reports/data").glob("*_claims.csv"))
    assert len(files) > 8
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            for claim in csv.DictReader(file):
                start = f"|{claim['claim']}|{claim['text']}|*{claim['verdict']}*|"
                assert any(line.startswith(start) for line in lines), f"{path.name}: {start}"
    assert len(lines) == len(recorded_claims(ROOT))


def test_a_command_renews_a_file(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = records / "README.md"
    page.write_text(TEXT)
    assert renew([str(page)]) == 0
    assert page.read_text() == f"# A\n<!-- verdicts -->\n\n{verdict_table(records)}\n\n<!-- /verdicts -->\nafter\n"
    assert renew([str(records / "none.md")]) == 2
    assert "none.md" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "<!-- verdicts -->\n", "<!-- /verdicts -->\n<!-- verdicts -->\n", TEXT + TEXT])
def test_a_text_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no place for the verdicts"):
        with_verdicts(text, "table")
