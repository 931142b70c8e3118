"""The dynamic coordinate classifier against recorded numbers and slow obvious code, and what its switches do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tests.components.coords.stages import STAGES, some_cells
from tests.recorded import close, golden, weights
from workbench.components.coords import dcc
from workbench.components.coords.dcc import DCC
from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Cells


def test_gated_attention_is_the_recorded_one() -> None:
    ref = golden("pieces/gau")
    gau = dcc.GatedAttention(channels=16, s=12, expansion=2, dropout=0.0)
    gau.load_state_dict(weights(ref, "w."))
    x = ref["x"].clone().requires_grad_()
    close(gau.ln(x), ref["scalenorm_x"])
    y = gau(x, ref["pos_enc"])
    close(y, ref["y"])
    y.backward(ref["grad_out"])
    assert x.grad is not None
    close(x.grad, ref["grad_x"])
    for name, p in gau.named_parameters():
        assert p.grad is not None
        close(p.grad, ref[f"grad.{name}"])


def small_dcc(ref: dict[str, Tensor]) -> CoordinateStage:
    stage = DCC(feat_channels_dcc=16, num_bins=(24, 32), spe_channels=32, gau_s=12).build(24, 17)
    stage.load_state_dict(weights(ref, "w."))
    return stage


def recorded_cells(ref: dict[str, Tensor]) -> Cells:
    return Cells(
        pose=ref["pose_vec"].clone().requires_grad_(),
        boxes=ref["bbox_xyxy"].clone().requires_grad_(),
        points=ref["grids"],
        strides=torch.full((len(ref["grids"]),), 16.0),
        proxy=None,
        canvas=(256, 256),
    )


def density(bins: Tensor, at: Tensor, sigma: Tensor, areas: Tensor) -> Tensor:
    """The published MLE target (P, K, W): a Laplace density around the true coordinate (P, K)."""
    root = areas.sqrt().clamp(min=1)[:, None, None]
    sigma = sigma.clamp(min=1e-3).unsqueeze(-1)
    return torch.exp(-(bins.unsqueeze(1) - at.unsqueeze(-1)).abs() / (2 * root * sigma)) / sigma


@pytest.mark.parametrize("case", ["dcc_eval", "dcc_trainbn"])
def test_dcc_with_its_loss_and_all_gradients_is_the_recorded_one(case: str) -> None:
    ref = golden(f"pieces/{case}")
    stage = small_dcc(ref).train(case == "dcc_trainbn")
    cells = recorded_cells(ref)
    out = stage(cells)
    assert out.x and out.y and out.sigma is not None
    for got, name in ((out.keypoints, "kpt"), (out.sigma, "sigma"), (out.x.prob, "x_prob"), (out.y.prob, "y_prob")):
        close(got, ref[name])
    close(out.x.bins, ref["x_bins"])
    close(out.y.bins, ref["y_bins"])

    true_x, true_y = ref["kpt_targets"].unbind(-1)
    target_x = density(out.x.bins, true_x, out.sigma, ref["areas"])
    target_y = density(out.y.bins, true_y, out.sigma, ref["areas"])
    close(target_x, ref["target_x"])
    close(target_y, ref["target_y"])
    likelihood = (out.x.prob * target_x).sum(-1) * (out.y.prob * target_y).sum(-1)
    loss = (-(likelihood + 1e-4).log() * ref["vis"]).mean(-1)
    close(loss, ref["mle_per_instance"])
    close(loss.mean(), ref["mle_mean"])

    loss.mean().backward()
    assert cells.pose.grad is not None and cells.boxes.grad is not None
    close(cells.pose.grad, ref["grad_pose_vec"])
    close(cells.boxes.grad, ref["grad_bbox_xyxy"])
    for name, p in stage.named_parameters():
        assert p.grad is not None
        close(p.grad, ref[f"grad.{name}"])
        if name in {"x_fc.bias", "y_fc.bias"}:  # constant over the bins: the softmax does not see them
            assert float(p.grad.abs().max()) < 1e-5


def test_dcc_of_the_tiny_model_is_the_recorded_one() -> None:
    ref = golden("tiny/inference")
    stage = DCC(feat_channels_dcc=24, num_bins=(40, 56), spe_channels=32, gau_s=20).build(40, 17)
    stage.load_state_dict(weights(golden("tiny/state_dict"), "head.dcc."))
    stage.eval()
    cells = Cells(
        pose=ref["dcc_in_pose_vec"],
        boxes=ref["dcc_in_bbox_xyxy"],
        points=ref["dcc_in_grid"],
        strides=torch.full((16,), 16.0),
        proxy=None,
        canvas=(128, 160),
    )
    out = stage(cells)
    assert out.x and out.y and out.sigma is not None
    close(stage.get_submodule("pose_to_kpts")(cells.pose).view(16, 17, 24), ref["dcc_kpt_feats"])
    for heat, a in ((out.x, "x"), (out.y, "y")):
        close(heat.bins, ref[f"dcc_{a}_bins"])
        close(heat.logits[:4], ref[f"dcc_{a}_logits"])
        close(heat.prob, ref[f"dcc_{a}_prob"])
    close(out.sigma, ref["dcc_sigma"])
    close(out.keypoints, ref["dcc_keypoints"])
    close(stage.decode(cells), ref["dcc_keypoints"])


def literal_keypoints(stage: CoordinateStage, cells: Cells) -> Tensor:
    """The published order of products: every bin is encoded to a full vector, then meets every token. After the tokens
    in float64, so that what is compared has the errors of the fast code alone."""
    spec, fc = DCC(), stage.get_submodule
    tokens = fc("gau")(fc("pose_to_kpts")(cells.pose).view(len(cells), -1, 128), stage.get_parameter("pos_enc"))
    tokens, boxes, points = tokens.double(), cells.boxes.double(), cells.points.double()
    spe, answers = copy.deepcopy(fc("spe")).double(), []
    for i, a in enumerate("xy"):
        centre = (boxes[:, i] + boxes[:, i + 2]) / 2
        size = (boxes[:, i + 2] - boxes[:, i]) * spec.padding
        bins = stage.get_buffer(f"{a}_bins").double() * size[:, None] + centre[:, None]
        encoded = copy.deepcopy(fc(f"{a}_fc")).double()(spe(bins - points[:, i, None]))  # (P, W, 128)
        logits = torch.einsum("pkc,pwc->pkw", tokens, encoded)
        e = torch.exp(logits - logits.amax(-1, keepdim=True))
        answers.append((e / (e.sum(-1, keepdim=True) + 1e-8) * bins.unsqueeze(1)).sum(-1))
    return torch.stack(answers, -1).float()


def multiply_adds(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2


def test_decode_is_the_published_computation_at_less_than_half_its_price() -> None:
    stage = DCC().build(256, 17).eval()
    cells = some_cells(8, 17, 256, (480, 640))
    slow = literal_keypoints(stage, cells)
    # one of these heatmaps has two equal peaks far apart: there a last digit moves the mean
    torch.testing.assert_close(stage.decode(cells), slow, rtol=0, atol=1e-2)
    torch.testing.assert_close(stage(cells).keypoints, slow, rtol=0, atol=2e-3)

    one = some_cells(1, 17, 256, (480, 640))
    with torch.no_grad():
        torch.testing.assert_close(stage.decode(cells), slow.detach(), rtol=0, atol=1e-2)
        published = multiply_adds(lambda: literal_keypoints(stage, one))
        ours = multiply_adds(lambda: stage.decode(one))
    assert (published, ours) == (10_932_608, 4_157_248)


@pytest.mark.parametrize("name", ["dcc static allocation", "dcc all static"])
def test_static_bins_reach_from_edge_to_edge_of_the_input(name: str) -> None:
    out = STAGES[name].build(6, 5).eval()(some_cells(3, canvas=(96, 160)))
    for row in range(3):
        torch.testing.assert_close(out.x.bins[row], torch.linspace(0, 160, 10))
        torch.testing.assert_close(out.y.bins[row], torch.linspace(0, 96, 14))


def tells_place(spec: Coords) -> bool:
    """Whether the same pose vector and box mean other bins in another cell."""
    stage, here = spec.build(6, 5).eval(), some_cells(2)
    here.pose = here.pose[:1].expand(2, -1)
    here.boxes = here.boxes[:1].expand(2, -1)
    out = stage(here).x
    return not torch.allclose(out.prob[0], out.prob[1], atol=1e-4)


def test_static_stage_knows_its_cell_only_where_told() -> None:
    static = DCC(num_bins=(10, 14), dynamic_allocation=False, dynamic_encoding=False)
    assert not tells_place(static)
    assert tells_place(static.vary({"cell_position": True}))
    assert not tells_place(DCC(num_bins=(10, 14), dynamic_encoding=False))
    assert tells_place(DCC(num_bins=(10, 14), dynamic_encoding=False, cell_position=True))
    assert tells_place(DCC(num_bins=(10, 14)))


def test_key_points_attend_to_each_other_only_with_the_gau() -> None:
    for gau in (True, False):
        stage = DCC(num_bins=(10, 14), gau=gau).build(6, 5).eval()
        cells = some_cells(1)
        before = stage.decode(cells)
        with torch.no_grad():
            stage.get_parameter("pose_to_kpts.0.bias")[:128] += 1.0  # the first key point's token
        others_moved = not torch.allclose(before[:, 1:], stage.decode(cells)[:, 1:])
        assert others_moved == gau


def test_logit_scale_flattens_the_first_softmax() -> None:
    torch.manual_seed(1)
    sharp = DCC().build(64, 17).eval()
    torch.manual_seed(1)
    flat = DCC(logit_scale=128**-0.5).build(64, 17).eval()
    cells = some_cells(4, 17, 64)
    a, b = sharp(cells).x, flat(cells).x
    torch.testing.assert_close(a.logits * 128**-0.5, b.logits, rtol=1e-4, atol=1e-3)
    assert bool(a.prob.amax(-1).mean() > 2 * b.prob.amax(-1).mean())


def test_dropout_acts_in_training_only() -> None:
    stage = DCC(num_bins=(10, 14), gau_dropout_rate=0.5).build(6, 5)
    cells = some_cells(3)
    assert not torch.equal(stage.train()(cells).keypoints, stage(cells).keypoints)
    assert torch.equal(stage.eval()(cells).keypoints, stage(cells).keypoints)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        *(("num_bins", bins, "at least 2 bins") for bins in ((1, 4), (4, 1), (0, 8), (8, 1), (-1, 8))),
        *(("spe_channels", channels, "even number") for channels in (0, 7, -2)),
        ("gau_dropout_rate", -0.1, "0 or more"),
        ("gau_dropout_rate", 1.0, "below 1"),
        ("padding", 0.0, "must be positive"),
        ("padding", -1.0, "must be positive"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(Refused, match=rf"DCC.{name}: .*{says}"):
        DCC(**{name: value})
