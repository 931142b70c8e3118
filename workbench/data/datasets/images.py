"""Reading image files: whole, or only as much as is needed to tell a whole file from a broken one."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from workbench.data.datasets.jpeg import END, TURNED, is_whole, jpeg_header

_JPEG = (".jpg", ".jpeg")
JPEG_START = b"\xff\xd8\xff"
MOST_PIXELS = 178_956_970  # from there on PIL refuses; cv2 reads outside its memory from 2**31 bytes of pixels on


class Unreadable(OSError):
    """An image file that cannot be used. The loader drops its sample and keeps the count."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file, self.reason = file, reason

    def __reduce__(self) -> tuple[type[Unreadable], tuple[str, str]]:
        return Unreadable, (self.file, self.reason)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says of its image: the size of the pixels as they are stored, and how the camera was held.

    Fields:
        orientation: EXIF's tag, 1 to 8; 1 is upright as stored.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height once the image is turned as its tag says."""
        swapped = self.orientation in TURNED
        return (self.height, self.width) if swapped else (self.width, self.height)


def special(path: Path) -> str | None:
    """Why a file is not to be opened: a pipe or a device may give no end of bytes, or none for ever."""
    return "no regular file" if path.exists() and not (path.is_file() or path.is_dir()) else None


def read_image(path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
    """The image (H, W, 3), BGR.

    Args:
        upright: turn it as the camera's orientation tag says; else it is as stored, as in COCO's boxes.

    Raises:
        Unreadable: the file is missing, empty, cut off, too large or of no known format.
    """
    if reason := special(path):
        raise Unreadable(str(path), reason)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Unreadable(str(path), "missing") from None
    except OSError as error:
        raise Unreadable(str(path), _reason(error)) from error
    return decode_image(data, str(path), upright=upright)


def decode_image(data: bytes, name: str, *, upright: bool = False) -> NDArray[np.uint8]:
    """The same of the content of a file; `name` is that of the file, for messages.

    Raises:
        Unreadable: as `read_image`.
    """
    found = _header(BytesIO(data), name)
    if isinstance(found, str):
        raise Unreadable(name, found)
    try:
        flags = cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
        content = np.frombuffer(data, np.uint8)
        image = cv2.imdecode(content, flags)
        if image is None and data.startswith(JPEG_START):  # which is whole but for its end mark
            image = cv2.imdecode(np.append(content, END), flags)
    except cv2.error as error:
        raise Unreadable(name, str(error).strip().splitlines()[0]) from error
    if image is None:
        raise Unreadable(name, "not an image that can be decoded")
    return np.asarray(image, np.uint8)


def broken(path: Path) -> str | None:
    """Why the file cannot be a whole image, judged without decoding; None where nothing speaks against it."""
    found = image_header(path)
    return found if isinstance(found, str) else None


def image_header(path: Path) -> ImageHeader | str:
    """What a whole image file says of itself, or why it is none.

    Some decoders fill the missing part of a cut JPEG with grey and say nothing, hence the look at its end.
    """
    try:
        if reason := special(path):
            return reason
        with path.open("rb") as file:
            return _header(file, path.name)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return _reason(error)


def _reason(error: OSError) -> str:
    return error.strerror or "cannot be opened"


def _header(file: BinaryIO, name: str) -> ImageHeader | str:
    head = file.read(8)
    if not head:
        return "empty"
    if head.startswith(JPEG_START):
        found = jpeg_header(file)
        end = file.seek(0, 2)
        file.seek(max(end - 1024, 0))
        # some cameras and tools append bytes after the end mark, up to a whole film
        if b"\xff\xd9" not in file.read() and not _is_whole(file):
            return "a JPEG that is cut off"
        return _small_enough(ImageHeader(*found)) if found else "not an image that can be decoded"
    if head == b"\x89PNG\r\n\x1a\n":
        file.seek(max(file.seek(0, 2) - 64, 0))
        if b"IEND" not in file.read():
            return "a PNG that is cut off"
    elif name.lower().endswith(_JPEG):
        return _other(file) if _known(head) else "not a JPEG in spite of its name"
    return _other(file)


def _small_enough(header: ImageHeader) -> ImageHeader | str:
    if header.width * header.height <= MOST_PIXELS:
        return header
    return f"{header.width}x{header.height} pixels, at most {MOST_PIXELS / 1e6:.0f} megapixels can be read"


def _is_whole(file: BinaryIO) -> bool:
    file.seek(0)
    return is_whole(file.read())


def _known(head: bytes) -> bool:
    """Whether a file begins as an image of another format than its name says, which decoders read all the same."""
    return head[:8] == b"\x89PNG\r\n\x1a\n" or head[:2] == b"BM" or head[:4] in (b"RIFF", b"GIF8", b"II*\0", b"MM\0*")


def _other(file: BinaryIO) -> ImageHeader | str:
    file.seek(0)
    try:
        with Image.open(file) as image:
            return _small_enough(ImageHeader(*image.size))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return "not an image that can be decoded" if isinstance(error, UnidentifiedImageError) else str(error)
