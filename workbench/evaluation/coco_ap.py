"""Average precision of key points by the COCO evaluation, for COCO and for CrowdPose.

Every number equals that of pycocotools (`reference.py`), from which this differs in three ways: it matches many images
at once (`matching.py`), it can do so while the network still runs on the next ones (`Evaluator`), and it keeps what was
matched with what. Which numbers there are stands in `metrics.py`. Settings: COCO key-point task (20 detections per
image, ten OKS thresholds); CrowdPose evaluation (area = 0.53 w h of the box, splits by the image's crowd index).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.evaluation.average_precision import RECALLS
from workbench.evaluation.matching import (
    AREA_RANGES,
    MAX_DETECTIONS,
    GroundTruth,
    Matches,
    ScoredDetections,
    joined,
    match,
    outside,
)
from workbench.evaluation.metrics import UNDEFINED, Curves, Span, measures
from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.tensors import Detections, Floats

AreaFrom = Literal["box", "keypoints"]
CROWD_AREA = 0.53  # CrowdPose has no segment areas: share of the box that its evaluation takes for the person
LOT = 128  # images that are matched together


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Named numbers and what they come from. Iterating gives (name, value).

    AP and AR are in 0..1, and -1 where no person counts. mOKS is the mean, over persons with a labelled key point, of
    the OKS of the best detection of their image, 0 without one: it moves while AP is still 0. NME is the mean distance
    of key points in units of the root of the person's area, over persons matched at OKS 0.5. Both are nan where there
    is nothing to average.
    """

    values: dict[str, float]
    records: MatchRecords

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(self.values.items())

    def __getitem__(self, name: str) -> float:
        return self.values[name]


def coco_results(
    detections: Sequence[Detections], skeleton: Skeleton, area_from: AreaFrom = "box", categories: Sequence[int] = (1,)
) -> list[dict[str, Any]]:
    """COCO key-point results: one dict per detection, ready for `json.dump`.

    The score is the box score; the third column of `keypoints` is the probability that the point is visible.

    Args:
        detections: of each image, in pixels of the original image.
        skeleton: the key-point set they must have.
        area_from: `box` writes `bbox`, and the evaluation takes a detection's area from it, as published; `keypoints`
            leaves it out, and the evaluation takes the extent of the key points. Only AP_M and AP_L differ.
        categories: category number of each class.

    Raises:
        Refused: other key points, an unknown class, or a number that is not finite.
    """
    return result_rows(detections, len(skeleton), area_from, categories)


class Evaluator:
    """Takes detections image by image while inference goes on; a thread of its own matches them meanwhile.

    At the end only the averages are left to do.

    Args:
        gt: COCO ground truth (`images`, `annotations`, `categories`); it is not changed.
        sigmas: OKS constant of each key point.
        area_from: see `coco_results`.
        crowdpose: evaluate as `evaluate_crowdpose` does, else as `evaluate_coco`.

    Raises:
        Refused: the ground truth does not fit the sigmas or the evaluation.
    """

    def __init__(
        self, gt: dict[str, Any], sigmas: Sequence[float], *, area_from: AreaFrom = "box", crowdpose: bool = False
    ) -> None:
        _check_area_from(area_from)
        self.area_from: AreaFrom = "box" if crowdpose else area_from
        self.sigmas = np.asarray(sigmas, np.float64)
        self.truth = _Truth(with_areas(gt, len(sigmas), from_box=crowdpose), len(sigmas))
        self.crowding = _crowding(gt, self.truth) if crowdpose else None
        self._taken: set[int] = set()
        self._waiting: list[Detections] = []
        self._matches: list[Future[Matches]] = []
        self._thread = ThreadPoolExecutor(1, "evaluate")

    def add(self, found: Detections) -> None:
        """All that was found in one image, in pixels of the original image; not to be changed afterwards.

        Raises:
            Refused: it does not fit the ground truth or the sigmas, or the image was there before.
        """
        if found.image_id in self._taken:
            raise Refused(f"detections of image {found.image_id} a second time: give all of an image at once")
        if found.image_id not in self.truth.index and len(found):
            raise Refused(
                f"image {found.image_id} with {len(found)} detections is not in the ground truth; "
                "evaluate on the set that was predicted"
            )
        _check_detections(found, len(self.sigmas), len(self.truth.categories))
        self._taken.add(found.image_id)
        if len(found):
            self._waiting.append(found)
        if len(self._waiting) == LOT:
            self._send()

    def result(self) -> Evaluation:
        """The evaluation of all images, those without detections as empty. Nothing can be added after it.

        Raises:
            Exception: whatever went wrong in the thread.
        """
        self._send()  # and one at least, so that there is something to put together
        self._thread.shutdown()
        matches = joined([lot.result() for lot in self._matches], len(self.truth.categories))
        return _evaluation(self.truth, matches, self.crowding)

    def _send(self) -> None:
        lot, self._waiting = self._waiting, []
        self._matches.append(self._thread.submit(self._match, lot))

    def _match(self, lot: list[Detections]) -> Matches:
        return match(_found(lot, self.truth, self.area_from), self.truth.persons, self.sigmas)


