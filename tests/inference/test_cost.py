"""Cost: the recorded counts of the reference, and two counters against each other."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, final

import pytest
import torch
from torch import Tensor, nn

from workbench.components.coords.regression import Regression
from workbench.inference import cost
from workbench.models import zoo
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.slots import CoordinateStage, Coords

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "counts.json").read_text())
RELEASED = {name: zoo.rtmo(name[0], 14 if name.endswith("crowd") else 17) for name in GOLDEN}
FULL = (640, 640)


def stage(kind: str) -> Variant:
    """The small network with another coordinate stage and no losses to refuse it."""
    dcc = zoo.nano().coords
    static = dcc.vary({"dynamic_allocation": False, "dynamic_encoding": False})
    coords = {"dcc": dcc, "static": static, "regression": Regression()}[kind]
    changes = {f"phases.{i}.proxy": False for i in range(3)}
    return zoo.nano().vary({"losses": (), "coords": coords, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_parameters_are_the_published_ones(name: str) -> None:
    published = GOLDEN[name]
    assert cost.parameters(RELEASED[name]) == {
        "backbone": published["backbone"],
        "neck": published["neck"],
        "head": published["head_module"],
        "coords": published["dcc"],
        "train_only": published["params"] - published["params_inference"],
        "total": published["params"],
    }


@pytest.mark.slow
def test_what_inference_needs_depends_on_the_coordinate_stage() -> None:
    """The DCC reads the pose vector and leaves the regression branch to training; plain regression the reverse."""
    head = small().head
    branch, pose = (cost.parameter_count(head.get_submodule(name)) for name in ("out_kpt_reg", "out_pose"))
    sigma = cost.parameter_count(small().coords.get_submodule("sigma_fc"))
    assert cost.parameters(stage("dcc"))["train_only"] == branch + sigma
    assert cost.parameters(stage("regression"))["train_only"] == pose


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_flops_are_within_a_percent_of_the_published_ones(name: str) -> None:
    published = GOLDEN[name]["flops_640"]
    got = cost.flops(RELEASED[name], FULL, persons=1, form="published", counter="torch")
    norm = 2 * 128 * RELEASED[name].num_keypoints  # the reference counts it, we do not
    assert got.coords + norm == published["dcc_1"]  # to the unit
    ours = {"backbone": got.backbone, "neck": got.neck, "head_before_dcc": got.head}
    ours["whole_no_dcc"] = got.total - got.coords
    for part, count in ours.items():
        assert count == pytest.approx(published[part], rel=0.01), part
    deployed = cost.flops(RELEASED[name], FULL, persons=1, counter="torch")
    assert deployed.total - deployed.coords == pytest.approx(GOLDEN[name]["flops_640_deploy_no_dcc"], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("persons", [1, 10, 100])
def test_the_coordinate_stage_is_counted_per_person(persons: int) -> None:
    small = (128, 160)  # 100 cells
    got = cost.flops(RELEASED["s"], small, persons, form="published", counter="torch")
    assert got.coords == pytest.approx(GOLDEN["s"]["flops_640"][f"dcc_{persons}"], rel=0.01)
    assert cost.flops(RELEASED["s"], small, persons, counter="torch").coords == 4_157_248 * persons


def test_the_encoder_is_within_a_percent_of_the_published_one() -> None:
    with torch.device("meta"):
        neck = RELEASED["s"].neck.build(RELEASED["s"].backbone.build().levels).eval()
        tokens, positions = torch.empty(1, 400, 256), torch.empty(400, 256)
    encoder = neck.get_submodule("encoder.0")
    got = cost.multiply_adds(encoder, tokens, positions, counter="torch")
    assert got == pytest.approx(GOLDEN["s"]["flops_640"]["neck_encoder"], rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dcc", "static", "regression"])
@pytest.mark.parametrize("form", ["deployed", "published"])
def test_two_counters_agree_to_the_unit(kind: str, form: cost.Form) -> None:
    both = [cost.flops(stage(kind), (64, 96), 3, form=form, counter=counter) for counter in ("fvcore", "torch")]
    assert both[0] == both[1]
    assert min(both[0].backbone, both[0].neck, both[0].head) > 0


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("bare", [False, True])
def test_attention_is_counted(device: str, bare: bool) -> None:
    """Torch's own layer counts for nothing in eval mode unless its fused kernel is off; so does bare attention."""
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True).eval().to(device)
    scores_and_sum = 2 * 400 * 400 * 256
    expected = scores_and_sum if bare else 400 * (4 * 256 * 256 + 2 * 256 * 1024) + scores_and_sum
    module = _Attention() if bare else layer
    shape = (1, 8, 400, 32) if bare else (1, 400, 256)
    counter: cost.Counter = "torch" if device == "meta" else "fvcore"
    got = cost.multiply_adds(module, torch.zeros(shape, device=device), counter=counter)
    assert got == expected
    if not bare:
        assert round(2 * got / 1e6, 1) == 793.0


