"""From words to the run that they mean, and that one which is only looked at makes no folder."""

from pathlib import Path

import pytest

from workbench.cli.options import Change
from workbench.cli.study_runs import check_words, run_to_look_at
from workbench.core.errors import Refused


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


def test_what_is_wrong_by_itself_is_refused_first() -> None:
    check_words("ablate_dcc", None)
    with pytest.raises(Refused, match="no study is called 'nobody'"):
        check_words("nobody", None)
    with pytest.raises(Refused, match="it is set 2 times"):
        check_words("ablate_dcc", [Change("recipe.lr", 1), Change("recipe.lr", 2)])