def evaluate_coco(
    gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float], *, area_from: AreaFrom = "box"
) -> Evaluation:
    """AP, AP50, AP75, AP_M, AP_L, the same of AR, mOKS and NME as the COCO key-point task defines them.

    Args:
        gt: COCO ground truth (`images`, `annotations`, `categories`); it is not changed.
        detections: of any of its images, in pixels of the original image, one record per image; images without one
            count as empty.
        sigmas: OKS constant of each key point.
        area_from: see `coco_results`.

    Raises:
        Refused: ground truth and detections do not fit each other or the sigmas.
    """
    return _all(Evaluator(gt, sigmas, area_from=area_from), detections)


def evaluate_crowdpose(gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float]) -> Evaluation:
    """AP, AP50, AP75, the same of AR, AP of easy, medium and hard images (AP_E, AP_M, AP_H), mOKS and NME.

    Areas are 0.53 w h of the person's box, in OKS and elsewhere. An image is easy with `crowdIndex` < 0.2, hard with
    `crowdIndex` >= 0.8. Arguments and errors as `evaluate_coco`.
    """
    return _all(Evaluator(gt, sigmas, crowdpose=True), detections)


def _all(evaluator: Evaluator, detections: Sequence[Detections]) -> Evaluation:
    for found in detections:
        evaluator.add(found)
    return evaluator.result()


def result_rows(
    detections: Sequence[Detections], keypoints: int, area_from: str, categories: Sequence[int]
) -> list[dict[str, Any]]:
    """As `coco_results`, for any number of key points."""
    _check_area_from(area_from)
    rows: list[dict[str, Any]] = []
    for found in detections:
        _check_detections(found, keypoints, len(categories))
        points = np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=-1)
        sizes = found.boxes[:, 2:] - found.boxes[:, :2]
        boxes = np.concatenate([found.boxes[:, :2], sizes], axis=1).tolist()
        for i in range(len(found)):
            row: dict[str, Any] = {
                "image_id": int(found.image_id),
                "category_id": int(categories[int(found.labels[i])]),
                "keypoints": points[i].ravel().tolist(),
                "score": float(found.scores[i]),
            }
            rows.append(row | {"bbox": boxes[i]} if area_from == "box" else row)
    return rows


def _check_area_from(area_from: str) -> None:
    if area_from not in ("box", "keypoints"):
        raise Refused(f"area_from={area_from!r}: expected 'box' or 'keypoints'")


def _check_detections(found: Detections, keypoints: int, classes: int) -> None:
    where = f"detections of image {found.image_id}"
    if found.keypoints.shape != (len(found), keypoints, 2):
        raise Refused(f"{where}: key points of shape {found.keypoints.shape}, expected ({len(found)}, {keypoints}, 2)")
    # pycocotools would take a distance of nan for a perfect match.
    for name in ("scores", "keypoints", "keypoint_scores", "boxes"):
        bad = int((~np.isfinite(getattr(found, name))).sum())
        if bad:
            raise Refused(f"{where}: {bad} of its {name} are not finite; the model has diverged, train it again")
    unknown = sorted({int(label) for label in found.labels if not 0 <= label < classes})
    if unknown:
        raise Refused(f"{where}: class {unknown}, but the ground truth has {classes} (0..{classes - 1})")


def with_areas(gt: dict[str, Any], keypoints: int, from_box: bool) -> dict[str, Any]:
    """A copy of ground truth with all that an evaluation needs; annotations are numbered from 1.

    Args:
        gt: as of `evaluate_coco`; keypoints: how many a person has; from_box: areas are those of CrowdPose.

    Raises:
        Refused: other key points, or an annotation without area or box.
    """
    return {
        "images": list(gt.get("images", ())),
        "categories": list(gt.get("categories", ())) or [{"id": 1, "name": "person"}],
        "annotations": [
            _annotation(ann, number, keypoints, from_box) for number, ann in enumerate(gt.get("annotations", ()), 1)
        ],
    }


