"""The hybrid encoder of RT-DETR (arXiv 2304.08069) as RTMO uses it (arXiv 2312.07526).

A transformer on the coarsest map only, then a top-down and a bottom-up path of CSP layers with RepVGG blocks.
3.78 M parameters and 5.51 G multiply-adds at 640 x 640 as published for rtmo-s, of which the transformer takes 0.40 G.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.components.blocks import TORCH, ConvUnit, CSPRepLayer, doubled
from workbench.core.errors import Refused
from workbench.slots import Neck, Pyramid
from workbench.tensors import Level, Levels

_STRIDES = (8, 16, 32)
_TEMPERATURE = 10000.0


@final
@dataclass(frozen=True, kw_only=True)
class HybridEncoder(Neck):
    """Maps at strides 8, 16 and 32 to maps of `out_channels` at `strides`.

    `width` scales the hidden channels of the CSP layers, `depth` their number of blocks. Maps finer than the coarsest
    of `strides` are computed as published whether handed on or not, since they feed the coarser ones.
    """

    slow: ClassVar[tuple[str, ...]] = ("encoder",)

    transformer_embed_dims: int = 256
    transformer_num_heads: int = 8
    transformer_feedforward_channels: int = 1024
    transformer_dropout: float = 0.0
    transformer_encoder_layers: int = 1
    width: float = 0.5
    depth: float = 0.33
    out_channels: int = 256
    strides: tuple[int, ...] = (16, 32)

    def check(self) -> None:
        dims, heads = self.transformer_embed_dims, self.transformer_num_heads
        if dims < 4 or dims % 4 or heads < 1 or dims % heads:
            raise Refused(
                f"HybridEncoder: transformer_embed_dims {dims}, transformer_num_heads {heads}; expected at least one "
                "head, and dims that 4 and the heads divide"
            )
        if self.transformer_encoder_layers < 0 or not 0 <= self.transformer_dropout < 1:
            raise Refused(
                f"HybridEncoder: transformer_encoder_layers {self.transformer_encoder_layers}, transformer_dropout "
                f"{self.transformer_dropout}; expected 0 or more layers and a dropout in [0, 1)"
            )
        if (
            int(dims * self.width) < 1
            or self.depth < 0
            or min(self.out_channels, self.transformer_feedforward_channels) < 1
        ):
            raise Refused(f"HybridEncoder: width {self.width}, depth {self.depth} or a channel number is too small")
        if not self.strides or list(self.strides) != sorted(set(self.strides) & set(_STRIDES)):
            raise Refused(f"HybridEncoder.strides: {self.strides}; expected some of {_STRIDES}, ascending")

    def build(self, levels: Levels) -> Pyramid:
        if tuple(level.stride for level in levels) != _STRIDES:
            raise Refused(f"HybridEncoder: given maps at strides {[lv.stride for lv in levels]}; expected {_STRIDES}")
        return _HybridEncoder(self, levels)


class _HybridEncoder(Pyramid):
    def __init__(self, spec: HybridEncoder, levels: Levels) -> None:
        super().__init__()
        dims = spec.transformer_embed_dims
        hidden, blocks = int(dims * spec.width), round(3 * spec.depth)
        up = _STRIDES.index(spec.strides[-1])  # steps of the bottom-up path
        self.levels = tuple(Level(spec.out_channels, s) for s in spec.strides)
        self.kept = tuple(_STRIDES.index(s) for s in spec.strides)

        self.input_proj = nn.ModuleList(ConvUnit(lv.channels, dims, 1, norm=TORCH, act=None) for lv in levels)
        self.encoder = nn.ModuleList([_Encoder(spec)] if spec.transformer_encoder_layers else [])
        if spec.transformer_encoder_layers:
            self.sincos_pos_enc = _Frequencies(dims // 4)
        self.lateral_convs = nn.ModuleList(ConvUnit(dims, dims, 1, norm=TORCH) for _ in range(2))
        self.fpn_blocks = nn.ModuleList(CSPRepLayer(2 * dims, dims, hidden, blocks) for _ in range(2))
        self.downsample_convs = nn.ModuleList(ConvUnit(dims, dims, 3, 2, norm=TORCH) for _ in range(up))
        self.pan_blocks = nn.ModuleList(CSPRepLayer(2 * dims, dims, hidden, blocks) for _ in range(up))
        self.projector = _Projector(dims, spec.out_channels, len(spec.strides))
        self.reset()

    def reset(self) -> None:
        """Initial weights as published; RepVGG branches and linear layers keep torch's own."""
        for name, part in self.named_modules():
            if isinstance(part, nn.Conv2d) and "branch_" not in name:
                if name.startswith("projector"):
                    nn.init.xavier_uniform_(part.weight)
                else:
                    nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        c3, c4, c5 = (project(x) for project, x in zip(self.input_proj, feats, strict=True))
        for encoder in self.encoder:
            c5 = encoded(encoder, c5)
        inner5 = self.lateral_convs[0](c5)
        inner4 = self.lateral_convs[1](self.fpn_blocks[0](torch.cat((doubled(inner5), c4), 1)))
        outs = [self.fpn_blocks[1](torch.cat((doubled(inner4), c3), 1))]
        for down, block, inner in zip(self.downsample_convs, self.pan_blocks, (inner4, inner5), strict=False):
            outs.append(block(torch.cat((down(outs[-1]), inner), 1)))
        return self.projector([outs[i] for i in self.kept])

    def lean(self) -> Pyramid:
        return _Lean(self)


