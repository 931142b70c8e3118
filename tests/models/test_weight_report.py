"""What a file of weights is said to be."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.models.written import job_folder, mmpose_file, network, published
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.models.weight_report import weight_report


def test_a_file_is_described(tmp_path: Path) -> None:
    path = mmpose_file(tmp_path / "a.pth", 4, 2, optimizer={"state": {}}, epoch=3)
    found = weight_report(path)
    assert (found.network, found.fits, found.names, found.place) == ("nano", True, "mmpose", ("state_dict",))
    assert (len(found.keypoints), found.classes, found.size) == (4, 2, (96, 96))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and found.bytes == path.stat().st_size
    learnt = {
        part: sum(p.numel() for p in network(4, 2).get_submodule(part).parameters())
        for part in found.parts
        if part != "total"
    }
    assert {part: found.parts[part].parameters for part in learnt} == learnt
    assert found.parts["total"].parameters == sum(learnt.values())
    # the constants of OKS are none of the network's, and not counted with it
    assert found.parts["total"].tensors == sum(found.precisions.values()) == len(published(4, 2)) - 1
    assert found.constants == "head.loss_oks.sigmas" and any(found.constants in line for line in found.lines())
    assert found.beside == {"meta": "0 entries", "optimizer": "1 entries: state", "epoch": "3"}


def test_it_is_told_in_lines_and_as_json(tmp_path: Path) -> None:
    found = weight_report(mmpose_file(tmp_path / "a.pth", epoch=3))
    text = "\n".join(found.lines())
    for words in ("mmpose's, in 'state_dict'", "nano at 96 x 96", "17 (coco): nose, left_eye", "float32", "epoch: 3"):
        assert words in text
    again = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert again["network"] == "nano" and again["parts"]["total"]["parameters"] == found.parts["total"].parameters


def test_a_job_is_named(tmp_path: Path) -> None:
    found = weight_report(job_folder(tmp_path / "job"))
    assert (found.job, found.names, found.fits) == (small_job().key, "workbench", True)
    assert found.network == "CSPDarknet, HybridEncoder, RTMOHead, DCC" and found.size == (64, 64)
    assert any(small_job().key in line for line in found.lines())
    assert found.constants == "" and not any("OKS" in line for line in found.lines())


def test_wrapped_half_precision_with_a_metric_beside(tmp_path: Path) -> None:
    state = {f"net.{k}": v.half() if v.is_floating_point() else v for k, v in published().items()}
    torch.save({"state_dict": state | {"val_map.total": torch.zeros(())}}, tmp_path / "a.pth")
    found = weight_report(tmp_path / "a.pth")
    assert (found.prefix, found.others, found.fits) == ("net.", ("val_map.total",), True)
    assert set(found.precisions) == {"float16", "int64"}
    assert "each with 'net.' before it" in "\n".join(found.lines()) and "stored anew" not in "\n".join(found.lines())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_that_is_stored_as_float32_is_told(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {k: v.to(dtype).float() if v.is_floating_point() else v for k, v in published().items()}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    found, name = weight_report(tmp_path / "a.pth"), str(dtype).removeprefix("torch.")
    assert set(found.precisions) == {"float32", "int64"} and found.digits == name
    assert f"int64; stored anew, with no more than {name}'s digits" in "\n".join(found.lines())
    assert weight_report(mmpose_file(tmp_path / "b.pth")).digits == ""


def test_what_fits_no_network_says_so(tmp_path: Path) -> None:
    torch.save({"head.x": torch.zeros(2, 3)}, tmp_path / "a.pth")
    found = weight_report(tmp_path / "a.pth")
    assert not found.fits and found.network == "" and "It fits no preset" in "\n".join(found.lines())
    with pytest.raises(Refused, match="no such file"):
        weight_report(tmp_path / "none.pth")


def test_weights_that_are_not_those_of_their_job(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    weights = load_file(folder / "weights.safetensors")
    save_file({k: v for k, v in weights.items() if not k.startswith("neck.")}, folder / "weights.safetensors")
    found = weight_report(folder)
    assert not found.fits and "names or shapes are not those of this network" in "\n".join(found.lines())