class _Attention(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


class _Products(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x @ x.new_ones(5, 7)) @ x.new_ones(7)


def test_products_with_vectors_and_with_fewer_dimensions_are_counted() -> None:
    products, expected = _Products(), 2 * 3 * 5 * 7 + 2 * 3 * 7
    assert cost.multiply_adds(products, torch.zeros(2, 3, 5)) == expected
    assert cost.multiply_adds(products, torch.zeros(2, 3, 5, device="meta"), counter="torch") == expected


RECURRENT = {
    "gru": (nn.GRU(8, 16, batch_first=True), 3 * 16 * (8 + 16)),
    "lstm": (nn.LSTM(8, 16, num_layers=2, bidirectional=True), 2 * 4 * 16 * ((8 + 16) + (2 * 16 + 16))),
    "projected": (nn.LSTM(8, 16, proj_size=4), 4 * 16 * (8 + 4) + 4 * 16),
    "rnn": (nn.RNN(8, 16, nonlinearity="relu", bias=False), 16 * (8 + 16)),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("counter", ["fvcore", "torch"])
def test_recurrent_layers_are_counted(kind: str, counter: cost.Counter) -> None:
    layer, per_step = RECURRENT[kind]
    device = "cpu" if counter == "fvcore" else "meta"
    sequences = torch.zeros(2, 5, 8, device=device)
    assert cost.multiply_adds(copy.deepcopy(layer).to(device), sequences, counter=counter) == 2 * 5 * per_step


def test_the_torch_counter_refuses_tensors_on_which_it_is_wrong() -> None:
    with pytest.raises(ValueError, match="meta"):
        cost.multiply_adds(nn.Linear(2, 2), torch.zeros(1, 2), counter="torch")


def test_counting_leaves_torch_as_it_was() -> None:
    before, random = torch.backends.mha.get_fastpath_enabled(), torch.get_rng_state()
    cost.flops(stage("dcc"), (64, 64), 1)
    assert torch.backends.mha.get_fastpath_enabled() == before
    assert torch.equal(torch.get_rng_state(), random)


@cache
def small() -> Network:
    return Network(stage("dcc"), seed=0).eval()


@final
@dataclass(frozen=True, kw_only=True)
class Costly(Coords):
    """A stage whose published form takes more than what runs in use."""

    extra: int = 0
    reads_proxy: ClassVar[bool] = True

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return Regression().build(pose_channels, keypoints)

    def published_extra(self, keypoints: int) -> int:
        return self.extra * keypoints


@pytest.mark.slow
def test_what_a_stage_costs_more_as_published_is_counted_per_person() -> None:
    variant = stage("regression").vary({"coords": Costly(extra=1000)})
    for persons in (1, 7):
        published, deployed = (
            cost.flops(variant, (64, 64), persons, form=form, counter="torch").coords
            for form in ("published", "deployed")
        )
        assert published - deployed == 1000 * variant.num_keypoints * persons
