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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.data.find import BATCH, inferred_in
from workbench.data.inferred import Detection as Detection
from workbench.data.inferred import Inferred
from workbench.data.picture import Picture
from workbench.inference.side_by_side import each_on_a_core
from workbench.models.criterion import losses
from workbench.models.decode import PERSON_LOT, detect, keep, poses
from workbench.models.given_targets import PersonsOfImage as PersonsOfImage
from workbench.models.given_targets import pack_targets
from workbench.models.named import blueprint, open_network
from workbench.models.network import Network
from workbench.models.published import load_published, published_state
from workbench.models.published_config import BackboneConfig as BackboneConfig
from workbench.models.published_config import CSPConfig as CSPConfig
from workbench.models.published_config import ResNetConfig as ResNetConfig
from workbench.models.published_config import RTMOConfig as RTMOConfig
from workbench.models.published_config import STDCConfig as STDCConfig
from workbench.models.published_config import config_of
from workbench.models.releases import RELEASES as RELEASES
from workbench.tensors import Dense, Detections, Targets

if TYPE_CHECKING:
    from workbench.inference.folding import Folding

_RTMO_S = RTMOConfig()  # whose fields are the defaults


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


class RTMO(nn.Module):
    """RTMO of a config, or of a network that is there already.

    `network` is the workbench's own module; `size` (height, width) is what `infer` works at; `config` is None where the
    published fields do not describe the network.
    """

    def __init__(
        self,
        config: RTMOConfig | None = _RTMO_S,
        size: tuple[int, int] = (640, 640),
        network: Network | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.size = size
        self.network = network or Network((config or _RTMO_S).variant())
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
        return pack_targets(targets, images, variant)

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


class ModelManager:
    """Models by name; the name of this class is part of the published face."""

    @staticmethod
    def config(name: str) -> RTMOConfig:
        """The config of a released model or a preset.

        Raises:
            Refused: there is no such model, or these fields do not describe it.
        """
        _check_name(name)
        found = config_of(blueprint(name).variant)
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
        return RTMO(config_of(plan.variant), plan.size, network).eval()


def _check_name(name: object) -> None:
    if not isinstance(name, str | Path):
        raise Refused(f"{name!r} given; expected the name of a model, as rtmo-s-coco, or a file")
