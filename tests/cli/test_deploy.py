"""The command that writes a network to a file; what is in the file is tested with the export."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.cli.commands import options_of, watch
from workbench.__main__ import main
from workbench.inference.deployed import PRECISIONS

OPTIONS: dict[str, tuple[str, ...]] = {
    "--out": ("other.onnx",),
    "--precision": ("int8",),
    "--calibrate": ("some/folder",),
    "--score-threshold": ("0.3",),
    "--nms-threshold": ("0.5",),
    "--max-persons": ("5",),
    "--fixed": (),
    "--random-weights": (),
    "--weights": ("mine.pth",),
}
PLAIN = ["deploy", "rtmo-t", "-o", "x.onnx"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    pytest.importorskip("onnx")
    network = SimpleNamespace(job=None)
    found = {"load.load_trained": network, "load.load_untrained": network, "onnx_export.deploy": "onnx_export.deploy"}
    return watch(monkeypatch, {f"workbench.inference.{name}": value for name, value in found.items()})


@pytest.mark.parametrize("option", sorted(options_of("deploy")))
def test_every_option_is_used(option: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PLAIN) == 0
    plain = calls.copy()
    calls.clear()
    assert main([*PLAIN, option, *OPTIONS[option]]) == 0
    assert calls != plain and len(calls) == len(plain) == 2
    assert capsys.readouterr().out == "onnx_export.deploy\n" * 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_taken(precision: str, calls: list[tuple[Any, ...]]) -> None:
    assert main([*PLAIN, "--precision", precision]) == 0
    assert calls[-1][1][1:3] == (Path("x.onnx"), precision)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--precision int4", "deploy: --precision 'int4': expected float32 or fp16 or int8"),
        ("--score-threshold high", "deploy: --score-threshold 'high': expected a number"),
        ("--score-threshold 2", "score threshold 2.0"),
        ("--precision int8 --fixed", "use --precision fp16 for them, or leave out --fixed for ONNX Runtime"),
        ("--weights a.pth --random-weights", "--weights a.pth and --random-weights: give one of the two"),
        ("--max-persons 0", "deploy: --max-persons '0': expected a whole number of 1 or more"),
    ],
)
def test_values_are_checked(options: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*PLAIN, *options.split()]) == 2
    assert said in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "workbench.inference.onnx_export", raising=False)
    monkeypatch.delattr("workbench.inference.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(PLAIN) == 2
    assert capsys.readouterr().err == "workbench: deploy: onnx is missing; install rtmo-workbench[onnx]\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nano"], "nano: a preset has no weights; add a file that has some (--weights FILE)"),
        (["rtmo-x", "--random-weights"], "no network 'rtmo-x'; there are nano, "),
        (["a.onnx"], "a.onnx: an ONNX file is written already"),
        (["a.onnx", "--random-weights"], "a.onnx: an ONNX file is written already"),
        (["a.pth", "--weights", "b.pth"], "a.pth: has weights of its own; leave out the others (b.pth)"),
    ],
)
def test_a_network_without_weights_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.onnx", "a.pth"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert main(["deploy", *words, "-o", "x.onnx"]) == 2
    assert said in capsys.readouterr().err


def test_presets_and_rows_are_written_with_the_weights_of_a_file(calls: list[tuple[Any, ...]]) -> None:
    for name in ("nano", "ablate_dcc:regression"):
        assert main(["deploy", name, "-o", "x.onnx", "--weights", "mine.pth"]) == 0
        assert calls[-2][:2] == ("workbench.inference.load.load_trained", (name, Path("mine.pth")))
