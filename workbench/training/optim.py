"""How weights move: parameter groups and the moving average. The learning rate over time is in `models.schedule`."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from workbench.models.job import Recipe
from workbench.models.network import Network

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def parameter_groups(network: Network, recipe: Recipe) -> list[dict[str, object]]:
    """Groups for AdamW with `base`, the rate that the schedule starts from.

    Published: what the neck calls slow, its transformer encoder, learns slower; parameters of normalisations and those
    literally named `bias` do not decay, all others do (also `in_proj_bias`). Frozen parameters are left out.
    """
    norms = {id(p) for m in network.modules() if isinstance(m, _NORMS) for p in m.parameters(recurse=False)}
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, p in network.named_parameters():
        if p.requires_grad:
            base = recipe.lr * (recipe.encoder_lr_scale if name.startswith(network.slow) else 1)
            plain = id(p) in norms or name.rpartition(".")[2] == "bias"
            groups.setdefault((base, 0.0 if plain else recipe.weight_decay), []).append(p)
    return [{"params": ps, "lr": base, "base": base, "weight_decay": wd} for (base, wd), ps in groups.items()]


def clip_gradients(network: Network, recipe: Recipe) -> None:
    """Scales all gradients together to the recipe's largest norm, those of modules that learn apart each alone.

    Raises:
        RuntimeError: a gradient is not finite.
    """
    apart = [list(module.parameters()) for module in network.coords.apart]
    own = {id(p) for parameters in apart for p in parameters}
    for parameters in ([p for p in network.parameters() if id(p) not in own], *apart):
        try:
            clip_grad_norm_(parameters, recipe.clip, error_if_nonfinite=True)
        except RuntimeError as error:
            raise RuntimeError(_endless(network)) from error


def _endless(network: Network) -> str:
    """What is said of a gradient that is not finite."""
    grads = [(name, p.grad) for name, p in network.named_parameters() if p.grad is not None]
    odd = [name for name, grad in grads if not bool(grad.isfinite().all())]
    first = f" in {len(odd)} of {len(grads)} parameters, the first {odd[0]}" if odd else ": its norm is too large"
    return f"the gradient is not finite{first}; a loss is NaN, the learning rate too large, or images are of one colour"


def ema_momentum(recipe: Recipe, step: int) -> float:
    """The share of the new weights at update `step` (from 0): large at first, `recipe.ema_momentum` in the end."""
    floor = recipe.ema_momentum
    return (1 - floor) * math.exp(-(1 + step) / recipe.ema_gamma) + floor


class MovingAverage:
    """An exponential average of weights and floating buffers. The first update copies; integer buffers stay as then."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.recipe = recipe
        self.steps = 0
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        if self.steps == 0:
            self.network.load_state_dict(network.state_dict())
        else:
            mine, theirs = self._floats(network)
            # the counter is of updates before this one; the copy was the first
            torch._foreach_lerp_(mine, theirs, ema_momentum(self.recipe, self.steps))  # pyright: ignore[reportPrivateImportUsage]
        self.steps += 1

    def _floats(self, network: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        if self._pairs is None:
            theirs, mine, still = network.state_dict(), self.network.state_dict(), _frozen(network)
            names = [n for n, t in mine.items() if t.is_floating_point() and n not in still]
            self._pairs = [mine[n] for n in names], [theirs[n] for n in names]
        return self._pairs


def _frozen(network: nn.Module) -> set[str]:
    """The names of what can not change: frozen parameters, and buffers beside them."""
    return {
        f"{prefix}.{name}"
        for prefix, module in network.named_modules()
        for own in [dict(module.named_parameters(recurse=False))]
        if own and not any(p.requires_grad for p in own.values())
        for name in [*own, *dict(module.named_buffers(recurse=False))]
    }
