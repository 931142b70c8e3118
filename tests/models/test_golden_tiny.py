"""The whole tiny model against the reference's numbers: inference, assignment, targets, losses, gradients."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from workbench.components.assigners.simota import SimOTA, dynamic_k_match, matching_costs
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.losses.bbox_aux import raw_boxes
from workbench.components.losses.mle import laplace, mle
from workbench.components.losses.oks import oks_loss
from workbench.components.necks.hybrid_encoder import HybridEncoder, positions
from workbench.core.skeletons import COCO
from workbench.data.transforms.geometry import Letterbox
from workbench.models.criterion import _Matched, losses
from workbench.models.decode import detect, keep
from workbench.models.network import Network, decoded, priors
from workbench.models.published import load_published, published_name
from workbench.models.variant import Variant
from workbench.tensors import Assignment, Cells, Dense, Targets

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny"
CASES = sorted(path.stem for path in TINY.glob("train_stage*.npz"))
PREDICTIONS = {"default": (0.1, 0.65, 100_000), "low": (0.003, 0.65, 100_000), "pre": (0.003, 0.3, 20)}
MEDIUM = {  # what the m and l configurations change
    "losses.MLE.weights": (0.01, 5.0, 5.0),
    "losses.VariFocal.weights": (1.0, 2.0, 2.0),
    "phases.1.overlaps_power": 1.0,
    "phases.2.overlaps_power": 1.0,
    "assigner.use_keypoints_for_center": False,
}


@cache
def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as stored:
        return {k: torch.from_numpy(np.asarray(stored[k])) for k in stored.files}


def tiny(**changes: Any) -> Variant:
    """The variant that golden/tiny/model_cfg.json describes."""
    cfg = json.loads((TINY / "model_cfg.json").read_text())
    neck, head, dcc = cfg["neck"], cfg["head"]["head_module_cfg"], cfg["head"]["dcc_cfg"]
    layer = neck["encoder_cfg"]
    variant = Variant(
        backbone=CSPDarknet(width=cfg["backbone"]["widen_factor"], depth=cfg["backbone"]["deepen_factor"]),
        neck=HybridEncoder(
            transformer_embed_dims=neck["hidden_dim"],
            transformer_num_heads=layer["self_attn_cfg"]["num_heads"],
            transformer_feedforward_channels=layer["ffn_cfg"]["feedforward_channels"],
            width=neck["widen_factor"],
            depth=neck["deepen_factor"],
            out_channels=neck["projector"]["out_channels"],
        ),
        head=RTMOHead(width=head["widen_factor"], pose_vec_channels=head["pose_vec_channels"]),
        coords=DCC(
            feat_channels_dcc=dcc["feat_channels"],
            num_bins=tuple(dcc["num_bins"]),
            spe_channels=dcc["spe_channels"],
            gau_s=dcc["gau_cfg"]["s"],
        ),
    )
    return variant.vary(changes)


def loaded(variant: Variant) -> Network:
    network = Network(variant, seed=0)
    load_published(network, TINY / "state_dict.npz")
    return network


def close(ours: Tensor, theirs: Tensor, tolerance: float = 2e-4, what: str = "") -> None:
    limit = tolerance * max(1.0, float(theirs.detach().abs().max()) if theirs.numel() else 1.0)
    torch.testing.assert_close(ours.to(theirs.dtype), theirs, rtol=0, atol=limit, msg=lambda m: f"{what}: {m}")


def pixels(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2).float()


# --- inference


@cache
def inference() -> tuple[Network, Dense]:
    network = loaded(tiny()).eval()
    with torch.no_grad():
        towers = network.towers(pixels(golden("tiny/inference")["image_uint8_bgr_nhwc"]))
        outputs = network.head.read(towers, proxy=True)
    return network, decoded(outputs, [(8, 10), (4, 5)], (16, 32))


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
        centre, size = stage._extent(cells)
        close(torch.cat([centre, size], 1), g["dcc_bbox_cs"])
        found = stage(cells)
        plain = stage.pose_to_kpts(cells.pose).unflatten(1, (17, -1))
        close(plain, g["dcc_kpt_feats"])
        close(stage._tokens(cells), g["dcc_kpt_feats_after_gau"])
        for i, axis in enumerate("xy"):
            heatmap, fc = getattr(found, axis), getattr(stage, f"{axis}_fc")
            close(heatmap.bins, g[f"dcc_{axis}_bins"])
            close(fc(stage.spe(heatmap.bins - cells.points[:, i : i + 1]))[:4], g[f"dcc_{axis}_enc"])
            close(heatmap.logits[:4], g[f"dcc_{axis}_logits"])
            close(heatmap.prob, g[f"dcc_{axis}_prob"])
        close(found.sigma, g["dcc_sigma"])
        close(found.keypoints, g["dcc_keypoints"])
        close(stage.decode(cells), g["dcc_keypoints"])


@pytest.mark.parametrize("tag", PREDICTIONS)
def test_predictions(tag: str) -> None:
    network, _ = inference()
    g = golden("tiny/inference")
    score, overlap, most = PREDICTIONS[tag]
    images = pixels(g["image_uint8_bgr_nhwc"])
    found = detect(network, images, score_threshold=score, nms_threshold=overlap, nms_pre=most)
    center, scale = g["back_mapping_input_center"], g["back_mapping_input_scale"]
    for i, one in enumerate(found):
        prefix = f"pred_{tag}_img{i}_"
        assert len(one) == len(g[prefix + "bboxes"])
        assert one.labels.tolist() == g[prefix + "labels"].tolist()
        for ours, name in (
            (one.boxes, "bboxes"),
            (one.scores, "bbox_scores"),
            (one.keypoints, "keypoints"),
            (one.keypoint_scores, "keypoint_scores"),
        ):
            close(torch.from_numpy(ours), g[prefix + name], what=prefix + name)
        back = Letterbox((128, 160), center[i].numpy(), scale.numpy()).detections_back(one)
        close(torch.from_numpy(back.keypoints), g[prefix + "keypoints_orig"].float(), what=tag)
        close(torch.from_numpy(back.boxes), g[prefix + "bboxes_orig"].float(), what=tag)


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


def lone_cells(boxes: Tensor, scores: Tensor) -> Dense:
    n = len(boxes)
    return Dense(
        cls=scores.logit()[None, :, None],
        box_raw=boxes[None],
        boxes=boxes[None],
        proxy=None,
        vis=torch.zeros(1, n, 17),
        pose=torch.zeros(1, n, 4),
        points=boxes[:, :2],
        strides=torch.ones(n),
        canvas=(64, 64),
    )


def test_suppression() -> None:
    g = golden("pieces/nms")
    dense = lone_cells(g["boxes"], g["scores"])
    for name, threshold in (("keep_065", 0.65), ("keep_03", 0.3), ("keep_01", 0.1)):
        _, cell, score, _ = keep(dense, 0.0, threshold, 100_000)
        assert cell.tolist() == g[name].tolist()
        close(score, g["scores"][cell])
    _, cell, score, _ = keep(dense, 0.3, 1.0, 15)
    assert cell.tolist() == g["filter_thr03_top15_index"].tolist()
    close(score, g["filter_thr03_top15_scores"])


# --- training


def targets(batch: str, mask: bool) -> Targets:
    g = golden("tiny/train_inputs")
    names = {"boxes": "bboxes", "keypoints": "keypoints", "visible": "keypoints_visible", "areas": "areas"}
    rows = {ours: [g[f"{batch}{i}_{name}"] for i in (0, 1)] for ours, name in names.items()}
    padded = {k: nn.utils.rnn.pad_sequence(v, batch_first=True) for k, v in rows.items()}
    counts = torch.tensor([[len(v)] for v in rows["boxes"]])
    present = torch.arange(int(counts.max())) < counts
    return Targets(
        **padded,
        labels=torch.zeros(present.shape, dtype=torch.int64),
        keypoint_weights=torch.ones_like(padded["visible"]),
        present=present,
        ignore=torch.stack([g["invalid_mask"], torch.zeros_like(g["invalid_mask"])]) if mask else None,
    )


class Step:
    """One forward with losses, as the reference did it."""

    def __init__(self, case: str) -> None:
        self.g = golden(f"tiny/{case}")
        words = case.removeprefix("train_").split("_")
        self.phase = int(words[0][-1]) - 1
        self.medium = "ml" in words
        self.network = loaded(tiny(**MEDIUM) if self.medium else tiny()).train()
        if "bneval" in words:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        batch = "A" if "A" in words else "B"
        self.targets = targets(batch, mask="mask" in words)
        self.dense = self.network(pixels(golden("tiny/train_inputs")[f"{batch}_image_uint8_bgr_hwc"]))
        self.terms = losses(self.network, self.dense, self.targets, self.phase)
        self.after = {k: v.clone() for k, v in self.network.state_dict().items() if "running" in k}
        self.sigmas = torch.tensor(COCO.sigmas)
        assigner = self.network.variant.assigner
        assert isinstance(assigner, SimOTA)
        self.assigner = assigner
        with torch.no_grad():
            self.assigned: Assignment = assigner.assign(self.dense, self.targets, self.sigmas)
            self.matched = _Matched(
                self.network,
                self.dense,
                self.targets,
                self.assigned,
                self.network.variant.phases[self.phase],
                self.sigmas,
            )


@cache
def step(case: str) -> Step:
    return Step(case)


def test_all_cases_are_here() -> None:
    assert len(CASES) == 10


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_losses(case: str) -> None:
    s = step(case)
    expected = {k.removesuffix(".mean"): v for k, v in s.g.items() if k.startswith("loss_") and v.ndim == 0}
    assert set(s.terms) == set(expected)
    for name, value in expected.items():
        close(s.terms[name], value, what=name)
    close(torch.stack(list(s.terms.values())).sum(), s.g["total"], what="total")


@pytest.mark.parametrize("case", CASES)
def test_assignment(case: str) -> None:
    s, g = step(case), step(case).g
    found = matching_costs(s.dense, s.targets, s.sigmas, s.assigner)
    chosen = dynamic_k_match(found.cost, found.oks, found.candidate, s.targets.present, s.assigner)
    for i in range(2):
        prefix = f"assign{i}."
        persons = int(s.targets.present[i].sum())
        if not persons:
            assert not any(k.startswith(prefix) for k in g)
            assert (chosen[i] < 0).all()
            continue
        valid = g[prefix + "valid_mask"]
        assert torch.equal(found.candidate[i], valid)
        close(found.cost[i, valid, :persons], g[prefix + "cost"], what="cost")
        close(found.oks[i, valid, :persons], g[prefix + "pairwise"], what="oks")
        close(s.dense.cls[i].detach().sigmoid().sqrt(), g[prefix + "scores"], what="scores")
        best = found.oks[i, valid, :persons].topk(min(10, int(valid.sum())), 0).values.sum(0)
        assert torch.equal(best.int().clamp(min=1), g[prefix + "dynamic_ks"])
        assert torch.equal(chosen[i] + 1, g[prefix + "gt_inds"])
        positive = chosen[i] >= 0
        mine = found.oks[i, positive].gather(1, chosen[i, positive, None])[:, 0]
        close(mine, g[prefix + "max_overlaps"][positive], what="overlaps")
        assert (g[prefix + "max_overlaps"][~positive] <= 0).all()
        assert torch.equal(g[prefix + "labels"] == 0, positive)


@pytest.mark.parametrize("case", CASES)
def test_targets(case: str) -> None:
    s, g, m = step(case), step(case).g, step(case).matched
    a = s.assigned
    flat = a.image * 100 + a.cell
    assert torch.equal(flat, g["target.pos_index"])
    assert torch.equal(flat, g["target.pos_masks"].nonzero()[:, 0])
    assert float(m.positives) == float(g["num_samples"])
    assert a.image.bincount(minlength=2).tolist() == g["target.num_fg_imgs"].tolist()
    close(a.overlaps[:, None], g["target.cls_targets"], what="cls_targets")
    close(m.cls_target.flatten(0, 1), g["target.obj_targets"], what="obj_targets")
    close(m.cls_weight.flatten(0, 1), g["target.obj_weights"], what="obj_weights")
    close(m.gt_boxes, g["target.bbox_targets"], what="boxes")
    close(m.gt_keypoints, g["target.kpt_targets"], what="keypoints")
    close(m.visible, g["target.vis_targets"], what="visible")
    close(m.keypoint_weights, g["target.vis_weights"], what="weights")
    close(m.areas, g["target.pos_areas"], what="areas")
    where = torch.cat([m.cells.points, m.cells.strides[:, None].expand(-1, 2)], 1)
    assert torch.equal(where, g["target.pos_priors"])
    if "target.bbox_aux_targets" in g:
        close(raw_boxes(m.gt_boxes, m.cells.points, m.cells.strides), g["target.bbox_aux_targets"], what="aux")
        offsets = (m.gt_keypoints - m.cells.points[:, None]) / m.cells.strides[:, None, None]
        close(offsets, g["target.kpt_aux_targets"], what="aux")  # no published loss reads it
    overlaps = m.cls_target.flatten(0, 1)[flat] ** (1 / s.network.variant.phases[s.phase].overlaps_power)
    close(overlaps, g["overlaps"], what="overlaps")
    close(overlaps.mean(), g["overlaps.mean"], what="overlaps.mean")


@pytest.mark.parametrize("case", CASES)
def test_coordinates_of_positives(case: str) -> None:
    s, g = step(case), step(case).g
    found = s.matched.coords
    assert found.x is not None and found.y is not None and found.sigma is not None
    close(found.keypoints, g["dcc.kpt"], what="keypoints")
    close(found.sigma, g["dcc.sigma"], what="sigma")
    for i, axis in enumerate((found.x, found.y)):
        name = "xy"[i]
        n = len(g[f"dcc.{name}_prob"])
        close(axis.prob[:n], g[f"dcc.{name}_prob"], what="prob")
        near = laplace(axis.bins, s.matched.gt_keypoints[..., i], s.matched.areas, found.sigma)
        close(near[:n], g[f"dcc.target_{name}"], what="target")


@pytest.mark.parametrize("case", CASES)
def test_terms_of_each_positive(case: str) -> None:
    """loss_mle and loss_oks are recorded per positive, with the weight of the phase."""
    s, m = step(case), step(case).matched
    weight = {loss.term: loss.weights[s.phase] for loss in s.network.variant.losses}
    c = m.coords
    assert c.x is not None and c.y is not None and c.sigma is not None and m.cells.proxy is not None
    near = [laplace(a.bins, m.gt_keypoints[..., i], m.areas, c.sigma) for i, a in enumerate((c.x, c.y))]
    ours = mle(c.x.prob, c.y.prob, near[0], near[1], m.visible).mean(-1) * weight["loss_mle"]
    close(ours, s.g["loss_mle"], what="mle")
    ours = oks_loss(m.cells.proxy, m.proxy_target, m.proxy_weight, m.areas, m.sigmas) * weight["loss_oks"]
    close(ours, s.g["loss_oks"], what="oks")


@pytest.mark.parametrize("case", ["train_stage1_A", "train_stage2_B"])
def test_gradients_and_running_statistics(case: str) -> None:
    s = Step(case)
    after = {k.removeprefix("after."): v for k, v in s.g.items() if k.startswith("after.")}
    ours = {published_name(k): v for k, v in s.after.items()}
    assert after
    for name, value in after.items():
        close(ours[name], value, what=name)

    torch.stack(list(s.terms.values())).sum().backward()
    grads = {published_name(k): p.grad for k, p in s.network.named_parameters()}
    norms = json.loads((TINY / f"grad{case.replace('train_', 'norm_')}.json").read_text())
    assert set(norms) == set(grads)
    expected = {k.removeprefix("grad."): v for k, v in s.g.items() if k.startswith("grad.")}
    assert expected
    for name, value in expected.items():
        grad = grads[name]
        assert grad is not None, name
        close(grad, value, what=name)
    for name, norm in norms.items():
        grad = grads[name]
        if norm is None:
            assert grad is None or not grad.any(), name
        else:
            assert grad is not None, name
            assert float(grad.norm()) == pytest.approx(norm, rel=1e-3, abs=2e-4), name
    total = torch.stack([g.norm() for g in grads.values() if g is not None]).norm()
    assert float(total) == pytest.approx(float(s.g["grad_total_norm"]), rel=2e-4)


def test_every_array_of_training_is_compared() -> None:
    parts = ("loss_", "target.", "dcc.", "grad.", "after.", "total", "num_samples", "overlaps", "grad_total_norm")
    keys = {k for case in CASES for k in golden(f"tiny/{case}")}
    assert all(k.startswith((*parts, "assign0.", "assign1.")) for k in keys)
