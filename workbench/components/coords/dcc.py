"""Dynamic coordinate classifier: one 1-D heatmap per key point and axis, over bins that follow the predicted box.

Source: RTMO (arXiv 2312.07526), section 3.2; gated attention: FLASH (arXiv 2202.10447) as used by RTMPose.
Cost: 4.15 million multiply-adds per kept person at the published size with 17 key points (10.93 in the
published order of products).

Steps for P cells: (1) bins on the predicted box times `padding`; (2) every bin is encoded by sines of its position
relative to the cell; (3) the pose vector becomes K tokens; (4) the tokens attend to each other; (5) inner products
of tokens and encoded bins are logits; (6) the expected bin is the key point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.components.coords.layers import (
    LearntScale,
    PersonNorm,
    SinePosition,
    axis,
    exact,
    expectation,
    uncertainty,
)
from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Axis, Cells, Coordinates

MOST_BINS = 2**16  # of an axis


@final
@dataclass(frozen=True, kw_only=True)
class DCC(Coords):
    """The published stage; its switches take single ideas out, one at a time."""

    offers: ClassVar[frozenset[str]] = frozenset({"sigma", "axes", "teacher"})
    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ("box_gradient",)

    feat_channels_dcc: int = 128  # of a key-point token
    num_bins: tuple[int, int] = (192, 256)  # x, y
    spe_channels: int = 128  # of the sine encoding of a position
    gau_s: int = 128  # of queries and keys
    gau_expansion_factor: int = 2  # values have this many times the token's channels
    gau_dropout_rate: float = 0.0  # on the attention matrix
    padding: float = 1.25  # bins reach over this many times the box
    dynamic_allocation: bool = True  # False: bins reach over the whole input, the same for every cell
    dynamic_encoding: bool = True  # False: a learned vector per bin, the same for every cell
    gau: bool = True  # False: tokens do not attend to each other
    # A convolutional trunk says the same of a person wherever the person stands, so bins over the whole input can not
    # be told apart without the cell's position. The bins' relative encoding brings it; a static stage needs this.
    cell_position: bool = False
    box_gradient: bool = True  # False: losses on bins do not move the boxes
    logit_scale: float = 1.0  # published: none, so the first softmax is nearly one-hot (logits of std 66)

    def check(self) -> None:
        if min(self.num_bins) < 2 or max(self.num_bins) > MOST_BINS:
            raise Refused(f"DCC.num_bins: {self.num_bins} given; an axis needs at least 2 bins, at most {MOST_BINS:,}")
        if self.spe_channels < 2 or self.spe_channels % 2:
            raise Refused(f"DCC.spe_channels: {self.spe_channels} given; pairs of cosine and sine need an even number")
        for name in ("feat_channels_dcc", "gau_s", "gau_expansion_factor"):
            if getattr(self, name) < 1:
                raise Refused(f"DCC.{name}: {getattr(self, name)} given; it must be at least 1")
        if not 0 <= self.gau_dropout_rate < 1:
            raise Refused(f"DCC.gau_dropout_rate: {self.gau_dropout_rate} given; it must be 0 or more and below 1")
        if self.padding <= 0:
            raise Refused(f"DCC.padding: {self.padding} given; it is a factor on the box and must be positive")

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _DCC(self, pose_channels, keypoints)

    def published_extra(self, keypoints: int) -> int:
        """Published: both layers are applied to every bin (W times spe x feat), and the expected bin is a sum, which
        is not counted. Ours: they are applied to the tokens (K times feat x spe), and the expected bin is a product.
        """
        if not self.dynamic_encoding:
            return 0
        bins, layer = sum(self.num_bins), self.spe_channels * self.feat_channels_dcc
        logits = bins * keypoints * (self.feat_channels_dcc - self.spe_channels)
        return bins * layer + logits - 2 * keypoints * layer - bins * keypoints


class ScaleNorm(nn.Module):
    """Divides by the root mean square over channels; one learnable gain."""

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        size = x.norm(dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        return x / size.clamp(min=1e-5) * self.g


class GatedAttention(nn.Module):
    """Gated attention unit over tokens (P, K, C), one head, squared ReLU in place of the softmax."""

    def __init__(self, channels: int, s: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.widths = (channels * expansion, channels * expansion, s)
        self.dropout = dropout
        self.gamma = nn.Parameter(torch.rand(2, s))
        self.beta = nn.Parameter(torch.rand(2, s))
        self.uv = nn.Linear(channels, sum(self.widths), bias=False)
        self.o = nn.Linear(self.widths[0], channels, bias=False)
        self.ln = ScaleNorm()
        self.res_scale = LearntScale(channels, 1.0)
        nn.init.xavier_uniform_(self.uv.weight)

    def forward(self, x: Tensor, pos_enc: Tensor) -> Tensor:
        """`pos_enc` (K, s) is added to queries and keys."""
        u, v, z = F.silu(self.uv(self.ln(x))).split(self.widths, -1)
        q, k = (z * gamma + (beta + pos_enc) for gamma, beta in zip(self.gamma, self.beta, strict=True))  # (P, K, s)
        attention = F.relu(q @ k.transpose(1, 2) * self.widths[2] ** -0.5).square()
        attention = F.dropout(attention, self.dropout, self.training)  # (P, K, K)
        return self.res_scale(x) + self.o(u * (attention @ v))


class _DCC(CoordinateStage):
    x_bins: Tensor  # (W,) in -0.5..0.5
    y_bins: Tensor

    def __init__(self, spec: DCC, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        self.spec = spec
        feat, spe = spec.feat_channels_dcc, spec.spe_channels
        self.pose_to_kpts = nn.Sequential(nn.Linear(pose_channels, feat * keypoints), PersonNorm(feat * keypoints))
        self.sigma_fc = uncertainty(pose_channels, keypoints)
        self.register_buffer("x_bins", torch.linspace(-0.5, 0.5, spec.num_bins[0]))
        self.register_buffer("y_bins", torch.linspace(-0.5, 0.5, spec.num_bins[1]))
        if spec.gau:
            self.gau = GatedAttention(feat, spec.gau_s, spec.gau_expansion_factor, spec.gau_dropout_rate)
            self.pos_enc = nn.Parameter(torch.randn(keypoints, spec.gau_s))
        if spec.dynamic_encoding or spec.cell_position:
            self.spe = SinePosition(spe)
        if spec.dynamic_encoding:
            self.x_fc, self.y_fc = nn.Linear(spe, feat), nn.Linear(spe, feat)
        else:  # as the rows of a linear classifier over the bins
            self.x_table, self.y_table = (nn.Parameter(nn.Linear(feat, n).weight.detach()) for n in spec.num_bins)
        if spec.cell_position:
            self.position_fc = nn.Linear(2 * spe, feat)

    def forward(self, cells: Cells) -> Coordinates:
        with exact(cells.pose):
            tokens = self.tokens(cells)
            centre, size = self.extent(cells)
            x, y = (self._axis(tokens, cells, i, centre[:, i : i + 1], size[:, i : i + 1]) for i in (0, 1))
            keypoints = torch.stack((expectation(x), expectation(y)), -1)
            return Coordinates(keypoints=keypoints, sigma=self.sigma_fc(cells.pose.float()), x=x, y=y)

    def decode(self, cells: Cells) -> Tensor:
        """As `forward`, without uncertainty and without what is constant over the bins; sums relative to the box."""
        with exact(cells.pose):
            tokens = self.tokens(cells)
            centre, size = self.extent(cells)
            start = centre - cells.points.float()
            answers = []
            for i, bins in enumerate((self.x_bins, self.y_bins)):
                if self.spec.dynamic_encoding:
                    logits = self.spe.comb(self._query(tokens, i), start[:, i : i + 1], size[:, i : i + 1], bins)
                else:
                    logits = self._static_logits(tokens, i)
                answers.append(logits.softmax(-1) @ bins.unsqueeze(-1))  # (P, K, 1)
            return centre.unsqueeze(1) + torch.cat(answers, -1) * size.unsqueeze(1)

    def tokens(self, cells: Cells) -> Tensor:
        """(P, K, feat). In float32: P differs from step to step, and bfloat16 products prepare each shape anew."""
        tokens = self.pose_to_kpts(cells.pose.float()).unflatten(1, (-1, self.spec.feat_channels_dcc))
        if self.spec.cell_position:
            tokens = tokens + self.position_fc(self.spe(cells.points.float()).flatten(1)).unsqueeze(1)
        if self.spec.gau:
            tokens = self.gau(tokens, self.pos_enc)
        return tokens

    def extent(self, cells: Cells) -> tuple[Tensor, Tensor]:
        """Centre and size (P, 2), in pixels, of what the bins reach over."""
        if not self.spec.dynamic_allocation:
            sides = [torch.full_like(cells.points[:, 0], side, dtype=torch.float32) for side in cells.canvas[::-1]]
            size = torch.stack(sides, -1)
            return size / 2, size
        boxes = cells.boxes.float() if self.spec.box_gradient else cells.boxes.detach().float()
        first, last = boxes.chunk(2, -1)
        return (first + last) / 2, (last - first) * self.spec.padding

    def _axis(self, tokens: Tensor, cells: Cells, i: int, centre: Tensor, size: Tensor) -> Axis:
        bins = centre + (self.x_bins, self.y_bins)[i] * size  # (P, W)
        logits = self._logits(tokens, cells, i, bins)
        if self.spec.dynamic_encoding:
            # The same for every bin: the softmax does not see it. It keeps the logits, their clamp and the
            # bias' gradient (zero, not missing) as published.
            logits = logits + (tokens @ (self.x_fc, self.y_fc)[i].bias).unsqueeze(-1) * self.spec.logit_scale
        return axis(logits, bins)

    def _logits(self, tokens: Tensor, cells: Cells, i: int, bins: Tensor) -> Tensor:
        """(P, K, W) up to a constant per row."""
        if not self.spec.dynamic_encoding:
            return self._static_logits(tokens, i)
        return self.spe.product(self._query(tokens, i), bins - cells.points.float()[:, i : i + 1])

    def _static_logits(self, tokens: Tensor, i: int) -> Tensor:
        return tokens @ (self.x_table, self.y_table)[i].T * self.spec.logit_scale

    def _query(self, tokens: Tensor, i: int) -> Tensor:
        """(P, K, spe), for inner products with encoded bins."""
        # token . (W e + b) = (token W) . e + token . b: the layer is applied to 17 tokens instead of hundreds of bins.
        return tokens @ (self.x_fc, self.y_fc)[i].weight * self.spec.logit_scale
