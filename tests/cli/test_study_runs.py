"""From words to the run that they mean, and that one which is only looked at makes no folder."""

from pathlib import Path

import pytest

from workbench.cli.options import Change
from workbench.cli.study_runs import check_recorded, check_words, rows_named, run_to_look_at
from workbench.core.errors import Refused
from workbench.study import Study, find_study
from workbench.training.record import write_result


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_every_word_reaches_the_run(home: Path) -> None:
    run = run_to_look_at("gallery", "ablate_dcc", "smoke", None, [Change("recipe.lr", 0.5)], 2, 3)
    assert (run.study.name, run.protocol.name, run.seed_count, run.first_seed) == ("ablate_dcc", "smoke", 2, 3)
    assert {one.job.recipe.lr for one in run.jobs()} == {0.5} and {one.seed for one in run.jobs()} == {3, 4}
    assert run.home == home and not home.exists()
    assert run_to_look_at("gallery", "ablate_dcc", None, None, None, None, 0).protocol.name == "thaw"


def test_what_other_machines_have_done_is_brought_before_it_is_looked_at(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("gallery", "ablate_dcc", "smoke", None, None, 1, 0)
    (key, *_) = (one.job.key for one in run_to_look_at(*words).jobs())
    write_result(tmp_path / "common" / "jobs" / key, key, {"AP": 0.2}, {})
    with pytest.raises(Refused, match="no job is complete in"):
        check_recorded(*words[:3])
    monkeypatch.setenv("WORKBENCH_FILES", f"file://{tmp_path}/common")
    check_recorded(*words[:3])
    assert not home.exists() and run_to_look_at(*words).complete(key)


def test_what_is_wrong_by_itself_is_refused_first() -> None:
    check_words("ablate_dcc", None)
    with pytest.raises(Refused, match="no study is called 'nobody'"):
        check_words("nobody", None)
    with pytest.raises(Refused, match="it is set 2 times"):
        check_words("ablate_dcc", [Change("recipe.lr", 1), Change("recipe.lr", 2)])


def test_rows_are_named_with_commas_between() -> None:
    study = find_study("ablate_dcc")
    assert isinstance(study, Study)
    labels = [row.label for row in study.rows]
    assert any("," in label for label in labels), "which is what makes it worth a test"
    assert rows_named(study, ",".join(labels)) == tuple(labels)
    assert rows_named(study, f"{labels[1]}, {labels[0]},{labels[1]}") == (labels[1], labels[0])
    with pytest.raises(Refused, match=r"--rows: 'nobody' begins with no row of ablate_dcc; there are \["):
        rows_named(study, f"{labels[0]},nobody")
    with pytest.raises(Refused, match="it names none"):
        rows_named(study, " ")
