"""The published face: RTMO (arXiv 2312.07526) under the names and defaults of its model card.

    model = ModelManager.get("rtmo-s-coco", weights="rtmo-s.pth")
    for person in model.infer("street.jpg").detections:
        print(person.conf, person.bbox, person.keypoints)

    model = RTMO(RTMOConfig(backbone_config=CSPConfig(size="small"), num_classes=1, num_keypoints=17))
    output = model(images, targets)  # RTMOModelOutput(outputs=KeypointOutput, loss=RTMOLoss)
    output.loss.total.backward()

Two defaults of the card are wrong for the released models, and ours are what these need: `featmap_strides` (16, 32),
not [16, 8], and `centralize_points_pointgenerator` True, not False (cell i of stride s lies at i s + (s - 1) / 2).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.backbones.stdc import STDC
from workbench.components.backbones.timm_backbone import TimmBackbone
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.skeletons import RELEASED_SKELETONS
from workbench.core.spec import Spec
from workbench.data.find import BATCH, inferred_in
from workbench.data.inferred import Detection as Detection
from workbench.data.inferred import Inferred
from workbench.data.picture import Picture
from workbench.inference.side_by_side import each_on_a_core
from workbench.models.criterion import losses
from workbench.models.decode import PERSON_LOT, detect, keep, poses
from workbench.models.named import blueprint, open_network
from workbench.models.network import Network
from workbench.models.published import load_published, published_state
from workbench.models.releases import RELEASES as RELEASES
from workbench.models.variant import Variant
from workbench.models.zoo import SIZES, rtmo
from workbench.slots import Backbone
from workbench.tensors import Dense, Detections, Targets

if TYPE_CHECKING:
    from workbench.inference.folding import Folding


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


@dataclass(slots=True, kw_only=True)
class KeypointOutput:
    """What was found, padded to the image with the most persons. Padding has score 0 and label -1.

    B images, N persons of the fullest one, K key points; pixels of the network input, by descending score.
    """

    scores: Tensor  # (B, N)
    labels: Tensor  # (B, N), int64
    pred_bboxes: Tensor  # (B, N, 4): x1, y1, x2, y2
    bbox_scores: Tensor  # (B, N)
    pred_keypoints: Tensor  # (B, N, K, 2)
    keypoint_scores: Tensor  # (B, N, K): probability that a key point is visible
    keypoints_visible: Tensor  # (B, N, K): the same, under its second published name


@dataclass(slots=True, kw_only=True)
class RTMOLoss:
    """The terms of the total, already weighted; 0-d tensors. `loss_bbox_aux` is of the last phase only."""

    loss_cls: Tensor
    loss_bbox: Tensor
    loss_mle: Tensor
    loss_vis: Tensor
    loss_oks: Tensor
    loss_bbox_aux: Tensor | None = None

    def terms(self) -> dict[str, Tensor]:
        """The terms by their published names."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: term for name, term in named.items() if term is not None}

    @property
    def total(self) -> Tensor:
        """What training minimises."""
        return torch.stack(list(self.terms().values())).sum()


@dataclass(slots=True, kw_only=True)
class RTMOModelOutput:
    """`loss` is None where no targets were given."""

    outputs: KeypointOutput
    loss: RTMOLoss | None


PersonsOfImage = Mapping[str, Any] | object


