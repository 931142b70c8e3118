"""The one study of a folder, as files that are made up: recorded under two protocols, with its costs."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import studies
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.study import Study, find_study

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


def write_records(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Its records, one of them made with other settings, and one page. Gives the folder of the records."""
    for name in ("reports/data", "reports/rendered", "mine"):
        (folder / name).mkdir(parents=True)
    (folder / "mine/my_study.py").write_text(STUDY)
    patch.setattr(studies, "__path__", [str(folder / "mine")])
    patch.delitem(sys.modules, "studies.my_study", raising=False)
    patch.chdir(folder)
    data = folder / "reports/data"
    for stem, numerics in (("short", 2), ("laptop", 1), ("short_recipe.lr-1", 2)):
        (data / f"my_study_{stem}.csv").write_text(RUNS.format(numerics))
        write_claims(data / f"my_study_{stem}_claims.csv", VERDICTS[stem])
    (data / "my_study_cost_claims.csv").write_text(COSTS)
    (data / "my_study_short_audit.csv").write_text(AUDIT)
    (folder / "reports/rendered/my_study_short.md").write_text("page")
    return data


def write_claims(path: Path, verdict: str) -> None:
    """Its file of claims, with this verdict of C2."""
    path.write_text(CLAIMS.replace("STATE", verdict))


def repeat_stem(first_seed: int, protocol: str = "short", changes: Mapping[str, float] | None = None) -> str:
    """How the files of its repeat begin."""
    study = find_study("my_study")
    assert isinstance(study, Study)
    return StudyRun(study, PROTOCOLS[protocol], Path("runs"), first_seed=first_seed, changes=changes or {}).stem
