"""What a command changes of all jobs: which changes are refused, and that two plans never share a place."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES, animals
from workbench.core.errors import Refused
from workbench.data.datasets.classes import DataClasses
from workbench.experiments.changes import ChangedJobs, data_changes
from workbench.models.job import Protocol, Recipe


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"seed": 5}, "--seeds N"),
        ({"start": None}, "--protocol NAME"),
        ({"protocol.trunk": "joint"}, "--protocol NAME"),
        ({"protocol.data": "coco@12345678"}, "--data FOLDER"),
        ({"recipe.lr": 0.1, "seed": 0}, "--seeds N"),
        ({"protocol": Protocol(size=(64, 64))}, "--protocol NAME"),  # would take trunk and data along
    ],
)
def test_what_tells_jobs_apart_has_options_of_its_own(changes: dict[str, Any], option: str) -> None:
    with pytest.raises(Refused, match=f"has an option of its own; use {option}"):
        ChangedJobs(changes=changes)


def test_other_embedded_scenes_are_a_change_like_any_other() -> None:
    hard = {"protocol.data": "figures-hard"}
    assert ChangedJobs(changes=hard).job_changes == hard
    with pytest.raises(Refused, match=r"protocol\.data has an option of its own"):  # beside a folder it would hide it
        ChangedJobs(fingerprint="photos@12345678", changes=hard)


def test_the_data_set_decides_key_points_and_classes(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    given = ChangedJobs(data=root, changes={"recipe.lr": 0.1})
    changed = given.job_changes
    assert changed["variant.keypoint_set"].keypoints == NAMES and changed["variant.num_keypoints"] == len(NAMES)
    assert changed["protocol.data"] == given.fingerprint and changed["recipe.lr"] == 0.1
    assert changed["variant.class_names"] == ("goat",) and changed["variant.num_classes"] == 1
    assert data_changes(None, DataClasses(("person", "dog"), {})) == {
        "variant.num_classes": 2,
        "variant.class_names": ("person", "dog"),
    }


def test_without_changes_a_place_is_its_names() -> None:
    assert (ChangedJobs().place("a", "b"), ChangedJobs().file_stem("a", "b")) == ("a/b", "a_b")


LOSSES = ("VariFocal", "IoU", "OKS", "MLE", "Visibility")
CHANGES: list[Mapping[str, Any]] = [
    {"recipe.lr": 0.1},
    {"recipe.lr": -0.1},  # files show any odd character as a dash
    {"recipe": Recipe(lr=0.1)},
    *({f"variant.losses.{loss}.weights": (1.0, 2.0, last) for loss in LOSSES} for last in (3.0, 3.5)),
]


def test_two_changes_never_share_a_place() -> None:
    plans = [*(ChangedJobs(changes=changes) for changes in CHANGES), ChangedJobs(fingerprint="coco@abc"), ChangedJobs()]
    assert len({plan.place("s") for plan in plans}) == len({plan.file_stem("s") for plan in plans}) == len(plans)
    assert all(len(plan.file_stem("s")) < 120 for plan in plans)


def test_the_order_of_changes_does_not_matter() -> None:
    changes = {"recipe.lr": 0.1, "recipe.clip": 0.2, "protocol.epochs": 3}
    plans = [ChangedJobs(changes=dict(order)) for order in itertools.permutations(changes.items())]
    assert len({plan.place("s") for plan in plans}) == len({plan.file_stem("s") for plan in plans}) == 1
