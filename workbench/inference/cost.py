"""What a network costs: parameters by part and multiply-adds by part. `latency.py` says what it takes in time.

One multiply-add is one unit everywhere, as in the papers ("FLOPs" there): convolutions, linear layers, matrix products,
attention and recurrent layers are counted. Norms, activations and resampling are not: most of the first are folded away
in use, the rest is below 1 %.

The coordinate stage runs per person who was found, so no cost is complete without a number of persons.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from workbench.components.blocks import fused
from workbench.models.network import Network, gather
from workbench.models.variant import Variant
from workbench.tensors import Cells, Dense

PERSONS = 10
NETWORK_PARTS = ("backbone", "neck", "head", "coords")

Form = Literal["deployed", "published"]
Counter = Literal["fvcore", "torch"]
Shape = Sequence[int]


# Parameters


def parameters(variant: Variant) -> dict[str, int]:
    """Numbers of parameters: backbone, neck, head, coords, their total, and how many of it inference does without.

    A layer is `train_only` if inference reaches none of its parameters, such as the regression branch under a DCC or
    the pose vector under plain regression.
    """
    network = untrained(variant, "meta", "published")
    counts = {part: parameter_count(network.get_submodule(part)) for part in NETWORK_PARTS}
    return counts | {"train_only": sum(map(parameter_count, _idle(network))), "total": sum(counts.values())}


def parameter_count(module: nn.Module) -> int:
    """The number of a module's parameters."""
    return sum(p.numel() for p in module.parameters())


def _idle(network: Network) -> Iterator[nn.Module]:
    """Layers of which no parameter has a gradient path to what inference gives. Call on a network without data."""
    network.requires_grad_()
    dense = network(torch.empty(1, 3, 128, 128, device="meta"))
    keypoints = network.coords.decode(_some_cells(dense, 2))
    torch.stack([t.sum() for t in (dense.cls, dense.boxes, dense.vis, keypoints)]).sum().backward()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and all(p.grad is None for p in own):
            yield module


def untrained(variant: Variant, device: str, form: Form) -> Any:
    """The network in eval mode, fused where "deployed". Draws no random numbers of others.

    What pretrained weights hold changes no cost, so none are read.
    """
    if dict(variant.flat()).get("backbone.use_pretrained"):
        variant = variant.vary({"backbone.use_pretrained": False})
    with torch.device(device), torch.random.fork_rng(devices=[]):
        network = Network(variant, seed=0).eval()
        return fused(network) if form == "deployed" else network


def _some_cells(dense: Dense, persons: int) -> Cells:
    """`persons` cells at fixed places, all over the first image; with repetition where there are fewer cells."""
    cell = torch.arange(persons, device=dense.cls.device) * dense.cls.shape[1] // persons
    return gather(dense, torch.zeros_like(cell), cell)


# Multiply-adds


@dataclass(frozen=True)
class Flops:
    """Multiply-adds of one image, by part; `coords` is the coordinate stage for `persons` persons."""

    backbone: int
    neck: int
    head: int
    coords: int
    persons: int
    size: tuple[int, int]  # height, width

    @property
    def total(self) -> int:
        return self.backbone + self.neck + self.head + self.coords


def flops(
    variant: Variant,
    size: tuple[int, int],
    persons: int = PERSONS,
    *,
    form: Form = "deployed",
    counter: Counter = "fvcore",
) -> Flops:
    """Multiply-adds of one image of `size` (height, width) on which `persons` persons are found.

    Args:
        form: "deployed" is what runs in use: branches of RepVGG fused, products of the DCC in the cheaper order.
            "published" is what papers state: branches apart, every bin's encoding through its layer.
        counter: "fvcore" traces real tensors, "torch" counts on shapes alone. They agree to the unit; the second
            takes a fraction of a second for any network.
    """
    network = untrained(variant, "meta", form)
    pieces = _pieces(network, torch.empty(1, 3, *size, device="meta"), persons)
    if counter == "fvcore":
        network = untrained(variant, "cpu", form)
        pieces = {part: [torch.ones_like(t, device="cpu") for t in inputs] for part, inputs in pieces.items()}
    counts = {
        part: multiply_adds(_Piece(network, part, size), *inputs, counter=counter) for part, inputs in pieces.items()
    }
    if form == "published":
        counts["coords"] += persons * variant.coords.published_extra(variant.num_keypoints)
    return Flops(**counts, persons=persons, size=size)


@torch.no_grad()
def _pieces(network: Any, images: Tensor, persons: int) -> dict[str, list[Tensor]]:
    """The tensors that each part is given."""
    feats = network.backbone(images)
    maps = network.neck(feats)
    cells = _some_cells(network(network.head.towers(maps)), persons)
    coords = [cells.pose, cells.boxes, cells.points, cells.strides]
    return {
        "backbone": [images],
        "neck": feats,
        "head": maps,
        "coords": coords if cells.proxy is None else [*coords, cells.proxy],
    }


