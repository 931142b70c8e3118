"""The fields of the published model card, and the network that they describe."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.core.errors import Refused
from workbench.core.skeletons import RELEASED_SKELETONS
from workbench.core.spec import Spec
from workbench.models.variant import Variant
from workbench.models.zoo import SIZES, rtmo
from workbench.slots import Backbone


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Spec, ABC):
    """Which backbone."""

    @property
    def preset(self) -> str:
        """The released size whose neck, head and losses go with it."""
        return "s"

    @abstractmethod
    def backbone(self) -> Backbone:
        """The component."""


_Word = Literal["tiny", "small", "medium", "large"]
_WORDS: Mapping[str, _Word] = {"t": "tiny", "s": "small", "m": "medium", "l": "large"}


@final
@dataclass(frozen=True, kw_only=True)
class CSPConfig(BackboneConfig):
    """CSP-Darknet, the published backbone. `use_pretrained`: True downloads the YOLOX weights with which RTMO starts,
    a path reads a checkpoint."""

    size: _Word = "small"
    use_pretrained: bool | str = False

    @property
    def preset(self) -> str:
        return self.size[0]

    def backbone(self) -> Backbone:
        size = SIZES[self.preset]
        return CSPDarknet(width=size.width, depth=size.depth, use_pretrained=self.use_pretrained)


@final
@dataclass(frozen=True, kw_only=True)
class ResNetConfig(BackboneConfig):
    """ResNet as timm has it. `use_pretrained`: True downloads its ImageNet weights, a path reads a checkpoint."""

    depth: Literal[18, 34, 50, 101] = 50
    use_pretrained: bool | str = False

    def backbone(self) -> Backbone:
        return TimmBackbone(name=f"resnet{self.depth}", use_pretrained=self.use_pretrained)


@final
@dataclass(frozen=True, kw_only=True)
class STDCConfig(BackboneConfig):
    """STDC. `use_pretrained` is the path of a checkpoint; there is none to download."""

    size: Literal["nano", "small", "large"] = "small"
    use_pretrained: bool | str = False

    def backbone(self) -> Backbone:
        sizes: dict[str, Literal["nano", "1", "2"]] = {"nano": "nano", "small": "1", "large": "2"}
        return STDC(size=sizes[self.size], use_pretrained=self.use_pretrained)


@final
@dataclass(frozen=True, kw_only=True)
class RTMOConfig(Spec):
    """The published fields with the defaults of rtmo-s, and two that the card leaves to the size of the backbone.

    Fields:
        num_classes: object classes; num_keypoints: key points per person, 17 (COCO) or 14 (CrowdPose).
        in_channels: channels that the neck hands to the head, before `widen_factor` (256 for all released models).
        pose_vec_channels: pose feature per cell, input of the DCC; not scaled (t 192, s 256, m 384, l 512).
        cls_feat_channels: channels of the class branch before `widen_factor`; stacked_convs: convolutions per branch,
            the pose branch has twice as many.
        featmap_strides, featmap_strides_pointgenerator: strides of the maps and of their cells, ascending and the same
            in both. The card prints [16, 8]; the released models have 16 and 32.
        centralize_points_pointgenerator: cells lie at their centre. The card prints False; the released models need
            True, and nothing else is offered.
        num_bins: bins for x and y; spe_channels: sine encoding of a bin; the rest as in the DCC and its attention.
        widen_factor, csp_layers: width of neck and head, blocks of the neck's layers; None is what belongs to the
            backbone: t 0.375 and 1, s 0.5 and 1, m 0.75 and 2, l 1 and 3, backbones of other kinds as s.
    """

    num_classes: int = 1
    num_keypoints: int = 17
    backbone_config: BackboneConfig = CSPConfig()
    transformer_embed_dims: int = 256
    transformer_num_heads: int = 8
    transformer_feedforward_channels: int = 1024
    transformer_dropout: float = 0.0
    transformer_encoder_layers: int = 1
    in_channels: int = 256
    pose_vec_channels: int = 256
    cls_feat_channels: int = 256
    stacked_convs: int = 2
    featmap_strides: tuple[int, ...] = (16, 32)
    featmap_strides_pointgenerator: tuple[int, ...] = (16, 32)
    centralize_points_pointgenerator: bool = True
    feat_channels_dcc: int = 128
    num_bins: tuple[int, int] = (192, 256)
    spe_channels: int = 128
    gau_s: int = 128
    gau_expansion_factor: int = 2
    gau_dropout_rate: float = 0.0
    widen_factor: float | None = None
    csp_layers: int | None = None

    def check(self) -> None:
        if self.num_classes < 1:
            raise Refused(f"RTMOConfig.num_classes: {self.num_classes} given; expected at least 1")
        if self.featmap_strides != self.featmap_strides_pointgenerator:
            raise Refused(
                f"RTMOConfig: featmap_strides {self.featmap_strides} and featmap_strides_pointgenerator "
                f"{self.featmap_strides_pointgenerator} differ; give the same strides to both"
            )
        if not self.centralize_points_pointgenerator:
            raise Refused(
                "RTMOConfig.centralize_points_pointgenerator: False given; cells of the released models lie at their "
                "centre, keep True"
            )
        self.variant()

    def variant(self) -> Variant:
        """The estimator that these fields describe, with the losses and phases of its size's training.

        Raises:
            Refused: the fields do not go together.
        """
        base = rtmo(self.backbone_config.preset, self.num_keypoints)
        assert isinstance(base.neck, HybridEncoder)
        width = base.neck.width if self.widen_factor is None else self.widen_factor
        neck = HybridEncoder(
            transformer_embed_dims=self.transformer_embed_dims,
            transformer_num_heads=self.transformer_num_heads,
            transformer_feedforward_channels=self.transformer_feedforward_channels,
            transformer_dropout=self.transformer_dropout,
            transformer_encoder_layers=self.transformer_encoder_layers,
            width=width,
            depth=base.neck.depth if self.csp_layers is None else self.csp_layers / 3,
            out_channels=2 * int(self.in_channels * width),  # one half for each branch of the head
            strides=self.featmap_strides,
        )
        head = RTMOHead(
            width=width,
            cls_feat_channels=self.cls_feat_channels,
            pose_vec_channels=self.pose_vec_channels,
            stacked_convs=self.stacked_convs,
        )
        coords = DCC(
            feat_channels_dcc=self.feat_channels_dcc,
            num_bins=self.num_bins,
            spe_channels=self.spe_channels,
            gau_s=self.gau_s,
            gau_expansion_factor=self.gau_expansion_factor,
            gau_dropout_rate=self.gau_dropout_rate,
        )
        parts = {"backbone": self.backbone_config.backbone(), "neck": neck, "head": head, "coords": coords}
        return base.vary(parts | {"num_classes": self.num_classes})


def config_of(variant: Variant) -> RTMOConfig | None:
    """The config whose network it is; None where no released size is."""
    for size, word in _WORDS.items():
        preset = rtmo(size)
        if variant.num_keypoints in RELEASED_SKELETONS and variant.backbone == preset.backbone:
            config = RTMOConfig(
                backbone_config=CSPConfig(size=word),
                num_classes=variant.num_classes,
                num_keypoints=variant.num_keypoints,
                pose_vec_channels=SIZES[size].pose,
            )
            made = config.variant()
            alike = all(getattr(made, part) == getattr(variant, part) for part in _BUILT)
            return config if alike else None
    return None


_BUILT = ("backbone", "neck", "head", "coords", "num_classes", "num_keypoints", "keypoint_set")  # what a network is
