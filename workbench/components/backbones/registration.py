"""How our own backbones are offered to timm: as networks that give feature maps, of BGR images in 0..255.

timm takes twice as long to import as torch, and most commands have no use for it. So ours are registered when somebody
imports it, be that before or after.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

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
    from timm.models import build_model_with_cfg

    return build_model_with_cfg(
        module,
        name,
        pretrained,
        feature_cfg={"out_indices": (0, 1, 2, 3, 4), "flatten_sequential": False},
        kwargs_filter=_UNUSED,
        pretrained_filter_fn=lambda state, model: fitting(state, model, name, PREFIX),
        **options,
    )


def offer(configs: Mapping[str, Mapping[str, Any]], *networks: Callable[..., Any]) -> None:
    """Registers functions of one module with timm under their names, as soon as timm is imported.

    Args:
        configs: what timm keeps of each network, by its name (see `timm_config`).
    """

    def register() -> None:
        from timm.models import generate_default_cfgs, register_model

        module: Any = sys.modules[networks[0].__module__]
        module.default_cfgs = generate_default_cfgs({name: dict(config) for name, config in configs.items()})
        for network in networks:
            register_model(network)

    if "timm" in sys.modules:
        register()
    else:
        _WAITING.append(register)


_WAITING: list[Callable[[], None]] = []


class _AfterTimm(MetaPathFinder):
    """Finds timm where it lies, once, and registers what waits when it has been imported."""

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != "timm":
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(fullname)
        if found is not None and found.loader is not None:
            run = _then_register(found.loader.exec_module)
            found.loader.exec_module = run  # pyright: ignore[reportAttributeAccessIssue]
        return found


def _then_register(execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def exec_module(module: ModuleType) -> None:
        execute(module)
        for register in _WAITING:
            register()

    return exec_module


if "timm" not in sys.modules:
    sys.meta_path.insert(0, _AfterTimm())
