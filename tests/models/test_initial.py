"""A training that begins with the weights of another network: what is taken, what is new, what is left over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.models.written import equal, job_folder, mmpose_file, nano_with, network, published
from tests.small import small_variant
from workbench.core.errors import Refused
from workbench.models.initial import begin_with_file, initialise, keep_start_weights, start_file
from workbench.models.network import Network
from workbench.models.weight_names import is_constant
from workbench.models.zoo import REGRESSION

OF_POINTS = {"head.out_kpt_reg", "head.out_kpt_vis", "coords.pos_enc", "coords.pose_to_kpts", "coords.sigma_fc"}


def begun(count: int = 17, classes: int = 1, seed: int = 1, **changes: Any) -> Network:
    return Network(nano_with(count, classes).vary(changes), seed)


def test_the_same_network_is_taken_whole(tmp_path: Path) -> None:
    other = begun()
    found = initialise(other, mmpose_file(tmp_path / "a.pth"))
    assert found.new == found.left == () and equal(dict(other.state_dict()), dict(network().state_dict()))
    assert {name for name in other.state_dict() if name not in found.taken} == set(
        filter(is_constant, other.state_dict())
    )


@pytest.mark.parametrize(("count", "classes"), [(4, 1), (17, 3), (20, 2)])
def test_other_key_points_and_classes_are_new_and_the_rest_is_taken(count: int, classes: int, tmp_path: Path) -> None:
    other, fresh = begun(count, classes), begun(count, classes).state_dict()
    found = initialise(other, mmpose_file(tmp_path / "a.pth"))
    expected = (OF_POINTS if count != 17 else set()) | ({"head.out_cls"} if classes != 1 else set())
    assert {".".join(name.split(".")[:2]) for name in found.new} == expected and found.left == ()
    for name, value in other.state_dict().items():
        source = fresh if name in found.new or is_constant(name) else network().state_dict()
        assert torch.equal(value, source[name]), name
    assert found.taken and not set(found.taken) & set(found.new)


def test_a_file_may_hold_a_part(tmp_path: Path) -> None:
    backbone = {name: value for name, value in published().items() if name.startswith("backbone.")}
    torch.save(backbone, tmp_path / "a.pth")
    found = initialise(begun(), tmp_path / "a.pth")
    assert set(found.taken) == set(backbone) and all(not name.startswith("backbone.") for name in found.new)


def test_what_is_left_over_is_refused_unless_asked_for(tmp_path: Path) -> None:
    path, other = mmpose_file(tmp_path / "a.pth"), begun(**REGRESSION)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(
        Refused, match=r"a.pth: \d+ tensors have no place in this network: .*coords.*--init-leftover ignore"
    ):
        initialise(other, path)
    assert equal(dict(other.state_dict()), before)
    found = initialise(other, path, leftover=True)
    assert found.left and all(name.startswith("coords.") for name in found.left) and found.new == ()
    assert torch.equal(other.state_dict()["head.out_cls.0.weight"], network().state_dict()["head.out_cls.0.weight"])
    assert found.lines()[2].startswith(f"left over: {len(found.left)} tensors: coords")


def test_another_width_is_refused_in_any_case(tmp_path: Path) -> None:
    other = Network(small_variant(), 0)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(
        Refused, match=r"tensors are of another network, as backbone.stem.conv.conv.weight, .*preset nano"
    ):
        initialise(other, mmpose_file(tmp_path / "a.pth", 4), leftover=True)
    assert equal(dict(other.state_dict()), before)


def test_nothing_that_fits_is_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "a.pth")
    with pytest.raises(Refused, match="nothing of it fits this network"):
        initialise(begun(), tmp_path / "a.pth", leftover=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_fewer_digits_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    given = {name: v.to(dtype) if v.is_floating_point() else v for name, v in network().state_dict().items()}
    save_file(given, tmp_path / "a.safetensors")
    other = begun()
    initialise(other, tmp_path / "a.safetensors")
    assert {v.dtype for v in other.state_dict().values()} == {torch.float32, torch.int64}
    name = "neck.input_proj.0.conv.weight"
    assert torch.equal(other.state_dict()[name], given[name].float())


def test_lines_name_layers(tmp_path: Path) -> None:
    lines = initialise(begun(4), mmpose_file(tmp_path / "a.pth")).lines()
    assert lines[0].startswith("taken: ") and "head.out_kpt_reg.0" in lines[1] and "more layers" in lines[1]
    assert lines[2] == "left over: 0 tensors"


def test_a_copy_is_kept_by_its_digest(tmp_path: Path) -> None:
    source, home = mmpose_file(tmp_path / "a.pth"), tmp_path / "home"
    digest = keep_start_weights(source, home)
    assert keep_start_weights(source, home) == digest and len(digest) == 16
    (tmp_path / "renamed.pth").write_bytes(source.read_bytes())
    assert keep_start_weights(tmp_path / "renamed.pth", home) == digest
    source.unlink()
    assert start_file(home, digest).parent == home / "starts"
    other = begun()
    assert equal(dict(begin_with_file(other, home, digest)), dict(network().state_dict()))
    start_file(home, digest).write_bytes(b"another")
    with pytest.raises(Refused, match="is another file by now"):
        begin_with_file(other, home, digest)
    with pytest.raises(Refused, match=r"no weights 0123 in .*starts, .*--init FILE"):
        start_file(home, "0123")


def test_a_job_is_a_source_too(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    found = initialise(Network(small_variant(), 0), folder)
    assert found.new == found.left == ()
    assert start_file(tmp_path, keep_start_weights(folder, tmp_path)).suffix == ".safetensors"


def test_a_released_model_is_a_source_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mmpose_file(tmp_path / "a.pth")
    monkeypatch.setattr("workbench.models.weight_file.fetched", lambda source, sha256: path)
    assert initialise(begun(), "rtmo_s_coco").new == ()
    assert start_file(tmp_path, keep_start_weights("rtmo-s-coco", tmp_path)).read_bytes() == path.read_bytes()


def test_what_is_no_file_of_weights_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("hello")
    with pytest.raises(Refused, match="not a checkpoint that can be read safely"):
        keep_start_weights(tmp_path / "a.pth", tmp_path)
    assert not (tmp_path / "starts").exists()
