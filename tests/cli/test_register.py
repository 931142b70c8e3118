"""`workbench register`: what it refuses, and what it says of the model."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.commands import complete_job
from workbench import __main__ as command
from workbench.experiments.registry import Registered


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nobody", "no study is called 'nobody'"),
        ("profile_persons", "register profile_persons: it has no rows that are trained"),
        ("ablate_dcc --protocol cost", "nothing is trained under cost; use --protocol thaw"),
        ("ablate_dcc --protocol smoke", "ablate_dcc, smoke: nothing is complete in"),
        ("ablate_dcc --row bins", "--row 'bins': ablate_dcc has no such row; there are 'regression'"),
    ],
)
def test_what_can_not_be_registered_is_refused(
    words: str, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    complete_job(home)
    assert command.main(["register", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_where_nothing_is_complete_it_says_what_to_run(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["register", "ablate_dcc"]) == 2
    said = f"no job is complete in {home}; run a study first: workbench study ablate_dcc\n"
    assert capsys.readouterr().err == f"workbench: register ablate_dcc: {said}"


def test_it_says_how_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    complete_job(home)
    planned: Any = SimpleNamespace(title="bins, seed 1")
    found = Registered("mine", 3, "run", planned, 0.591, "sqlite:////home/mlflow.db")
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "workbench.experiments.registry.register_best", lambda run, row, name: asked.append((row, name)) or found
    )
    assert command.main(["register", "ablate_dcc", "--protocol", "smoke", "--row", "regression", "--as", "mine"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "mine version 3: bins, seed 1, AP 59.1" and asked == [("regression", "mine")]
    assert printed[1].startswith("MLFLOW_TRACKING_URI=sqlite:////home/mlflow.db python -c ")
    assert shlex.split(printed[1])[-1] == 'import mlflow; mlflow.pyfunc.load_model("models:/mine/3")'
