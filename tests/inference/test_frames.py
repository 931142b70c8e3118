"""Videos: frames come back as they were written, and what is no video is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.data.datasets.images import Unreadable
from workbench.inference.frames import FrameReader, FrameWriter

Pixels = NDArray[np.uint8]


def frames(count: int, high: int = 48, wide: int = 64) -> list[Pixels]:
    return [np.full((high, wide, 3), 40 + 30 * i, np.uint8) for i in range(count)]


def written(path: Path, given: Sequence[Pixels], rate: float = 10.0) -> Path:
    with FrameWriter(path, rate) as writer:
        for frame in given:
            writer.add(frame)
    return path


@pytest.mark.parametrize("size", [(48, 64), (49, 65)])
def test_frames_come_back(size: tuple[int, int], tmp_path: Path) -> None:
    reader = FrameReader(str(written(tmp_path / "deep" / "a.mp4", frames(5, *size))))
    assert reader.rate == pytest.approx(10.0) and reader.count == 5
    found = list(reader)
    assert [frame.shape for frame in found] == [(48, 64, 3)] * 5
    assert [round(float(frame.mean()) / 10) * 10 for frame in found] == [40, 70, 100, 130, 160]


def test_what_is_no_video_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    with pytest.raises(Unreadable, match=r"a\.mp4: no video that can be read"):
        FrameReader(str(tmp_path / "a.mp4"))
    with pytest.raises(Unreadable, match=r"none\.mp4: missing"):
        FrameReader(str(tmp_path / "none.mp4"))
    with pytest.raises(Unreadable, match="99: no such camera"):
        FrameReader("99", camera=True)


def test_a_video_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(Refused, match=r"a\.mp4: this OpenCV can not write it"):
        written(tmp_path / "a.mp4", frames(1))


def test_a_block_without_frames_writes_nothing(tmp_path: Path) -> None:
    assert not written(tmp_path / "a.mp4", []).exists()
