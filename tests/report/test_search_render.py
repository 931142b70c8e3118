"""The page of a search is written by its command, and says when it is old."""

import shutil
from pathlib import Path

import pytest

from tests.experiments.search.searched import plant, without_counting
from tests.report.made_up import ROOT
from workbench.__main__ import main
from workbench.core.errors import Refused
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search.plan import SearchRun
from workbench.report.freshness import SEARCH_PARTS, imported, read_line, why_old
from workbench.report.search_record import write_search_record
from workbench.report.search_render import page_command, write_search
from workbench.space import Search
from workbench.study import find_study


def real(home: Path) -> SearchRun:
    asked = find_study("search_rtmo")
    assert isinstance(asked, Search)
    return SearchRun(asked, PROTOCOLS["smoke"], home, changes={"recipe.lr": 0.002})


def test_the_command_of_the_page_has_what_the_search_was_given(tmp_path: Path) -> None:
    assert page_command(real(tmp_path)) == "nox -s report -- search_rtmo --protocol smoke --set recipe.lr=0.002"


def test_what_draws_it_is_what_its_notebook_calls() -> None:
    names = {path.stem for path in imported(("report.search_page",))}
    assert {"search_page", "search_figures", "search_findings", "drawing"} <= names and "rounds" not in names


@pytest.mark.soak
def test_the_page_is_written_from_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "empty"))
    with pytest.raises(Refused, match=r"there is no reports/data/search_rtmo_smoke\S*_candidates\.csv either"):
        write_search(real(tmp_path / "empty"))
    (tmp_path / "reports").mkdir(exist_ok=True)
    shutil.copy(ROOT / "reports/search.ipynb", tmp_path / "reports")
    with monkeypatch.context() as patch:
        without_counting(patch)
        write_search_record(plant(tmp_path))
    data = tmp_path / "reports/data"
    for part in SEARCH_PARTS:
        shutil.copy(data / f"planted_small_{part}.csv", data / f"search_rtmo_smoke_{part}.csv")
    assert main(["report", "search_rtmo", "--protocol", "smoke"]) == 0
    assert "reports/rendered/index.html" in capsys.readouterr().out
    rendered = tmp_path / "reports/rendered"
    html, said = ((rendered / f"search_rtmo_smoke{end}").read_text() for end in (".html", ".md"))
    assert html.count("data:image/png;base64,") == 7 and html.count('<div class="live">') == 1
    assert "**Mind that" in said and said.count("](./search_rtmo_smoke_") == 8 and "fANOVA" in said
    assert why_old(rendered / "search_rtmo_smoke.md") == "" and "Mind that" in (rendered / "index.html").read_text()
    line = read_line(said)
    assert line is not None and line.notebook == "search" and line.command.endswith("search_rtmo --protocol smoke")
    front = data / "search_rtmo_smoke_front.csv"
    front.write_text(front.read_text().replace("#001", "#009"))
    assert "older than reports/data/search_rtmo_smoke*.csv" in why_old(rendered / "search_rtmo_smoke.md")
    assert main(["report", "search_rtmo", "--protocol", "smoke", "--seeds", "3"]) == 2
    assert "leave out --seeds" in capsys.readouterr().err
