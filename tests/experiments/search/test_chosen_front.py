"""The front becomes a study whose jobs are those that the search has trained."""

import importlib
import sys
from pathlib import Path

import pytest

import studies
from tests.experiments.search.searched import SETTING, plant, searching, without_counting
from workbench.core.errors import Refused
from workbench.experiments.search.chosen_front import show_front, study_command, write_study
from workbench.experiments.search.decision import front
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.study import Study, find_study


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SearchRun:
    monkeypatch.chdir(tmp_path)
    without_counting(monkeypatch)
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "planted.py").write_text("from tests.experiments.search.searched import SEARCH as STUDY\n")
    monkeypatch.setattr(studies, "__path__", [*studies.__path__, str(folder)])
    importlib.invalidate_caches()
    for name in ("planted", "my_front"):
        monkeypatch.delitem(sys.modules, f"studies.{name}", raising=False)
    return plant(tmp_path)


def test_the_keys_of_its_jobs_are_those_that_were_trained(run: SearchRun) -> None:
    said = write_study(run, Path("studies/my_front.py"))
    assert said.startswith("studies/my_front.py: ") and said.endswith(
        "Next: workbench study my_front --protocol small --until decided"
    )
    study, known = find_study("my_front"), Searcher(run).know()
    assert isinstance(study, Study)
    on = sorted((one for one in front(known) if one.on_front), key=lambda one: one.cost)
    assert len(study.rows) == len(on) and len(study.claims) == len(on) - 1
    trained = {known.log.proposals[one.which].key for one in on}
    assert {one.job.key for one in study.planned_jobs(SETTING, 1)} == trained
    assert all(run.result(key) is not None for key in trained)


def test_a_file_that_is_there_stays(run: SearchRun) -> None:
    file = Path("studies/my_front.py")
    file.write_text("mine")
    with pytest.raises(Refused, match=r"studies/my_front\.py: it is there already; .* --force"):
        write_study(run, file)
    assert file.read_text() == "mine"
    write_study(run, file, force=True)
    assert "STUDY = Study(" in file.read_text()


@pytest.mark.parametrize("file", ["my_front.py", "studies/my-front.py", "studies/my_front", "studies/more/a.py"])
def test_what_could_not_be_imported_is_refused(run: SearchRun, file: str) -> None:
    with pytest.raises(Refused, match=r"expected a Python file in studies/, as in studies/my_front\.py"):
        write_study(run, Path(file))


def test_the_front_is_shown(run: SearchRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_front(run) == 0
    said = capsys.readouterr().out
    assert "#001" in said and "#002" in said


def test_before_anything_is_complete_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    with pytest.raises(Refused, match=r"nothing of planted, small is complete .* run it first: nox -s"):
        show_front(searching(tmp_path))


def test_the_next_command_has_what_the_search_was_given(tmp_path: Path) -> None:
    run = SearchRun(searching(tmp_path).search, SETTING, tmp_path, changes={"recipe.lr": 0.5})
    assert study_command(run, "a") == "nox -s study -- a --protocol small --set recipe.lr=0.5 --until decided"
