"""Pictures in batches: order, sizes, unreadable ones, and how much is read ahead."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.datasets.images import Unreadable
from workbench.data.find import ReadPixels, SeenPicture, found_in, inferred_in
from workbench.data.transforms.geometry import Letterbox
from workbench.tensors import Detections

SIZE = (32, 64)
Pixels = NDArray[np.uint8]


def one_person(images: Pixels) -> list[Detections]:
    """One in each, whose box is the canvas and whose score is the brightness of the middle."""
    assert images.dtype == np.uint8 and images.shape[1:] == (*SIZE, 3)
    return [
        Detections(
            boxes=np.array([[0, 0, SIZE[1], SIZE[0]]], np.float32),
            scores=np.array([image[16, 32, 0] / 255], np.float32),
            labels=np.zeros(1, np.int64),
            keypoints=np.full((1, 17, 2), 16, np.float32),
            keypoint_scores=np.ones((1, 17), np.float32),
        )
        for image in images
    ]


def plain(value: int, size: tuple[int, int] = (20, 30)) -> Pixels:
    return np.full((*size, 3), value, np.uint8)


def missing() -> Pixels:
    raise Unreadable("a.jpg", "missing")


def test_each_picture_has_its_persons_in_its_own_pixels() -> None:
    reads: list[ReadPixels] = [partial(plain, 10 * i, (20 + i, 30)) for i in range(7)]
    reads[3] = missing
    sizes: list[int] = []

    def find(images: Pixels) -> list[Detections]:
        sizes.append(len(images))
        return one_person(images)

    found = list(found_in(reads, find, SIZE, batch=3))
    assert sizes == [3, 2, 1] and len(found) == 7 and isinstance(found[3], Unreadable)
    for i, one in enumerate(found):
        if isinstance(one, SeenPicture):
            assert one.image.shape == (20 + i, 30, 3) and one.found.scores[0] == pytest.approx(10 * i / 255)
            expected = Letterbox.of((20 + i, 30), SIZE).back(np.array([[16, 16]], np.float32))
            assert np.allclose(one.found.keypoints[0, 0], expected)


def test_files_are_read_while_others_are_looked_at_and_few_of_them_ahead() -> None:
    begun: list[int] = []

    def read(i: int) -> Pixels:
        begun.append(i)
        time.sleep(0.01)
        return plain(0)

    looked: Any = found_in((partial(read, i) for i in range(1000)), one_person, SIZE, batch=2)
    next(looked)
    assert len(begun) <= 2 + 2 * 2 + 1
    looked.close()


def test_nothing_is_found_in_nothing() -> None:
    assert list(found_in([], one_person, SIZE)) == []
    assert [type(one) for one in found_in([missing], one_person, SIZE)] == [Unreadable]


def test_an_error_of_ours_is_no_unreadable_picture() -> None:
    def wrong() -> Pixels:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(found_in([wrong], one_person, SIZE))


def test_pictures_come_back_under_their_published_names(tmp_path: Path) -> None:
    several = inferred_in([plain(99), plain(50, (10, 10))], one_person, SIZE, COCO, ("person",))
    assert [one.size for one in several] == [(20, 30), (10, 10)] and several[0].skeleton == COCO
    assert several[0].detections[0].label == "person"
    assert inferred_in([plain(9)], one_person, SIZE, COCO, ("dog", "cat"))[0].detections[0].label == "dog"
    cases: list[tuple[Any, str]] = [(tmp_path / "none.png", "image: .*none.png: missing"), (7, "image: int given")]
    for given, said in cases:
        call: Callable[[], object] = partial(inferred_in, [given], one_person, SIZE, COCO, ("person",))
        with pytest.raises(Refused, match=said):
            call()
