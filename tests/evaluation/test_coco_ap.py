"""The evaluator against pycocotools itself, the reference's numbers and published ones."""

from __future__ import annotations

import copy
import json
import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluate import jittered, people
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE, Skeleton
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.bootstrap import metric_from_records
from workbench.evaluation.coco_ap import (
    Evaluation,
    Evaluator,
    coco_results,
    evaluate_coco,
    evaluate_crowdpose,
)
from workbench.evaluation.matching import Matches, match
from workbench.evaluation.records import OKS_THRESHOLDS, MatchRecords
from workbench.evaluation.reference import reference_coco, reference_crowdpose
from workbench.tensors import Detections

GOLDEN = Path(__file__).parents[1] / "golden" / "eval"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SETS = {"coco": COCO, "crowdpose": CROWDPOSE}
NAMES = {  # the reference's name, ours
    "coco": {
        "AP": "AP", "AP .5": "AP50", "AP .75": "AP75", "AP (M)": "AP_M", "AP (L)": "AP_L",
        "AR": "AR", "AR .5": "AR50", "AR .75": "AR75", "AR (M)": "AR_M", "AR (L)": "AR_L",
    },
    "crowdpose": {
        "AP": "AP", "AP .5": "AP50", "AP .75": "AP75", "AR": "AR", "AR .5": "AR50", "AR .75": "AR75",
        "AP(E)": "AP_E", "AP(M)": "AP_M", "AP(H)": "AP_H",
    },
}  # fmt: skip


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def golden_detections(name: str, score: str = "bbox") -> list[Detections]:
    arrays = np.load(GOLDEN / f"{name}_pred_arrays.npz")
    found = []
    for i, image_id in enumerate(arrays["img_ids"]):
        points = arrays[f"{i}_keypoint_scores"]
        scores = rescored(score, arrays[f"{i}_bbox_scores"], points)
        found.append(
            Detections(
                boxes=arrays[f"{i}_bboxes"],
                scores=scores,
                labels=np.zeros(len(scores), np.int64),
                keypoints=arrays[f"{i}_keypoints"],
                keypoint_scores=points,
                image_id=int(image_id),
            )
        )
    return found


def rescored(mode: str, box: np.ndarray, points: np.ndarray) -> np.ndarray:
    if mode == "bbox" or not len(box):
        return box
    if mode == "keypoint":
        return points.mean(1)
    if mode == "bbox_rle":
        return box + points.mean(1) + points.max(1)
    sure = points > 0.2
    return box * (points * sure).sum(1) / np.maximum(sure.sum(1), 1)


def golden(name: str, **options: Any) -> Evaluation:
    truth, sigmas = read(GOLDEN / f"{name}_gt.json"), SETS[name].sigmas
    found = golden_detections(name, options.pop("score", "bbox"))
    evaluate = evaluate_coco if name == "coco" else evaluate_crowdpose
    return evaluate(truth, found, sigmas, **options)


def from_results(rows: list[dict[str, Any]], skeleton: Skeleton) -> list[Detections]:
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_image[row["image_id"]].append(row)
    found = []
    for image_id, group in by_image.items():
        points = np.asarray([row["keypoints"] for row in group], np.float64).reshape(-1, len(skeleton), 3)
        found.append(
            Detections(
                boxes=np.zeros((len(group), 4), np.float32),
                scores=np.asarray([row["score"] for row in group], np.float64).astype(np.float32),
                labels=np.zeros(len(group), np.int64),
                keypoints=points[..., :2].astype(np.float32),
                keypoint_scores=points[..., 2].astype(np.float32),
                image_id=image_id,
            )
        )
    return found


def shared(*parts: str) -> Any:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{'/'.join(parts)}")
    return read(path)


