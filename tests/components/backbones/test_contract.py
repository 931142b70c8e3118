"""The contract that every backbone keeps: its maps, its gradients, and where its weights come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from tests.recorded import GOLDEN, golden
from workbench.components.backbones.csp_darknet import CSP_SIZES, CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.core.errors import Refused
from workbench.slots import Backbone
from workbench.testing import SPEC_CONTRACTS, contract_tests, gives_maps_of_its_levels

SMALL: tuple[Backbone, ...] = (
    CSPDarknet(width=0.125),
    CSPDarknet(width=0.1875, depth=1.0),
    STDC(size="nano"),
    TimmBackbone(name="resnet18"),
    TimmBackbone(name="cs3darknet_focus_s"),
    TimmBackbone(name="convnext_atto"),
)


LARGE: tuple[Backbone, ...] = (
    *(CSPDarknet(width=w, depth=d) for w, d in CSP_SIZES.values()),
    STDC(size="1"),
    STDC(size="2"),
    *(TimmBackbone(name=f"resnet{n}") for n in (34, 50, 101)),
    *(TimmBackbone(name=f"cs3darknet_{n}") for n in ("m", "l", "x", "focus_m", "focus_l")),
)


test_contracts = contract_tests(*SMALL, only=SPEC_CONTRACTS)
test_contracts_without_memory = pytest.mark.slow(contract_tests(*LARGE, only=(gives_maps_of_its_levels,)))


def test_weights_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(Refused, match=r"could not be downloaded \(OSError: no route\).*path"):
        CSPDarknet(use_pretrained=True).build()
    TimmBackbone()  # its layout is read before the network is gone
    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(Refused, match=r"'resnet18' could not be downloaded \(OSError: no route\).*path"):
        TimmBackbone(use_pretrained=True).build()
    with pytest.raises(Refused, match=r"no weights for width 0\.2"):
        CSPDarknet(width=0.2, use_pretrained=True)
    with pytest.raises(Refused, match="no weights to download"):
        STDC(use_pretrained=True)
    for spec in (CSPDarknet, STDC, TimmBackbone):
        with pytest.raises(Refused, match="no such file"):
            spec(use_pretrained=str(tmp_path / "none.pth")).build()


def test_weights_from_files(tmp_path: Path) -> None:
    file = str(tmp_path / "weights.pth")
    stored = golden("tiny/state_dict")
    torch.save({"state_dict": stored}, file)
    for path in (file, str(GOLDEN / "tiny" / "state_dict.npz")):
        module = CSPDarknet(width=0.125, use_pretrained=path).build()
        assert torch.equal(module.state_dict()["stage4.1.conv1.bn.bias"], stored["backbone.stage4.1.conv1.bn.bias"])
    with pytest.raises(Refused, match=r"do not fit \(stem.conv.conv.weight: \(8, 12, 3, 3\) in it, \(32, 12, 3, 3\)"):
        CSPDarknet(use_pretrained=file).build()
    with pytest.raises(Refused, match=r"lacks 60 weights of 'resnet18', first conv1\.weight"):
        TimmBackbone(use_pretrained=file).build()
    (tmp_path / "text.pth").write_text("not weights")
    with pytest.raises(Refused, match="not a checkpoint"):
        STDC(use_pretrained=str(tmp_path / "text.pth")).build()
