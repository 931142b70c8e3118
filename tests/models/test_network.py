"""The network against the reference's numbers, and with the parts that the catalogue finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.models.found import every
from tests.models.tiny import inference, pixels
from tests.recorded import close, golden
from tests.small import small_variant
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import positions
from workbench.core.errors import Refused
from workbench.models import zoo
from workbench.models.network import Network, priors
from workbench.slots import Head
from workbench.tensors import Cells


def test_backbone_neck_and_raw_head() -> None:
    network, _ = inference()
    g = golden("tiny/inference")
    with torch.no_grad():
        c3, c4, c5 = network.backbone(pixels(g["image_uint8_bgr_nhwc"]))
        p4, p5 = network.neck([c3, c4, c5])
        raw = network.head([p4, p5], proxy=True)
    for ours, name in ((c3, "backbone_c3"), (c4, "backbone_c4"), (c5, "backbone_c5"), (p4, "neck_p4"), (p5, "neck_p5")):
        close(ours, g[name], what=name)
    published = {"cls": "cls", "box": "bbox", "proxy": "kpt_offset", "vis": "kpt_vis", "pose": "pose_vec"}
    for ours, name in published.items():
        flat = torch.cat([g[f"head_{name}_s{s}"].flatten(2).transpose(1, 2) for s in (16, 32)], 1)
        close(getattr(raw, ours), flat, what=name)


def test_encoder() -> None:
    network, _ = inference()
    g = golden("tiny/inference")
    table = positions(4, 5, 64, torch.device("cpu"), torch.float32)
    close(table, g["neck_pos_enc_c5"])
    neck: Any = network.neck
    with torch.no_grad():
        tokens = neck.input_proj[2](g["backbone_c5"]).flatten(2).transpose(1, 2)
        close(neck.encoder[0](tokens, table), g["neck_encoder_out"])


def test_decoded_cells() -> None:
    _, dense = inference()
    g = golden("tiny/inference")
    assert torch.equal(torch.cat([dense.points, dense.strides[:, None].expand(-1, 2)], 1), g["priors"])
    close(dense.boxes, g["decoded_bbox_xyxy"])
    assert dense.proxy is not None
    close(dense.proxy, g["decoded_kpt_reg"])
    close(dense.cls.sigmoid()[..., 0], g["scores"])
    close(dense.vis.sigmoid(), g["kpt_vis_prob"])


def test_dynamic_coordinate_classifier() -> None:
    network, dense = inference()
    g = golden("tiny/inference")
    index = g["dcc_in_index"]
    close(dense.pose[0, index], g["dcc_in_pose_vec"])
    close(dense.boxes[0, index], g["dcc_in_bbox_xyxy"])
    assert torch.equal(dense.points[index], g["dcc_in_grid"])
    cells = Cells(
        pose=g["dcc_in_pose_vec"],
        boxes=g["dcc_in_bbox_xyxy"],
        points=g["dcc_in_grid"],
        strides=dense.strides[index],
        proxy=None,
        canvas=dense.canvas,
    )
    stage: Any = network.coords
    with torch.no_grad():
        centre, size = stage.extent(cells)
        close(torch.cat([centre, size], 1), g["dcc_bbox_cs"])
        found = stage(cells)
        plain = stage.pose_to_kpts(cells.pose).unflatten(1, (17, -1))
        close(plain, g["dcc_kpt_feats"])
        close(stage.tokens(cells), g["dcc_kpt_feats_after_gau"])
        for i, axis in enumerate("xy"):
            heatmap, fc = getattr(found, axis), getattr(stage, f"{axis}_fc")
            close(heatmap.bins, g[f"dcc_{axis}_bins"])
            close(fc(stage.spe(heatmap.bins - cells.points[:, i : i + 1]))[:4], g[f"dcc_{axis}_enc"])
            close(heatmap.logits[:4], g[f"dcc_{axis}_logits"])
            close(heatmap.prob, g[f"dcc_{axis}_prob"])
        close(found.sigma, g["dcc_sigma"])
        close(found.keypoints, g["dcc_keypoints"])
        close(stage.decode(cells), g["dcc_keypoints"])


def test_every_array_of_inference_is_compared() -> None:
    compared = (
        "image_",
        "backbone_",
        "neck_",
        "head_",
        "priors",
        "decoded_",
        "scores",
        "kpt_vis_prob",
        "dcc_",
        "pred_",
    )
    assert all(k.startswith((*compared, "back_mapping_")) for k in golden("tiny/inference"))


def test_priors() -> None:
    g = golden("pieces/priors_128x160")
    points, strides = priors([(8, 10), (4, 5)], (16, 32), torch.device("cpu"))
    assert torch.equal(torch.cat([points, strides[:, None].expand(-1, 2)], 1), g["priors"])


@pytest.mark.parametrize("fact", ["neck.slow", "head.probed"])
def test_a_part_that_names_a_child_it_does_not_have_is_refused(fact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slot, name = fact.split(".")
    monkeypatch.setattr(type(getattr(zoo.nano(), slot)), name, ("nobody",))
    with torch.device("meta"), pytest.raises(Refused, match=rf"{name} names \['nobody'\]; its module has the children"):
        Network(zoo.nano())


@every("head")
def test_a_head_stands_alone_in_the_network(cls: type[Head]) -> None:
    """Whatever its pose vector, the coordinate stage is built to it."""
    head = cls() if cls is not RTMOHead else RTMOHead(width=0.25, pose_vec_channels=48)
    network = Network(zoo.nano().vary({"head": head}), seed=0).eval()
    assert network(torch.zeros(1, 3, 64, 64)).pose.shape == (1, 20, network.head.pose_channels)


def test_rows_share_the_first_weights_of_shared_parts() -> None:
    a, b = (Network(small_variant(**c), seed=1) for c in ({}, {"coords.dynamic_encoding": False}))
    for part in ("backbone", "neck", "head"):
        mine, yours = getattr(a, part).state_dict(), getattr(b, part).state_dict()
        assert all(torch.equal(mine[k], yours[k]) for k in mine), part
    other = Network(small_variant(), seed=2).state_dict()
    assert not torch.equal(a.state_dict()["head.out_pose.0.weight"], other["head.out_pose.0.weight"])
