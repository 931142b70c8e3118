"""What was found in one picture, under the names of the published face: to be read, drawn, and handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.data.overlay import DRAWN_ABOVE, draw_found
from workbench.data.picture import Picture, pixels_of
from workbench.tensors import Array, Detections


@dataclass(slots=True, kw_only=True)
class Detection:
    """One person in an image, in pixels of that image."""

    bbox: list[float]  # x1, y1, x2, y2
    conf: float
    cls_id: int
    label: str
    keypoints: list[list[float]]  # K times x, y, visibility (0..1)


@dataclass(slots=True, kw_only=True)
class Inferred:
    """The persons found in one image, by descending confidence.

    Fields:
        skeleton: the key points: their names, and the limbs between them.
        size: height and width of the image.
        picture: what was given, which `draw` reads again.
    """

    detections: list[Detection]
    skeleton: Skeleton = Skeleton()
    size: tuple[int, int] = (0, 0)
    picture: Picture | None = field(default=None, repr=False, compare=False)

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """Of the K key points, in their order."""
        return self.skeleton.keypoints

    @property
    def limbs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of key points that a drawing joins."""
        names = self.skeleton.keypoints
        return tuple((names[a], names[b]) for a, b in self.skeleton.limbs)

    def draw(self, picture: Picture | None = None, threshold: float = DRAWN_ABOVE) -> NDArray[np.uint8]:
        """A copy of the image with the persons on it, (H, W, 3) in BGR; small images are enlarged.

        Args:
            picture: what to draw on; None: what was given to `infer`.
            threshold: persons and key points below this confidence are left out.

        Raises:
            Unreadable, Refused: as `pixels_of`, or there is no picture.
        """
        given = self.picture if picture is None else picture
        if given is None:
            raise Refused("draw: these persons come without their picture; pass it")
        return draw_found(pixels_of(given), self._found(), self.skeleton, threshold)

    def to_coco(self, image_id: int = 0, category_ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """One row per person in COCO's results form.

        Args:
            image_id: of the image.
            category_ids: of each class; None: 1, 2, 3, ...
        """
        return [
            {
                "image_id": image_id,
                "category_id": one.cls_id + 1 if category_ids is None else category_ids[one.cls_id],
                "keypoints": [number for point in one.keypoints for number in point],
                "score": one.conf,
                "bbox": [one.bbox[0], one.bbox[1], one.bbox[2] - one.bbox[0], one.bbox[3] - one.bbox[1]],
            }
            for one in self.detections
        ]

    def to_supervision(self) -> Any:
        """The same as `supervision.KeyPoints`; the boxes of the persons are in its `data`.

        Raises:
            Refused: supervision is not installed.
        """
        try:
            import supervision  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise Refused("to_supervision: it is not installed; pip install 'supervision>=0.29'") from error
        found = self._found()
        return supervision.KeyPoints(
            xy=found.keypoints,
            class_id=found.labels,
            keypoint_confidence=found.keypoint_scores,
            detection_confidence=found.scores,
            data={"class_name": np.array([one.label for one in self.detections]), "xyxy": found.boxes},
        )

    def _found(self) -> Detections:
        count, one = len(self.detections), self.detections
        points = np.array([person.keypoints for person in one], np.float32).reshape(count, len(self.skeleton), 3)
        boxes: Array = np.array([person.bbox for person in one], np.float32).reshape(-1, 4)
        return Detections(
            boxes=boxes,
            scores=np.array([person.conf for person in one], np.float32),
            labels=np.array([person.cls_id for person in one], np.int64),
            keypoints=points[..., :2],
            keypoint_scores=points[..., 2],
        )


def inferred_from(
    found: Detections, skeleton: Skeleton, size: tuple[int, int], classes: Sequence[str], picture: Picture | None = None
) -> Inferred:
    """Detections in pixels of an image of that height and width, under their published names.

    Args:
        classes: their names, by label.
    """
    points = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], -1)
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), points.tolist(), strict=True)
    detections = [
        Detection(bbox=box, conf=conf, cls_id=label, label=classes[int(label)], keypoints=keypoints)
        for box, conf, label, keypoints in rows
    ]
    return Inferred(detections=detections, skeleton=skeleton, size=size, picture=picture)
