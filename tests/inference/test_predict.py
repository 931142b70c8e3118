"""Own pictures and videos: what is written, what is told, and what is done with those that can not be read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.inference.test_frames import frames, written
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.overlay import draw_found
from workbench.inference import frames as video
from workbench.inference.finder import PersonFinder
from workbench.inference.predict import Predicted, PredictOptions, predict, rows_written
from workbench.inference.sources import find_sources
from workbench.tensors import Detections

SIZE = (64, 64)
Pixels = NDArray[np.uint8]


def one_person(images: Pixels) -> list[Detections]:
    return [
        Detections(
            boxes=np.array([[8, 20, 48, 44]], np.float32),
            scores=np.array([0.75], np.float32),
            labels=np.zeros(1, np.int64),
            keypoints=np.linspace(20, 40, 34, dtype=np.float32).reshape(1, 17, 2),
            keypoint_scores=np.ones((1, 17), np.float32),
        )
        for _ in images
    ]


FINDER = PersonFinder("made up", SIZE, COCO, one_person)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, high in (("a.jpg", 48), ("deep/b.png", 96)):
        Path(name).parent.mkdir(exist_ok=True)
        cv2.imwrite(name, np.full((high, 96, 3), 128, np.uint8))
    Path("bad.jpg").write_bytes(b"no picture")
    written(Path("clip.mp4"), frames(4))


def done(*words: str, finder: PersonFinder = FINDER, **options: Any) -> tuple[Predicted, list[dict[str, Any]]]:
    out = Path("out")
    found = predict(finder, find_sources(words, out), out, PredictOptions(**options))
    return found, json.loads((out / "predictions.json").read_text())


def test_pictures_are_drawn_and_listed() -> None:
    found, rows = done("a.jpg", "deep")
    assert [(row["image_id"], row["file_name"]) for row in rows] == [(1, "a.jpg"), (2, "b.png")]
    assert rows[0]["bbox"] == pytest.approx([12, 6, 60, 36], abs=1e-3) and rows[0]["score"] == 0.75
    assert len(rows[0]["keypoints"]) == 51 and rows[0]["category_id"] == 1
    drawn: Any = cv2.imread("out/b.png")
    (seen,) = one_person(np.zeros((1, *SIZE, 3), np.uint8))
    seen.boxes, seen.keypoints = seen.boxes * 1.5, seen.keypoints * 1.5
    assert np.array_equal(drawn, draw_found(np.full((96, 96, 3), 128, np.uint8), seen, COCO))
    shown = cv2.imread("out/a.jpg")
    assert shown is not None and shown.shape == (240, 480, 3)
    assert [(one.name, one.image_id, one.persons, one.size) for one in found.sources] == [
        ("a.jpg", 1, 1, (48, 96)),
        ("deep/b.png", 2, 1, (96, 96)),
    ]
    assert next(found.lines()).startswith("made up: 2 persons in 2 pictures, ")


def test_frames_are_drawn_and_listed() -> None:
    found, rows = done("a.jpg", "clip.mp4")
    assert [(row["image_id"], row.get("frame")) for row in rows] == [(1, None), (2, 0), (3, 1), (4, 2), (5, 3)]
    assert video.FrameReader("out/clip.mp4").count == 4
    (clip,) = [one for one in found.sources if one.kind == "video"]
    assert (clip.image_id, clip.frames, clip.persons, clip.drawn) == (2, 4, 4, "out/clip.mp4")
    assert "5 persons in 1 picture and 4 frames" in next(found.lines())
    _, rows = done("clip.mp4", frames=3, batch=2)
    assert [row["frame"] for row in rows] == [0, 1, 2]


def test_what_can_not_be_read_is_told_and_the_rest_is_done() -> None:
    Path("bad.mp4").write_bytes(b"no video")
    found, rows = done("bad.jpg", "a.jpg", "bad.mp4", batch=1)
    assert found.unreadable == {
        "bad.jpg": "not an image that can be decoded",
        "bad.mp4": "no video that can be read",
    }
    assert [row["image_id"] for row in rows] == [2] and not Path("out/bad.jpg").exists()
    as_json = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert [one["name"] for one in as_json["unreadable"]] == ["bad.jpg", "bad.mp4"]
    assert as_json["predictions"] == "out/predictions.json" and as_json["sources"][0]["width"] == 96
    nothing, rows = done("bad.jpg")
    assert rows == [] and "nothing could be read" in next(nothing.lines())


def test_a_picture_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("a.jpg").read_bytes())))
    found, rows = done("-")
    assert rows[0]["file_name"] == "-" and found.sources[0].drawn == "out/stdin.jpg" and Path("out/stdin.jpg").exists()


def test_ctrl_c_ends_a_camera_and_interrupts_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class Camera:
        rate = 10.0

        def __init__(self, name: str, *, camera: bool = False) -> None:
            pass

        def __iter__(self) -> Any:
            yield from frames(4)
            raise KeyboardInterrupt

    monkeypatch.setattr("workbench.inference.predict.FrameReader", Camera)
    found, rows = done("0")
    assert 1 <= found.sources[0].frames <= 4 and len(rows) == found.sources[0].frames
    with pytest.raises(KeyboardInterrupt):
        done("clip.mp4")


def test_drawings_are_shown_until_the_window_is_closed() -> None:
    shown: list[tuple[int, bool]] = []

    class Screen:
        def show(self, image: Pixels, *, wait: bool) -> bool:
            shown.append((image.shape[0], wait))
            return len(shown) < 3

    out = Path("out")
    ticks: list[str] = []
    predict(FINDER, find_sources(["a.jpg", "clip.mp4"], out), out, screen=Screen(), tick=ticks.append)
    assert shown == [(240, True), (384, False), (384, False)]
    assert ticks == ["a.jpg", *["clip.mp4"] * 4]


def test_a_network_that_has_diverged_is_refused() -> None:
    def find(images: Pixels) -> list[Detections]:
        (found,) = one_person(images)
        found.boxes[0, 0] = np.nan
        return [found]

    with pytest.raises(Refused, match="made up: it gives numbers that are not finite"):
        done("a.jpg", finder=PersonFinder("made up", SIZE, COCO, find))
    assert not Path("out/predictions.json").exists(), "whole or not at all"


def test_a_folder_that_can_not_be_made_is_refused() -> None:
    with pytest.raises(Refused, match=r"-o a\.jpg: .*; name a folder that can be written to"):
        predict(FINDER, [], Path("a.jpg"))


def test_rows_are_one_list_whatever_their_number() -> None:
    for count in (0, 1, 3):
        with rows_written(Path("rows.json")) as write:
            for i in range(count):
                write([{"a": i}, {"b": 0.5}])
        assert (
            json.loads(Path("rows.json").read_text())
            == [{"a": 0}, {"b": 0.5}, {"a": 1}, {"b": 0.5}, {"a": 2}, {"b": 0.5}][: 2 * count]
        )
