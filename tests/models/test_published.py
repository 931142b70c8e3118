"""Published checkpoints: every spelling loads, a wrong one is refused, downloads are whole or not at all."""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.tiny import tiny
from tests.recorded import TINY
from tests.served import served
from workbench.core.errors import Refused
from workbench.models.network import Network
from workbench.models.published import CONSTANTS, SIGMAS, load_published, published_name, published_state
from workbench.models.zoo import rtmo


def stored() -> dict[str, Tensor]:
    return dict(_stored())


@cache
def _stored() -> dict[str, Tensor]:
    with np.load(TINY / "state_dict.npz") as arrays:
        return {k: torch.from_numpy(arrays[k]) for k in arrays.files}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k]) for k in a)


def loaded(path: Path) -> dict[str, Tensor]:
    network = Network(tiny(), seed=1)
    load_published(network, path)
    return published_state(network)


def test_names_are_the_published_ones() -> None:
    assert published_name("head.out_cls.0.weight") == "head.head_module.out_cls.0.weight"
    assert published_name("coords.gau.uv.weight") == "head.dcc.gau.uv.weight"
    assert published_name("neck.sincos_pos_enc.dim_t") == "neck.sincos_pos_enc.dim_t"
    state = published_state(Network(tiny(), seed=0))
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in stored().items()}


def wrapped(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{k}": v for k, v in state.items()}


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "ema_model.module."])
def test_mmpose_pth(tmp_path: Path, prefix: str) -> None:
    # numpy arrays stand in the meta data of released files
    meta = {"dataset_meta": {"sigmas": np.ones(17, np.float32), "ids": np.arange(3), "one": np.float64(1.5)}}
    torch.save({"meta": meta, "state_dict": wrapped(stored(), prefix)}, tmp_path / "a.pth")
    assert same(loaded(tmp_path / "a.pth"), stored())


def test_an_average_with_its_counter(tmp_path: Path) -> None:
    torch.save({"state_dict": {"steps": torch.tensor(7)} | wrapped(stored(), "module.")}, tmp_path / "a.pth")
    assert same(loaded(tmp_path / "a.pth"), stored())


def half(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}


def without_counters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


WRITTEN: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "mmengine, data set's colours": lambda state: {
        "meta": {"dataset_meta": {"colors": np.zeros((17, 3), np.uint8), "names": np.array(["a"], object)}},
        "state_dict": state,
    },
    "mmengine, in training": lambda state: {
        "meta": {},
        "state_dict": state,
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}},
        "message_hub": {"log_scalars": {"train/loss": Foreign()}, "runtime_info": argparse.Namespace(epoch=3)},
        "ema_state_dict": {"steps": torch.tensor(5), **wrapped(half(state, torch.float32), "module.")},
    },
    "compiled": lambda state: {"state_dict": wrapped(state, "_orig_mod.")},
    "compiled, parallel": lambda state: {"state_dict": wrapped(state, "module._orig_mod.")},
    "compiled in part": lambda state: {
        "state_dict": {name.replace("backbone.", "backbone._orig_mod.", 1): value for name, value in state.items()}
    },
    "Lightning": lambda state: {
        "state_dict": {**wrapped(state, "net.model."), "val_map.total": torch.tensor(0.0)},
        "hyper_parameters": argparse.Namespace(lr=1e-3),
        "callbacks": {"best": pathlib.PurePosixPath("a")},
    },
    "model_state_dict": lambda state: {"epoch": 3, "model_state_dict": state},
    "Lightning with an average": lambda state: {
        "state_dict": {
            **wrapped({name: torch.zeros_like(value) for name, value in state.items()}, "model."),
            **wrapped(state, "ema_model.module."),
        }
    },
    "an average beside the weights": lambda state: {
        "model": {name: torch.zeros_like(value) for name, value in state.items()},
        "ema": {"updates": 7, "module": state},
    },
    "an average alone": lambda state: {"ema_state_dict": {"steps": torch.tensor(5), **wrapped(state, "module.")}},
    "parameters": lambda state: OrderedDict(
        (name, nn.Parameter(value) if value.is_floating_point() else value) for name, value in state.items()
    ),
    "without counters": lambda state: {"state_dict": without_counters(state)},
}


