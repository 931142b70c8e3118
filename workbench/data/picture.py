"""A picture in whatever form users have it, as pixels: a file, an address, bytes, a PIL image, an array or a tensor.

The same picture gives the same pixels in each form: 16 bits become 8, greys and palettes become colours, transparency
is left out, and a camera's orientation tag is followed.
"""

from __future__ import annotations

from http.client import HTTPException
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from workbench.core.download import download
from workbench.core.errors import Refused, one_line
from workbench.data.datasets.images import JPEG_START, Unreadable, decode_image, special

Picture = str | PathLike[str] | bytes | Image.Image | NDArray[Any] | Tensor
_Pixels = NDArray[np.uint8]
_ADDRESS = ("http://", "https://")
LARGEST_DOWNLOAD, LONGEST_DOWNLOAD = 100_000_000, 120.0  # bytes and seconds of a picture at an address
_PLAIN = {"La": "LA", "RGBa": "RGBA"}  # modes with colours that are multiplied by their transparency
_NO_RANGE = ("I", "F")  # modes of numbers without a known largest one
_WANTED = "expected a path, an address, bytes, a PIL image, an array (H, W, 3) in BGR or a tensor (3, H, W) in RGB"


def pixels_of(picture: Picture, name: str = "image") -> _Pixels:
    """The pixels (H, W, 3), BGR.

    Args:
        picture: a path; an address of http or https; the bytes of a file; a PIL image of any mode with a known range;
            an array in BGR as cv2 reads it, (H, W) or (H, W, 1, 3 or 4), uint8 or uint16; a tensor in RGB as
            torchvision has it, (1, 3 or 4, H, W), uint8 or floats in 0..1.
        name: what messages call what has no name of its own.

    Raises:
        Unreadable: a file, an address or bytes that hold no whole image.
        Refused: no picture.
    """
    if isinstance(picture, str) and picture.lower().startswith(_ADDRESS):
        return _of_bytes(_downloaded(picture), picture)
    if isinstance(picture, str | PathLike):
        return _of_file(Path(picture))
    if isinstance(picture, bytes):
        return _of_bytes(picture, name)
    if isinstance(picture, Image.Image):
        return _of_pil(picture, name)
    if isinstance(picture, Tensor):
        return _of_tensor(picture, name)
    if isinstance(picture, np.ndarray):
        return _of_array(picture, name)
    raise Refused(f"{name}: {type(picture).__name__} given; {_WANTED}")


def _of_file(path: Path) -> _Pixels:
    try:
        if reason := special(path):
            raise Unreadable(str(path), reason)
        return _of_bytes(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise Unreadable(str(path), "missing") from None
    except Unreadable:
        raise
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        raise Unreadable(str(path), getattr(error, "strerror", None) or "cannot be opened") from error


def _of_bytes(data: bytes, name: str) -> _Pixels:
    """JPEG as it is read in training; of all other formats PIL knows more."""
    if not data or data.startswith(JPEG_START):
        return decode_image(data, name, upright=True)
    try:
        with Image.open(BytesIO(data)) as image:
            return _of_pil(image, name)
    except UnidentifiedImageError:
        raise Unreadable(name, "not an image that can be decoded") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(name, str(error)) from error
    except Refused as error:
        raise Unreadable(name, str(error).removeprefix(f"{name}: ")) from error


def _downloaded(address: str) -> bytes:
    file = BytesIO()
    try:
        download(address, file, LARGEST_DOWNLOAD, LONGEST_DOWNLOAD, {"User-Agent": "rtmo-workbench"})
        return file.getvalue()
    except Refused as error:
        raise Unreadable(address, str(error).removeprefix(f"{address}: ")) from None
    except (OSError, ValueError, HTTPException) as error:
        raise Unreadable(address, f"could not be downloaded ({one_line(error)})") from error


def _of_pil(image: Image.Image, name: str) -> _Pixels:
    if image.mode in _NO_RANGE:
        raise Refused(
            f"{name}: a picture of mode {image.mode}, which does not say what its largest value means; bring it to "
            "0..255 and give it as an array"
        )
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            return _of_array(np.asarray(upright).astype(np.uint16), name)
        colours = upright.convert(_PLAIN.get(upright.mode, upright.mode)).convert("RGB")
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"{name}: a picture of mode {image.mode}: {error}; convert it to RGB") from error
    except (
        OSError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:  # of a file that is read only now
        raise Refused(f"{name}: a picture that can not be decoded ({one_line(error)})") from error
    return _of_array(np.asarray(colours)[..., ::-1], name)


def _of_tensor(tensor: Tensor, name: str) -> _Pixels:
    values = tensor.detach().cpu()
    if values.ndim != 3 or values.shape[0] not in (1, 3, 4):
        raise Refused(f"{name}: a tensor {tuple(values.shape)} given; {_WANTED}")
    if values.is_floating_point():
        low, high = (float(one) for one in values.float().aminmax()) if values.numel() else (0.0, 0.0)
        if not 0 <= low <= high <= 1:
            raise Refused(
                f"{name}: a tensor of floats from {low:g} to {high:g} given; expected RGB in 0..1, as torchvision's "
                "to_tensor gives it, or uint8"
            )
        values = (values.float() * 255).round().byte()
    array = values.permute(1, 2, 0).numpy()
    return _of_array(np.concatenate([array[..., 2::-1], array[..., 3:]], axis=2), name)


def _of_array(array: NDArray[Any], name: str) -> _Pixels:
    given = array[..., None] if array.ndim == 2 else array
    if given.dtype == np.uint16:
        given = (given >> 8).astype(np.uint8)
    if given.dtype != np.uint8 or given.ndim != 3 or given.shape[2] not in (1, 3, 4) or not given.size:
        raise Refused(f"{name}: {array.dtype} array {array.shape} given; {_WANTED}, of uint8 or uint16")
    colours = given.repeat(3, axis=2) if given.shape[2] == 1 else given[..., :3]
    return np.ascontiguousarray(colours)