def _annotation(ann: dict[str, Any], number: int, keypoints: int, from_box: bool) -> dict[str, Any]:
    points = ann.get("keypoints", ())
    if len(points) != 3 * keypoints:
        raise Refused(
            f"annotation {ann.get('id')}: {len(points)} key-point numbers, expected 3 x {keypoints}; "
            "choose the key-point set of this ground truth"
        )
    if "bbox" not in ann:
        raise Refused(f"annotation {ann.get('id')} has no bbox, which stands for persons without labelled key points")
    if from_box:
        area = CROWD_AREA * ann["bbox"][2] * ann["bbox"][3]
    elif "area" in ann:
        area = ann["area"]
    else:
        raise Refused(f"annotation {ann.get('id')} has no area, which COCO AP needs; CrowdPose AP takes it from boxes")
    labelled = sum(v > 0 for v in points[2::3])
    return {"iscrowd": 0, "num_keypoints": labelled} | ann | {"id": number, "area": area}


def recorded_crowd_index(image: dict[str, Any]) -> float:
    """Of an image of CrowdPose.

    Raises:
        Refused: it has none.
    """
    if "crowdIndex" not in image:
        raise Refused(f"image {image['id']} has no crowdIndex, which CrowdPose AP needs; use the COCO evaluation")
    return float(image["crowdIndex"])


class _Truth:
    """Ground truth as arrays. Images and categories ascend with their number; a group is `image * C + class`."""

    def __init__(self, gt: dict[str, Any], keypoints: int) -> None:
        self.image_ids = np.asarray(sorted({int(image["id"]) for image in gt["images"]}), np.int64)
        self.categories = sorted({int(category["id"]) for category in gt["categories"]})
        self.index = {int(number): i for i, number in enumerate(self.image_ids)}
        classes = {number: c for c, number in enumerate(self.categories)}
        anns = [a for a in gt["annotations"] if a["image_id"] in self.index and a["category_id"] in classes]
        group = np.asarray([self.index[a["image_id"]] * len(classes) + classes[a["category_id"]] for a in anns], int)
        order = np.argsort(group, kind="stable")
        anns, self.group = [anns[i] for i in order], group[order]  # P persons
        self.persons = _persons(
            anns, keypoints, np.searchsorted(self.group, np.arange(len(self.index) * len(classes) + 1))
        )
        unlabelled = np.asarray([a["num_keypoints"] == 0 for a in anns], bool)
        self.measured = (self.persons.labelled > 0) & ~self.persons.crowd & ~unlabelled  # (P,) mOKS is over these


def _persons(anns: list[dict[str, Any]], keypoints: int, first: NDArray[np.int64]) -> GroundTruth:
    points = np.asarray([a["keypoints"] for a in anns], np.float64).reshape(-1, keypoints, 3)
    labelled = points[..., 2] > 0
    areas = np.asarray([a["area"] for a in anns], np.float64)
    crowd = np.asarray([a["iscrowd"] for a in anns], bool)
    unlabelled = np.asarray([a["num_keypoints"] == 0 for a in anns], bool)
    return GroundTruth(
        first=first,
        keypoints=points[..., :2],
        labelled=labelled.sum(1),
        columns=np.argsort(~labelled, axis=1, kind="stable"),
        boxes=np.asarray([a["bbox"] for a in anns], np.float64).reshape(-1, 4),
        areas=areas,
        crowd=crowd,
        ignored=(crowd | unlabelled)[:, None] | outside(areas),
    )


def _crowding(gt: dict[str, Any], truth: _Truth) -> Floats:
    """(I,) the recorded crowd index of each image."""
    crowding = np.zeros(len(truth.image_ids))
    for image in gt.get("images", ()):
        crowding[truth.index[image["id"]]] = recorded_crowd_index(image)
    return crowding


