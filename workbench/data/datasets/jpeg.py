"""The parts of a JPEG file that tell its size, how the camera was held, and whether it is whole. Nothing is decoded.

A JPEG is a row of segments: a mark of two bytes and, but for a few, a length of two bytes and that many bytes.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the tag of EXIF
TURNED = (5, 6, 7, 8)  # orientations that swap width and height

END = np.array([0xFF, 0xD9], np.uint8)  # the mark at the end

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # segments that hold the size
_SCAN, _END, _EXIF = 0xDA, 0xD9, 0xE1
_BARE = {0x01, *range(0xD0, 0xD8)}  # marks without a length
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # what stands for itself inside a scan is none of these
_LAST = 6  # bytes that are taken away to see where a file ends
_BLOCK = 18  # rows of the largest usual block, and two that its colours are blended into


def jpeg_header(file: BinaryIO) -> tuple[int, int, int] | None:
    """Width, height and orientation (1 to 8; 1 is as stored) of the JPEG that a file begins with; None: it is none."""
    file.seek(2)
    orientation = 1
    while len(head := file.read(4)) == 4 and head[0] == 0xFF:
        kind, length = head[1], int.from_bytes(head[2:], "big") - 2
        if kind == 0xFF or kind in _BARE:
            file.seek(-3 if kind == 0xFF else -2, io.SEEK_CUR)
        elif kind in _FRAMES:
            frame = file.read(5)
            return int.from_bytes(frame[3:], "big"), int.from_bytes(frame[1:3], "big"), orientation
        elif kind in (_SCAN, _END):
            return None
        elif kind == _EXIF and (found := file.read(length)).startswith(b"Exif\0\0"):
            orientation = _orientation(found)
        elif kind != _EXIF:
            file.seek(length, io.SEEK_CUR)
    return None


def _orientation(exif: bytes) -> int:
    """1 where the tag is missing or nonsense."""
    try:
        tags = Image.Exif()
        tags.load(exif)
        found = tags.get(ORIENTATION, 1)
    except Exception:  # whatever a camera writes: the pixels are readable without it
        return 1
    return found if found in range(1, 9) else 1


def is_whole(data: bytes) -> bool:
    """Whether the image in a JPEG file is whole, whatever follows it; only its end mark may be missing."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == _END:
            return True
        if kind == 0xFF or kind in _BARE:
            at += 1 if kind == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == _SCAN:
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                return _only_the_mark_is_missing(data)
            at = found.start()
    return data[at : at + 2] == b"\xff\xd9"


def _only_the_mark_is_missing(data: bytes) -> bool:
    """Whether the last bytes are those of the last pixels: without them only the bottom of the image changes."""
    marked, shorter = (_decoded(part.rstrip(b"\xff") + b"\xff\xd9") for part in (data, data[:-_LAST]))
    if marked is None or shorter is None or marked.shape != shorter.shape:
        return False
    rows = np.flatnonzero((marked != shorter).any((1, 2)))
    return len(rows) > 0 and int(rows[0]) >= marked.shape[0] - _BLOCK


def _decoded(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