def assert_same(ours: Evaluation, reference: Evaluation) -> None:
    """Every number and every match."""
    assert list(ours.values) == list(reference.values)
    assert list(ours.values.values()) == pytest.approx(list(reference.values.values()), abs=1e-9, nan_ok=True)
    for name in MatchRecords.__slots__:
        a, b = getattr(ours.records, name), getattr(reference.records, name)
        assert a.dtype == b.dtype and a.shape == b.shape, name
        if name in ("oks_sum", "error_sum"):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        else:
            assert np.array_equal(a, b), name
    for metric in ("AP", "AP50", "AP75", "mOKS", "NME"):
        assert metric_from_records(ours.records, metric=metric) == pytest.approx(ours[metric], abs=1e-12, nan_ok=True)


def assert_equals_pycocotools(truth: dict[str, Any], some: list[Detections], sigmas: Any, crowd: bool = False) -> None:
    """As COCO and, where images say how crowded they are, as CrowdPose."""
    if not crowd:
        for area_from in ("box", "keypoints"):
            ours = evaluate_coco(truth, some, sigmas, area_from=area_from)
            assert_same(ours, reference_coco(truth, some, sigmas, area_from=area_from))
    if all("crowdIndex" in image for image in truth["images"]):
        assert_same(evaluate_crowdpose(truth, some, sigmas), reference_crowdpose(truth, some, sigmas))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("score", ["bbox", "bbox_keypoint", "keypoint", "bbox_rle"])
def test_the_reference_numbers(name: str, score: str) -> None:
    expected = read(GOLDEN / f"{name}_results.json")
    ours = golden(name, score=score)
    wanted = [expected[f"{score}+none"]] + ([expected["rtmo_setting"]] if score == "bbox" else [])
    for numbers in wanted:
        assert set(numbers) == set(NAMES[name])
        for theirs, value in numbers.items():
            # the reference rounds the splits by crowd index to four digits
            digits = 5.1e-5 if theirs in ("AP(E)", "AP(M)", "AP(H)") else 1e-12
            assert ours[NAMES[name][theirs]] == pytest.approx(value, abs=digits)


@pytest.mark.parametrize("area_from, key", [("box", "with"), ("keypoints", "without")])
def test_area_of_a_detection(area_from: Any, key: str) -> None:
    expected = read(GOLDEN / "coco_results.json")[f"pycocotools_{key}_bbox_in_results"]
    assert [value for _, value in golden("coco", area_from=area_from)][:10] == pytest.approx(expected, abs=1e-12)


def test_crowd_splits_are_those_of_pycocotools() -> None:
    expected = read(GOLDEN / "crowdpose_results.json")
    ours = golden("crowdpose")
    for name, key in {"AP_E": "easy_lt02", "AP_M": "med_02_08", "AP_H": "hard_ge08"}.items():
        assert ours[name] == pytest.approx(expected[f"pycocotools_subset_{key}"]["AP"], abs=1e-12)
    overall = expected["pycocotools_with_bbox_in_results"]
    assert [ours[n] for n in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")] == pytest.approx(
        [overall[i] for i in (0, 1, 2, 5, 6, 7)], abs=1e-12
    )


@pytest.mark.parametrize("name", SETS)
def test_result_file_is_the_references(name: str) -> None:
    key = lambda row: (row["image_id"], -row["score"], row["keypoints"])  # noqa: E731
    ours = sorted(coco_results(golden_detections(name), SETS[name]), key=key)
    theirs = sorted(read(GOLDEN / f"{name}_pred.keypoints.json"), key=key)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a == {k: b[k] for k in a}
        assert set(a) == set(b)
    assert all("bbox" not in row for row in coco_results(golden_detections(name), SETS[name], "keypoints"))


def test_published_numbers_of_the_fake_results() -> None:
    rows = shared("cocoapi_fake100", "person_keypoints_val2014_fakekeypoints100_results.json")
    truth = shared("cocoapi_fake100", "person_keypoints_val2014_100.json")
    some = from_results(rows, COCO)
    ours = evaluate_coco(truth, some, COCO.sigmas, area_from="keypoints")
    published = [0.372, 0.636, 0.348, 0.384, 0.386, 0.514, 0.734, 0.504, 0.508, 0.522]
    assert [round(value, 3) for _, value in ours][:10] == published
    assert_equals_pycocotools(truth, some, COCO.sigmas)


