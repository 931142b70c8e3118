"""The page of a study on the trunk of a file: drawn as others are, beside the runs, by a command that can be copied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import animals
from tests.models.written import mmpose_file
from workbench.__main__ import main
from workbench.core.errors import Refused
from workbench.experiments.file_trunk import on_file_trunk
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.report import own_page
from workbench.report.freshness import why_old
from workbench.report.own_page import open_own_record, write_own_page
from workbench.study import Study, find_study


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a study of one's own; a data set of five key points and weights for it lie beside."""
    animals(tmp_path / "goats")
    mmpose_file(tmp_path / "my nano.pth", 5)
    (tmp_path / "place" / "studies").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "runs"))
    return tmp_path / "place"


@pytest.fixture
def run(place: Path) -> StudyRun:
    study, home = find_study("ablate_dcc"), place.parent / "runs"
    assert isinstance(study, Study)
    on_trunk = on_file_trunk(study, PROTOCOLS["probe"], "../my nano.pth", home)
    return StudyRun(*on_trunk, home, data=Path("../goats"), seeds=1, changes={"protocol.epochs": 1})


def test_it_lies_beside_the_runs(run: StudyRun, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    def rendered(made: Any, stem: str, values: dict[str, Any]) -> list[Path]:
        cells = json.loads(Path("reports/ablation.ipynb").read_text())["cells"]
        said.extend([Path.cwd(), made.command, values, {cell["id"]: "".join(cell["source"]) for cell in cells}])
        (Path("reports/rendered")).mkdir()
        return [Path("reports/rendered", f"{stem}.html")]

    monkeypatch.setattr("workbench.report.own_page.write_record", lambda _: [Path("reports/data/a.csv")])
    monkeypatch.setattr("workbench.report.own_page.render_notebook", rendered)
    own = run.home / "own"
    for _ in range(2):  # what lies there is replaced
        (own / "reports/rendered/index.html").unlink(missing_ok=True)
        (own / "reports/rendered").rmdir() if (own / "reports/rendered").exists() else None
        paths = write_own_page(run)
    assert [path.relative_to(own).as_posix() for path in paths] == [
        "reports/data/a.csv",
        f"reports/rendered/{run.stem}.html",
        "reports/rendered/index.html",
    ]
    where, command, values, cells = said[-4:]
    words = "ablate_dcc --protocol probe --seeds 1 --data ../goats --set protocol.epochs=1 --trunk '../my nano.pth'"
    assert command == f"workbench report {words}" and f"`workbench study {words}`" in values["REPRODUCE"]
    assert where == own and (own / "studies").resolve() == place / "studies" and not (own / "components").exists()
    assert (values["TRUNK"], values["DATA"]) == (str(place.parent / "my nano.pth"), str(place.parent / "goats"))
    assert "open_own_record" in cells["open"] and "REPRODUCE" in cells["reproduce"] and "audit" not in cells
    assert [path.name for path in place.iterdir()] == ["studies"] and Path.cwd() == place


def test_it_may_be_made_from_its_own_folder(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    (own / "components").mkdir(parents=True)
    for here in (place, own):
        monkeypatch.chdir(here)
        with own_page.own_project(own):
            assert Path.cwd() == own and Path("studies").resolve() == place / "studies"
            assert Path("components").is_dir() and not Path("components").is_symlink()


def test_its_record_is_read_where_it_lies(run: StudyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words: Any = ("ablate_dcc", "probe", "my nano.pth", str(run.home), "goats", {"protocol.epochs": 1}, 0)
    with pytest.raises(Refused, match="there is no reports/data/"):
        open_own_record(*words)
    (tmp_path / "reports/data").mkdir(parents=True)
    lines = [f'"{one.row}",{one.seed},{one.trunk},{one.job.key}\n' for one in run.jobs()]
    (tmp_path / f"reports/data/{run.stem}.csv").write_text("row,seed,trunk,job\n" + "".join(lines))
    record = open_own_record(*words)
    assert record.stem == run.stem and [one.job.key for one in record.jobs] == [one.job.key for one in run.jobs()]


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_the_command_that_a_study_ends_with_writes_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["ablate_dcc", "--protocol", "probe", "--data", "../goats", "--trunk", "../my nano.pth", "--seeds", "1"]
    words += ["--set", "protocol.epochs=1", "--set", "protocol.batch=2"]
    assert main(["report", *words]) == 2 and "is complete in" in capsys.readouterr().err
    assert main(["study", *words, "--rows", "regression,+ MLE (RTMO)", "--jobs", "1"]) == 0
    rendered = place.parent / "runs/own/reports/rendered"
    assert f"# writes its page into {rendered}" in " ".join(capsys.readouterr().out.split())
    assert main(["report", *words]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert all(path.is_file() for path in written) and written[-1] == rendered / "index.html"
    (page,) = rendered.glob("*.md")
    assert "on the features of my nano.pth" in page.read_text() and "2 of 6 runs are recorded" in page.read_text()
    assert "--protocol probe --seeds 1" in page.read_text() and "--protocol probe_" not in page.read_text()
    assert [path.name for path in place.iterdir()] == ["studies"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(rendered.parents[1])
        assert why_old(page) == ""
