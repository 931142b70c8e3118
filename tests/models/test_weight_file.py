"""Files of weights, whoever wrote them: the tensors under published names, and what the file says of itself."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file, save_file

from tests.models.written import equal, job_folder, mmpose_file, nano_with, network, points, published
from tests.properties import changed, quickly
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.models.job import Job
from workbench.models.weight_file import job_in, read_weight_file, write_weight_file
from workbench.models.weight_names import FOCOOS_SIGMAS, SIGMAS
from workbench.models.zoo import nano


def focoos_state() -> dict[str, torch.Tensor]:
    return {FOCOOS_SIGMAS if name == SIGMAS else name: value for name, value in published().items()}


def test_mmposes_file(tmp_path: Path) -> None:
    meta = {"epoch": 3, "dataset_meta": {"keypoint_id2name": {1: "b", 0: "a"}, "colors": np.zeros(3, np.uint8)}}
    hub = {"log_scalars": {"loss": torch.zeros(2)}}
    beside: Any = {"meta": meta, "message_hub": hub, "optimizer": {"state": {i: torch.zeros(1) for i in range(9)}}}
    found = read_weight_file(mmpose_file(tmp_path / "a.pth", **beside))
    assert (found.names, found.place, found.prefix, found.others) == ("mmpose", ("state_dict",), "", ())
    assert equal(found.tensors, published()) and found.keypoints == ("a", "b")
    assert found.beside == {
        "meta": "2 entries: epoch, dataset_meta",
        "message_hub": "1 entries: log_scalars",
        "optimizer": "9 tensors",
    }


def test_focoos_file_and_its_average(tmp_path: Path) -> None:
    plain = {name: torch.zeros_like(value) for name, value in focoos_state().items()}
    neutral = {"pixel_mean": torch.zeros(3, 1, 1), "pixel_std": torch.ones(3, 1, 1)}
    torch.save({"model": plain, "ema_state": focoos_state() | neutral, "iteration": 7}, tmp_path / "a.pth")
    found = read_weight_file(tmp_path / "a.pth")
    assert (found.names, found.place) == ("focoos", ("ema_state",))
    assert equal(found.tensors, published() | neutral)
    assert found.beside == {"model": f"{len(plain)} tensors", "iteration": "7"}
    torch.save({"model": focoos_state(), "ema_state": {}}, tmp_path / "b.pth")
    assert read_weight_file(tmp_path / "b.pth").place == ("model",)


def test_wrappers_and_what_is_beside_the_network(tmp_path: Path) -> None:
    state = {f"module._orig_mod.{name}": value for name, value in published().items()}
    torch.save({"state_dict": {**state, "steps": torch.tensor(3)}}, tmp_path / "a.pth")
    found = read_weight_file(tmp_path / "a.pth")
    assert found.prefix == "module._orig_mod." and found.others == ("steps",) and equal(found.tensors, published())


def test_our_names_become_the_published_ones(tmp_path: Path) -> None:
    save_file(network().state_dict(), tmp_path / "a.safetensors")
    found = read_weight_file(tmp_path / "a.safetensors")
    expected = {name: value for name, value in published().items() if name != SIGMAS}
    assert found.names == "workbench" and equal(found.tensors, expected) and found.place == ()
    assert found.job is None and found.variant is None and found.size is None


def test_a_file_of_ours_says_whose_weights_it_holds(tmp_path: Path) -> None:
    variant, sigmas = nano_with(4, 2), torch.tensor(points(4).sigmas, dtype=torch.float16)
    write_weight_file(tmp_path / "a.safetensors", network(4, 2).state_dict(), variant, (64, 96), sigmas)
    found = read_weight_file(tmp_path / "a.safetensors")
    assert found.variant == variant and found.size == (64, 96)
    assert equal({SIGMAS: found.tensors[SIGMAS]}, {SIGMAS: sigmas})


class HistoryBuffer:
    """As mmengine's, which keeps a function of its own class with its numbers."""

    def __init__(self) -> None:
        self._log_history, self._statistics = np.ones(3, np.float32), {"mean": HistoryBuffer.mean}

    def mean(self) -> float:
        return 1.0


def test_logs_of_mmengine_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ModuleType("mmengine_logging")
    monkeypatch.setattr(HistoryBuffer, "__module__", engine.__name__)
    engine.HistoryBuffer = HistoryBuffer  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, engine.__name__, engine)
    hub = {"log_scalars": OrderedDict(loss=HistoryBuffer()), "runtime_info": OrderedDict(epoch=3, loop=None)}
    mmpose_file(tmp_path / "a.pth", message_hub=hub, param_schedulers=[{"begin": 0}], ema_state_dict={})
    monkeypatch.delitem(sys.modules, engine.__name__)
    found = read_weight_file(tmp_path / "a.pth")
    assert equal(found.tensors, published()) and found.place == ("state_dict",)
    assert found.beside["param_schedulers"] == "1 entries" and "log_scalars" in found.beside["message_hub"]


@pytest.mark.parametrize("name", ["", "weights.safetensors", "checkpoint.pt"])
def test_the_folder_of_a_job_and_its_files(name: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    weights = read_weight_file(folder).tensors
    average = {name: value + 1 for name, value in small_state(folder).items()}
    torch.save({"model": small_state(folder), "ema": average, "ema_steps": 3, "epoch": 1}, folder / "checkpoint.pt")
    found = read_weight_file(folder / name)
    assert found.job == small_job() == job_in(folder)
    assert found.place == (("ema",) if name == "checkpoint.pt" else ())
    assert equal(found.tensors, {key: value + (name == "checkpoint.pt") for key, value in weights.items()})


def small_state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


@pytest.mark.parametrize("missing", ["job.json", "weights.safetensors"])
def test_a_folder_that_is_no_complete_job_is_refused(missing: str, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    (folder / missing).unlink()
    with pytest.raises(Refused, match=f"no {missing}; expected the folder of a complete job"):
        read_weight_file(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"type": "Recipe"}', "job.json holds a Recipe; expected a Job"), ("{", "job.json: it is damaged")],
)
def test_what_is_no_job_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(Refused, match=said):
        job_in(tmp_path)


def test_a_digest_is_checked(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="its sha256 is"):
        read_weight_file(mmpose_file(tmp_path / "a.pth"), "0" * 8)


@quickly
@given(changed(Job(variant=nano()).to_dict(defaults=True)))
def test_no_content_of_a_job_file_gives_a_traceback(tmp_path: Path, content: Any) -> None:
    (tmp_path / "job.json").write_text(json.dumps(content), "utf-8")
    with suppress(Refused):
        assert isinstance(job_in(tmp_path), Job)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b"null", b'{"type": "PAFPN"}'])
def test_a_job_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "job.json").write_bytes(content)
    with pytest.raises(Refused):
        job_in(tmp_path)
