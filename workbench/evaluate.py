"""Average precision of key points by the COCO evaluation, for COCO and for CrowdPose.

The matching and the averages are those of pycocotools; this file prepares its input, keeps it quiet and keeps what
was matched with what. Settings: COCO key-point task (20 detections per image, ten OKS thresholds); CrowdPose
evaluation (area = 0.53 w h of the box, splits by the image's crowd index).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import coco as _coco
from pycocotools import cocoeval as _cocoeval

from workbench.errors import Refused
from workbench.skeletons import Skeleton
from workbench.tensors import Detections

# pycocotools reports its progress with `print`. Silencing its own name leaves sys.stdout alone, which other threads
# (a progress display, a second job) may be writing to.
for _module in (_coco, _cocoeval):
    vars(_module)["print"] = lambda *_, **__: None

Index = Any  # pycocotools' COCO: its published types know nothing of key points
AreaFrom = Literal["box", "keypoints"]
THRESHOLDS: tuple[float, ...] = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
CROWD_AREA = 0.53  # CrowdPose has no segment areas: share of the box that its evaluation takes for the person
CROWD_SPLITS: dict[str, tuple[float, float]] = {  # lower end included, upper end not
    "AP_E": (-np.inf, 0.2),
    "AP_M": (0.2, 0.8),
    "AP_H": (0.8, np.inf),
}
_COCO_STATS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
_CROWD_STATS = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecords:
    """What was matched, image by image: enough for AP, mean OKS and mean error of any resampling of the images.

    Legend: I images in ascending order of their number, D detections (those that count: at most 20 per image), ordered
    by class, image and descending score, C classes, T = 10 OKS thresholds. All sizes of persons together.
    """

    image_ids: NDArray[np.int64]  # (I,)
    image: NDArray[np.int32]  # (D,) index into image_ids
    category: NDArray[np.int16]  # (D,) class index
    scores: NDArray[np.float64]  # (D,)
    matched: NDArray[np.bool_]  # (D, T)
    ignored: NDArray[np.bool_]  # (D, T): neither right nor wrong
    positives: NDArray[np.int32]  # (C, I) persons that count
    oks_sum: NDArray[np.float64]  # (I,) over persons with a labelled key point: OKS of the image's best detection
    oks_count: NDArray[np.int32]  # (I,) these persons
    error_sum: NDArray[np.float64]  # (I,) over labelled key points of matched persons: distance / root of the area
    error_count: NDArray[np.int32]  # (I,) these key points

    def save(self, path: Path | str) -> None:
        """Write one compressed .npz, whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        part.replace(target)

    @classmethod
    def load(cls, path: Path | str) -> MatchRecords:
        """Read what `save` wrote.

        Raises:
            Refused: the file holds something else.
        """
        names = [f.name for f in fields(cls)]
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise Refused(f"{path} has no {missing}: not a file of match records; evaluate the model again")
            return cls(**{name: file[name] for name in names})


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
    return _results(detections, len(skeleton), area_from, categories)


def evaluate_coco(
    gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float], *, area_from: AreaFrom = "box"
) -> Evaluation:
    """AP, AP50, AP75, AP_M, AP_L, the same of AR, mOKS and NME as the COCO key-point task defines them.

    Args:
        gt: COCO ground truth (`images`, `annotations`, `categories`); it is not changed.
        detections: of any of its images, in pixels of the original image; images without one count as empty.
        sigmas: OKS constant of each key point.
        area_from: see `coco_results`.

    Raises:
        Refused: ground truth and detections do not fit each other or the sigmas.
    """
    truth = _truth(gt, len(sigmas), from_box=False)
    scored = _score(truth, _loaded(truth, detections, len(sigmas), area_from), sigmas)
    return _evaluation(dict(zip(_COCO_STATS, scored.stats.tolist(), strict=True)), scored, truth)


