"""`workbench gallery`: what it refuses, and where the page goes."""

from pathlib import Path

import pytest

from tests.cli.commands import complete_job
from workbench import __main__ as command


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nobody", "no study is called 'nobody'"),
        ("profile_persons", "it has no rows that are trained"),
        ("search_rtmo", "it has no rows that are trained"),
        ("ablate_dcc --protocol cost", "nothing is trained under cost; use --protocol thaw"),
        ("ablate_dcc --protocol smoke", "gallery ablate_dcc, smoke: fewer than two rows are complete in"),
    ],
)
def test_what_has_nothing_to_show_is_refused(
    words: str, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complete_job(home)
    assert command.main(["gallery", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["jobs"], "it only reads"


def test_where_nothing_is_complete_it_says_what_to_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["gallery", "ablate_dcc", "--protocol", "smoke"]) == 2
    said = f"no job is complete in {home}; run a study first: workbench study ablate_dcc --protocol smoke\n"
    assert capsys.readouterr().err == f"workbench: gallery ablate_dcc: {said}" and not home.exists()


def test_the_page_goes_beside_the_runs_or_where_it_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    complete_job(home)
    monkeypatch.setattr("workbench.report.gallery.gallery", lambda run, count: (run.study.name, count))
    monkeypatch.setattr("workbench.report.gallery_page.gallery_page", str)
    asked = ["gallery", "ablate_dcc", "--protocol", "smoke", "--images", "7"]
    assert command.main(asked) == command.main([*asked, "-o", str(tmp_path / "a" / "b.html")]) == 0
    first, second = map(Path, capsys.readouterr().out.split())
    assert first == home / "galleries" / "ablate_dcc_smoke.html" and second == tmp_path / "a" / "b.html"
    assert first.read_text() == second.read_text() == "('ablate_dcc', 7)"
