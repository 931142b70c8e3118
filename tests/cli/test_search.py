"""`workbench search`: each option reaches what it is for, or is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import A_FOLDER, options_of, watch
from workbench.__main__ import main


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    place = "workbench.experiments.search.chosen_front"
    answers: dict[str, Any] = {f"{place}.show_front": 0, f"{place}.write_study": "studies/a.py: done"}
    return watch(monkeypatch, {**answers, **A_FOLDER})


def test_the_front_is_shown_or_written(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "front", "search_rtmo"]
    assert main(words) == 0 and calls[-1][0].endswith("show_front") and calls[-1][1][0].protocol.name == "short"
    assert main([*words, "--protocol", "smoke", "--set", "recipe.lr=0.5", "--as-study", "studies/a.py"]) == 0
    name, (run, file, force), _ = calls[-1]
    assert name.endswith("write_study") and run.changes == {"recipe.lr": 0.5} and run.protocol.name == "smoke"
    assert file == Path("studies/a.py") and force is False and "studies/a.py: done" in capsys.readouterr().out
    assert main([*words, "--as-study", "studies/a.py", "--force"]) == 0 and calls[-1][1][2] is True
    assert main([*words, "--data", "some/folder"]) == 0 and calls[-1][1][0].fingerprint == "folder@1"
    tried = {"--protocol", "--set", "--as-study", "--force", "--data", "--help"}
    assert options_of("search", "front") <= tried


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("search front ablate_dcc", "search front ablate_dcc: it is a study with rows of its own, and no search"),
        ("search front search_rtmo --force", "--force: it is for --as-study"),
        ("search front nobody", "no study is called 'nobody'"),
        ("search font search_rtmo", "front"),
    ],
)
def test_words_that_do_not_go_together(
    words: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err and calls == []
