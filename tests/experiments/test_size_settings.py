"""Which settings of a trained network there are, and which are refused before any work."""

from __future__ import annotations

import sys

import pytest
import torch

from tests.inference.tiny import disturbed
from tests.small import small_variant
from workbench.core.errors import Refused
from workbench.experiments import size_settings
from workbench.experiments.size_settings import Asked, Setting, check_bins, combined_settings, with_bins
from workbench.inference.load import Trained
from workbench.models.network import Network
from workbench.presets import REGRESSION
from workbench.training.machine import Machine

TORCH = Asked(runtimes=("torch",), precisions=("float32",))


def trained(size: tuple[int, int] = (64, 64), **changes: object) -> Trained:
    return Trained(disturbed(Network(small_variant(**changes), seed=0)), size, "a network")


def test_the_own_setting_comes_first_and_then_every_combination() -> None:
    asked = Asked((32, 64), ((6, 8), (12, 16)), ("eager", "torch"), ("float32", "bf16"))
    found = combined_settings(trained(), asked)
    own = Setting((64, 64), (12, 16), "eager", "float32")
    assert found[0] == own and found.count(own) == 1 and len(found) == 2 * 2 * 2 * 2
    assert str(own) == "64 px, 12x16 bins, eager float32" and len({str(one) for one in found}) == len(found)


@pytest.mark.parametrize(("own", "around"), [(640, [416, 512, 640, 800]), (96, [64, 96, 128]), (32, [32])])
def test_sizes_lie_around_the_networks_own(own: int, around: list[int]) -> None:
    found = combined_settings(trained((own, own)), TORCH)
    assert [one.size for one in found[1:]] == [(side, side) for side in around]


def test_an_input_that_is_no_square_keeps_its_shape() -> None:
    assert {one.size for one in combined_settings(trained((64, 96)), TORCH)} == {(64, 96)}
    assert Setting((64, 96), None, "torch", "float32").pixels == "96x64 px"


def test_a_stage_without_bins_has_none() -> None:
    (own, deployed) = combined_settings(trained(**REGRESSION), Asked((64,), (), ("torch",), ("float32",)))[:2]
    assert own.bins is deployed.bins is None and str(deployed) == "64 px, torch float32"


@pytest.mark.parametrize("unit", [True, False])
def test_bf16_is_asked_of_a_processor_that_has_it(unit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_settings, "this_machine", lambda: Machine(bf16=unit))
    found = {one.form for one in combined_settings(trained(), Asked((64,), runtimes=("torch",)))}
    assert ("torch bf16" in found) == unit and {"eager float32", "torch float32"} <= found
    asked = combined_settings(trained(), Asked((64,), runtimes=("torch",), precisions=("bf16",)))
    assert asked[-1].precision == "bf16"


def test_without_onnx_there_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert {one.runtime for one in combined_settings(trained(), Asked((64,)))} == {"eager", "torch"}
    with pytest.raises(Refused, match=r"--runtimes onnx: it is not installed; install rtmo-workbench\[onnx\]"):
        combined_settings(trained(), Asked(runtimes=("onnx",)))


def test_openvino_is_offered_and_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    assert "openvino" not in {one.runtime for one in combined_settings(trained(), Asked((64,)))}
    asked = Asked((64,), (), ("openvino",), ("float32", "int8"))
    assert [one.form for one in combined_settings(trained(), asked)[1:]] == ["openvino float32", "openvino int8"]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(Refused, match=r"--runtimes openvino: it is not installed; install .*\[onnx,openvino\]"):
        combined_settings(trained(), asked)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(sizes=(100,)), "--sizes 100: expected multiples of 32, as 96 or 128"),
        (Asked(sizes=(0,)), "--sizes 0: expected multiples of 32, as 32 or 64"),
        (Asked(sizes=(99968,)), "--sizes 99968: at most 8192"),
        (Asked(sizes=(64, 64)), "64 stands there twice"),
        (Asked(bins=((1, 16),)), "--bins 1x16: an axis needs at least 2 bins"),
        (Asked(runtimes=("tvm",)), "--runtimes tvm: expected what runs on the CPU: eager, torch, onnx"),
        (Asked(runtimes=("cudagraph",)), "--runtimes cudagraph: expected what runs on the CPU"),
        (Asked(runtimes=("torch",), precisions=("int8",)), "--precisions int8: no runtime that is asked for has it"),
        (Asked(precisions=("int4",)), "--precisions int4: no runtime that is asked for has it: torch has float32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_is_refused(asked: Asked, said: str) -> None:
    with pytest.raises(Refused, match=said):
        combined_settings(trained(), asked)


def test_a_runtime_without_any_of_the_precisions_is_refused() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(Refused, match="--runtimes onnx: it has float32, int8; add one to --precisions"):
        combined_settings(trained(), Asked(runtimes=("torch", "onnx"), precisions=("bf16",)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (REGRESSION, "the coordinate stage is Regression, whose bins are no setting"),
        ({"coords.dynamic_encoding": False}, "has learnt a vector for each of its 12x16 bins"),
    ],
)
def test_bins_that_hold_weights_stay(changes: dict[str, object], said: str) -> None:
    variant = small_variant(**changes)
    with pytest.raises(Refused, match=f"--bins 6x8: .*{said}"):
        check_bins(variant.coords, (6, 8))
    own = Network(variant, seed=0)
    assert with_bins(own, None if "coords" in changes else (12, 16)) is own
    if "coords" not in changes:
        assert combined_settings(Trained(own, (64, 64), ""), Asked((64,), ((12, 16),)))


def test_other_bins_keep_every_weight() -> None:
    network = trained().network
    fine = with_bins(network, (120, 160))
    theirs, ours = network.state_dict(), fine.state_dict()
    changed = {name for name in ours if ours[name].shape != theirs[name].shape}
    assert changed == {"coords.x_bins", "coords.y_bins"} and ours.keys() == theirs.keys() and not fine.training
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() - changed)
    assert ours["coords.x_bins"].tolist() == torch.linspace(-0.5, 0.5, 120).tolist()
