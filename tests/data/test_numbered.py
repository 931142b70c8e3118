"""Pictures of a data set with numbers."""

from pathlib import Path

import cv2
import numpy as np

from tests.data.datasets.animals import animals
from workbench.data.datasets.folder import open_dataset
from workbench.data.numbered import draw_numbered, write_pictures


def test_ids_and_numbers_are_drawn_beside_a_column_of_names(tmp_path: Path) -> None:
    data = open_dataset(animals(tmp_path), "train")
    one, other = (draw_numbered(data[0], [number]) for number in (1, 88888))
    assert one.shape == other.shape and one.shape[0] >= 720 and one.shape[1] > one.shape[0]
    assert not np.array_equal(one, other), "the id is told"
    assert np.array_equal(one[:, one.shape[0] :], other[:, one.shape[0] :]), "names are the same"


def test_images_are_spread_over_the_data_set(tmp_path: Path) -> None:
    data = open_dataset(animals(tmp_path), "train")
    written = list(write_pictures(data, tmp_path / "out", 2))
    assert [path.stem for path in written] == [str(data.image_ids[0]), str(data.image_ids[-1])]
    assert all(cv2.imread(str(path)) is not None for path in written)
