"""The same numbers under three programs' names: there and back nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file

from tests.models.written import equal, job_folder, mmpose_file, network, published
from workbench.core.checkpoint import read_checkpoint
from workbench.core.errors import Refused
from workbench.models.named import open_network
from workbench.models.weight_export import ENDINGS, convert_weights
from workbench.models.weight_names import FOCOOS_SIGMAS, SIGMAS, Names


def converted(source: Path, to: Names, name: str) -> Path:
    out = source.parent / f"{name}{ENDINGS[to]}"
    convert_weights(source, out, to)
    return out


def state_of(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path) if path.suffix == ".safetensors" else next(iter(_inner(path)))


def _inner(path: Path) -> list[dict[str, torch.Tensor]]:
    content = read_checkpoint(path)
    return [content[key] for key in ("state_dict", "model") if key in content]


@pytest.mark.parametrize("count", [17, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("way", [("workbench",), ("focoos",), ("workbench", "focoos"), ("focoos", "workbench")])
def test_there_and_back_every_tensor_is_the_same_to_the_bit(
    way: tuple[Names, ...], dtype: torch.dtype, count: int, tmp_path: Path
) -> None:
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in published(count).items()}
    torch.save({"state_dict": given}, tmp_path / "a.pth")
    path = tmp_path / "a.pth"
    for i, names in enumerate((*way, "mmpose")):
        path = converted(path, names, f"step{i}")
    assert equal(state_of(path), given)


def test_ours_go_to_mmpose_and_back(tmp_path: Path) -> None:
    first = converted(mmpose_file(tmp_path / "a.pth", 4, 2), "workbench", "first")
    second = converted(converted(first, "mmpose", "b"), "workbench", "second")
    assert equal(state_of(first), dict(network(4, 2).state_dict()))
    assert equal(state_of(first), state_of(second))


def test_each_program_gets_its_names_where_it_looks_for_them(tmp_path: Path) -> None:
    source = mmpose_file(tmp_path / "a.pth")
    focoos = read_checkpoint(converted(source, "focoos", "f"))
    assert list(focoos) == ["model"] and FOCOOS_SIGMAS in focoos["model"] and SIGMAS not in focoos["model"]
    mmpose = read_checkpoint(converted(source, "mmpose", "m"))
    assert list(mmpose) == ["meta", "state_dict"] and mmpose["state_dict"].keys() == published().keys()
    ours = converted(source, "workbench", "w")
    assert state_of(ours).keys() == network().state_dict().keys()


@pytest.mark.parametrize("to", get_args(Names))
def test_what_is_written_opens_by_itself(to: Names, tmp_path: Path) -> None:
    found, plan = open_network(str(converted(mmpose_file(tmp_path / "a.pth", 4, 2), to, "b")))
    assert plan.size == (96, 96) and equal(dict(found.state_dict()), dict(network(4, 2).state_dict()))


def test_counters_that_are_missing_stay_missing(tmp_path: Path) -> None:
    given = {k: v for k, v in published().items() if not k.endswith("num_batches_tracked")}
    torch.save({"state_dict": given}, tmp_path / "a.pth")
    ours = converted(tmp_path / "a.pth", "workbench", "b")
    assert equal(state_of(converted(ours, "mmpose", "c")), given)


def test_a_job_goes_to_another_program_where_that_has_its_parts(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    said = convert_weights(folder, tmp_path / "a.pth", "mmpose")
    assert "CSPDarknet, HybridEncoder, RTMOHead, DCC, 17 key points, 1 class" in said and "mmpose's names" in said
    changed = job_folder(tmp_path / "other", **{"coords.gau": False})
    with pytest.raises(Refused, match="its DCC has gau switched, which mmpose's can not"):
        convert_weights(changed, tmp_path / "b.pth", "mmpose")


def test_a_stage_that_no_other_program_has_is_refused(tmp_path: Path) -> None:
    from workbench.models.zoo import REGRESSION

    folder = job_folder(tmp_path / "job", **REGRESSION)
    with pytest.raises(Refused, match="its Regression is nothing that focoos has in place of DCC"):
        convert_weights(folder, tmp_path / "b.pth", "focoos")


@pytest.mark.parametrize(
    ("out", "to", "said"),
    [
        ("b.pth", "workbench", r"expected a name ending in \.safetensors"),
        ("b.safetensors", "mmpose", r"expected a name ending in \.pth"),
        ("no/b.pth", "mmpose", "in a folder that exists"),
        ("a.pth", "mmpose", "is the file that is read; give another name"),
        ("b.pth", "yolo", "--to 'yolo': expected workbench or mmpose or focoos"),
    ],
)
def test_what_can_not_be_written_is_refused(out: str, to: Names, said: str, tmp_path: Path) -> None:
    source = mmpose_file(tmp_path / "a.pth")
    with pytest.raises(Refused, match=said):
        convert_weights(source, tmp_path / out, to)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


def test_what_is_no_network_of_ours_is_refused(tmp_path: Path) -> None:
    torch.save({"head.x": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(Refused, match=r"not the weights of a network that is known here\. It fits no preset"):
        convert_weights(tmp_path / "a.pth", tmp_path / "b.pth", "mmpose")
