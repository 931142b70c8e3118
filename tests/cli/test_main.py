"""The command line: what it takes, and how it refuses."""

import argparse
import subprocess
import sys

import pytest

from workbench import __main__ as command
from workbench.core.errors import Refused


def parsed(*words: str) -> argparse.Namespace:
    return command.parser().parse_args(list(words))


def test_values_of_set_are_python_values_or_words() -> None:
    args = parsed(
        "study", "x", "--set", "recipe.lr=0.002", "--set", "a.b=(1, 2)", "--set", "protocol.data=figures-hard"
    )
    assert args.set == [("recipe.lr", 0.002), ("a.b", (1, 2)), ("protocol.data", "figures-hard")]


@pytest.mark.parametrize("words", [["study"], ["study", "x", "--seeds", "0"], ["study", "x", "--set", "lr"], ["none"]])
def test_wrong_words_end_with_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        command.main(words)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_what_is_refused_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: argparse.Namespace) -> int:
        raise Refused("this is given, that is expected")

    monkeypatch.setattr(command, "_components", refuse)
    assert command.main(["components"]) == 2
    assert capsys.readouterr().err == "workbench: this is given, that is expected\n"


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_components", interrupt)
    assert command.main(["components"]) == 130


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["bench", "nothing"]) == 2
    assert "bench nothing: no such file in ./benchmarks" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    words = f"set -o pipefail; {sys.executable} -m workbench components | head -1"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    # 0 where all was written before the reader left
    assert done.returncode in (0, 141) and done.stderr == "" and done.stdout == "backbone\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study", "ablate_dcc", "--budget", "9"], "--budget 9: it limits the jobs of --until decided"),
        (["study", "replay", "ablate_dcc", "--until", "decided"], "leave that out"),
        (["study", "again", "ablate_dcc"], "expected NAME, or one of status, resume, retry, replay"),
    ],
)
def test_words_of_a_study_that_do_not_go_together(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    assert command.main(words) == 2
    assert said in capsys.readouterr().err
