"""Animals with five key points of their own: from annotated pictures to a file that other programs read.

The commands are those of a person; one small network is trained for all tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.data.datasets.animals import NAMES, SIDE, animals, labelled
from workbench.__main__ import main

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]
SURE = 0.3  # what rtmlib takes for a person
TRAINED = ("--protocol", "smoke", "--size", str(SIDE), "--batch", "8", "--epochs", "20", "--set", "recipe.lr=0.004")


@pytest.fixture(scope="module")
def goats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in COCO's form: 24 pictures to train on, 4 to be judged on, one animal in each."""
    return animals(tmp_path_factory.mktemp("data") / "goats", labelled(24, 1), labelled(4, 2))


@pytest.fixture(scope="module")
def run(goats: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run that `workbench train` has made."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(folder / "home"))
        words = ["train", "nano", "--data", str(goats), "-o", str(folder / "first"), "--device", "cpu"]
        assert main([*words, *TRAINED]) == 0
        yield folder / "first"


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    """The file that `workbench deploy` writes."""
    pytest.importorskip("onnx")
    path = run.parent / "goats.onnx"
    assert main(["deploy", str(run), "-o", str(path)]) == 0
    return path


def pictures(goats: Path) -> list[Path]:
    return sorted((goats / "val2017").glob("*.png"))


def found(network: Path, goats: Path, out: Path) -> list[dict[str, Any]]:
    """What `workbench predict` finds in the pictures of the validation part, and draws."""
    words = ["--score-threshold", "0.05", "--draw-threshold", "0.05", "-o", str(out)]
    assert main(["predict", str(network), *map(str, pictures(goats)), *words]) == 0
    return json.loads((out / "predictions.json").read_text())


def test_it_trains_on_the_points_that_the_annotations_name(run: Path) -> None:
    points = json.loads((run / "job.json").read_text())["variant"]["keypoint_set"]
    assert tuple(points["keypoints"]) == NAMES and points["flip"] == [0, 1, 3, 2, 4]
    assert cv2.imread(str(run / "predictions.png")) is not None


def test_it_is_judged(run: Path, goats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(goats), "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert (judged["evaluation"], judged["images"]) == ("coco", 4) and judged["persons"] >= 4
    assert [one["name"] for one in judged["keypoints"]] == list(NAMES)
    assert judged["values"]["AP50"] > 0.5, "it has learnt where an animal is"


def test_what_is_found_is_listed_and_drawn(run: Path, goats: Path, tmp_path: Path) -> None:
    rows = found(run, goats, tmp_path)
    assert {row["image_id"] for row in rows} == {1, 2, 3, 4} and {len(row["keypoints"]) for row in rows} == {15}
    truth = json.loads((goats / "annotations/person_keypoints_val2017.json").read_text())["annotations"]
    for path, animal in zip(pictures(goats), truth, strict=True):
        drawn, plain = cv2.imread(str(tmp_path / path.name)), cv2.imread(str(path))
        assert drawn is not None and plain is not None
        factor = len(drawn) // len(plain)
        changed = (drawn != plain.repeat(factor, 0).repeat(factor, 1)).any(-1)
        x, y, width, height = (round(side * factor) for side in animal["bbox"])
        assert changed[y : y + height, x : x + width].mean() > 0.01, "limbs and a box where the animal is"
        best = max((row for row in rows if row["file_name"].endswith(path.name)), key=lambda row: row["score"])
        off = np.reshape(best["keypoints"], (5, 3))[:, :2] - np.reshape(animal["keypoints"], (5, 3))[:, :2]
        assert np.median(np.hypot(*off.T)) < SIDE / 6


def test_its_file_finds_the_same(run: Path, exported: Path, goats: Path, tmp_path: Path) -> None:
    ours, theirs = (found(network, goats, tmp_path / network.name) for network in (run, exported))
    assert [row["image_id"] for row in ours] == [row["image_id"] for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert other["score"] == pytest.approx(one["score"], abs=1e-3)
        np.testing.assert_allclose(other["keypoints"], one["keypoints"], atol=0.1)


def test_rtmlib_reads_its_file(run: Path, exported: Path, goats: Path, tmp_path: Path) -> None:
    rtmlib = pytest.importorskip("rtmlib")
    model = rtmlib.RTMO(os.fspath(exported), model_input_size=(SIDE, SIDE), backend="onnxruntime", device="cpu")
    rows = [row for row in found(run, goats, tmp_path) if row["score"] > SURE]
    assert rows, "somebody to compare"
    for number, path in enumerate(pictures(goats), start=1):
        ours = np.reshape([row["keypoints"] for row in rows if row["image_id"] == number], (-1, 5, 3))
        keypoints, scores = model(cv2.imread(str(path)))
        assert keypoints.shape == (len(ours), 5, 2) and scores.shape == (len(ours), 5)
        np.testing.assert_allclose(keypoints, ours[..., :2], rtol=0, atol=0.05)
        np.testing.assert_allclose(scores, ours[..., 2], atol=1e-3)