def _found(lot: list[Detections], truth: _Truth, area_from: AreaFrom) -> ScoredDetections:
    """The detections that count: at most 20 per class of an image, by descending score, equal ones as they came."""
    if not lot:
        return ScoredDetections(
            group=np.zeros(0, np.int64),
            scores=np.zeros(0),
            keypoints=np.zeros((0, *truth.persons.keypoints.shape[1:])),
            areas=np.zeros(0),
        )
    group = np.concatenate([truth.index[d.image_id] * len(truth.categories) + d.labels for d in lot]).astype(np.int64)
    scores = np.concatenate([d.scores for d in lot]).astype(np.float64)
    order = np.lexsort((-scores, group))
    rank = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    order = order[rank < MAX_DETECTIONS]
    points = np.concatenate([d.keypoints for d in lot])[order].astype(np.float64)
    if area_from == "box":
        sizes = np.concatenate([d.boxes[:, 2:] - d.boxes[:, :2] for d in lot])[order].astype(np.float64)
    else:
        sizes = points.max(1) - points.min(1)
    return ScoredDetections(group=group[order], scores=scores[order], keypoints=points, areas=sizes[:, 0] * sizes[:, 1])


def _evaluation(truth: _Truth, matches: Matches, crowding: Floats | None) -> Evaluation:
    """`crowding`: (I,) crowd index of the images where the evaluation is CrowdPose's."""
    records = _records(truth, matches)

    @cache
    def curves(span: Span | None) -> Curves:
        images = np.ones(len(truth.image_ids), bool)
        if span is not None and crowding is not None:
            images = (span[0] <= crowding) & (crowding < span[1])
        return _curves(truth, matches, images)

    found = measures(crowdpose=crowding is not None)
    return Evaluation({name: measure.value(records, curves) for name, measure in found.items()}, records)


def _curves(truth: _Truth, matches: Matches, images: NDArray[np.bool_]) -> Curves:
    """Precision and recall over some of the images (I,)."""
    classes = len(truth.categories)
    shape = (classes, len(AREA_RANGES), len(OKS_THRESHOLDS))
    precision, recall = np.full((*shape, len(RECALLS)), UNDEFINED), np.full(shape, UNDEFINED)
    people = images[truth.group // classes]
    for c in range(classes):
        rows = np.flatnonzero((matches.group % classes == c) & images[matches.group // classes])
        rows = rows[np.argsort(-matches.scores[rows], kind="stable")]
        persons = (~truth.persons.ignored[people & (truth.group % classes == c)]).sum(0)  # (A,)
        for a in np.flatnonzero(persons):
            matched, counts = matches.matched[rows, a].T, ~matches.ignored[rows, a].T  # (T, D)
            precision[c, a], recall[c, a] = _curve(matched & counts, ~matched & counts, int(persons[a]))
    return Curves(precision, recall)


def _curve(
    right: NDArray[np.bool_], wrong: NDArray[np.bool_], persons: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """From detections (T, D) by descending score: precision at each recall (T, 101), and the recall of all (T,)."""
    precision = np.zeros((len(right), len(RECALLS)))
    true, false = np.cumsum(right, axis=1), np.cumsum(wrong, axis=1)
    recall = true / persons
    best = np.maximum.accumulate((true / (false + true + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
    for t, reached in enumerate(recall):
        first = np.searchsorted(reached, RECALLS)
        known = first < len(reached)
        precision[t, known] = best[t, first[known]]
    return precision, recall[:, -1] if recall.shape[1] else np.zeros(len(recall))


def _records(truth: _Truth, matches: Matches) -> MatchRecords:
    """The part of `matches` that all sizes of persons together need."""
    classes, images, persons = len(truth.categories), len(truth.image_ids), truth.persons
    found, of_person = matches.group // classes, truth.group // classes  # image of each
    positives = np.bincount(truth.group[~persons.ignored[:, 0]], minlength=images * classes)
    best = np.zeros(len(truth.group))
    best[matches.persons] = matches.best
    return MatchRecords(
        image_ids=truth.image_ids,
        image=found.astype(np.int32),
        category=(matches.group % classes).astype(np.int16),
        scores=matches.scores,
        matched=matches.matched[:, 0],
        ignored=matches.ignored[:, 0],
        positives=positives.reshape(images, classes).T.astype(np.int32),
        oks_sum=np.bincount(of_person[truth.measured], best[truth.measured], images).astype(np.float64),
        oks_count=np.bincount(of_person[truth.measured], minlength=images).astype(np.int32),
        error_sum=np.bincount(found, matches.error, images).astype(np.float64),
        error_count=np.bincount(found, matches.points, images).astype(np.int32),
    )
