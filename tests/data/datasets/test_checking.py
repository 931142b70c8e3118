"""What a check tells a person and a program."""

from pathlib import Path

import pytest

from tests.data.datasets.animals import animals
from tests.data.datasets.changed import moved, persons, written
from workbench.core.errors import Refused
from workbench.data.datasets.checking import data_report


def test_a_fit_data_set(tmp_path: Path) -> None:
    report = data_report(animals(tmp_path))
    assert report.fit and report.as_dict()["fit"] and report.classes == ("goat",)
    assert [(part["images"], part["persons"]) for part in report.parts] == [(4, 4), (3, 3)]
    assert report.lines()[-1] == "fit to train and judge"


def test_what_was_put_right_is_noted_and_what_is_wrong_is_told_of_both_parts(tmp_path: Path) -> None:
    noted = data_report(written(tmp_path / "a", persons(area=0)))
    assert noted.fit and sum(line.startswith("noted: ") and "areas" in line for line in noted.lines()) == 2
    wrong = data_report(written(tmp_path / "b", moved(1 / 64)))
    assert not wrong.fit and [one.part for one in wrong.findings] == ["train", "val"]
    assert sum(line.startswith("WRONG: ") for line in wrong.lines()) == 2 and wrong.lines()[-1].startswith("NOT fit")


def test_what_can_not_be_opened_is_no_fit_data_set(tmp_path: Path) -> None:
    assert not data_report(tmp_path).fit
    with pytest.raises(Refused, match="no data folder"):
        data_report(tmp_path / "nowhere")
