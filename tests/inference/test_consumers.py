"""Our files in other programs, opened as their users do: no word of warning, and the persons of the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import openvino
import pytest
import torch
from rtmlib import RTMO
from rtmlib.tools.object_detection.post_processings import multiclass_nms

from tests.inference.tiny import crowd, expected, network, same
from workbench.inference import onnx_export
from workbench.inference.deployed import Deployed, Selection, detections
from workbench.tensors import Array

CHOSEN = Selection(score_threshold=0.1, max_persons=30)
Run = Callable[[Array], tuple[Array, Array]]


def onnx_runtime(file: Path) -> Run:
    session: Any = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda images: session.run(["dets", "keypoints"], {"input": images})


def open_vino(file: Path) -> Run:
    compiled: Any = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: Array) -> tuple[Array, Array]:
        found = compiled({"input": images})
        return found["dets"], found["keypoints"]

    return run


def opencv_dnn(file: Path) -> Run:
    net: Any = cv2.dnn.readNetFromONNX(str(file))

    def run(images: Array) -> tuple[Array, Array]:
        net.setInput(images, "input")
        return net.forward(["dets", "keypoints"])

    return run


PROGRAMS: Mapping[str, Callable[[Path], Run]] = {
    "ONNX Runtime": onnx_runtime,
    "OpenVINO": open_vino,
    "OpenCV DNN": opencv_dnn,
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("consumers") / "tiny.onnx"
    onnx_export.write_onnx(Deployed(network(), CHOSEN, fixed=True), path, {})
    return path


@pytest.mark.soak
@pytest.mark.parametrize("program", PROGRAMS)
def test_persons_are_those_of_the_network(program: str, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In images of any size and number. OpenCV computes an image with what it kept of the one before."""
    run = PROGRAMS[program](file)
    some, one, two, _, empty = crowd(5, 128, 160).split(1)
    for images in (some, empty, one, two, empty, crowd(2, 160, 96), two, some):
        theirs = expected(images, CHOSEN)
        assert max(map(len, theirs)) <= CHOSEN.max_persons and sum(map(len, theirs)) > (
            3 if images is not empty else -1
        )
        dets, keypoints = run(images.numpy())
        assert dets.shape == (len(images), 30, 5) and keypoints.shape == (len(images), 30, 17, 3)
        same(detections(dets, keypoints), theirs)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("consumers") / "half.onnx"
    onnx_export.write_onnx(Deployed(network(), CHOSEN, torch.float16, fixed=True), path, {})
    return path


@pytest.mark.soak
@pytest.mark.parametrize("program", PROGRAMS)
def test_half_precision_is_the_same_everywhere(program: str, half: Path) -> None:
    """As near to the network as its digits allow, and as in ONNX Runtime to more than these."""
    images, first = crowd(3, 128, 160), onnx_runtime(half)
    for image in images.split(1):
        ours, told, theirs = (
            detections(*PROGRAMS[program](half)(image.numpy())),
            detections(*first(image.numpy())),
            expected(image, CHOSEN),
        )
        same(ours, told)
        assert [len(one) for one in ours] == [len(one) for one in theirs]
        np.testing.assert_allclose(ours[0].keypoints, theirs[0].keypoints, rtol=0, atol=0.1)
        np.testing.assert_allclose(ours[0].scores, theirs[0].scores, rtol=0, atol=1e-3)


@pytest.mark.soak
def test_rtmlib_shows_the_same_of_half_precision_in_both_backends(half: Path) -> None:
    image = crowd(1, 128, 160)[0].permute(1, 2, 0).byte().numpy()
    ours, theirs = (
        RTMO(str(half), model_input_size=(128, 160), backend=backend, device="cpu")(image)
        for backend in ("onnxruntime", "opencv")
    )
    assert 1 < len(ours[0]) == len(theirs[0])
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=0.05)


@pytest.mark.soak
@pytest.mark.parametrize("program", PROGRAMS)
def test_sides_of_any_length_are_padded(program: str, file: Path) -> None:
    """As the network finds in the padded image, but no box reaches into what was added."""
    padded = crowd(1, 128, 160).clone()
    padded[:, :, 118:] = padded[:, :, :, 139:] = 114.0
    (theirs,) = expected(padded, CHOSEN)
    border = np.array([139, 118, 139, 118], np.float32)
    assert (theirs.boxes > border).any()
    cut = replace(theirs, boxes=np.minimum(theirs.boxes, border))
    same(detections(*PROGRAMS[program](file)(padded[:, :, :118, :139].numpy().copy())), [cut])


@pytest.mark.soak
@pytest.mark.parametrize("backend", ["onnxruntime", "opencv"])
@pytest.mark.parametrize("times", [1, 2])
def test_rtmlib_shows_the_persons_of_the_network(
    times: int, backend: str, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those that its own NMS and its threshold of 0.7 leave; it halves a large image, and doubles the key points."""
    pose: Any = RTMO(str(file), model_input_size=(128, 160), backend=backend, device="cpu")
    warned = [line for line in capfd.readouterr().err.splitlines() if "setPreferableTarget" not in line]  # its own call
    assert warned == []
    image = cv2.resize(crowd(1, 128, 160)[0].permute(1, 2, 0).byte().numpy(), None, fx=times, fy=times)
    seen = torch.from_numpy(cv2.resize(image, (160, 128))).permute(2, 0, 1)
    (ours,) = expected(seen[None].float(), CHOSEN)
    kept: Any = multiclass_nms(ours.boxes, ours.scores[:, None], nms_thr=0.45, score_thr=0.7)[1]
    assert 1 < len(kept) < len(ours)
    keypoints, scores = pose(image)
    assert keypoints.shape == (len(kept), 17, 2)
    np.testing.assert_allclose(keypoints, times * ours.keypoints[kept], rtol=0, atol=0.05 * times)
    np.testing.assert_allclose(scores, ours.keypoint_scores[kept], rtol=0, atol=1e-4)
