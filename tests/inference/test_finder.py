"""Whatever finds persons: a trained network, folded or not, and the file that was written of it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.inference.tiny import crowd, disturbed, expected, network, same
from tests.small import small_job, small_variant
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton, mirror_of
from workbench.core.skeletons import COCO
from workbench.inference.deployed import Selection
from workbench.inference.finder import PersonFinder, WantedPersons, network_finder, onnx_finder, open_finder
from workbench.inference.load import Trained
from workbench.models.job import Protocol
from workbench.models.network import Network

WANTED = WantedPersons(0.05, 0.65, 100)


def pixels() -> np.ndarray:
    return crowd(2, 160, 96).permute(0, 2, 3, 1).to(torch.uint8).numpy()


def found_by(finder: PersonFinder) -> list[int]:
    return [len(one) for one in finder.find(pixels())]


def test_it_finds_what_the_network_finds() -> None:
    finder = network_finder(Trained(network(), (160, 96), "tiny"), WANTED, "cpu")
    assert (finder.size, finder.source, finder.skeleton, finder.classes) == ((160, 96), "tiny", COCO, ("person",))
    theirs = expected(torch.from_numpy(pixels()).permute(0, 3, 1, 2).float(), Selection(score_threshold=0.05))
    assert sum(map(len, theirs)) > 5
    same(finder.find(pixels()), theirs)


def test_thresholds_are_those_of_the_training_unless_others_are_wanted() -> None:
    assert WantedPersons().selection(Protocol()) == Selection()
    assert WantedPersons(0.3, 0.5, 7).selection(Protocol()) == Selection(
        score_threshold=0.3, nms_threshold=0.5, max_persons=7
    )
    assert WantedPersons().selection(Protocol(score_threshold=0.02, nms_threshold=2.0)) == Selection(
        score_threshold=0.02, nms_threshold=1.0
    )
    trained = Trained(network(), (160, 96), "tiny", small_job(score_threshold=0.9))
    assert sum(found_by(network_finder(trained, device="cpu"))) < sum(found_by(network_finder(trained, WANTED, "cpu")))
    most = network_finder(trained, WantedPersons(0.05, 0.65, 2), "cpu")
    assert max(found_by(most)) == 2


def test_a_network_that_tells_classes_apart_runs_as_it_was_trained() -> None:
    net = disturbed(Network(small_variant(num_classes=3), seed=0))
    finder = network_finder(Trained(net, (64, 64), "three"), WantedPersons(0.01, 0.65, 3), "cpu")
    found = finder.find(np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8))
    assert finder.classes == ("class 0", "class 1", "class 2") and [len(one) for one in found] == [3, 3]
    assert all((np.diff(one.scores) <= 0).all() for one in found)


def test_a_folder_is_opened_by_its_name(job_folder: Path) -> None:
    finder = open_finder(str(job_folder), device="cpu")
    assert finder.size == (64, 64) and finder.trained is not None and finder.trained.job == small_job()


def made_up_file(path: Path, **about: str) -> Path:
    """One person in an image, who scores what the score threshold is and whose key points are the NMS threshold."""
    helper = pytest.importorskip("onnx").helper
    numbers = pytest.importorskip("onnx").numpy_helper.from_array
    constants = {
        "box": np.array([[[1, 2, 30, 40]]], np.float32),
        "ones": np.ones((1, 1, 17, 3), np.float32),
        "place": np.array([1, 1, 1], np.int64),
        "score_threshold": np.array([0.1], np.float32),
        "nms_threshold": np.array([0.65], np.float32),
        "max_persons": np.array([100], np.int64),
    }
    shapes = {"input": ["b", 3, "h", "w"], "score_threshold": [1], "nms_threshold": [1], "max_persons": [1]}
    inputs = [helper.make_tensor_value_info(name, 7 if name == "max_persons" else 1, s) for name, s in shapes.items()]
    outputs = [helper.make_tensor_value_info("dets", 1, None), helper.make_tensor_value_info("keypoints", 1, None)]
    nodes = [
        helper.make_node("Reshape", ["score_threshold", "place"], ["score"]),
        helper.make_node("Concat", ["box", "score"], ["dets"], axis=2),
        helper.make_node("Mul", ["ones", "nms_threshold"], ["keypoints"]),
    ]
    graph = helper.make_graph(nodes, "a", inputs, outputs, [numbers(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    names = {"keypoint_names": ",".join(COCO.keypoints), "size": "160x96", "score_threshold": "0.25"}
    helper.set_model_props(model, names | about)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_written_file_is_asked_for_the_persons_that_are_wanted(tmp_path: Path) -> None:
    path = made_up_file(tmp_path / "a.onnx")
    finder = open_finder(str(path))
    assert finder.size == (160, 96) and finder.skeleton == COCO and finder.source == str(path)
    for given, score, nms in ((WantedPersons(), 0.25, 0.65), (WantedPersons(0.5, 0.75), 0.5, 0.75)):
        (found,) = onnx_finder(path, given).find(np.zeros((1, 160, 96, 3), np.uint8))
        assert found.scores.tolist() == [score] and found.boxes.tolist() == [[1, 2, 30, 40]]
        assert found.keypoints.shape == (1, 17, 2) and (found.keypoints == np.float32(nms)).all()
    with pytest.raises(Refused, match="has its own weights"):
        open_finder(str(path), weights="a.pth")
    with pytest.raises(Refused, match="cuda"):
        open_finder(str(path), device="cuda")


def test_a_file_whose_thresholds_are_constants_has_no_others(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(made_up_file(tmp_path / "a.onnx")))
    for limit in list(model.graph.input)[1:]:
        model.graph.input.remove(limit)
    onnx.save(model, str(tmp_path / "b.onnx"))
    images = np.zeros((1, 160, 96, 3), np.uint8)
    for given in (WantedPersons(), WantedPersons(0.25, 0.65, 5)):
        assert [len(one) for one in onnx_finder(tmp_path / "b.onnx", given).find(images)] == [1]
    for given in (WantedPersons(0.3), WantedPersons(nms_threshold=0.5)):
        with pytest.raises(Refused, match=r"b.onnx: its thresholds are constants, 0\.25 for scores and 0\.65 for NMS"):
            onnx_finder(tmp_path / "b.onnx", given)


def test_key_points_of_its_own_come_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    onnx_export = pytest.importorskip("workbench.inference.onnx_export")
    about = {"keypoint_names": "nose,left_paw,right_paw", "skeleton": "[[0, 1], [0, 2]]"}
    monkeypatch.setattr(onnx_export, "read_about", lambda _: about)
    monkeypatch.setattr(onnx_export, "Session", lambda _: SimpleNamespace(settings=list))
    (tmp_path / "a.onnx").touch()
    found = onnx_finder(tmp_path / "a.onnx").skeleton
    assert isinstance(found, Skeleton) and found.keypoints == ("nose", "left_paw", "right_paw")
    assert found.flip == mirror_of(found.keypoints) and found.limbs == ((0, 1), (0, 2))
    about["keypoint_names"] = "nose,left_paw"
    about["skeleton"] = "[]"
    assert onnx_finder(tmp_path / "a.onnx").skeleton.flip == (0, 1)
    del about["keypoint_names"]
    with pytest.raises(Refused, match="does not name its key points; write it with workbench deploy"):
        onnx_finder(tmp_path / "a.onnx")


def test_what_can_not_be_had_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=r"score threshold 2"):
        open_finder("rtmo-s-coco", wanted=WantedPersons(2.0))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Refused, match="--device cuda: torch sees no GPU"):
        open_finder("rtmo-s-coco", device="cuda")
    with pytest.raises(Refused, match=r"none\.onnx: (no such file|onnx)"):
        open_finder(str(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    pytest.importorskip("onnx")
    with pytest.raises(Refused, match=r"bad\.onnx: no ONNX file that can be read"):
        open_finder(str(tmp_path / "bad.onnx"))
    monkeypatch.delitem(sys.modules, "workbench.inference.onnx_export", raising=False)
    monkeypatch.delattr("workbench.inference.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Refused, match=r"onnx is missing; install rtmo-workbench\[onnx\]"):
        open_finder(str(tmp_path / "bad.onnx"))