def test_real_crowdpose_predictions() -> None:
    some = from_results(shared("crowdpose", "example_crowdpose_preds.json"), CROWDPOSE)
    truth = shared("crowdpose", "example_crowdpose_val.json")
    ours = evaluate_crowdpose(truth, some, CROWDPOSE.sigmas)
    assert ours["AP"] == pytest.approx(0.7877, abs=5e-5)
    assert_same(ours, reference_crowdpose(truth, some, CROWDPOSE.sigmas))


@pytest.mark.parametrize("name", SETS)
def test_golden_detections_as_pycocotools(name: str) -> None:
    truth = read(GOLDEN / f"{name}_gt.json")
    assert_equals_pycocotools(truth, golden_detections(name), SETS[name].sigmas, crowd=name == "crowdpose")


def test_real_persons_moved_about_as_pycocotools() -> None:
    truth = shared("coco", "annotations", "person_keypoints_val2017.json")
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(1)), COCO.sigmas)


def test_real_crowds_moved_about_as_pycocotools() -> None:
    truth = shared("crowdpose", "example_crowdpose_val.json")
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(2)), CROWDPOSE.sigmas, crowd=True)


def test_embedded_scenes_moved_about_as_pycocotools() -> None:
    truth = SyntheticScenes("hard", 64, count=30).coco()
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(3)), COCO.sigmas)


