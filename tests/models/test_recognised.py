"""Which network a file of weights is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models.written import job_folder, mmpose_file, nano_with, network, published
from workbench.core.skeletons import AP10K, COCO, CROWDPOSE
from workbench.models import zoo
from workbench.models.recognised import advice, learnt_shapes, recognised, skeleton_in
from workbench.models.weight_file import WeightFile, read_weight_file, write_weight_file
from workbench.models.weight_names import SIGMAS


def of(tensors: dict[str, torch.Tensor], **facts: Any) -> WeightFile:
    return WeightFile(source="a.pth", path=Path("a.pth"), names="mmpose", tensors=tensors, **facts)


def of_shapes(size: str, keypoints: int, **more: torch.Tensor) -> WeightFile:
    """A released model without its numbers."""
    shapes = learnt_shapes(zoo.rtmo(size, keypoints))
    return of({name: torch.empty(shape, device="meta") for name, shape in shapes.items()} | more)


@pytest.mark.parametrize(("size", "keypoints"), [("t", 17), ("s", 14)])
def test_released_models_are_known_by_their_shapes(size: str, keypoints: int) -> None:
    found = recognised(of_shapes(size, keypoints))
    assert found is not None
    assert (found.preset, found.variant) == (f"rtmo-{size}", zoo.rtmo(size, keypoints))
    assert found.size == ((416, 416) if size == "t" else (640, 640))
    assert advice(of_shapes(size, keypoints)) == f"It fits the preset rtmo({size!r}, {keypoints})"


@pytest.mark.parametrize(("count", "classes"), [(17, 1), (4, 1), (17, 3), (5, 2)])
def test_key_points_and_classes_are_told_by_the_shapes(count: int, classes: int) -> None:
    found = recognised(of(published(count, classes)))
    assert found is not None and found.preset == "nano" and found.size == (96, 96)
    assert (found.variant.num_keypoints, found.variant.num_classes) == (count, classes)
    assert found.variant.skeleton.sigmas == nano_with(count).skeleton.sigmas


def test_advice_on_a_network_of_ones_own() -> None:
    assert advice(of(published(5, 2))) == "It fits the preset nano with 5 key points and 2 classes"
    assert advice(of({"head.x": torch.zeros(1)})).startswith("It fits no preset t, s, m, l or nano")


@pytest.mark.parametrize(
    "gone", ["head.dcc.pos_enc", "backbone.stem.conv.conv.weight", "neck.input_proj.0.conv.weight"]
)
def test_a_network_in_parts_is_none(gone: str) -> None:
    assert recognised(of({name: value for name, value in published().items() if name != gone})) is None


def sigmas(values: tuple[float, ...], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {SIGMAS: torch.tensor(values, dtype=dtype)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_key_points_are_told_by_their_constants(dtype: torch.dtype) -> None:
    assert skeleton_in(of(sigmas(COCO.sigmas, dtype)), 17) == COCO
    assert skeleton_in(of(sigmas(AP10K.sigmas, dtype)), 17) == AP10K
    assert skeleton_in(of(sigmas(CROWDPOSE.sigmas, dtype)), 14) == CROWDPOSE


def test_key_points_are_told_by_their_names() -> None:
    assert skeleton_in(of({}, keypoints=COCO.keypoints), 17) == COCO
    turned = skeleton_in(of({}, keypoints=COCO.keypoints[::-1]), 17)
    assert turned != COCO and turned.keypoints == COCO.keypoints[::-1]
    own = skeleton_in(of(sigmas((0.05, 0.1)), keypoints=("head", "tail")), 2)
    assert own.keypoints == ("head", "tail") and own.sigmas == (0.05, 0.1)


def test_points_without_names_and_constants_have_numbers() -> None:
    assert skeleton_in(of({}), 17) == COCO and skeleton_in(of({}), 14) == CROWDPOSE
    assert skeleton_in(of({}), 3).keypoints == ("point 0", "point 1", "point 2")
    assert skeleton_in(of(sigmas((0.05,) * 17)), 17).name == "of_the_file"


def test_focoos_constants_of_other_points_are_taken_as_they_stand() -> None:
    """It has 0.05 for each where there are not 17, whatever they are."""
    skeleton = skeleton_in(of(sigmas((0.05,) * 14)), 14)
    assert skeleton != CROWDPOSE and skeleton.sigmas == (0.05,) * 14 and len(skeleton) == 14


def test_a_file_that_says_what_it_is_is_believed(tmp_path: Path) -> None:
    variant = nano_with(4).vary({"coords.padding": 1.0})
    write_weight_file(tmp_path / "a.safetensors", network(4).state_dict(), variant, (64, 96), torch.ones(4))
    found = recognised(read_weight_file(tmp_path / "a.safetensors"))
    assert found is not None and (found.preset, found.variant, found.size) == ("", variant, (64, 96))
    job = read_weight_file(job_folder(tmp_path / "job"))
    found = recognised(job)
    assert found is not None and job.job is not None and found.variant == job.job.variant and found.size == (64, 64)
    assert advice(job) == "It fits the network of its job"


def test_a_file_of_mmpose_is_recognised_as_it_is_written(tmp_path: Path) -> None:
    found = recognised(read_weight_file(mmpose_file(tmp_path / "a.pth")))
    assert found is not None and found.variant == zoo.nano()
