"""Where the image of an annotation lies."""

from pathlib import Path

import pytest

from tests.data.datasets.animals import animals, labelled
from workbench.core.errors import DataFault
from workbench.data.datasets.folder import open_dataset


def test_an_image_that_is_another_ones_does_not_stand_in_for_a_missing_one(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["file_name"], made["images"][1]["file_name"] = "1.png", "other/1.png"
    (tmp_path / "train2017" / "other").mkdir(parents=True)
    root = animals(tmp_path, made)
    (root / "train2017" / "other" / "1.png").unlink()
    with pytest.raises(DataFault, match=r"images missing from .*: 1, first other/1.png"):
        open_dataset(root, "train")
