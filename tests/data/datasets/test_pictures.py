"""The records of images."""

from pathlib import Path

from tests.data.datasets.animals import animals, labelled
from workbench.data.datasets.folder import open_dataset


def test_a_key_of_images_that_says_nothing_here_is_passed_over(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["absent"], made["images"][1]["absent"] = None, "no"
    assert len(open_dataset(animals(tmp_path, made), "train")) == 2