def evaluate_crowdpose(gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float]) -> Evaluation:
    """AP, AP50, AP75, the same of AR, AP of easy, medium and hard images (AP_E, AP_M, AP_H), mOKS and NME.

    Areas are 0.53 w h of the person's box, in OKS and elsewhere. An image is easy with `crowdIndex` < 0.2, hard with
    `crowdIndex` >= 0.8. Arguments and errors as `evaluate_coco`.
    """
    truth = _truth(gt, len(sigmas), from_box=True)
    results = _loaded(truth, detections, len(sigmas), "box")
    scored = _score(truth, results, sigmas)
    stats = dict(zip(_COCO_STATS, scored.stats.tolist(), strict=True))
    values = {name: stats[name] for name in _CROWD_STATS}
    for name, (low, high) in CROWD_SPLITS.items():
        chosen = [i for i, image in truth.imgs.items() if low <= _crowd_index(image) < high]
        values[name] = float(_score(truth, results, sigmas, chosen).stats[0]) if chosen else -1.0
    return _evaluation(values, scored, truth)


def _results(
    detections: Sequence[Detections], keypoints: int, area_from: str, categories: Sequence[int]
) -> list[dict[str, Any]]:
    if area_from not in ("box", "keypoints"):
        raise Refused(f"area_from={area_from!r}: expected 'box' or 'keypoints'")
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


def _truth(gt: dict[str, Any], keypoints: int, from_box: bool) -> Index:
    """An index of our own copy: pycocotools writes into annotations and takes number 0 for `not matched`."""
    return _indexed(
        {
            "images": list(gt.get("images", ())),
            "categories": list(gt.get("categories", ())) or [{"id": 1, "name": "person"}],
            "annotations": [
                _annotation(ann, number, keypoints, from_box) for number, ann in enumerate(gt.get("annotations", ()), 1)
            ],
        }
    )


def _indexed(dataset: dict[str, Any]) -> Index:
    index: Index = _coco.COCO()
    index.dataset = dataset
    index.createIndex()
    return index


def _annotation(ann: dict[str, Any], number: int, keypoints: int, from_box: bool) -> dict[str, Any]:
    points = ann.get("keypoints", ())
    if len(points) != 3 * keypoints:
        raise Refused(
            f"annotation {ann.get('id')}: {len(points)} key-point numbers, expected 3 x {keypoints}; "
            "choose the key-point set of this ground truth"
        )
    if from_box:
        area = CROWD_AREA * ann["bbox"][2] * ann["bbox"][3]
    elif "area" in ann:
        area = ann["area"]
    else:
        raise Refused(f"annotation {ann.get('id')} has no area, which COCO AP needs; CrowdPose AP takes it from boxes")
    labelled = sum(v > 0 for v in points[2::3])
    return {"iscrowd": 0, "num_keypoints": labelled} | ann | {"id": number, "area": area}


def _crowd_index(image: dict[str, Any]) -> float:
    if "crowdIndex" not in image:
        raise Refused(f"image {image['id']} has no crowdIndex, which CrowdPose AP needs; use the COCO evaluation")
    return float(image["crowdIndex"])


def _loaded(truth: Index, detections: Sequence[Detections], keypoints: int, area_from: str) -> Index:
    strange = sorted({int(d.image_id) for d in detections if len(d)} - set(truth.imgs))
    if strange:
        raise Refused(
            f"{len(strange)} images with detections are not in the ground truth (first: {strange[:3]}); "
            "evaluate on the set that was predicted"
        )
    rows = _results(detections, keypoints, area_from, sorted(truth.cats))
    if rows:
        return truth.loadRes(rows)
    return _indexed(truth.dataset | {"annotations": []})  # loadRes looks at the first row


def _score(truth: Index, results: Index, sigmas: Sequence[float], image_ids: Sequence[int] | None = None) -> Any:
    scored: Any = _cocoeval.COCOeval(truth, results, "keypoints")
    scored.params.kpt_oks_sigmas = np.asarray(sigmas, dtype=np.float64)
    if image_ids is not None:
        scored.params.imgIds = list(image_ids)
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    return scored


