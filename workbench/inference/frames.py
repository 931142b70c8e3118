"""Frames of videos and cameras, read and written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.data.datasets.images import Unreadable

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # it would print its own words about files that are no videos
_CODEC = "mp4v"  # which OpenCV can write everywhere
_RATE = 25.0  # frames a second where the source does not say

_Pixels = NDArray[np.uint8]


class FrameReader:
    """The frames of a video file, or of a camera by its number.

    Fields:
        rate: frames a second; count: how many there are, about; 0 where it is not known.

    Raises:
        Unreadable: it can not be opened, or holds no frame.
    """

    def __init__(self, name: str, *, camera: bool = False) -> None:
        if not camera and not Path(name).is_file():
            raise Unreadable(name, "missing")
        self._capture: Any = cv2.VideoCapture(int(name) if camera else name)
        whole, self._first = self._capture.read()
        if not whole:
            self._capture.release()
            why = "no such camera, or another program has it" if camera else "no video that can be read"
            raise Unreadable(name, why)
        rate, count = (float(self._capture.get(what)) for what in (cv2.CAP_PROP_FPS, cv2.CAP_PROP_FRAME_COUNT))
        self.rate = rate if 0 < rate < 1000 else _RATE
        self.count = 0 if camera else max(int(count), 0)

    def __iter__(self) -> Iterator[_Pixels]:
        """Each frame (H, W, 3), BGR, upright; those of a camera never end."""
        whole, frame = True, self._first
        try:
            while whole:
                yield np.asarray(frame, np.uint8)
                whole, frame = self._capture.read()
        finally:
            self._capture.release()


class FrameWriter:
    """Writes frames to an .mp4 file, which is there when the block ends. All frames have the size of the first."""

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self._writer: Any = None

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.release()

    def add(self, frame: _Pixels) -> None:
        """
        Raises:
            Refused: the file can not be written.
        """
        high, wide = (side // 2 * 2 for side in frame.shape[:2])  # the codec has no odd sides
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*_CODEC), self.rate, (wide, high))
            if not self._writer.isOpened():
                raise Refused(f"{self.path}: this OpenCV can not write it; name a folder that can be written to")
        self._writer.write(np.ascontiguousarray(frame[:high, :wide]))
