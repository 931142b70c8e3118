"""Networks and files of results are judged alike, and as pycocotools judges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO as PyCOCO
from pycocotools.cocoeval import COCOeval

from benchmarks.evaluate import jittered
from tests.data.datasets.animals import animals, labelled
from tests.evaluation.real import SHARED
from tests.inference.tiny import stored_job
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.data.datasets.folder import open_dataset
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.coco_ap import result_rows
from workbench.evaluation.reference import reference_coco, reference_crowdpose
from workbench.experiments.judge import Judgement, judge_network, judge_results, judged_on
from workbench.inference.finder import PersonFinder, WantedPersons, open_finder
from workbench.tensors import Detections
from workbench.training.machine import Machine
from workbench.training.source import open_source
from workbench.training.validate import evaluate_network

TEN = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")


def by_pycocotools(truth: Path, results: Path, sigmas: Any = None) -> list[float]:
    """Of the files as they are."""
    index = PyCOCO(str(truth))
    scored: Any = COCOeval(index, index.loadRes(str(results)), "keypoints")
    if sigmas is not None:
        scored.params.kpt_oks_sigmas = np.asarray(sigmas)
    scored.evaluate()
    scored.accumulate()
    scored.summarize()
    return scored.stats.tolist()


def files(folder: Path, truth: Any, rows: Any) -> tuple[Path, Path]:
    for name, made in (("truth", truth), ("results", rows)):
        (folder / f"{name}.json").write_text(json.dumps(made))
    return folder / "results.json", folder / "truth.json"


@pytest.mark.parametrize("area", ["box", "keypoints"])
def test_a_results_file_as_pycocotools_judges_it(area: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    truth = SyntheticScenes("hard", 64, count=30).coco()
    for image in truth["images"]:
        image.pop("crowdIndex", None)
    rows = result_rows(jittered(truth, np.random.default_rng(3)), 17, area, [1])
    results, annotations = files(tmp_path, truth, rows)
    found = judge_results(results, annotations)
    assert (found.evaluation, found.images, found.persons) == ("coco", 30, len(rows))
    assert [found.values[name] for name in TEN] == pytest.approx(by_pycocotools(annotations, results), abs=1e-9)
    assert 0.1 < found.values["AP"] < 0.95


def test_crowdposes_rules(tmp_path: Path) -> None:
    truth = SyntheticScenes("hard", 64, count=20).coco()
    for i, image in enumerate(truth["images"]):
        image["crowdIndex"] = i / 20
    found_by = jittered(truth, np.random.default_rng(3))
    results, annotations = files(tmp_path, truth, result_rows(found_by, 17, "box", [1]))
    found = judge_results(results, annotations)
    expected = reference_crowdpose(truth, found_by, COCO.sigmas)
    assert found.evaluation == "crowdpose" and {"AP_E", "AP_M", "AP_H"} <= found.values.keys()
    assert dict(found.values) == pytest.approx(expected.values, abs=1e-6)
    assert any(line.startswith("AP_H") and line.endswith("%, hard images") for line in found.lines())


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real data beside the repository")
def test_published_results(tmp_path: Path) -> None:
    fake = SHARED / "cocoapi_fake100"
    found = judge_results(
        fake / "person_keypoints_val2014_fakekeypoints100_results.json", fake / "person_keypoints_val2014_100.json"
    )
    published = (0.372, 0.636, 0.348, 0.384, 0.386, 0.514, 0.734, 0.504, 0.508, 0.522)
    assert [round(found.values[name], 3) for name in TEN] == list(published)
    crowd = SHARED / "crowdpose"
    (tmp_path / "keypoints.json").write_text(json.dumps({"set": CROWDPOSE.name}))
    truth = json.loads((crowd / "example_crowdpose_val.json").read_text())
    rows = json.loads((crowd / "example_crowdpose_preds.json").read_text())
    assert round(judge_results(*files(tmp_path, truth, rows)).values["AP"], 4) == 0.7877


def one_goat(images: np.ndarray) -> list[Detections]:
    """Where no goat is, but near it."""
    return [
        Detections(
            boxes=np.array([[8, 8, 50, 50]], np.float32),
            scores=np.array([0.5 + image.mean() / 1000], np.float32),
            labels=np.zeros(1, np.int64),
            keypoints=np.array([[[14, 22], [45, 26], [22, 44], [36, 44], [30, 22]]], np.float32),
            keypoint_scores=np.ones((1, 5), np.float32),
        )
        for image in images
    ]


def goats(folder: Path) -> tuple[Path, PersonFinder]:
    root = animals(folder / "goats")
    (root / "keypoints.json").write_text('{"sigmas": [0.1, 0.2, 0.3, 0.3, 0.4]}')
    return root, PersonFinder("made up", (64, 64), open_dataset(root, "val").skeleton, one_goat)


def test_key_points_of_its_own_are_judged_by_their_own_constants(tmp_path: Path) -> None:
    root, finder = goats(tmp_path)
    found = judge_network(finder, judged_on(finder, root, tmp_path), batch=2)
    val = open_dataset(root, "val")
    expected = reference_coco(
        val.coco(), [*_seen(val.image_ids, [val.image(i) for i in range(3)])], (0.1, 0.2, 0.3, 0.3, 0.4)
    )
    assert dict(found.values) == pytest.approx(expected.values, abs=1e-6, nan_ok=True) and found.values["mOKS"] > 0.05
    assert [one.name for one in found.keypoints] == list(val.skeleton.keypoints)
    (root / "keypoints.json").write_text('{"sigmas": 0.01}')
    other = judge_network(finder, judged_on(finder, root, tmp_path))
    assert other.values["mOKS"] < found.values["mOKS"]


def _seen(ids: list[int], images: list[np.ndarray]) -> Any:
    for number, image in zip(ids, images, strict=True):
        (one,) = one_goat(image[None])
        one.image_id = number
        yield one


def test_what_predict_writes_is_worth_the_same(tmp_path: Path) -> None:
    from workbench.inference.predict import predict
    from workbench.inference.sources import find_sources

    root, finder = goats(tmp_path)
    predict(finder, find_sources([str(root / "val2017")], tmp_path / "out"), tmp_path / "out")
    truth = root / "annotations" / "person_keypoints_val2017.json"
    (truth.parent / "keypoints.json").write_bytes((root / "keypoints.json").read_bytes())
    found = judge_results(tmp_path / "out" / "predictions.json", truth)
    expected = judge_network(finder, judged_on(finder, root, tmp_path))
    assert dict(found.values) == pytest.approx(dict(expected.values), abs=1e-9, nan_ok=True)


@pytest.mark.slow
def test_a_job_is_worth_what_its_training_recorded(tmp_path: Path) -> None:
    folder = stored_job(tmp_path / "job", **{"protocol.score_threshold": 1e-3})
    finder = open_finder(str(folder), device="cpu")
    found = judge_network(finder, judged_on(finder, None, tmp_path))
    assert finder.trained is not None and finder.trained.job is not None
    job = finder.trained.job
    expected, _ = evaluate_network(job, finder.trained.network, open_source(job, 0, tmp_path), Machine())
    assert dict(found.values) == pytest.approx(expected.values, abs=1e-3, nan_ok=True) and found.values["mOKS"] > 0
    assert found.data == "figures-easy" and found.images == 8
    assert next(found.lines()).endswith("by COCO's rules, in float32") and found.as_dict()["precision"] == "float32"
    few = open_finder(str(folder), wanted=WantedPersons(0.5), device="cpu")
    assert judge_network(few, judged_on(few, None, tmp_path)).persons < found.persons


def test_images_that_break_are_left_out_and_told(tmp_path: Path) -> None:
    root, finder = goats(tmp_path)
    images = judged_on(finder, root, tmp_path)
    whole = (root / "val2017" / "2.png").read_bytes()
    (root / "val2017" / "2.png").write_bytes(whole[: len(whole) // 2] + whole[-20:])
    ticks: list[str] = []
    found = judge_network(finder, images, tick=ticks.append)
    assert found.images == 2 and [Path(name).name for name in found.unreadable] == ["2.png"] and len(ticks) == 3


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    root, finder = goats(tmp_path)
    other = PersonFinder("made up", (64, 64), COCO, one_goat)
    with pytest.raises(
        Refused, match=r"goats has 5 key points \(goat\), made up finds 17 \(coco\); give data with these"
    ):
        judged_on(other, root, tmp_path)
    two = PersonFinder("made up", (64, 64), finder.skeleton, one_goat, classes=("goat", "dog"))
    with pytest.raises(Refused, match="goats has 1 classes, made up tells 2 apart"):
        judged_on(two, root, tmp_path)
    with pytest.raises(Refused, match="made up: nothing says what it was judged on; add --data FOLDER"):
        judged_on(finder, None, tmp_path)


def test_it_is_told_in_words_and_as_json(tmp_path: Path) -> None:
    truth = labelled(2, 0)
    results, annotations = files(tmp_path, truth, [])
    found: Judgement = judge_results(results, annotations)
    as_json = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert as_json["values"]["AP"] == 0 and as_json["values"]["NME"] is None and as_json["keypoints"][0]["nme"] is None
    assert as_json["evaluation"] == "coco" and as_json["keypoints"][0]["name"] == "nose"
    assert as_json["precision"] is None, "no network was run"
    text = "\n".join(found.lines())
    assert "results.json on 2 images of" in text and "by COCO's rules" in text
    assert "AP         0.0 %" in text and "tail_base" in text and "-" in text
