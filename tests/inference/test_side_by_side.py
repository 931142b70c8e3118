"""Images of a batch one beside the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.inference.tiny import network
from workbench.inference.side_by_side import each_on_a_core
from workbench.rtmo import RTMO
from workbench.tensors import Detections

Seen = list[tuple[int, int, str]]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def of_a_new_thread() -> int:
    """How many threads torch may use there."""
    begun: list[int] = []
    thread = threading.Thread(target=lambda: begun.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return begun[0]


def asked(seen: Seen, images: NDArray[np.uint8]) -> list[Detections]:
    seen.append((len(images), torch.get_num_threads(), threading.current_thread().name))
    none = np.zeros((0, 17, 2), np.float32)
    empty = {"boxes": none[:, :4, 0], "scores": none[:, 0, 0], "labels": np.zeros(0, np.int64)}
    return [Detections(**empty, keypoints=none, keypoint_scores=none[..., 0]) for _ in images]


@pytest.mark.usefixtures("two_threads")
def test_each_image_goes_alone_on_one_thread_and_all_is_as_before_afterwards() -> None:
    seen: Seen = []
    found = each_on_a_core(lambda images: asked(seen, images), np.zeros((5, 8, 8, 3), np.uint8))
    assert [one.image_id for one in found] == [0, 1, 2, 3, 4]
    assert {(size, threads) for size, threads, _ in seen} == {(1, 1)} and all("find" in name for *_, name in seen)
    assert torch.get_num_threads() == of_a_new_thread() == 2


@pytest.mark.usefixtures("two_threads")
def test_whoever_begins_meanwhile_has_all_threads_also_after_an_error() -> None:
    begun, together = list[int](), threading.Barrier(2)

    def find(images: NDArray[np.uint8]) -> list[Detections]:
        together.wait(10)
        begun.append(of_a_new_thread())
        raise ValueError("no persons today")

    with pytest.raises(ValueError, match="today"):
        each_on_a_core(find, np.zeros((2, 8, 8, 3), np.uint8))
    assert begun and set(begun) == {2}
    assert torch.get_num_threads() == of_a_new_thread() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_that_images_leave_over_are_shared_among_them() -> None:
    torch.set_num_threads(5)
    seen: Seen = []
    each_on_a_core(lambda images: asked(seen, images), np.zeros((2, 8, 8, 3), np.uint8))
    assert [(size, threads) for size, threads, _ in seen] == [(1, 2), (1, 2)]


@pytest.mark.usefixtures("two_threads")
def test_another_thread_may_call_it_meanwhile() -> None:
    images, seen = np.zeros((2, 8, 8, 3), np.uint8), Seen()
    images[1] = 1
    other = threading.Thread(target=lambda: each_on_a_core(lambda some: asked(seen, some), images))

    def find(some: NDArray[np.uint8]) -> list[Detections]:
        if some.any():
            other.start()
            other.join()
        return asked([], some)

    each_on_a_core(find, images)
    assert [(size, threads) for size, threads, _ in seen] == [(1, 1), (1, 1)]
    assert torch.get_num_threads() == of_a_new_thread() == 2


@pytest.mark.usefixtures("two_threads")
def test_one_image_and_autocast_stay_where_they_are() -> None:
    seen: Seen = []
    each_on_a_core(lambda images: asked(seen, images), np.zeros((1, 8, 8, 3), np.uint8))
    with torch.autocast("cpu", torch.bfloat16):
        each_on_a_core(lambda images: asked(seen, images), np.zeros((3, 8, 8, 3), np.uint8))
    assert [(size, threads) for size, threads, _ in seen] == [(1, 2), (3, 2)]
    assert all(name == threading.current_thread().name for *_, name in seen)


@pytest.mark.usefixtures("two_threads")
def test_a_list_gives_what_its_images_give_alone() -> None:
    model = RTMO(None, (128, 160), network())
    pictures = [np.random.default_rng(i).integers(0, 256, (128, 160, 3), np.uint8) for i in range(3)]
    for together, picture in zip(model.infer(pictures), pictures, strict=True):
        alone = model.infer(picture)
        assert len(together.detections) == len(alone.detections) > 0
        for a, b in zip(together.detections, alone.detections, strict=True):
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)
