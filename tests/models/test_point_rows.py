"""A key point begins with the rows of its namesake, wherever that stands in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.written import mmpose_file, network
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.models.initial import Initialised, initialise
from workbench.models.network import Network
from workbench.models.point_rows import namesakes, tensor_rows
from workbench.models.weight_names import our_name
from workbench.models.zoo import REGRESSION, nano

SHARED = 12  # shoulders to ankles


def with_points(skeleton: Skeleton) -> Network:
    return Network(nano().vary({"num_keypoints": len(skeleton), "keypoint_set": skeleton}), 1)


def named(*names: str) -> Skeleton:
    return Skeleton(name="own", keypoints=names, sigmas=(0.05,) * len(names), flip=tuple(range(len(names))))


def begun(skeleton: Skeleton, path: Path) -> tuple[Network, Network, Initialised]:
    """A network that began with a file of COCO's key points, the same before that, and what was said."""
    made = with_points(skeleton)
    return made, with_points(skeleton), initialise(made, mmpose_file(path / "a.pth"))


def test_names_are_matched_in_any_spelling() -> None:
    assert namesakes(named("R_Eye", "L_Eye", "tail"), COCO) == {0: 2, 1: 1}
    assert len(namesakes(CROWDPOSE, COCO)) == SHARED and not namesakes(named("tail"), COCO)


def test_which_tensors_have_rows_for_key_points() -> None:
    rows = tensor_rows(nano())
    assert rows["head.head_module.out_kpt_reg.0.weight"] == 2 and rows["head.dcc.pose_to_kpts.0.weight"] == 48
    assert not any("out_cls" in name for name in rows)
    assert not any("dcc" in name for name in tensor_rows(nano().vary(REGRESSION)))


def test_each_point_has_the_tensor_rows_its_namesake_and_others_are_new(tmp_path: Path) -> None:
    made, fresh, found = begun(CROWDPOSE, tmp_path)
    assert found.points == CROWDPOSE.keypoints[-2:]
    assert found.new == () and found.lines()[-1].startswith("new key points: ")
    places = namesakes(CROWDPOSE, COCO)
    after, before, source = (one.state_dict() for one in (made, fresh, network()))
    for published, each in tensor_rows(made.variant).items():
        name = our_name(published)
        for k in range(len(CROWDPOSE)):
            mine = slice(k * each, (k + 1) * each)
            there = slice(places[k] * each, (places[k] + 1) * each) if k in places else mine
            assert torch.equal(after[name][mine], (source if k in places else before)[name][there]), (name, k)


@pytest.mark.parametrize("turned", [True, False])
def test_the_order_of_the_points_may_be_another(turned: bool, tmp_path: Path) -> None:
    """The number of points is no proof that they are the same."""
    names = tuple(reversed(COCO.keypoints)) if turned else COCO.keypoints
    made, _, found = begun(named(*names), tmp_path)
    name = "head.out_kpt_vis.0.weight"
    there = network().state_dict()[name]
    assert found.points == found.new == ()
    assert torch.equal(made.state_dict()[name], there.flip(0) if turned else there)


def test_as_many_points_of_other_names_are_all_new(tmp_path: Path) -> None:
    made, fresh, found = begun(named(*(f"p{k}" for k in range(17))), tmp_path)
    rows = {our_name(name) for name in tensor_rows(made.variant)}
    assert set(found.new) == rows and not found.points
    for name in rows:
        assert torch.equal(made.state_dict()[name], fresh.state_dict()[name]), name
