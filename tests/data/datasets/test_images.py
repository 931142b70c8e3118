"""Image files: broken ones are told from whole ones."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench.data.datasets.images import MOST_PIXELS, Unreadable, broken, image_header, read_image


def test_broken_files_are_told(tmp_path: Path) -> None:
    import cv2

    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    cases = {"good": whole, "cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello, this is no image"}
    for name, data in cases.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    assert read_image(tmp_path / "good.jpg").shape == (64, 64, 3)
    reasons = {name: broken(tmp_path / f"{name}.jpg") for name in (*cases, "none")}
    assert reasons == {
        "good": None,
        "cut": "a JPEG that is cut off",
        "empty": "empty",
        "text": "not a JPEG in spite of its name",
        "none": "missing",
    }
    (tmp_path / "header.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50) + b"\xff\xd9")
    for name in ("cut", "empty", "text", "none", "header"):
        with pytest.raises(Unreadable, match=f"{name}.jpg: "):
            read_image(tmp_path / f"{name}.jpg")


def png(width: int, height: int) -> bytes:
    """A PNG that says so of itself, of a hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header says so."""
    import cv2

    data = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("make", [png, jpeg])
def test_an_image_that_would_not_fit_into_memory_is_not_decoded(
    make: Callable[[int, int], bytes], tmp_path: Path
) -> None:
    """Of more than 2**31 bytes of pixels cv2 reads outside its memory, and the process is gone."""
    path = tmp_path / "a.img"
    path.write_bytes(make(30_000, 30_000))
    reason = image_header(path)
    assert isinstance(reason, str) and ("megapixels" in reason or f"limit of {MOST_PIXELS}" in reason)
    with pytest.raises(Unreadable, match=r"a\.img: "):
        read_image(path)
    path.write_bytes(make(4_000, 3_000))
    assert not isinstance(image_header(path), str)


def test_a_pipe_or_a_device_is_no_image(tmp_path: Path) -> None:
    """The one has no bytes until somebody writes, the other never ends."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "endless.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "endless.jpg"):
        assert broken(tmp_path / name) == "no regular file"
        with pytest.raises(Unreadable, match=f"{name}: no regular file"):
            read_image(tmp_path / name)
