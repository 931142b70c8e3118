"""The evaluation by pycocotools itself: slow, and what `coco_ap.py` must equal in every number and every match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import coco as _coco
from pycocotools import cocoeval as _cocoeval

from workbench.evaluation.coco_ap import AreaFrom, Evaluation, recorded_crowd_index, result_rows, with_areas
from workbench.evaluation.matching import PERSON_SIZES
from workbench.evaluation.metrics import METRICS, UNDEFINED, Curves, Measure, Span, measures
from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.tensors import Detections

# pycocotools reports its progress with `print`. Silencing its own name leaves sys.stdout alone, which other threads
# (a progress display, a second job) may be writing to.
for _module in (_coco, _cocoeval):
    vars(_module)["print"] = lambda *_, **__: None

# pycocotools' `stats`, in its order
_STATS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
Index = Any  # pycocotools' COCO: its published types know nothing of key points


def reference_coco(
    gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float], *, area_from: AreaFrom = "box"
) -> Evaluation:
    """As `coco_ap.evaluate_coco`."""
    truth = _indexed(with_areas(gt, len(sigmas), from_box=False))
    return _evaluation(truth, _loaded(truth, detections, len(sigmas), area_from), sigmas, measures())


def reference_crowdpose(gt: dict[str, Any], detections: Sequence[Detections], sigmas: Sequence[float]) -> Evaluation:
    """As `coco_ap.evaluate_crowdpose`."""
    truth = _indexed(with_areas(gt, len(sigmas), from_box=True))
    return _evaluation(truth, _loaded(truth, detections, len(sigmas), "box"), sigmas, measures(crowdpose=True))


def _indexed(dataset: dict[str, Any]) -> Index:
    index: Index = _coco.COCO()
    index.dataset = dataset
    index.createIndex()
    return index


def _loaded(truth: Index, detections: Sequence[Detections], keypoints: int, area_from: AreaFrom) -> Index:
    rows = result_rows(detections, keypoints, area_from, sorted(truth.cats))
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


def _evaluation(truth: Index, results: Index, sigmas: Sequence[float], wanted: Mapping[str, Measure]) -> Evaluation:
    """The wanted values from pycocotools' curves; where it has a mean of its own, that one."""
    scored = _score(truth, results, sigmas)
    records = _records(scored, truth)

    def curves(span: Span | None) -> Curves:
        if span is None:
            return _curves(scored)
        chosen = [i for i, image in truth.imgs.items() if span[0] <= recorded_crowd_index(image) < span[1]]
        return _curves(_score(truth, results, sigmas, chosen) if chosen else None)

    values = {name: measure.value(records, curves) for name, measure in wanted.items()}
    own = dict(zip(_STATS, scored.stats.tolist(), strict=True))
    return Evaluation(values | {n: v for n, v in own.items() if wanted.get(n) is METRICS[n].measure}, records)


def _curves(scored: Any) -> Curves:
    """Without any image: as if no person counted."""
    if scored is None:
        nothing = np.full((1, len(PERSON_SIZES), len(OKS_THRESHOLDS), 1), UNDEFINED)
        return Curves(nothing, nothing[..., 0])
    precision, recall = scored.eval["precision"][..., 0], scored.eval["recall"][..., 0]  # (T, R, C, A), (T, C, A)
    return Curves(precision.transpose(2, 3, 0, 1), recall.transpose(1, 2, 0))


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
    return np.concatenate([np.zeros((len(OKS_THRESHOLDS), 0)), *parts], axis=1).T != 0


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
