"""The same picture in every form that users have it gives the same pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.served import served
from workbench.core.errors import Refused
from workbench.data import picture
from workbench.data.datasets.images import Unreadable
from workbench.data.datasets.jpeg import ORIENTATION
from workbench.data.picture import pixels_of

SIZE = (30, 40)
COLOURS = np.random.default_rng(0).integers(0, 255, (16, 3), np.uint8)
RGB = COLOURS[np.random.default_rng(1).integers(0, 16, SIZE)]  # few colours, so that a palette holds them
BGR = RGB[..., ::-1]
GREY = RGB[..., 0]
GREYS = np.dstack([GREY] * 3)


def saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def palette() -> Image.Image:
    return Image.fromarray(RGB).quantize(16)


FORMS: dict[str, tuple[Callable[[], bytes], Any]] = {
    "png": (lambda: saved(Image.fromarray(RGB), "PNG"), BGR),
    "png with alpha": (lambda: saved(Image.fromarray(np.dstack([RGB, GREY])), "PNG"), BGR),
    "png with a palette": (lambda: saved(palette(), "PNG"), BGR),
    "png with a palette and a colour that is clear": (lambda: saved(palette(), "PNG", transparency=3), BGR),
    "png of 16 bits": (lambda: cv2.imencode(".png", BGR.astype(np.uint16) * 256 + 99)[1].tobytes(), BGR),
    "grey png": (lambda: saved(Image.fromarray(GREY), "PNG"), GREYS),
    "grey png with alpha": (lambda: saved(Image.fromarray(np.dstack([GREY, GREY]), "LA"), "PNG"), GREYS),
    "grey png of 16 bits": (lambda: cv2.imencode(".png", GREY.astype(np.uint16) * 256 + 99)[1].tobytes(), GREYS),
    "grey tiff of 16 bits": (lambda: cv2.imencode(".tiff", GREY.astype(np.uint16) * 256 + 99)[1].tobytes(), GREYS),
    "black and white": (lambda: saved(Image.fromarray(GREY > 99), "PNG"), np.where(GREYS > 99, 255, 0)),
    "gif": (lambda: saved(palette(), "GIF"), BGR),
    "bmp": (lambda: saved(Image.fromarray(RGB), "BMP"), BGR),
    "tiff": (lambda: saved(Image.fromarray(RGB), "TIFF"), BGR),
    "webp": (lambda: saved(Image.fromarray(RGB), "WEBP", lossless=True), BGR),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_file_gives_the_same_pixels_by_path_as_bytes_and_by_pil(form: str, tmp_path: Path) -> None:
    made, expected = FORMS[form]
    (tmp_path / "a").write_bytes(data := made())
    for given in (tmp_path / "a", str(tmp_path / "a"), data, Image.open(BytesIO(data))):
        found = pixels_of(given)
        assert found.dtype == np.uint8 and found.flags.c_contiguous and found.shape == (*SIZE, 3)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "mode", ["L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "1"]
)
def test_every_mode_of_pil_is_a_picture(mode: str) -> None:
    grey = 255 if mode == "1" else 204
    plain = Image.new("RGBA" if mode in ("PA", "La", "RGBa") else "RGB", (8, 6), (grey, grey, grey))
    through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, mode)
    found = pixels_of(plain.convert(through).convert(mode))
    assert found.shape == (6, 8, 3) and abs(found.astype(int) - grey).max() <= 4


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_range_are_refused_in_every_form(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, (8, 6), 1000)
    with pytest.raises(Refused, match=f"image: a picture of mode {mode}, which does not say"):
        pixels_of(image)
    image.save(tmp_path / "a.tiff")
    with pytest.raises(Unreadable, match=f"a.tiff: a picture of mode {mode}"):
        pixels_of(tmp_path / "a.tiff")


TURNS: dict[int, Callable[[Any], Any]] = {  # from the upright picture to the stored one
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_tags_are_followed(kind: str, tmp_path: Path) -> None:
    upright = np.full((32, 48, 3), 30, np.uint8)
    upright[:16, :16], upright[16:, 32:] = (250, 40, 40), (40, 250, 40)
    for tag, turn in TURNS.items():
        exif = Image.Exif()
        exif[ORIENTATION] = tag
        lossless = (
            {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        )
        data = saved(Image.fromarray(np.ascontiguousarray(turn(upright))), kind, exif=exif, **lossless)
        (tmp_path / "a").write_bytes(data)
        for given in (tmp_path / "a", data, Image.open(BytesIO(data))):
            found = pixels_of(given)
            assert found.shape == upright.shape, f"{kind} {tag}"
            assert abs(found.astype(int) - upright[..., ::-1]).max() <= 12, f"{kind} {tag}"


def test_a_jpeg_is_the_same_by_path_and_by_pil(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 3)
    cv2.imwrite(str(tmp_path / "a.jpg"), smooth)
    by_path, by_pil = pixels_of(tmp_path / "a.jpg"), pixels_of(Image.open(tmp_path / "a.jpg"))
    assert abs(by_path.astype(int) - by_pil.astype(int)).max() <= 3


def test_arrays_and_tensors() -> None:
    for array in (BGR, BGR.astype(np.uint16) << 8, np.dstack([BGR, GREY])):
        assert np.array_equal(pixels_of(array), BGR)
    for array in (GREY, GREY[..., None], GREY.astype(np.uint16) << 8):
        assert np.array_equal(pixels_of(array), GREYS)
    planes = torch.from_numpy(RGB.copy()).permute(2, 0, 1)
    clear = torch.cat([planes, planes[:1]])
    for tensor in (planes, planes / 255, (planes / 255).double(), clear):
        assert np.array_equal(pixels_of(tensor), BGR)
    assert np.array_equal(pixels_of(planes[:1]), GREYS)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "image: int given; expected a path, an address, bytes, a PIL image"),
        (np.zeros((4, 4, 2), np.uint8), r"uint8 array \(4, 4, 2\) given"),
        (np.zeros((4, 4, 3)), r"float64 array \(4, 4, 3\) given.*of uint8 or uint16"),
        (np.zeros((0, 4, 3), np.uint8), r"array \(0, 4, 3\)"),
        (torch.zeros(4, 4), r"a tensor \(4, 4\) given"),
        (torch.zeros(5, 4, 3), r"a tensor \(5, 4, 3\) given"),
        (torch.full((3, 4, 4), 200.0), "floats from 200 to 200 given; expected RGB in 0..1"),
        (torch.full((3, 4, 4), torch.nan), "floats from nan"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), r"int64 array \(4, 4, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(given: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        pixels_of(given)


def test_files_that_are_not_whole_are_unreadable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for name, kind in (("a.jpg", ".jpg"), ("a.png", ".png"), ("a.webp", ".webp")):
        data = cv2.imencode(kind, noise)[1].tobytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(Unreadable, match=name):
            pixels_of(tmp_path / name)
    with pytest.raises(Unreadable, match="standard input: empty"):
        pixels_of(b"", "standard input")
    with pytest.raises(Unreadable, match="image: not an image that can be decoded"):
        pixels_of(b"hello, this is no image")
    with pytest.raises(Unreadable, match=r"none\.jpg: missing"):
        pixels_of(tmp_path / "none.jpg")
    with pytest.raises(Unreadable, match="directory"):
        pixels_of(tmp_path)


def test_an_address_is_asked() -> None:
    with served({"a.png": saved(Image.fromarray(RGB), "PNG")}) as server:
        assert np.array_equal(pixels_of(f"{server.address}/a.png"), BGR)
        with pytest.raises(Unreadable, match=r"/gone\.png: could not be downloaded \(HTTPError: .*404"):
            pixels_of(f"{server.address}/gone.png")
        assert server.asked == ["a.png", "gone.png"]
    with pytest.raises(Unreadable, match=r"/a\.png: could not be downloaded"):
        pixels_of(f"{server.address}/a.png")


def test_a_picture_at_an_address_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LARGEST_DOWNLOAD", 100)
    with served({"a.png": bytes(101)}) as server, pytest.raises(Unreadable, match=r"/a\.png: it sends more than"):
        pixels_of(f"{server.address}/a.png")


def test_a_picture_that_pil_can_not_read_to_its_end_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = saved(Image.fromarray(noise), "JPEG")
    with pytest.raises(Refused, match=r"image: a picture that can not be decoded \(OSError: image file is truncated"):
        pixels_of(Image.open(BytesIO(whole[: len(whole) // 2])))
    closed = Image.open(BytesIO(whole))
    closed.close()
    with pytest.raises(Refused, match="image: a picture"):
        pixels_of(closed)
    with pytest.raises(Refused, match="expected a path"):
        pixels_of(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize("name", ["a\0b.jpg", "a" * 5000])
def test_a_name_that_no_file_can_have_is_said(name: str) -> None:
    with pytest.raises(Unreadable):
        pixels_of(name)


def test_a_pipe_or_a_device_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(Unreadable, match=f"{name}: no regular file"):
            pixels_of(tmp_path / name)
