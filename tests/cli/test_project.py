"""The command that makes a folder of one's own."""

from pathlib import Path

import pytest

from workbench.__main__ import main


def test_it_says_what_it_made_and_what_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my studies"]) == 0
    *paths, following = capsys.readouterr().out.splitlines()
    assert "my studies/studies/my_study.py" in paths and all(Path(path).is_file() for path in paths)
    assert following == "next: cd 'my studies' && workbench study my_study --protocol smoke"
    assert main(["init", "my studies"]) == 2
    assert capsys.readouterr().err == "workbench: my studies is there and not empty; name a new folder\n"