def awkward(seed: int, images: int = 12) -> tuple[dict[str, Any], list[Detections]]:
    """Everything that decides between two ways to match: few places, so that OKS are equal; few scores, so that they
    are; more than 20 detections, images with nobody or nothing, three classes, crowds, persons without labelled key
    points (with and without their number saying so), sizes at the borders of the ranges."""
    rng = np.random.default_rng(seed)
    persons, some = [], []
    for image in range(images):
        for _ in range(rng.choice([0, 3, 9, 12])):
            more: dict[str, Any] = {"category_id": int(rng.integers(1, 4)), "area": float(rng.choice(SIZES))}
            if rng.random() < 0.25:
                more["iscrowd"] = 1
            if rng.random() < 0.2:
                more["num_keypoints"] = 0
            one = person(len(persons) + 1, image, float(rng.choice(PLACES)), **more)
            hidden = rng.random(17) < rng.choice([0, 0.5, 1], p=[0.5, 0.3, 0.2])
            one["keypoints"] = [0 if hidden[i // 3] else v for i, v in enumerate(one["keypoints"])]
            persons.append(one)
        count = int(rng.choice([0, 3, 8, 30], p=[0.2, 0.35, 0.35, 0.1]))
        xs = (rng.choice(PLACES, count) + rng.choice([0, 0, 5, 7.5], count)).tolist()
        seen = found(
            image, xs, rng.choice([0.3, 0.6, 0.9], count).tolist(), rng.integers(0, rng.choice([1, 3]), count).tolist()
        )
        some.append(replace(seen, boxes=seen.boxes * rng.choice([0.1, 0.5, 1]).astype(np.float32)))
    truth = scene(*persons, images=images)
    truth["categories"] = [{"id": c, "name": str(c)} for c in (1, 2, 3)]
    for one in truth["images"]:
        one["crowdIndex"] = float(rng.choice([0.0, 0.2, 0.5, 0.8, 1.0]))
    return truth, [some[i] for i in rng.permutation(images)]


PLACES = np.asarray([40, 50, 60, 300, 310])
SIZES = [200.0, 32.0**2, 5_000.0, 96.0**2, 96.0**2 + 1, 40_000.0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_awkward_cases_as_pycocotools(seed: int) -> None:
    assert_equals_pycocotools(*awkward(seed), COCO.sigmas)


def test_awkward_cases_are_awkward() -> None:
    """They hold what they are made for."""
    cases = [awkward(seed) for seed in range(12)]
    anns = [a for truth, _ in cases for a in truth["annotations"]]
    assert any(a["iscrowd"] for a in anns) and any(a["num_keypoints"] == 0 for a in anns)
    assert any(a["num_keypoints"] and not any(a["keypoints"][2::3]) for a in anns)
    assert any(len(one) and np.bincount(one.labels).max() > 20 for _, some in cases for one in some)
    records = [evaluate_coco(*case, COCO.sigmas).records for case in cases]
    assert 0.2 < np.concatenate([r.matched.ravel() for r in records]).mean() < 0.8
    assert 0.1 < np.concatenate([r.ignored.ravel() for r in records]).mean() < 0.5


def test_an_oks_that_equals_the_threshold_matches() -> None:
    """Of ten labelled key points some are where they should be and the others far away: OKS is 0.5, 0.6 ... exactly."""
    one = person(1, 0, 50)
    one["keypoints"][30:] = [0] * 21
    for right in range(5, 10):
        some = found(0, [50], [0.9])
        some.keypoints[0, right:] = 1e6
        assert_equals_pycocotools(scene(one), [some], COCO.sigmas)
        matched = evaluate_coco(scene(one), [some], COCO.sigmas).records.matched[0]
        assert matched.tolist() == [level <= right / 10 for level in OKS_THRESHOLDS]


def test_of_two_equal_persons_the_later_is_matched() -> None:
    """The first detection lies halfway; what it leaves decides whether the second one finds anybody."""
    persons = [person(1, 0, 40), person(2, 0, 60)]
    some = [found(0, [50, 65], [0.9, 0.8])]
    level = 2  # reached 5 and 10 pixels away (0.87, 0.65), not 25 (0.22)
    for order, right in ((persons, 1), (persons[::-1], 2)):
        assert_equals_pycocotools(scene(*order), some, COCO.sigmas)
        assert evaluate_coco(scene(*order), some, COCO.sigmas).records.matched[:, level].sum() == right


def person(number: int, image_id: int, x: float, **more: Any) -> dict[str, Any]:
    points = [[x + 10.0 * i, 20.0 + 5 * i, 2] for i in range(17)]
    return {
        "id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 10_000.0,
        "bbox": [x, 20, 160, 80], "keypoints": [v for p in points for v in p],
    } | more  # fmt: skip


def scene(*persons: dict[str, Any], images: int = 2) -> dict[str, Any]:
    return {
        "images": [{"id": i, "crowdIndex": 0.5} for i in range(images)],
        "annotations": list(persons),
        "categories": [{"id": 1, "name": "person"}],
    }


def found(image_id: int, xs: list[float], scores: list[float], labels: list[int] | None = None) -> Detections:
    points = np.asarray([[[x + 10.0 * i, 20.0 + 5 * i] for i in range(17)] for x in xs], np.float32).reshape(-1, 17, 2)
    return Detections(
        boxes=np.asarray([[x, 20, x + 160, 100] for x in xs], np.float32).reshape(-1, 4),
        scores=np.asarray(scores, np.float32),
        labels=np.asarray(labels or [0] * len(xs), np.int64),
        keypoints=points,
        keypoint_scores=np.ones((len(xs), 17), np.float32),
        image_id=image_id,
    )


def test_nothing_found() -> None:
    for none in ([], [found(0, [], []), found(1, [], [])]):
        ours = evaluate_coco(scene(person(1, 0, 50)), none, COCO.sigmas)
        assert (ours["AP"], ours["AR"], ours["mOKS"]) == (0, 0, 0)
        assert np.isnan(ours["NME"])
        assert len(ours.records.scores) == 0 and ours.records.positives.sum() == 1


def test_nobody_there() -> None:
    for truth in (scene(), {"images": [], "annotations": []}, {}):
        some = [found(0, [50], [0.9])] if truth.get("images") else []
        for evaluate in (evaluate_coco, evaluate_crowdpose):
            ours = evaluate(truth, some, COCO.sigmas)
            assert ours["AP"] == -1 and ours["AR"] == -1 and np.isnan(ours["mOKS"])


def test_perfect_and_at_most_twenty() -> None:
    truth = scene(person(1, 0, 50), person(2, 1, 90))
    ours = evaluate_coco(truth, [found(0, [50], [0.9]), found(1, [90], [0.8])], COCO.sigmas)
    assert ours["AP"] == pytest.approx(1) and ours["mOKS"] == pytest.approx(1) and ours["NME"] == pytest.approx(0)
    noise = [1000.0 + i for i in range(25)]
    late = found(0, [*noise, 50], [*np.linspace(0.9, 0.5, 25).tolist(), 0.1])
    ours = evaluate_coco(truth, [late], COCO.sigmas)
    assert ours["AP"] == 0 and len(ours.records.scores) == 20


def test_mean_oks_by_hand_and_crowds_do_not_count() -> None:
    crowd = person(2, 0, 300, iscrowd=1)
    unlabelled = person(3, 1, 300, num_keypoints=0, keypoints=[0] * 51)
    truth = scene(person(1, 0, 50), crowd, unlabelled, person(4, 1, 90))
    shift = 30.0
    ours = evaluate_coco(truth, [found(0, [50 + shift, 50 + 2 * shift], [0.5, 0.9])], COCO.sigmas)
    oks = np.mean(np.exp(-(shift**2) / (2 * 10_000 * (2 * np.asarray(COCO.sigmas)) ** 2)))
    assert ours["mOKS"] == pytest.approx(oks / 2)
    assert ours.records.oks_count.tolist() == [1, 1]


def test_mean_error_by_hand() -> None:
    ours = evaluate_coco(scene(person(1, 0, 50)), [found(0, [53], [0.9])], COCO.sigmas)
    assert ours["NME"] == pytest.approx(3 / 100)
    crowd = evaluate_crowdpose(scene(person(1, 0, 50)), [found(0, [53], [0.9])], COCO.sigmas)
    assert crowd["NME"] == pytest.approx(3 / (0.53 * 160 * 80) ** 0.5)


def test_annotation_number_zero_is_a_person() -> None:
    ours = evaluate_coco(scene(person(0, 0, 50)), [found(0, [50], [0.9])], COCO.sigmas)
    assert ours["AP"] == pytest.approx(1)


def test_several_classes() -> None:
    truth = scene(person(1, 0, 50), person(2, 1, 90, category_id=7))
    truth["categories"].append({"id": 7, "name": "dog"})
    right = [found(0, [50], [0.9], [0]), found(1, [90], [0.9], [1])]
    assert evaluate_coco(truth, right, COCO.sigmas)["AP"] == pytest.approx(1)
    swapped = [found(0, [50], [0.9], [0]), found(1, [90], [0.9], [0])]
    assert evaluate_coco(truth, swapped, COCO.sigmas)["AP"] == pytest.approx(0.5)


@pytest.mark.parametrize("lot", [1, 5])
def test_lots_and_their_order_do_not_matter(lot: int, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, some = awkward(3)
    whole = evaluate_coco(truth, some, COCO.sigmas)
    monkeypatch.setattr("workbench.evaluation.coco_ap.LOT", lot)
    assert_same(evaluate_coco(truth, some[::-1], COCO.sigmas), whole)


def test_matching_goes_on_while_detections_come(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, matched = [], threading.Event()

    def watched(*args: Any) -> Matches:
        threads.append(threading.current_thread())
        done = match(*args)
        matched.set()
        return done

    monkeypatch.setattr("workbench.evaluation.coco_ap.match", watched)
    monkeypatch.setattr("workbench.evaluation.coco_ap.LOT", 2)
    evaluator = Evaluator(scene(person(1, 0, 50), images=3), COCO.sigmas)
    evaluator.add(found(0, [50], [0.9]))
    assert not threads, "a lot is not full yet"
    evaluator.add(found(1, [50], [0.9]))
    assert matched.wait(60) and threads[0] is not threading.current_thread()
    evaluator.add(found(2, [50], [0.9]))
    assert evaluator.result()["AR"] == pytest.approx(1)
    assert len(threads) == 2 and not threads[0].is_alive(), "the thread ends with the evaluation"


def test_an_error_in_the_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Matches:
        raise ArithmeticError("in the thread")

    monkeypatch.setattr("workbench.evaluation.coco_ap.match", broken)
    monkeypatch.setattr("workbench.evaluation.coco_ap.LOT", 1)
    evaluator = Evaluator(scene(person(1, 0, 50)), COCO.sigmas)
    evaluator.add(found(0, [50], [0.9]))
    with pytest.raises(ArithmeticError, match="in the thread"):
        evaluator.result()


def test_the_benchmark_holds_what_it_says() -> None:
    truth = people(40, np.random.default_rng(0))
    assert_equals_pycocotools(truth, jittered(truth, np.random.default_rng(1)), COCO.sigmas)


def test_quiet_and_leaves_its_input_alone(capsys: pytest.CaptureFixture[str]) -> None:
    truth = scene(person(1, 0, 50))
    before = copy.deepcopy(truth)
    evaluate_coco(truth, [found(0, [50], [0.9])], COCO.sigmas)
    evaluate_crowdpose(truth, [found(0, [50], [0.9])], COCO.sigmas)
    assert truth == before
    assert capsys.readouterr().out == ""


def test_records_come_back_whole(tmp_path: Path) -> None:
    records = golden("coco").records
    records.save(tmp_path / "records.npz")
    again = MatchRecords.load(tmp_path / "records.npz")
    for name in MatchRecords.__slots__:
        assert np.array_equal(getattr(records, name), getattr(again, name))
        assert getattr(records, name).dtype == getattr(again, name).dtype
    assert [p.name for p in tmp_path.iterdir()] == ["records.npz"]
    np.savez(tmp_path / "other.npz", a=np.zeros(1))
    with pytest.raises(Refused, match="not a file of match records"):
        MatchRecords.load(tmp_path / "other.npz")


def test_evaluation_gives_pairs() -> None:
    ours = golden("coco")
    assert dict(ours)["AP"] == ours["AP"]
    assert [n for n, _ in ours][-2:] == ["mOKS", "NME"]
    assert ours["mOKS"] == pytest.approx(ours.records.oks_sum.sum() / ours.records.oks_count.sum())


@pytest.mark.parametrize(
    "truth, some, message",
    [
        (scene(person(1, 0, 50)), [found(9, [50], [0.9])], "not in the ground truth"),
        (scene(person(1, 0, 50)), [found(0, [float("nan")], [0.9])], "not finite"),
        (scene(person(1, 0, 50)), [found(0, [50], [0.9], [3])], r"class \[3\]"),
        (scene(person(1, 0, 50)), [found(0, [50], [0.9]), found(0, [90], [0.9])], "a second time"),
        (scene(person(1, 0, 50, keypoints=[0] * 42)), [], "expected 3 x 17"),
        (scene({k: v for k, v in person(1, 0, 50).items() if k != "area"}), [], "has no area"),
        (scene({k: v for k, v in person(1, 0, 50).items() if k != "bbox"}), [], "has no bbox"),
    ],
)
def test_what_does_not_fit_is_refused(truth: dict[str, Any], some: list[Detections], message: str) -> None:
    with pytest.raises(Refused, match=message):
        evaluate_coco(truth, some, COCO.sigmas)


def test_other_mistakes_are_refused() -> None:
    truth = scene(person(1, 0, 50))
    with pytest.raises(Refused, match="area_from"):
        evaluate_coco(truth, [], COCO.sigmas, area_from="mask")  # pyright: ignore[reportArgumentType]
    with pytest.raises(Refused, match="expected"):
        coco_results([found(0, [50], [0.9])], CROWDPOSE)
    del truth["images"][0]["crowdIndex"]
    with pytest.raises(Refused, match="crowdIndex"):
        evaluate_crowdpose(truth, [], COCO.sigmas)