def _evaluation(values: dict[str, float], scored: Any, truth: Index) -> Evaluation:
    records = _records(scored, truth)
    persons, points = records.oks_count.sum(), records.error_count.sum()
    means = {
        "mOKS": float(records.oks_sum.sum() / persons) if persons else float("nan"),
        "NME": float(records.error_sum.sum() / points) if points else float("nan"),
    }
    return Evaluation(values | means, records)


def _records(scored: Any, truth: Index) -> MatchRecords:
    ids = [int(i) for i in scored.params.imgIds]
    classes, areas = list(scored.params.catIds), len(scored.params.areaRng)
    positives = np.zeros((len(classes), len(ids)), np.int32)
    oks, error = np.zeros((2, len(ids))), np.zeros((2, len(ids)))  # sum, count
    kept: list[tuple[int, int, dict[str, Any]]] = []
    for c, category in enumerate(classes):
        for i, image in enumerate(ids):
            match = scored.evalImgs[c * areas * len(ids) + i]  # the first size range is `all`
            if match is None:
                continue
            kept.append((c, i, match))
            positives[c, i] = np.count_nonzero(np.asarray(match["gtIgnore"]) == 0)
            persons = [a for a in truth.imgToAnns[image] if a["category_id"] == category]
            oks[:, i] += _best_oks(scored.ious[image, category], persons)
            error[:, i] += _errors(match, truth, scored.cocoDt)
    counts = [len(m["dtScores"]) for *_, m in kept]
    return MatchRecords(
        image_ids=np.asarray(ids, np.int64),
        image=np.repeat(np.asarray([i for _, i, _ in kept], np.int32), counts),
        category=np.repeat(np.asarray([c for c, *_ in kept], np.int16), counts),
        scores=np.asarray([s for *_, m in kept for s in m["dtScores"]], np.float64),
        matched=_flags([m["dtMatches"] for *_, m in kept]),
        ignored=_flags([m["dtIgnore"] for *_, m in kept]),
        positives=positives,
        oks_sum=oks[0],
        oks_count=oks[1].astype(np.int32),
        error_sum=error[0],
        error_count=error[1].astype(np.int32),
    )


def _flags(parts: list[NDArray[Any]]) -> NDArray[np.bool_]:
    """(T, D of an image) each, to (D, T)."""
    return np.concatenate([np.zeros((len(THRESHOLDS), 0)), *parts], axis=1).T != 0


def _best_oks(oks: NDArray[np.float64] | list[float], persons: list[dict[str, Any]]) -> tuple[float, int]:
    """Sum and number over persons that are labelled. `oks` is (detections, persons), or empty."""
    labelled = [not (a["iscrowd"] or a["num_keypoints"] == 0) and max(a["keypoints"][2::3]) > 0 for a in persons]
    best = np.max(oks, axis=0)[labelled].sum() if len(oks) else 0.0
    return float(best), sum(labelled)


def _errors(match: dict[str, Any], truth: Index, results: Index) -> tuple[float, int]:
    """Sum and number over the labelled key points of persons matched at the first threshold."""
    total, count = 0.0, 0
    for found, person, ignored in zip(match["dtIds"], match["dtMatches"][0], match["dtIgnore"][0], strict=True):
        if not person or ignored:
            continue
        ann = truth.anns[int(person)]
        a = np.asarray(ann["keypoints"], float).reshape(-1, 3)
        b = np.asarray(results.anns[found]["keypoints"], float).reshape(-1, 3)
        labelled = a[:, 2] > 0
        distance = np.hypot(*(a - b)[labelled, :2].T)
        total += float(distance.sum()) / max(float(ann["area"]), np.finfo(float).eps) ** 0.5
        count += int(labelled.sum())
    return total, count
