"""The records of images."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.datasets.animals import animals, labelled
from tests.data.datasets.folders import content, folder
from tests.properties import changed, quickly
from workbench.core.errors import Refused
from workbench.data.datasets.checking import data_report
from workbench.data.datasets.folder import open_dataset


def test_a_key_of_images_that_says_nothing_here_is_passed_over(tmp_path: Path) -> None:
    made = labelled(2, 1)
    made["images"][0]["absent"], made["images"][1]["absent"] = None, "no"
    assert len(open_dataset(animals(tmp_path, made), "train")) == 2


@pytest.mark.parametrize("name", ["a\0b.jpg", "a\x1b[31m.jpg", ".", "\udc80.jpg"])
def test_what_no_file_can_be_called_is_a_finding_without_codes(tmp_path: Path, name: str) -> None:
    made = content()
    made["images"][0]["file_name"] = name
    found = data_report(both(tmp_path, made))
    lines = [line for line in found.lines() if line.startswith("WRONG") and "file_name is no file's name" in line]
    assert not found.fit and len(lines) == 2 and all(line.isprintable() for line in found.lines())


@quickly
@given(data=st.data())
def test_no_annotations_give_a_traceback_and_nothing_is_written(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Any value in place of any other: it is read, or a finding, or refused."""
    made = data.draw(changed(data.draw(st.sampled_from([content(), content(5)]))))  # of published names, and of others
    root = both(tmp_path_factory.mktemp("data"), made)
    before = sorted(root.rglob("*"))
    with suppress(Refused):
        assert all(line.isprintable() for line in data_report(root).lines())
    assert sorted(root.rglob("*")) == before


def both(root: Path, made: Any) -> Path:
    """A folder whose two parts have these annotations."""
    for split in ("train2017", "val2017"):
        folder(root, made, split)
    return root


@pytest.mark.parametrize("lead", ["C:\\Users\\me\\", "/home/me/data/", "../../label-studio/data/"])
def test_paths_of_another_machine_are_found_by_their_last_part(tmp_path: Path, lead: str) -> None:
    made = labelled(2, 1)
    root = animals(tmp_path, made)
    for image in made["images"]:
        image["file_name"] = lead + image["file_name"]
    (root / "annotations" / "person_keypoints_train2017.json").write_text(json.dumps(made))
    found = data_report(root)
    said = "file names that lead out of the image folder, read as their last part: 2"
    assert found.fit and said in str(found.lines())
    assert len(list(open_dataset(root, "train"))) == 2
