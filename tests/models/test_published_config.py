"""The fields of the model card: names, defaults, and which of them do not go together."""

import dataclasses
from typing import Any

import pytest
import torch

from workbench.core.errors import Refused
from workbench.models.published_config import CSPConfig, ResNetConfig, RTMOConfig, STDCConfig, config_of
from workbench.models.variant import Variant
from workbench.models.zoo import nano, rtmo

PUBLISHED = {
    "num_classes": 1,
    "num_keypoints": 17,
    "transformer_embed_dims": 256,
    "transformer_num_heads": 8,
    "transformer_feedforward_channels": 1024,
    "transformer_dropout": 0.0,
    "transformer_encoder_layers": 1,
    "in_channels": 256,
    "pose_vec_channels": 256,
    "cls_feat_channels": 256,
    "stacked_convs": 2,
    "feat_channels_dcc": 128,
    "num_bins": (192, 256),
    "spe_channels": 128,
    "gau_s": 128,
    "gau_expansion_factor": 2,
    "gau_dropout_rate": 0.0,
}


def test_fields_and_defaults_are_the_published_ones() -> None:
    config = RTMOConfig()
    for name, value in PUBLISHED.items():
        assert getattr(config, name) == value
    more = {f.name for f in dataclasses.fields(config)} - set(PUBLISHED)
    assert more == {
        "backbone_config",
        "featmap_strides",
        "featmap_strides_pointgenerator",
        "centralize_points_pointgenerator",
        "widen_factor",
        "csp_layers",
    }
    # the card's own values for these do not fit the released weights
    assert config.featmap_strides == config.featmap_strides_pointgenerator == (16, 32)
    assert config.centralize_points_pointgenerator
    assert RTMOConfig.__doc__ and "[16, 8]" in RTMOConfig.__doc__


def test_default_is_the_released_small_model() -> None:
    assert RTMOConfig().variant() == rtmo("s") == Variant()


@pytest.mark.parametrize(
    "backbone", [ResNetConfig(depth=18), STDCConfig(size="nano"), STDCConfig(), CSPConfig(size="medium")]
)
def test_other_backbones(backbone: Any) -> None:
    with torch.device("meta"):
        variant = RTMOConfig(backbone_config=backbone).variant()
    assert variant.backbone == backbone.backbone()


def test_a_custom_model_as_the_card_writes_it() -> None:
    config = RTMOConfig(backbone_config=CSPConfig(size="small", use_pretrained=False), num_classes=1, num_keypoints=17)
    assert config == RTMOConfig()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"featmap_strides": [16, 8], "featmap_strides_pointgenerator": [16, 8]}, "ascending"),
        ({"featmap_strides": [8, 16]}, "differ"),
        ({"centralize_points_pointgenerator": False}, "keep True"),
        ({"num_classes": 0}, "at least 1"),
        ({"num_keypoints": 16}, "no known skeleton"),
        ({"num_bins": (1, 256)}, "at least 2"),
        ({"transformer_num_heads": 7}, "heads"),
        ({"gau_s": "128"}, "gau_s"),
    ],
)
def test_a_config_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        RTMOConfig(**fields)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("keypoints", [17, 14])
@pytest.mark.parametrize("size", ["t", "s", "m", "l"])
def test_a_released_network_has_its_config(size: str, keypoints: int) -> None:
    found = config_of(rtmo(size, keypoints))
    assert found is not None and found.variant() == rtmo(size, keypoints)


def test_what_the_fields_do_not_describe_has_none() -> None:
    assert config_of(nano()) is None
    assert config_of(rtmo("s").vary({"coords.num_bins": (96, 128)})) is None
