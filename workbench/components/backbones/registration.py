"""How our own backbones are offered to timm: as networks that give feature maps, of BGR images in 0..255."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models import build_model_with_cfg

from workbench.core.weights import fitting
from workbench.slots import Pyramid

PREFIX = "backbone."  # before the names of weights in checkpoints of whole models
_UNUSED: Any = ("num_classes", "global_pool")  # timm offers these to every network; ours has no classifier


def timm_config(url: str = "") -> dict[str, Any]:
    """What timm keeps of a network: where its weights are, and how it wants its images."""
    given = {"input_size": (3, 640, 640), "mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}
    return given | ({"url": url} if url else {})


def timm_network(module: type[Pyramid], name: str, pretrained: bool, options: Mapping[str, Any]) -> Any:
    """The module as timm builds it, `options` being arguments of either. It gives maps at strides 2 to 32."""
    return build_model_with_cfg(
        module,
        name,
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3, 4), "flatten_sequential": False},
        kwargs_filter=_UNUSED,
        pretrained_filter_fn=lambda state, model: fitting(state, model, name, PREFIX),
        **options,
    )
