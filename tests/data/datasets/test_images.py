"""Image files: broken ones are told from whole ones."""

from pathlib import Path

import numpy as np
import pytest

from workbench.data.datasets.images import Unreadable, broken, read_image


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
