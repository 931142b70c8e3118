"""The coordinate stages: against recorded numbers of the reference, against slow obvious code, and as contracts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from workbench.components.coords import dcc
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.coords.dcc import DCC
from workbench.components.coords.layers import PersonNorm, SinePosition
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Cells, Coordinates

GOLDEN = Path(__file__).parents[2] / "golden"

STAGES: dict[str, Coords] = {
    "dcc": DCC(num_bins=(10, 14), feat_channels_dcc=16, spe_channels=12, gau_s=8),
    "dcc static allocation": DCC(num_bins=(10, 14), feat_channels_dcc=16, dynamic_allocation=False, gau_s=8),
    "dcc static encoding": DCC(num_bins=(10, 14), feat_channels_dcc=16, dynamic_encoding=False, gau_s=8),
    "dcc all static": DCC(
        num_bins=(10, 14),
        feat_channels_dcc=16,
        dynamic_allocation=False,
        dynamic_encoding=False,
        cell_position=True,
        gau=False,
    ),
    "dcc fixes": DCC(num_bins=(10, 14), feat_channels_dcc=16, cell_position=True, box_gradient=False, logit_scale=0.1),
    "regression": Regression(),
    "box heatmap": BoxHeatmap(grid=(5, 3)),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@cache
def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as data:
        return {k: torch.from_numpy(data[k]) for k in data if data[k].dtype.kind in "fiub"}


def close(got: Tensor, ref: Tensor, tolerance: float = 2e-4) -> None:
    assert got.shape == ref.shape
    worst = float((got.detach().float() - ref).abs().max())
    assert worst <= tolerance * max(1.0, float(ref.abs().max())), worst


def weights(data: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in data.items() if k.startswith(prefix)}


def some_cells(p: int, k: int = 5, channels: int = 6, canvas: tuple[int, int] = (96, 160)) -> Cells:
    """Cells near the middle of persons somewhere on a canvas that is not square."""
    height, width = canvas
    points = torch.rand(p, 2) * torch.tensor([width, height])
    half = 5 + 20 * torch.rand(p, 2)
    return Cells(
        pose=torch.randn(p, channels).requires_grad_(),
        boxes=torch.cat((points - half, points + 1.5 * half), 1).requires_grad_(),
        points=points,
        strides=torch.full((p,), 16.0),
        proxy=(points.unsqueeze(1) + torch.randn(p, k, 2)).requires_grad_(),
        canvas=canvas,
    )


# ---- recorded numbers


def test_sine_encoding_is_the_recorded_one() -> None:
    ref = golden("pieces/spe")
    spe = SinePosition(128)
    close(spe.dim_t, ref["dcc_dim_t"], 1e-6)
    close(spe(ref["dcc_position"]), ref["dcc_encoding"])


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


@pytest.mark.skipif(not (GOLDEN / "tiny" / "inference.npz").exists(), reason="recorded tiny model absent")
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


# ---- fast code against slow code


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


def test_gradients_of_the_sine_product_are_those_of_its_plain_form() -> None:
    spe = SinePosition(12).double()
    query = torch.randn(3, 5, 12, dtype=torch.double, requires_grad=True)
    position = (100 * torch.randn(3, 7, dtype=torch.double)).requires_grad_()
    product = spe.product(query, position)
    plain = query @ spe(position).transpose(1, 2)
    torch.testing.assert_close(product, plain)
    factor = torch.randn_like(plain)
    ours = torch.autograd.grad(product, (query, position), factor)
    torch.testing.assert_close(ours, torch.autograd.grad(plain, (query, position), factor))
    assert torch.autograd.gradcheck(spe.product, (query, position))


@pytest.mark.parametrize("name", STAGES)
def test_decode_agrees_with_forward(name: str) -> None:
    stage = STAGES[name].build(6, 5).eval()
    cells = some_cells(4)
    torch.testing.assert_close(stage.decode(cells), stage(cells).keypoints, rtol=0, atol=1e-3)


# ---- contracts


def everything(out: Coordinates) -> list[Tensor]:
    heats = [a for a in (out.x, out.y, out.grid) if a]
    return [
        out.keypoints,
        *([] if out.sigma is None else [out.sigma]),
        *(a.prob for a in heats),
        *(a.bins for a in heats),
    ]


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("p", [0, 1, 4])
@pytest.mark.parametrize("name", STAGES)
def test_stage_trains_on_any_number_of_cells(name: str, p: int, bf16: bool) -> None:
    spec, k = STAGES[name], 5
    stage = spec.build(6, k).train()
    cells = some_cells(p, k)
    with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
        out = stage(cells)
    assert out.keypoints.shape == (p, k, 2)
    assert all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in everything(out))
    # Random factors, because a sum over probabilities is constant and has no gradient.
    total = torch.stack([(t * torch.randn_like(t)).sum() for t in everything(out)]).sum()
    total.backward()
    if p == 0:
        assert float(total.detach()) == 0.0
    for parameter in (n for n, v in stage.named_parameters() if v.grad is None):
        pytest.fail(f"{parameter} is without a gradient")
    if p == 4:
        silent = {n for n, v in stage.named_parameters() if v.grad is not None and not v.grad.abs().max() > 0}
        assert silent <= {"x_fc.bias", "y_fc.bias"}


@pytest.mark.parametrize("name", STAGES)
def test_stage_gives_what_it_offers(name: str) -> None:
    spec = STAGES[name]
    cells = some_cells(3, 5)
    if not spec.reads_proxy:
        cells.proxy = None
    out = spec.build(6, 5)(cells)
    assert ("sigma" in spec.offers) == (out.sigma is not None)
    assert ("axes" in spec.offers) == (out.x is not None and out.y is not None)
    assert ("grid" in spec.offers) == (out.grid is not None)
    assert ("teacher" in spec.offers) == (not spec.reads_proxy)
    for heat in (out.x, out.y, out.grid):
        if heat is not None:
            width = heat.prob.shape[-1]
            assert heat.logits.shape == heat.prob.shape == (3, 5, width)
            assert heat.bins.shape[:2] == (3, width)
            torch.testing.assert_close(heat.prob.sum(-1), torch.ones(3, 5))
            torch.testing.assert_close(heat.prob, heat.logits.softmax(-1))


@pytest.mark.parametrize("name", STAGES)
def test_stage_is_made_of_its_spec_alone(name: str) -> None:
    spec = STAGES[name]
    stage = spec.build(6, 2)
    state = stage.state_dict()
    spec.build(6, 2).load_state_dict(state)
    assert all(t.isfinite().all() for t in state.values())


@pytest.mark.parametrize("name", ["dcc", "dcc static encoding", "box heatmap"])
def test_bins_on_the_box_follow_it(name: str) -> None:
    out = (stage := STAGES[name].build(6, 5).eval())(cells := some_cells(3))
    x1, y1, x2, y2 = cells.boxes.detach().unbind(-1)
    low = torch.stack((x1 + x2, y1 + y2), -1) / 2 - 0.625 * torch.stack((x2 - x1, y2 - y1), -1)
    high = torch.stack((x1 + x2, y1 + y2), -1) / 2 + 0.625 * torch.stack((x2 - x1, y2 - y1), -1)
    bins = [out.grid.bins[..., i] for i in (0, 1)] if out.grid else [out.x.bins, out.y.bins]
    torch.testing.assert_close(torch.stack([b.amin(-1) for b in bins], -1), low)
    torch.testing.assert_close(torch.stack([b.amax(-1) for b in bins], -1), high)
    keypoints = stage.decode(cells)
    assert bool(((keypoints >= low.unsqueeze(1)) & (keypoints <= high.unsqueeze(1))).all())


@pytest.mark.parametrize("name", ["dcc static allocation", "dcc all static"])
def test_static_bins_reach_from_edge_to_edge_of_the_input(name: str) -> None:
    out = STAGES[name].build(6, 5).eval()(some_cells(3, canvas=(96, 160)))
    for row in range(3):
        torch.testing.assert_close(out.x.bins[row], torch.linspace(0, 160, 10))
        torch.testing.assert_close(out.y.bins[row], torch.linspace(0, 96, 14))


def test_rows_of_the_grid_run_down_the_image() -> None:
    stage = BoxHeatmap(grid=(4, 3), padding=1.0).build(6, 1)
    cells = some_cells(1, 1)
    cells.boxes = torch.tensor([[10.0, 20.0, 30.0, 80.0]])
    places = stage(cells).grid.bins.view(4, 3, 2)
    torch.testing.assert_close(places[:, 0, 1], torch.tensor([20.0, 40.0, 60.0, 80.0]))
    torch.testing.assert_close(places[0, :, 0], torch.tensor([10.0, 20.0, 30.0]))


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


@pytest.mark.parametrize(
    ("spec", "moved"),
    [(DCC(num_bins=(10, 14)), True), (DCC(num_bins=(10, 14), box_gradient=False), False), (BoxHeatmap(), False)],
    ids=["dcc", "dcc without", "box heatmap"],
)
def test_whether_losses_move_the_boxes(spec: Coords, moved: bool) -> None:
    cells = some_cells(3)
    spec.build(6, 5)(cells).keypoints.square().sum().backward()
    assert (cells.boxes.grad is not None) == moved


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


def test_norm_over_persons_uses_running_statistics_for_one_person_only() -> None:
    ours, plain = PersonNorm(4).train(), nn.BatchNorm1d(4).train()
    x = torch.randn(7, 4)
    torch.testing.assert_close(ours(x), plain(x))
    before = {k: v.clone() for k, v in ours.state_dict().items()}
    one = ours(x[:1])
    assert all(torch.equal(v, before[k]) for k, v in ours.state_dict().items())
    torch.testing.assert_close(one, plain.eval()(x[:1]))


def test_dropout_acts_in_training_only() -> None:
    stage = DCC(num_bins=(10, 14), gau_dropout_rate=0.5).build(6, 5)
    cells = some_cells(3)
    assert not torch.equal(stage.train()(cells).keypoints, stage(cells).keypoints)
    assert torch.equal(stage.eval()(cells).keypoints, stage(cells).keypoints)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DCC(num_bins=(1, 4)), "at least 2 bins"),
        (lambda: DCC(spe_channels=7), "even number"),
        (lambda: DCC(padding=0.0), "must be positive"),
        (lambda: DCC(num_bins=(4, 1)), "at least 2 bins"),
        (lambda: BoxHeatmap(grid=(1, 9)), "at least 2"),
        (lambda: BoxHeatmap(padding=-1.0), "must be positive"),
    ],
)
def test_impossible_values_are_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(Refused, match=says):
        make()


def test_regression_without_the_regression_branch_is_refused() -> None:
    cells = some_cells(2)
    assert torch.equal(Regression().build(6, 5)(cells).keypoints, cells.proxy)  # type: ignore[arg-type]
    cells.proxy = None
    with pytest.raises(Refused, match="proxy=True"):
        Regression().build(6, 5)(cells)
