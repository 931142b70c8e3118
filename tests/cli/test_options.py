"""Values of options, and the lists in help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from workbench.__main__ import main
from workbench.cli import names
from workbench.cli.options import (
    LISTS,
    Change,
    any_number,
    change,
    changes_of,
    completing,
    one_of,
    runs_folder,
    whole_number,
    with_lists,
    words_of,
)
from workbench.core.errors import Refused


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("recipe.lr=0.002", "recipe.lr", 0.002),
        ("a.b=(1, 2)", "a.b", (1, 2)),
        ("a=None", "a", None),
        ("protocol.data=figures-hard", "protocol.data", "figures-hard"),
        ("variant.neck=PAFPN", "variant.neck", "PAFPN"),
        ("a=b=c", "a", "b=c"),
        ("a=", "a", ""),
    ],
)
def test_values_of_set_are_python_values_or_words(text: str, path: str, value: Any) -> None:
    assert change(text) == (path, value) and type(change(text).value) is type(value)


@pytest.mark.parametrize("text", ["", "lr", "=3"])
def test_a_set_without_a_path_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"'{text}': expected PATH=VALUE"):
        change(text)


def test_a_path_is_set_once() -> None:
    assert changes_of([Change("a", 1), Change("b", 2)]) == {"a": 1, "b": 2}
    assert changes_of(None) == {}
    with pytest.raises(Refused, match="--set a: it is set 2 times; set it once"):
        changes_of([Change("a", 1), Change("b", 2), Change("a", 1)])


@pytest.mark.parametrize("given", ["0", "-1", "1.0", "1e3", "", " 1", "one", "1_000", "²"])
def test_a_count_is_a_whole_number(given: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected a whole number of 1 or more"):
        whole_number(1)(given)


def test_whole_numbers_have_limits() -> None:
    assert [whole_number(0)("0"), whole_number(1)("12"), whole_number(1, 65535)("65535")] == [0, 12, 65535]
    for given in ("0", "65536"):
        with pytest.raises(typer.BadParameter, match=f"'{given}': expected a whole number from 1 to 65535"):
            whole_number(1, 65535)(given)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["study", "status", "ablate_dcc", "--seeds", "1000000"],
            "--seeds '1000000': expected a whole number from 1 to",
        ),
        (["study", "status", "ablate_dcc", "--seeds", "9" * 5000], "expected a whole number from 1 to 10000"),
        (["study", "status", "ablate_dcc", "--seeds", "٣"], "expected a whole number from 1 to 10000"),
        (["study", "ablate_dcc", "--first-seed", "9" * 30], "expected a whole number of 0 or more"),
        (
            ["latency", "nano", "--threads", "100000", "--anyway"],
            "--threads '100000': expected a whole number from 1 to",
        ),
        (["evaluate", "nano", "--batch", "9" * 5000], "expected a whole number of 1 or more"),
    ],
)
def test_a_number_that_no_machine_can_take_is_refused_at_once(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_number_is_a_number() -> None:
    assert [any_number("0.5"), any_number("1"), any_number(0.1)] == [0.5, 1.0, 0.1]
    with pytest.raises(typer.BadParameter, match="'half': expected a number, as in"):
        any_number("half")


@pytest.mark.parametrize(
    "words", [["sheet", "--level"], ["latency", "nano", "--device"], ["deploy", "x", "--precision"]]
)
def test_a_word_that_is_in_no_list_is_refused_with_the_list(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lists = {"--level": "levels", "--device": "devices", "--precision": "file_precisions"}
    assert main([*words, "odd"]) == 2
    assert f"{words[-1]} 'odd': expected {' or '.join(LISTS[lists[words[-1]]]())}" in capsys.readouterr().err
    assert one_of("levels")("hard") == "hard"


@pytest.mark.parametrize("name", LISTS)
def test_every_list_holds_words(name: str) -> None:
    words = list(LISTS[name]())
    assert words and all(isinstance(word, str) and word for word in words) and len(set(words)) == len(words)


def test_a_help_text_holds_the_lists(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert with_lists("One of {protocols}.") == f"One of {', '.join(names.PROTOCOLS)}."
    assert with_lists("{runtimes}") == ", ".join(names.RUNTIMES)
    monkeypatch.setattr(names, "PROTOCOLS", (*names.PROTOCOLS, "overnight"))
    assert main(["study", "--help"]) == 0
    assert "overnight" in capsys.readouterr().out


def test_a_list_completes_behind_a_comma() -> None:
    assert completing("levels")("") == list(names.LEVELS)
    assert completing("levels")("easy,h") == [f"easy,{level}" for level in names.LEVELS]


def test_words_come_with_commas() -> None:
    assert [words_of("levels")(given) for given in ("hard", "hard,easy")] == ["hard", "hard,easy"]
    for given, odd in (("odd", "odd"), ("hard,", ""), ("", ""), ("easy,hrad", "hrad")):
        with pytest.raises(typer.BadParameter, match=f"^'{odd}': expected easy, hard, or several of them with commas"):
            words_of("levels")(given)


def test_runs_are_recorded_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "deep/er"))
    assert runs_folder() == tmp_path / "deep/er" and runs_folder().is_dir()
    monkeypatch.delenv("WORKBENCH_HOME")
    monkeypatch.chdir(tmp_path)
    assert runs_folder() == tmp_path / "runs"
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(Refused, match=r"WORKBENCH_HOME .*file: .*; name a folder that can be written to"):
        runs_folder()
