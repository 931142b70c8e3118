"""The evaluator against the reference's numbers, published ones and values worked out by hand."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

from tests.evaluation.agreement import assert_equals_pycocotools, assert_same
from tests.evaluation.golden import GOLDEN, SETS, golden, golden_detections, read
from tests.evaluation.real import from_results, shared
from tests.evaluation.scenes import awkward, found, person, scene
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.evaluation.coco_ap import Evaluator, coco_results, evaluate_coco, evaluate_crowdpose
from workbench.evaluation.matching import Matches, match
from workbench.evaluation.reference import reference_crowdpose
from workbench.tensors import Detections

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


def test_quiet_and_leaves_its_input_alone(capsys: pytest.CaptureFixture[str]) -> None:
    truth = scene(person(1, 0, 50))
    before = copy.deepcopy(truth)
    evaluate_coco(truth, [found(0, [50], [0.9])], COCO.sigmas)
    evaluate_crowdpose(truth, [found(0, [50], [0.9])], COCO.sigmas)
    assert truth == before
    assert capsys.readouterr().out == ""


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