class RTMO(nn.Module):
    """RTMO of a config, or of a network that is there already.

    `network` is the workbench's own module; `size` (height, width) is what `infer` works at; `config` is None where the
    published fields do not describe the network.
    """

    def __init__(
        self,
        config: RTMOConfig | None = RTMOConfig(),
        size: tuple[int, int] = (640, 640),
        network: Network | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.size = size
        self.network = network or Network((config or RTMOConfig()).variant())
        self._folding: Folding | None = None

    def forward(
        self,
        images: Tensor,
        targets: Sequence[PersonsOfImage] | None = None,
        phase: int = 0,
        score_threshold: float = 0.1,
        nms_threshold: float = 0.65,
    ) -> RTMOModelOutput:
        """Key points of a batch and, with targets, the loss.

        Args:
            images: (B, 3, H, W) float32, BGR, 0..255, sides multiples of 32.
            targets: one per image, a mapping or an object with `boxes` (G, 4) as x1, y1, x2, y2, `keypoints`
                (G, K, 2), `visible` (G, K), 0 where a key point is not labelled, and `areas` (G,); if there are
                several classes also `labels` (G,). G may be 0 and differ between images.
            phase: which of the three phases of training the loss is of, 0..2.

        Raises:
            Refused: an argument has another shape, type or range.
        """
        _check_images(images)
        _check_thresholds(score_threshold, nms_threshold)
        if not 0 <= phase < len(self.network.variant.phases):
            raise Refused(f"phase {phase}: expected 0..{len(self.network.variant.phases) - 1}")
        packed = None if targets is None else self._targets(targets, images, phase)
        dense = self.network(images, proxy=packed is not None)
        outputs = self._found(dense, score_threshold, nms_threshold)
        loss = None if packed is None else RTMOLoss(**losses(self.network, dense, packed, phase))
        return RTMOModelOutput(outputs=outputs, loss=loss)

    def _targets(self, targets: Sequence[PersonsOfImage], images: Tensor, phase: int) -> Targets:
        variant = self.network.variant
        terms = {loss.term for loss in variant.losses if loss.weights[phase]} - {"loss_bbox_aux"}
        if terms != {*RTMOLoss.__slots__} - {"loss_bbox_aux"}:
            raise Refused(
                f"targets: the losses of this network are {sorted(terms)}, not the published ones; train a job"
            )
        return _packed(targets, images, variant)

    @torch.no_grad()
    def _found(self, dense: Dense, score_threshold: float, nms_threshold: float) -> KeypointOutput:
        kept = keep(dense, score_threshold, nms_threshold)
        coords = self.network.coords
        training = coords.training
        coords.eval()  # in training mode the statistics of its norms would change
        found = poses(self.network, dense, kept.image, kept.cell)
        coords.train(training)
        counts = torch.bincount(kept.image, minlength=len(dense.cls)).tolist()

        def padded(rows: Tensor, value: float = 0.0) -> Tensor:
            return pad_sequence(list(rows.split(counts)), batch_first=True, padding_value=value)

        scores, seen = padded(kept.score), padded(found.visible)
        return KeypointOutput(
            scores=scores,
            labels=padded(kept.label, -1),
            pred_bboxes=padded(found.boxes),
            bbox_scores=scores,
            pred_keypoints=padded(found.keypoints),
            keypoint_scores=seen,
            keypoints_visible=seen,
        )

    @overload
    def infer(
        self, image: Picture, score_threshold: float = 0.1, nms_threshold: float = 0.65, batch: int = BATCH
    ) -> Inferred: ...

    @overload
    def infer(
        self, image: Sequence[Picture], score_threshold: float = 0.1, nms_threshold: float = 0.65, batch: int = BATCH
    ) -> list[Inferred]: ...

    def infer(
        self,
        image: Picture | Sequence[Picture],
        score_threshold: float = 0.1,
        nms_threshold: float = 0.65,
        batch: int = BATCH,
    ) -> Inferred | list[Inferred]:
        """The persons in one image or in each of several, in the pixels of each.

        Args:
            image: a path, an address, the bytes of a file, a PIL image, an array (H, W, 3) uint8 in BGR (as cv2 reads
                it), or a tensor (3, H, W) in RGB, see `data.picture.pixels_of`; or a list of these, of any sizes, or a
                tensor (B, 3, H, W). An orientation tag is followed: the image is that which a viewer shows.
            batch: how many of a list go through the network together; on a CPU side by side, each on a core.

        Raises:
            Refused: no image, or a threshold out of range.
        """
        _check_thresholds(score_threshold, nms_threshold)
        if isinstance(image, Tensor) and image.ndim == 4:
            image = list(image)
        several = isinstance(image, list | tuple)
        given: Any = image if several else [image]
        find = partial(self._find, score_threshold, nms_threshold)
        variant = self.network.variant
        found = inferred_in(given, find, self.size, variant.skeleton, variant.classes, batch)
        return found if several else found[0]

    def _find(self, score_threshold: float, nms_threshold: float, images: NDArray[np.uint8]) -> Sequence[Detections]:
        """The persons in network inputs (B, H, W, 3), BGR, in eval mode."""
        if self._folding is None:
            from workbench.inference.folding import Folding  # not needed in training, and it takes a while

            self._folding = Folding()
        folded = self._folding.of(self.network)
        device = next(self.network.parameters()).device
        lot = PERSON_LOT if device.type == "cpu" else None

        def found(some: NDArray[np.uint8]) -> list[Detections]:
            batch = torch.from_numpy(some).to(device).permute(0, 3, 1, 2).float()
            return detect(folded, batch, score_threshold=score_threshold, nms_threshold=nms_threshold, lot=lot)

        return each_on_a_core(found, images) if device.type == "cpu" else found(images)

    def load(self, weights: str | Path, sha256: str = "") -> None:
        """Reads a published checkpoint, or one that `save` wrote, strictly: see `load_published`."""
        load_published(self.network, weights, sha256)

    def save(self, path: str | Path) -> None:
        """Writes the weights under their published names."""
        with write_whole(Path(path)) as part:
            torch.save({"state_dict": published_state(self.network)}, part)


def _check_thresholds(score: float, nms: float) -> None:
    """Refuses those with which the answer would be nobody, or everybody, whatever the image shows. NaN is in no range.

    Raises:
        Refused: no number, a score outside 0..1, or an IoU below 0.
    """
    for name, value, most in (("score_threshold", score, 1.0), ("nms_threshold", nms, math.inf)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise Refused(f"{name} {value!r}: expected a number in 0..1")


def _check_images(images: object) -> None:
    if not isinstance(images, Tensor) or images.dtype != torch.float32:
        given = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise Refused(f"images: {given} given; expected a float32 tensor (B, 3, H, W), BGR, 0..255")
    if images.ndim != 4 or images.shape[1] != 3 or any(side == 0 or side % 32 for side in images.shape[2:]):
        raise Refused(f"images: shape {tuple(images.shape)}; expected (B, 3, H, W) with H and W multiples of 32")


def _packed(targets: Sequence[PersonsOfImage], images: Tensor, variant: Variant) -> Targets:
    """The persons of all images, padded.

    Raises:
        Refused: a field is missing or has another shape, or a value is not finite.
    """
    if isinstance(targets, Mapping | Tensor) or len(targets) != len(images):
        given = type(targets).__name__ if isinstance(targets, Mapping | Tensor) else f"{len(targets)} entries"
        raise Refused(f"targets: {given} given; expected a list with one entry for each of the {len(images)} images")
    rows = [_row(target, i, images.device, variant) for i, target in enumerate(targets)]
    columns = {name: pad_sequence([row[name] for row in rows], batch_first=True) for name in rows[0]}
    if not columns["boxes"].shape[1]:  # nobody in any image: one row of padding keeps the shapes
        columns = {name: value.new_zeros(len(images), 1, *value.shape[2:]) for name, value in columns.items()}
    counts = torch.tensor([len(row["boxes"]) for row in rows], device=images.device)
    width = columns["boxes"].shape[1]
    return Targets(
        boxes=columns["boxes"],
        keypoints=columns["keypoints"],
        visible=(columns["visible"] > 0).float(),
        areas=columns["areas"],
        labels=columns["labels"].long(),
        keypoint_weights=torch.ones_like(columns["visible"]),
        present=torch.arange(width, device=images.device) < counts[:, None],
    )


def _row(target: PersonsOfImage, index: int, device: torch.device, variant: Variant) -> dict[str, Tensor]:
    given = target if isinstance(target, Mapping) else {n: getattr(target, n, None) for n in (*_SHAPES, "labels")}
    missing = [name for name in _SHAPES if given.get(name) is None]
    if missing:
        raise Refused(f"targets[{index}]: no {', '.join(missing)}; expected {', '.join(_SHAPES)}")
    if variant.num_classes > 1 and given.get("labels") is None:
        raise Refused(f"targets[{index}]: no labels, and there are {variant.num_classes} classes; give labels (G,)")
    found = {name: torch.as_tensor(given[name], dtype=torch.float32, device=device) for name in _SHAPES}
    persons = len(found["boxes"]) if found["boxes"].ndim else 0
    labels = given.get("labels")
    found["labels"] = torch.zeros(persons, device=device) if labels is None else torch.as_tensor(labels, device=device)
    for name, value in found.items():
        shape = (persons, *(variant.num_keypoints if side == "K" else side for side in _SHAPES.get(name, ())))
        if tuple(value.shape) != shape:
            raise Refused(f"targets[{index}].{name}: shape {tuple(value.shape)}; expected {shape}")
        if not value.isfinite().all():
            raise Refused(f"targets[{index}].{name}: holds NaN or infinity; give numbers, 0 for what is not labelled")
    if not set(found["labels"].tolist()) <= set(range(variant.num_classes)):
        raise Refused(f"targets[{index}].labels: {found['labels'].tolist()}; expected 0..{variant.num_classes - 1}")
    return found


_SHAPES: dict[str, tuple[int | str, ...]] = {"boxes": (4,), "keypoints": ("K", 2), "visible": ("K",), "areas": ()}


class ModelManager:
    """Models by name; the name of this class is part of the published face."""

    @staticmethod
    def config(name: str) -> RTMOConfig:
        """The config of a released model or a preset.

        Raises:
            Refused: there is no such model, or these fields do not describe it.
        """
        _check_name(name)
        found = _config_of(blueprint(name).variant)
        if found is None:
            raise Refused(f"{name}: RTMOConfig does not describe it; take its variant, or its network by get()")
        return found

    @staticmethod
    def get(name: str, weights: str | Path | None = None) -> RTMO:
        """A model in eval mode.

        Args:
            name: a released model ("rtmo-s-coco"), a file of weights, the folder of a job, or, with `weights`, another
                name of `models.named`, such as the preset "rtmo-s".
            weights: a file of weights: a path or an address; None takes the model's own, and downloads released ones
                once.

        Raises:
            Refused: no such model, the weights could not be had, or they are of another model.
        """
        _check_name(name)
        network, plan = open_network(name, weights)
        return RTMO(_config_of(plan.variant), plan.size, network).eval()


def _check_name(name: object) -> None:
    if not isinstance(name, str | Path):
        raise Refused(f"{name!r} given; expected the name of a model, as rtmo-s-coco, or a file")


def _config_of(variant: Variant) -> RTMOConfig | None:
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
