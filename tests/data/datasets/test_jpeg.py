"""JPEG files: their size and orientation from the header, and whether they are whole, whatever follows them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.datasets.folders import content, folder
from workbench.core.errors import Refused
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.images import ImageHeader, broken, image_header, read_image

NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def jpeg(pixels: np.ndarray = NOISE, orientation: int = 1, **more: object) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(file, "JPEG", exif=exif, **more)
    return file.getvalue()


def test_the_header(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    for orientation in (1, 3, 6):
        file.write_bytes(jpeg(orientation=orientation))
        assert image_header(file) == ImageHeader(64, 48, orientation)
    assert ImageHeader(64, 48, 6).upright == (48, 64) and ImageHeader(64, 48, 3).upright == (64, 48)
    assert read_image(file).shape[:2] == (48, 64) and read_image(file, upright=True).shape[:2] == (64, 48)
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    assert image_header(tmp_path / "a.png") == ImageHeader(64, 48)


@pytest.mark.parametrize("progressive", [False, True])
def test_what_follows_and_what_is_missing(progressive: bool, tmp_path: Path) -> None:
    file, whole = tmp_path / "a.jpg", jpeg(progressive=progressive)
    for data in (whole, whole + b"\0\0ftypmp42" + bytes(5000), whole[:-2]):
        file.write_bytes(data)
        assert broken(file) is None and read_image(file).shape == (48, 64, 3)
    for share in (0.5, 0.7):
        file.write_bytes(whole[: int(share * len(whole))] + bytes(0))
        assert broken(file) == "a JPEG that is cut off"


# The images of the folder are 64x48.
@pytest.mark.parametrize(
    ("stored", "square", "said"),
    [
        ((48, 64), False, "images turned as their orientation tag says, since they are annotated so: 2, first 7.jpg"),
        ((64, 48), False, "images with an orientation tag, annotated as they are stored: 2, first 7.jpg"),
        ((48, 64), True, "images with an orientation tag, taken as annotated upright: 1, first 9.jpg"),
    ],
)
def test_tags_are_followed_where_the_size_says_so(
    stored: tuple[int, int], square: bool, said: str, tmp_path: Path
) -> None:
    width, height = stored
    made = content()
    if square:
        made["images"][2] |= {"width": 48, "height": 48}
    root = folder(tmp_path, made)
    for name in ("7.jpg", "9.jpg"):
        wide = 48 if square and name == "9.jpg" else width
        high = 48 if square and name == "9.jpg" else height
        pixels = np.zeros((high, wide, 3), np.uint8)
        pixels[: high // 2] = 255
        (root / "train2017" / name).write_bytes(jpeg(pixels, orientation=6))
    data = open_dataset(root, "train")
    assert any(said in note for note in data.look().notes())
    turned = "annotated as they are stored" not in said
    for image in (data.image(0), data.image(1)):
        rows, columns = image[:, -8:].mean(), image[:8].mean()
        assert (rows > 200) == turned and (columns > 200) == (not turned), (
            "the bright half is the right one once turned"
        )


def test_a_square_image_with_a_tag_is_refused_unless_it_is_said(tmp_path: Path) -> None:
    made = content()
    for image in made["images"]:
        image |= {"width": 48, "height": 48}
    made["annotations"][0]["bbox"] = [20, 10, 20, 30]
    made["annotations"][3] |= {"bbox": [40, 0, 4, 48], "segmentation": []}
    root = folder(tmp_path, made)
    for name in ("7.jpg", "8.jpg", "9.jpg"):
        (root / "train2017" / name).write_bytes(jpeg(NOISE[:, :48], orientation=8))
    with pytest.raises(Refused, match=r'size that does not tell .*"orientation": "stored".*: 2, first 7.jpg, 9.jpg'):
        open_dataset(root, "train")
    images = []
    for said in ("stored", "upright"):
        (root / "keypoints.json").write_text(f'{{"orientation": "{said}"}}')
        images.append(open_dataset(root, "train")[0].image)
    assert np.abs(np.rot90(images[0]).astype(int) - images[1]).max() < 3