class Foreign:
    """A class of another program: where its file is read, there is no such module."""


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("form", WRITTEN)
def test_what_other_programs_write_is_read(
    tmp_path: Path, form: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = ModuleType("mmengine_like")
    monkeypatch.setattr(Foreign, "__module__", foreign.__name__)
    foreign.Foreign = Foreign  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, foreign.__name__, foreign)
    state = {name: value + 1 if name.endswith("num_batches_tracked") else value for name, value in stored().items()}
    torch.save(WRITTEN[form](state), tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    monkeypatch.delitem(sys.modules, foreign.__name__)
    found = loaded(tmp_path / "a.pth")
    assert same(without_counters(found), without_counters(state))
    assert form == "without counters" or same(found, state)
    assert foreign.__name__ not in sys.modules


@pytest.mark.parametrize("stored_as", ["half", "float32"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_and_constants_keep_their_digits(
    tmp_path: Path, dtype: torch.dtype, stored_as: str
) -> None:
    """Also where another program has read such a file, and written float32 again."""
    written = half(stored(), dtype) if stored_as == "half" else half(half(stored(), dtype), torch.float32)
    torch.save({"state_dict": written}, tmp_path / "a.pth")
    found = loaded(tmp_path / "a.pth")
    constants = [name for name in found if name.rpartition(".")[2] in CONSTANTS]
    assert constants and all(torch.equal(found[name], stored()[name]) for name in constants)
    rest = {name: value for name, value in stored().items() if name not in (*constants, SIGMAS)}
    assert all(torch.equal(found[name], half(rest, dtype)[name].to(value.dtype)) for name, value in rest.items())


def test_a_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(1, 1)).save(str(tmp_path / "a.pt"))  # pyright: ignore
    with pytest.raises(Refused, match="a TorchScript program; save its state_dict"):
        loaded(tmp_path / "a.pt")


def test_what_has_no_tensors_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"model": Harmful(), "epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(Refused, match="holds no named tensors; it has model, epoch; pass a state dict"):
        loaded(tmp_path / "a.pt")


def test_safetensors_and_npz(tmp_path: Path) -> None:
    save_file(stored(), tmp_path / "a.safetensors")
    assert same(loaded(tmp_path / "a.safetensors"), stored())
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{k: v.numpy() for k, v in stored().items()})
    assert same(loaded(tmp_path / "a.npz"), stored())


def test_what_is_exported_loads_again(tmp_path: Path) -> None:
    network = Network(tiny(), seed=3)
    torch.save({"state_dict": published_state(network)}, tmp_path / "a.pth")
    assert same(loaded(tmp_path / "a.pth"), published_state(network))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("constant", "elsewhere"),
    [
        (SIGMAS, "head.criterion.sigmas"),
        (SIGMAS, ""),
        ("neck.sincos_pos_enc.dim_t", "neck.pos_enc.dim_t"),
        ("head.dcc.spe.dim_t", "head.dcc.position.dim_t"),
        ("head.dcc.x_bins", "head.x_bins"),
    ],
)
def test_a_constant_may_stand_elsewhere(tmp_path: Path, constant: str, elsewhere: str) -> None:
    state = stored()
    value = state.pop(constant)
    torch.save(state | ({elsewhere: value} if elsewhere else {}), tmp_path / "a.pth")
    assert same(loaded(tmp_path / "a.pth"), stored())


@pytest.mark.slow
def test_a_constant_of_another_value_is_refused(tmp_path: Path) -> None:
    torch.save(stored() | {SIGMAS: torch.full((17,), 0.05)}, tmp_path / "a.pth")
    with pytest.raises(Refused, match=r"head\.loss_oks\.sigmas"):
        loaded(tmp_path / "a.pth")
    torch.save(stored() | {"head.dcc.x_bins": torch.linspace(-1, 1, 40)}, tmp_path / "b.pth")
    with pytest.raises(Refused, match=r"head\.dcc\.x_bins"):
        loaded(tmp_path / "b.pth")


@pytest.mark.slow
def test_neutral_normalisation_is_accepted_and_another_is_not(tmp_path: Path) -> None:
    none = {"data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    torch.save(stored() | none, tmp_path / "a.pth")
    assert same(loaded(tmp_path / "a.pth"), stored())
    torch.save(stored() | {"data_preprocessor.mean": torch.full((3, 1, 1), 114.0)}, tmp_path / "a.pth")
    with pytest.raises(Refused, match=r"data_preprocessor\.mean unexpected"):
        loaded(tmp_path / "a.pth")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone.stem.conv.conv.weight": None}, "backbone.stem.conv.conv.weight missing"),
        ({"head.extra": torch.ones(2)}, "head.extra unexpected"),
        ({"head.dcc.x_fc.bias": torch.ones(3)}, r"head.dcc.x_fc.bias has shape \(3,\) instead of \(24,\)"),
    ],
)
def test_the_first_difference_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    state: dict[str, Any] = stored() | change
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "a.pth")
    with pytest.raises(Refused, match=message) as refused:
        loaded(tmp_path / "a.pth")
    assert "\n" not in str(refused.value)
    assert "fits no preset" in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "keypoints"), [("t", 17), ("s", 14)])
def test_the_preset_that_would_fit_is_named(tmp_path: Path, size: str, keypoints: int) -> None:
    torch.save(published_state(Network(rtmo(size, keypoints))), tmp_path / "a.pth")
    with pytest.raises(Refused, match=rf"fits the preset rtmo\('{size}', {keypoints}\)"):
        loaded(tmp_path / "a.pth")


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        loaded(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(Refused, match="not a checkpoint that can be read safely"):
        loaded(tmp_path / "text.pth")
    torch.save({"state_dict": {}}, tmp_path / "empty.pth")
    with pytest.raises(Refused, match="holds no named tensors"):
        loaded(tmp_path / "empty.pth")


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("harm done",))


def test_loading_from_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "a.pth"
    torch.save({"state_dict": stored()}, file)
    network = Network(tiny(), seed=1)
    with served({"a.pth": file.read_bytes()}) as server:
        load_published(network, f"{server.address}/a.pth", hashlib.sha256(file.read_bytes()).hexdigest())
    assert same(published_state(network), stored())
