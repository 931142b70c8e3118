"""`workbench search sizes`: its words, what they ask for, and where the numbers go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tests import properties
from tests.cli.commands import options_of, watch
from tests.report.settings import measured
from workbench.__main__ import main
from workbench.cli.sizes import grids, sides
from workbench.experiments.size_settings import Asked

OPTIONS: dict[str, tuple[str, ...]] = {
    "--data": ("some/folder",),
    "--sizes": ("32,64",),
    "--bins": ("6x8,12x16",),
    "--precisions": ("float32,bf16",),
    "--runtimes": ("eager,torch",),
    "--images": ("5",),
    "--persons": ("3",),
    "--threads": ("1",),
    "--seconds": ("7",),
    "--anyway": (),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    found = measured()
    return watch(
        monkeypatch,
        {
            "torch.set_num_threads": None,
            "workbench.inference.load.load_trained": found,  # which has a source, too
            "workbench.experiments.size_settings.combined_settings": "settings",
            "workbench.experiments.sizes.measure_sizes": found,
        },
    )


@pytest.mark.parametrize("option", sorted(options_of("search", "sizes") - {"--out", "--json"}))
def test_every_option_is_used(option: str, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, nothing in (("png", b""), ("svg", "")):  # drawn in the test of tables and pictures
        monkeypatch.setattr(f"workbench.report.drawing.{kind}", lambda _, nothing=nothing: nothing)
    assert main(["search", "sizes", "rtmo-t"]) == 0
    plain = str([call[1:] for call in calls])
    calls.clear()
    assert main(["search", "sizes", "rtmo-t", option, *OPTIONS[option]]) == 0
    assert str([call[1:] for call in calls]) != plain and len(calls) == 4


def test_words_become_what_is_asked(calls: list[tuple[Any, ...]]) -> None:
    words = "--sizes 32,64 --bins 6x8,12x16 --runtimes torch,onnx --precisions float32"
    assert main(["search", "sizes", "rtmo-t", *words.split()]) == 0
    asked = calls[2][1][1]
    assert asked == Asked((32, 64), ((6, 8), (12, 16)), ("torch", "onnx"), ("float32",))


def test_table_and_pictures_are_written(
    calls: list[tuple[Any, ...]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "sizes", "rtmo-t"]) == 0
    place = tmp_path / "home" / "sizes" / "job_x"
    assert {file.name for file in place.iterdir()} == {"sizes.csv", "sizes.png", "sizes.svg"}
    printed = capsys.readouterr()
    assert "96 px, 64x96 bins, torch bf16" in printed.out and str(place / "sizes.svg") in printed.err
    assert main(["search", "sizes", "rtmo-t", "-o", str(tmp_path / "there"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["settings"]) == 5
    assert (tmp_path / "there" / "sizes.csv").read_text().count("\n") == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--sizes big", "search sizes: --sizes 'big': expected multiples of 32 with commas, as in 416,512"),
        ("--sizes 64,", "search sizes: --sizes '64,'"),
        ("--bins 96", "search sizes: --bins '96': expected bins on x and y with commas, as in 96x128,192x256"),
        ("--images 0", "search sizes: --images '0': expected a whole number of 1 or more"),
        ("-o /proc/no", "--out /proc/no:"),
    ],
)
def test_values_are_checked(
    options: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "sizes", "rtmo-t", *options.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_network_without_weights_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "sizes", "nano"]) == 2
    assert "nano: a preset has no weights" in capsys.readouterr().err


@properties.quickly
@given(properties.words() | st.text("0123456789,x ٣²-", max_size=9) | st.integers(0, 9).map(lambda n: str(n) * 5000))
def test_no_words_for_sizes_or_bins_give_anything_but_numbers(text: str) -> None:
    for read in (sides, grids):
        try:
            found = read(text)
        except typer.BadParameter as error:
            assert "expected" in error.message and len(error.message) < 200
        else:
            assert text.isascii() and repr(found).translate(str.maketrans("", "", "()x, ")).isdecimal()
