"""Reading image files: whole, or only as much as is needed to tell a whole file from a broken one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


class Unreadable(OSError):
    """An image file that cannot be used. The loader drops its sample and keeps the count."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file, self.reason = file, reason

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, str]]:
        return Unreadable, (self.file, self.reason)


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image (H, W, 3), BGR, as it is stored: the camera's orientation tag is not applied, as in COCO's boxes.

    Raises:
        Unreadable: the file is missing, empty, cut off or of no known format.
    """
    if reason := broken(path):
        raise Unreadable(str(path), reason)
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, cv2.error) as error:
        raise Unreadable(str(path), str(error).strip().splitlines()[0]) from error
    if image is None:
        raise Unreadable(str(path), "not an image that can be decoded")
    return np.asarray(image, np.uint8)


def broken(path: Path) -> str | None:
    """Why the file cannot be a whole image, judged by its first and last bytes; None where nothing speaks against it.

    Some decoders fill the missing part of a cut JPEG with grey and say nothing, hence the look at its end.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            end = file.seek(0, 2)
            file.seek(max(end - 1024, 0))
            tail = file.read()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return error.strerror or "cannot be opened"
    if not head:
        return "empty"
    if head[:3] == b"\xff\xd8\xff":
        # some cameras and tools append bytes after the end marker
        return None if b"\xff\xd9" in tail else "a JPEG that is cut off"
    if head == b"\x89PNG\r\n\x1a\n":
        return None if b"IEND" in tail[-64:] else "a PNG that is cut off"
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return "not a JPEG in spite of its name"
    return None
