"""The list of timm's networks: how it is made, and that the committed one is what the code says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks import timm as bench
from workbench.__main__ import main
from workbench.components.backbones.timm_backbone import TIMM_VERSION, TimmBackbone, timm_names
from workbench.core.errors import Refused

LIST = Path(__file__).parents[2] / "reports" / "data" / "timm_models.csv"
SOME = ("dla34", "fbnetc_100", "inception_v3", "mobilenetv3_small_050", "resnet10t", "vgg11", "vit_tiny_patch16_224")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(bench, "OUT", tmp_path / "list.csv")
    monkeypatch.setattr(bench, "timm_names", lambda: ["inception_v3", "test_resnet", "test_vit"])
    return tmp_path / "list.csv"


def test_a_list_is_made_and_gone_on_with(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "timm", "--only", "test_"]) == 0
    assert "fits: 1; refused: 1; took too long: 0" in capsys.readouterr().out
    fits, refused = bench.listed(out)
    assert (fits["name"], fits["verdict"], fits["strides"], fits["channels"], fits["reason"]) == (
        ("test_resnet", "fits", "8 16 32", "48 192 96", "")
    )
    assert (refused["name"], refused["verdict"], refused["strides"]) == ("test_vit", "refused", "")
    asked = list[str]()

    def read_taps(name: str) -> Any:
        asked.append(name)
        raise Refused(f"TimmBackbone.name: {name!r} is tried\nno more; use another")

    monkeypatch.setattr(bench, "read_taps", read_taps)
    assert main(["bench", "timm"]) == 0
    assert asked == ["inception_v3"] and bench.listed(out)[:2] == [fits, refused]
    assert bench.listed(out)[2]["reason"] == "is tried no more"
    monkeypatch.setattr(bench, "version", lambda _: "0.0.1")
    assert main(["bench", "timm"]) == 0
    assert len(asked) == 4 and {line["timm"] for line in bench.listed(out)} == {"0.0.1"}


def test_a_name_that_takes_too_long_is_left(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_taps(_: str) -> Any:
        while True:
            with suppress(Exception):
                sum(range(1000))

    monkeypatch.setattr(bench, "read_taps", read_taps)
    monkeypatch.setattr(bench, "SECONDS", 0.05)
    assert main(["bench", "timm", "--only", "test_v"]) == 1
    assert [line["verdict"] for line in bench.listed(out)] == ["took too long"]


def test_the_committed_list_is_of_every_name_and_of_this_timm() -> None:
    lines = bench.listed(LIST)
    assert {line["timm"] for line in lines} == {TIMM_VERSION}
    assert [line["name"] for line in lines] == timm_names()
    for line in lines:
        if line["verdict"] == bench.FITS:
            assert line["strides"] == "8 16 32" and len(line["channels"].split()) == 3 and not line["reason"], line
        else:
            assert line["verdict"] == bench.REFUSED and line["reason"] and not line["channels"], line


@pytest.mark.slow
@pytest.mark.parametrize("name", SOME)
def test_the_committed_list_is_what_the_code_says(name: str) -> None:
    line = next(line for line in bench.listed(LIST) if line["name"] == name)
    assert bench.measured(name) == line
    if line["verdict"] == bench.REFUSED:
        with pytest.raises(Refused):
            TimmBackbone(name=name)
