"""ONNX files against the network in ONNX Runtime: sizes, batches, limits, precisions; the command that writes them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from tests.inference.tiny import SHAPES, crowd, expected, found, network, same
from tests.small import small_variant
from workbench import __main__ as command
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.inference import load, onnx_export, runtimes
from workbench.inference.deployed import Deployed, Selection, agreement, detections
from workbench.inference.finder import WantedPersons, best, onnx_finder
from workbench.inference.latency import TimingTask, with_batch_statistics
from workbench.slots import DenseHead, Outputs, Towers
from workbench.tensors import Detections

CHOSEN = Selection(score_threshold=0.05, max_persons=30)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    onnx_export.write_onnx(Deployed(network(), CHOSEN), path, {"source": "tiny"})
    return path


@pytest.fixture(scope="module")
def session(file: Path) -> onnx_export.Session:
    return onnx_export.Session(file, threads=1)


def run(session: onnx_export.Session, images: torch.Tensor, **limits: Sequence[float]) -> list[Detections]:
    kinds = {"max_persons": np.int64, "score_threshold": np.float32, "nms_threshold": np.float32}
    given = {name: np.array(value, kinds[name]) for name, value in limits.items()}
    found = session.run({"input": images.numpy(), **given})
    return detections(found["dets"], found["keypoints"])


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_persons_are_those_of_the_network(session: onnx_export.Session, shape: tuple[int, int, int]) -> None:
    images = crowd(*shape)
    theirs = expected(images, CHOSEN)
    assert sum(map(len, theirs)) > 3 and max(map(len, theirs)) <= CHOSEN.max_persons
    same(run(session, images), theirs)


@pytest.mark.slow
def test_the_finder_of_a_file_finds_what_the_network_finds(file: Path) -> None:
    images = crowd(*SHAPES[0]).byte()
    finder = onnx_finder(file, WantedPersons(0.2, 0.5, 4))
    found_by_file = finder.find(images.permute(0, 2, 3, 1).numpy())
    assert finder.precision == "float32"
    theirs = expected(images.float(), Selection(score_threshold=0.2, nms_threshold=0.5))
    assert len(theirs[0]) > 4
    same(found_by_file, [best(one, 4) for one in theirs])


@pytest.mark.slow
def test_a_box_without_bounds_is_nobody_s_in_every_form(file: Path, tmp_path: Path) -> None:
    """The best cell of each image gets one: it may neither be found nor keep others from being found."""
    net, images = copy.deepcopy(network()), crowd(2, 128, 160)
    before = expected(images, CHOSEN, net)
    net.head = _Boundless(net.head)
    eager = expected(images, CHOSEN, net)
    assert len(eager[0]) > 3 and eager[0].scores[0] < before[0].scores[0]
    same(found(Deployed(net, CHOSEN), images), eager)

    first, second = (onnx_export.Session(half, threads=1) for half in onnx_export.halves(file, tmp_path))
    answers = first.run({"input": images.numpy()})
    scores, boxes = ([m for m in answers.values() if m.ndim == 4 and m.shape[1] == channels] for channels in (1, 4))
    best = np.maximum(*(level.max((1, 2, 3), keepdims=True) for level in scores))
    for score, box in zip(scores, boxes, strict=True):  # per level
        box[:, 2:3] += 40.0 * (score == best)
    rows = second.run({"input": images.numpy(), **answers})
    same(detections(rows["dets"], rows["keypoints"]), eager)


class _Boundless(DenseHead):
    """The head, with the logarithm of a width of the best cell of each image by 40 larger."""

    def __init__(self, head: DenseHead) -> None:
        super().__init__()
        self.head, self.strides, self.pose_channels = head, head.strides, head.pose_channels

    def towers(self, feats: list[Tensor]) -> Towers:
        return self.head.towers(feats)

    def read(self, towers: Towers, proxy: bool) -> Outputs:
        outputs = self.head.read(towers, proxy)
        best = outputs.cls == outputs.cls.amax(1, keepdim=True)  # (B, N, 1)
        return replace(outputs, box=outputs.box + 40.0 * (best & torch.tensor([False, False, True, False])))


@pytest.mark.slow
def test_what_a_consumer_of_published_files_relies_on(session: onnx_export.Session) -> None:
    images = crowd(2, 128, 160)
    assert [i.name for i in session.inputs()] == ["input"]
    sure = {"score_threshold": np.array([0.1], np.float32)}  # above what the network makes of an empty image
    dets, keypoints = (session.run({"input": images.numpy(), **sure})[name] for name in ("dets", "keypoints"))
    assert dets.dtype == keypoints.dtype == np.float32
    assert dets.shape[2:] == (5,) and keypoints.shape == (*dets.shape[:2], 17, 3)
    assert not dets[1].any() and not keypoints[1].any()  # nobody there: rows of zeros
    alone = session.run({"input": images[1:].numpy(), **sure})["dets"]
    assert alone.shape == (1, 1, 5) and not alone.any()  # readers take the first row without asking


@pytest.mark.slow
@pytest.mark.parametrize("sides", [(118, 139), (128, 139), (97, 160)], ids=str)
def test_sides_of_any_length_are_padded(session: onnx_export.Session, sides: tuple[int, int]) -> None:
    """With grey, at the right and the bottom; no box reaches into it."""
    high, wide = sides
    padded = crowd(2, 128, 160).clone()
    padded[:, :, high:] = padded[..., wide:] = 114.0
    theirs = expected(padded, Selection(score_threshold=0.1))
    border = np.array([wide, high, wide, high], np.float32)
    assert (theirs[0].boxes > border).any()
    cut = [replace(one, boxes=np.minimum(one.boxes, border)) for one in theirs]
    same(run(session, padded[:, :, :high, :wide].contiguous(), score_threshold=[0.1]), cut)


@pytest.mark.slow
def test_opencv_refuses_a_file_whose_number_of_rows_is_open(file: Path) -> None:
    """It would compute an image with what it kept of the one before; a fixed number it reads, see test_consumers.py."""
    net = cv2.dnn.readNetFromONNX(str(file))
    net.setInput(crowd(1, 128, 160).numpy(), "input")
    with pytest.raises(cv2.error):
        net.forward(["dets", "keypoints"])


@pytest.mark.slow
def test_limits_can_be_said_anew_at_any_call(session: onnx_export.Session) -> None:
    images = crowd(2, 160, 96)
    assert [len(one) for one in run(session, images, max_persons=[2])] == [2, 2]
    assert [len(one) for one in run(session, images, max_persons=[0])] == [0, 0]
    other = Selection(score_threshold=0.2, nms_threshold=0.3)
    assert [len(one) for one in expected(images, other)] != [len(one) for one in expected(images, CHOSEN)]
    same(run(session, images, score_threshold=[0.2], nms_threshold=[0.3]), expected(images, other))


@pytest.mark.slow
@pytest.mark.parametrize("persons", [0, 1, 7])
def test_a_written_file_is_timed_with_as_many_persons_as_it_is_told(persons: int, file: Path) -> None:
    """Whatever its weights find in the image."""
    found = runtimes.written_call(file, TimingTask((64, 64), persons))()
    assert isinstance(found, list) and [len(one) for one in found] == [persons]


@pytest.mark.slow
def test_a_file_whose_persons_can_not_be_set_is_not_timed(file: Path, tmp_path: Path) -> None:
    model = onnx.load(str(file))
    for limit in [value for value in model.graph.input if value.name in onnx_export.LIMITS]:
        model.graph.input.remove(limit)
    onnx.save(model, str(tmp_path / "closed.onnx"))
    with pytest.raises(Refused, match="has no input max_persons, nms_threshold, score_threshold, so the number"):
        runtimes.written_call(tmp_path / "closed.onnx", TimingTask((64, 64)))


@pytest.mark.slow
def test_file_says_what_it_is(file: Path) -> None:
    about = onnx_export.read_about(file)
    assert about["keypoint_names"].split(",") == list(COCO.keypoints)
    assert (float(about["score_threshold"]), float(about["nms_threshold"])) == (0.05, 0.65)
    assert (about["max_persons"], about["source"], about["precision"]) == ("30", "tiny", "float32")


@pytest.mark.slow
def test_halves_are_the_whole(file: Path, session: onnx_export.Session, tmp_path: Path) -> None:
    first, second = (onnx_export.Session(half, 1) for half in onnx_export.halves(file, tmp_path))
    images = crowd(1, 128, 160).numpy()
    found = second.run({"input": images, **first.run({"input": images})})
    for name, value in session.run({"input": images}).items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.slow
def test_int8_is_the_trunk_alone_and_close(file: Path, tmp_path: Path) -> None:
    images = crowd(1, 128, 160)
    onnx_export.quantise(file, tmp_path / "int8.onnx", [images.numpy(), crowd(1, 160, 96).numpy()])
    theirs = expected(images, Selection(score_threshold=0.3))
    ours = run(onnx_export.Session(tmp_path / "int8.onnx", 1), images, score_threshold=[0.3])
    seen = agreement(ours, theirs)
    assert seen.persons > 1 and seen.missing == 0
    assert 0.01 < seen.median < 2.0  # pixels: bytes are coarse, and it is bytes
    assert onnx_export.read_about(tmp_path / "int8.onnx")["precision"] == "int8"
    assert onnx_finder(tmp_path / "int8.onnx").precision == "int8"
    counts = onnx_export.bytes_of(tmp_path / "int8.onnx")
    assert counts["Conv"] > 40 and not counts.keys() & {"Softmax", "NonMaxSuppression"}


@pytest.mark.soak
def test_a_runtime_of_its_own_finds_as_many_persons_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In floats and in bytes, which are made of the file that lies there: writing takes long."""
    task = TimingTask((64, 96), persons=7)
    network = with_batch_statistics(small_variant(), task)
    plain = runtimes.onnx_file(network, task, "float32", tmp_path)
    monkeypatch.setattr(onnx_export, "write_onnx", None)  # not once more
    files = {"float32": plain, "int8": runtimes.onnx_file(network, task, "int8", tmp_path)}
    assert runtimes.onnx_file(network, task, "float32", tmp_path) == plain
    assert [onnx_export.read_about(file)["precision"] for file in files.values()] == ["float32", "int8"]
    monkeypatch.setattr(runtimes, "onnx_file", lambda _network, _task, precision, _folder: files[precision])
    for runtime, precision in product(runtimes.FILE_RUNTIMES, files):
        call = runtimes.RUNTIMES[runtime].prepare(network, task, precision)
        assert [len(one) for one in call()] == [7]  # pyright: ignore[reportGeneralTypeIssues]


