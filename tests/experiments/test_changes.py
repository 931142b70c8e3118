"""What a command changes of all jobs: which changes are refused, and that two plans never share a place."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tests.data.datasets.animals import NAMES, animals
from tests.properties import junk, quickly, words
from workbench.cli.options import change, changes_of
from workbench.core.errors import Refused
from workbench.data.datasets.classes import DataClasses
from workbench.experiments.changes import ChangedJobs, check_amounts, check_options, data_changes
from workbench.models.catalog import filled
from workbench.models.job import Job, Protocol, Recipe

PATHS = [path for path, _ in Job().flat()]


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


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"images": 0}, "protocol.images 0: of the embedded scenes there is no end"),
        ({"eval_images": 0}, "protocol.eval_images 0: of the embedded scenes"),
        ({"batch": 64}, "protocol.batch 64: an epoch has 32 images"),
    ],
)
def test_amounts_that_can_not_be_trained_are_refused(given: dict[str, int], said: str) -> None:
    right = Protocol(size=(96, 96), images=32, eval_images=8, epoch_images=32, batch=8)
    changed = [f"protocol.{name}" for name in given]
    check_amounts(Job(protocol=right), changed)
    check_amounts(Job(), ["protocol.epochs"])
    check_amounts(
        Job(protocol=right.vary({"data": "coco@1", "images": 0, "eval_images": 0, "epoch_images": 0})), changed
    )
    with pytest.raises(Refused, match=said):
        check_amounts(Job(protocol=right.vary(given)), changed)


@quickly
@given(st.sampled_from(PATHS) | words(), st.text(max_size=12) | junk().map(repr))
def test_no_change_gives_a_traceback(path: str, value: str) -> None:
    """As `--set PATH=VALUE` gives it: a job is made of it, or it is refused."""
    try:
        made = changes_of([change(f"{path}={value}")])
        check_options(made, embedded=True)
        Job().vary(filled(made))
    except (Refused, typer.BadParameter, KeyError) as error:  # a KeyError is what a path that leads nowhere is
        assert not isinstance(error, KeyError) or error.args[0].startswith(repr(path)[:1])


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
