"""Commands on networks: what there is, what it costs, how long it takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import options_of, watch
from tests.models.written import mmpose_file, network
from workbench.__main__ import main
from workbench.cli.costs import network_cost
from workbench.core.errors import Refused
from workbench.models import catalog

LATENCY: dict[str, tuple[str, ...]] = {
    "--runtime": ("eager,onnx",),
    "--precision": ("bf16,fp16",),
    "--size": ("64",),
    "--persons": ("0",),
    "--threads": ("1",),
    "--device": ("cuda",),
    "--reference": ("nano",),
    "--seconds": ("7",),
    "--anyway": (),
}


@cache
def nano_cost() -> str:
    """It takes a second."""
    return network_cost("nano")


@pytest.mark.slow
def test_the_text_names_every_part() -> None:
    text = nano_cost()
    for word in (
        "nano at 96 x 96",
        "backbone",
        "neck",
        "head",
        "coords",
        "total",
        "published",
        "deployed",
        "10 persons",
    ):
        assert word in text
    with pytest.raises(Refused, match="rtmo-s"):
        network_cost("rtmo-x")


@pytest.mark.slow
def test_the_cost_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "nano"]) == 0
    assert capsys.readouterr().out == nano_cost() + "\n"


def test_a_file_has_a_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", str(mmpose_file(tmp_path / "a.pth", 4))]) == 0
    text = capsys.readouterr().out
    total = sum(p.numel() for p in network(4).parameters())
    assert text.startswith("a.pth at 96 x 96") and f"{total:,}" in text


def test_an_onnx_file_has_no_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.onnx").touch()
    assert main(["cost", str(tmp_path / "a.onnx")]) == 2
    assert "an ONNX file has no parts to count" in capsys.readouterr().err


def test_components_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components"]) == 0
    assert capsys.readouterr().out == catalog.listing() + "\n"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    names = ("compare", "latency_table")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    return watch(monkeypatch, {f"workbench.inference.runtimes.{name}": name for name in names})


@pytest.mark.parametrize("option", sorted(options_of("latency")))
def test_every_option_of_latency_is_used(option: str, calls: list[tuple[Any, ...]]) -> None:
    assert main(["latency", "nano", "rtmo-s"]) == 0
    plain = calls.copy()
    calls.clear()
    assert main(["latency", "nano", "rtmo-s", option, *LATENCY[option]]) == 0
    assert calls != plain and len(calls) == len(plain) == 2


def test_runtimes_and_precisions_come_with_commas(calls: list[tuple[Any, ...]]) -> None:
    assert main(["latency", "nano", "--runtime", "eager,onnx", "--precision", "float32,int8"]) == 0
    (_, (names, *_), named), _ = calls
    assert (names, named["runtimes"], named["precisions"]) == (["nano"], ["eager", "onnx"], ["float32", "int8"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--runtime eager,tvm",
            "--runtime 'tvm': expected eager, torch, cudagraph, onnx, openvino, or several of them with commas",
        ),
        ("--runtime eager,", "--runtime '': expected eager, torch, cudagraph, onnx, openvino, or several of them"),
        ("--precision int4", "--precision 'int4': expected float32, bf16, fp16, int8, or several of them with commas"),
        ("--precision int8", "runtime torch has no precision 'int8'; it has float32, bf16, fp16"),
        ("rtmo-x", "no network 'rtmo-x'; there are nano, "),
        ("ablate_nothing:x", "no study is called 'ablate_nothing'; there are "),
        ("--reference rtmo-x", "no network 'rtmo-x'; there are nano, "),
        ("--device tpu", "--device 'tpu': expected cpu or cuda"),
        ("--size 0", "--size '0': expected a whole number of 1 or more"),
        ("--persons -1", "--persons '-1': expected a whole number of 0 or more"),
    ],
)
def test_what_can_not_be_timed_is_refused(options: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", "nano", *options.split()]) == 2
    assert said in capsys.readouterr().err


def test_a_benchmark_gets_its_own_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.data.main", lambda options: print(options) or 0)
    assert main(["bench", "data", "--rounds", "2", "--help", "word"]) == 0
    assert capsys.readouterr().out == "['--rounds', '2', '--help', 'word']\n"
    assert main(["bench", "data"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_an_exit_of_a_benchmark_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(options: list[str]) -> int:
        raise SystemExit(3)

    monkeypatch.setattr("benchmarks.data.main", leave)
    assert main(["bench", "data"]) == 3


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "nothing"]) == 2
    assert "bench nothing: no such file in ./benchmarks; it has ['batchnorm', 'beside', " in capsys.readouterr().err


def test_who_asks_a_processor_without_the_unit_for_bf16_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.core.provenance.has_bf16", lambda: False)
    for precision, told in (("float32", False), ("bf16", True)):
        monkeypatch.setattr("workbench.inference.runtimes.compare", lambda *_, **__: None)
        monkeypatch.setattr("workbench.inference.runtimes.latency_table", lambda *_: "")
        assert main(["latency", "nano", "--precision", precision]) == 0
        assert ("no unit" in capsys.readouterr().err) == told