# --- the command


@pytest.mark.soak
def test_a_job_becomes_a_file(job_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job_folder / "model.onnx"
    code = command.main(["deploy", str(job_folder), "-o", str(path), "--precision", "fp16", "--max-persons", "5"])
    said = capsys.readouterr().out
    assert code == 0 and "fp16; against the network, on 8 images" in said
    about = onnx_export.read_about(path)
    assert (about["max_persons"], about["precision"], about["size"]) == ("5", "float16", "64x64")
    source = load.load_trained(str(job_folder))
    image = onnx_export.as_input(onnx_export.scenes(source, 1)[0])
    (ours,) = detections(*onnx_export.Session(path, 1)(image))
    (theirs,) = onnx_export.reference(source.network, image, Selection(max_persons=5))
    seen = agreement([ours], [theirs])
    assert len(theirs) == 5 and seen.missing <= 1 and seen.median < 1.0


def test_pictures_are_whole_and_centred(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 40, 3), 255, np.uint8))
    (picture,) = onnx_export.calibration_images(tmp_path, (64, 64))
    assert picture.shape == (64, 64, 3) and picture[32, 32, 0] == 255 and picture[2, 32, 0] == 114
    assert onnx_export.as_input(picture).shape == (1, 3, 64, 64)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nobody", "-o", "x.onnx"], "no network 'nobody'; there are nano"),
        (["nano", "-o", "x.onnx"], "nano: a preset has no weights; add a file that has some (--weights FILE)"),
        (["nano", "--random-weights", "-o", "x.txt"], "expected a name ending in .onnx"),
        (["nano", "--random-weights", "-o", "no/folder/x.onnx"], "expected a name ending in .onnx in a folder"),
        (["nano", "--random-weights", "-o", "x.onnx", "--precision", "int8"], "add --calibrate FOLDER"),
        (["nano", "--random-weights", "-o", "x.onnx", "--calibrate", "."], "no .jpg or .png below it"),
        (["rtmo-x", "--random-weights", "-o", "x.onnx"], "no network 'rtmo-x'; there are nano"),
        (["nano", "--random-weights", "-o", "x.onnx", "--score-threshold", "2"], "score threshold 2.0"),
        ([".", "-o", "x.onnx"], "no job.json and no weights.safetensors"),
    ],
)
def test_mistakes_are_refused_in_one_line(
    options: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["deploy", *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