class _Piece(nn.Module):
    """One part as a module from tensors to tensors, as counters want it."""

    def __init__(self, network: Any, part: str, canvas: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.part, self.canvas = network, part, canvas

    def forward(self, *inputs: Tensor) -> list[Tensor]:
        return list(_tensors(getattr(self, f"_{self.part}")(*inputs)))

    def _backbone(self, images: Tensor) -> object:
        return self.network.backbone(images)

    def _neck(self, *feats: Tensor) -> object:
        return self.network.neck(list(feats))

    def _head(self, *maps: Tensor) -> object:
        return self.network.head(list(maps), proxy=self.network.variant.coords.reads_proxy)

    def _coords(self, pose: Tensor, boxes: Tensor, points: Tensor, strides: Tensor, *proxy: Tensor) -> object:
        cells = Cells(
            pose=pose,
            boxes=boxes,
            points=points,
            strides=strides,
            proxy=proxy[0] if proxy else None,
            canvas=self.canvas,
        )
        return self.network.coords.decode(cells)


def _tensors(answer: object) -> Iterator[Tensor]:
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, list | tuple):
        for item in answer:
            yield from _tensors(item)
    elif is_dataclass(answer):
        for field in fields(answer):
            yield from _tensors(getattr(answer, field.name))


def multiply_adds(module: nn.Module, *inputs: Tensor, counter: Counter = "fvcore") -> int:
    """Multiply-adds of `module(*inputs)`: "fvcore" with real tensors, "torch" with tensors on the meta device."""
    with torch.no_grad(), _attention_in_steps():
        return _traced(module, inputs) if counter == "fvcore" else _counted(module, inputs)


@contextmanager
def _attention_in_steps() -> Iterator[None]:
    """Torch's fused transformer kernels off: both counters take one for nothing."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _counted(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    if any(not t.is_meta for t in inputs):
        raise ValueError("the torch counter misses attention on real tensors: pass tensors on the meta device")
    from torch.utils.flop_counter import FlopCounterMode  # and with it triton

    vectors: Any = {torch.ops.aten.mv: _vector_product, torch.ops.aten.dot: _vector_product}
    with FlopCounterMode(display=False, custom_mapping=vectors) as counter:
        module(*inputs)
    return counter.get_total_flops() // 2  # it counts a multiply-add as two


def _vector_product(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    """Torch's counter knows products of matrices only."""
    return 2 * prod(a)


def _traced(module: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.jit, when fvcore is imported
        from fvcore.nn import FlopCountAnalysis
        from fvcore.nn.jit_handles import addmm_flop_jit, conv_flop_jit, einsum_flop_jit, get_shape, linear_flop_jit
    shaped = partial(_on_shapes, get_shape)
    analysis = FlopCountAnalysis(module, inputs).clear_op_handles()
    analysis.set_op_handle(
        **{
            "aten::_convolution": conv_flop_jit,
            "aten::linear": linear_flop_jit,
            "aten::addmm": addmm_flop_jit,
            "aten::einsum": einsum_flop_jit,
            "aten::scaled_dot_product_attention": shaped(_attention, 0, 3),
            "aten::baddbmm": shaped(_product, 1, 3),
            **{f"aten::{name}": shaped(_product, 0, 2) for name in ("matmul", "mm", "bmm", "mv", "dot")},
            **{f"aten::{name}": partial(_recurrent, get_shape) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")},
        }
    )
    total = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
    return int(total)


def _on_shapes(get_shape: Callable[[Any], Any], rule: Callable[..., int], first: int, end: int) -> Callable[..., int]:
    """A handle for fvcore: `rule` of the shapes of the operator's inputs `first` to `end`."""

    def handle(inputs: list[Any], outputs: list[Any]) -> int:
        return rule(*(tuple(get_shape(v)) for v in inputs[first:end]))

    return handle


def _product(a: Shape, b: Shape) -> int:
    """(..., m, n) @ (..., n, p) with broadcasting; either may be a vector."""
    columns = b[-1] if len(b) > 1 else 1
    rows = a[-2] if len(a) > 1 else 1
    return prod(np.broadcast_shapes(tuple(a[:-2]), tuple(b[:-2]))) * rows * a[-1] * columns


def _attention(query: Shape, key: Shape, value: Shape) -> int:
    """Scores (..., L, E) x (..., S, E) and their product with (..., S, V)."""
    return prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent(get_shape: Callable[[Any], Any], inputs: list[Any], outputs: list[Any]) -> int:
    """Every weight matrix of every layer and direction meets each step of each sequence once. Not for packed ones."""
    sequences, _, parameters, *_ = inputs
    shapes = [get_shape(parameter) for parameter in parameters.node().inputs()]
    return prod(get_shape(sequences)[:-1]) * sum(prod(shape) for shape in shapes if len(shape) == 2)