class _Lean(Pyramid):
    """The encoder for deployment: the two merges of the top-down path are made of smaller convolutions."""

    def __init__(self, trained: _HybridEncoder) -> None:
        super().__init__()
        self.levels, self.kept = trained.levels, trained.kept
        fine, middle, self.input_proj = trained.input_proj
        self.encoder, self.lateral_convs = trained.encoder, trained.lateral_convs
        self.merges = nn.ModuleList(map(_Merge, trained.fpn_blocks, (middle, fine)))
        self.downsample_convs, self.pan_blocks = trained.downsample_convs, trained.pan_blocks
        self.projector = trained.projector

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        c3, c4, c5 = feats[0], feats[1], self.input_proj(feats[2])
        for encoder in self.encoder:
            c5 = encoded(encoder, c5)
        inner5 = self.lateral_convs[0](c5)
        inner4 = self.lateral_convs[1](self.merges[0](inner5, c4))
        outs = [self.merges[1](inner4, c3)]
        for down, block, inner in zip(self.downsample_convs, self.pan_blocks, (inner4, inner5), strict=False):
            outs.append(block(torch.cat((down(outs[-1]), inner), 1)))
        return self.projector([outs[i] for i in self.kept])


class _Merge(nn.Module):
    """A CSP layer of a doubled map beside a projected one: (B, C, H, W), (B, C', 2 H, 2 W) -> (B, C'', 2 H, 2 W).

    A 1x1 convolution of a doubled map is the doubled convolution, at a quarter of the work; and one that follows a
    projection is a single one, since nothing comes between the two. Together they save 0.92 of the 12 G multiply-adds
    of rtmo-s at 640 x 640.
    """

    def __init__(self, layer: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        assert isinstance(layer, CSPRepLayer) and isinstance(projection, ConvUnit)
        units = (layer.conv1, layer.conv2)
        self.coarse, self.fine = map(
            nn.ModuleList, zip(*(_halves(u.conv, projection.conv) for u in units), strict=True)
        )
        self.act, self.bottlenecks, self.conv3 = layer.conv1.act, layer.bottlenecks, layer.conv3

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        one, two = (self.act(doubled(c(coarse)) + f(fine)) for c, f in zip(self.coarse, self.fine, strict=True))
        return self.conv3(self.bottlenecks(one) + two)


@torch.no_grad()
def _halves(conv: nn.Conv2d, projection: nn.Conv2d) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The convolution of the doubled map, and that of the other with its projection in front."""
    assert conv.bias is not None and projection.bias is not None
    weight = conv.weight.flatten(1)
    first, second = weight.split((weight.shape[1] - projection.out_channels, projection.out_channels), 1)
    return _pointwise(first), _pointwise(second @ projection.weight.flatten(1), conv.bias + second @ projection.bias)


def _pointwise(weight: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """The 1x1 convolution with weight (C', C)."""
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight = nn.Parameter(weight[..., None, None].contiguous())
    if bias is not None:
        conv.bias = nn.Parameter(bias)
    return conv


class _Projector(nn.Module):
    def __init__(self, inputs: int, outputs: int, levels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ConvUnit(inputs, outputs, 1, norm=TORCH, act=None) for _ in range(levels))

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        return [conv(x) for conv, x in zip(self.convs, feats, strict=True)]


class _Frequencies(nn.Module):
    """Holds the constant that published checkpoints carry; `positions` computes its own, so that a cast or an
    averaged copy of the model has the exact ones."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("dim_t", _TEMPERATURE ** (torch.arange(count, dtype=torch.float32) / count))


def positions(h: int, w: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sine table (h * w, channels), row-major: cosines and sines of the row, then of the column, in pixels of the map.

    Frequencies are 10000^(-j / (channels / 4)).
    """
    count = channels // 4
    exponent = torch.arange(count, dtype=torch.float64, device=device) / count
    angle = torch.arange(max(h, w), dtype=torch.float64, device=device)[:, None] / _TEMPERATURE**exponent
    table = torch.cat((angle.cos(), angle.sin()), 1).to(dtype)  # (max(h, w), channels / 2)
    rows = table[:h, None].expand(h, w, 2 * count)
    columns = table[None, :w].expand(h, w, 2 * count)
    return torch.cat((rows, columns), 2).flatten(0, 1)


@lru_cache(maxsize=64)
def _remembered(h: int, w: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():  # the table may serve training later
        return positions(h, w, channels, device, dtype)


def encoded(encoder: nn.Module, x: Tensor) -> Tensor:
    """A map (B, C, H, W) through `encoder` as tokens, in the same memory format."""
    _, c, h, w = x.shape
    # a traced or fake table must not be remembered, and a CUDA graph must not read one that may be forgotten
    plain = type(x) is Tensor and not torch.compiler.is_compiling()
    plain = plain and not (x.is_cuda and torch.cuda.is_current_stream_capturing())
    pos = (_remembered if plain else positions)(h, w, c, x.device, x.dtype)
    tokens = encoder(x.flatten(2).transpose(1, 2), pos)
    y = tokens.transpose(1, 2).unflatten(2, (h, w))
    return y.contiguous() if x.is_contiguous() else y


class _Encoder(nn.Module):
    def __init__(self, spec: HybridEncoder) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(
                spec.transformer_embed_dims,
                spec.transformer_num_heads,
                spec.transformer_feedforward_channels,
                spec.transformer_dropout,
            )
            for _ in range(spec.transformer_encoder_layers)
        )

    def forward(self, tokens: Tensor, pos: Tensor) -> Tensor:
        for layer in self.layers:
            tokens = layer(tokens, pos)
        return tokens


class EncoderLayer(nn.Module):
    """Post-norm transformer layer of DETR: (B, L, C) tokens and (L, C) positions -> (B, L, C)."""

    def __init__(self, channels: int, heads: int, feedforward: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.self_attn = nn.ModuleDict({"attn": Attention(channels, heads, dropout)})
        self.ffn = _FeedForward(channels, feedforward, dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        x = self.norms[0](x + self.dropout(self.self_attn["attn"](x, pos)))
        return self.norms[1](x + self.ffn(x))


class Attention(nn.Module):
    """Self-attention whose queries and keys, not values, see the positions. Parameters as of nn.MultiheadAttention."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels))
        self.out_proj = nn.Linear(channels, channels)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        b, n, c = x.shape
        weights, biases = self.in_proj_weight.split((2 * c, c)), self.in_proj_bias.split((2 * c, c))
        q, k = F.linear(x + pos, weights[0], biases[0]).view(b, n, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        v = F.linear(x, weights[1], biases[1]).view(b, n, self.heads, -1).transpose(1, 2)  # (B, heads, L, C / heads)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(y.transpose(1, 2).reshape(b, n, c))


class _FeedForward(nn.Module):
    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        widen = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Dropout(dropout))
        self.layers = nn.Sequential(widen, nn.Linear(hidden, channels), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
