"""A row's network and its job; `test_study.py` has what a study makes of rows."""

import pytest

from workbench.core.errors import Refused
from workbench.experiments.protocols import PROTOCOLS
from workbench.models.job import Job, Protocol
from workbench.models.zoo import nano
from workbench.row import Row, augmented, changed_variant, changes_made, job_of

SHORT = PROTOCOLS["short"]


def test_changes_are_made_of_the_scaled_base() -> None:
    row = Row("twice", lambda base: {"coords.padding": dict(base.coords.flat())["padding"] * 2})  # pyright: ignore
    assert changes_made(nano(), row.changes, {"coords.padding": 1.5}) == {"coords.padding": 3.0}
    assert changed_variant(nano(), row.changes) == nano().vary({"coords.padding": 2.5})


def test_a_job_is_variant_recipe_protocol_and_seed() -> None:
    job = job_of(nano(), Row("a", {"coords.padding": 1.5}, seed_offset=3), SHORT, 2)
    variant = nano().vary(SHORT.scale).vary({"coords.padding": 1.5})
    assert job == Job(variant=variant, recipe=SHORT.recipe, protocol=SHORT.protocol, seed=5)


def test_a_change_of_the_augmentation_is_one_of_the_job() -> None:
    job = Job(variant=nano(), protocol=Protocol(augment="rtmo"))
    changes = {"protocol.augment.main.Mosaic": None, "coords.padding": 2.0}
    assert augmented(job, nano(), "a", changes) == job.vary({"protocol.augment.main.Mosaic": None})
    with pytest.raises(Refused, match=r"row 'a': .*set protocol.augment before"):
        job_of(nano(), Row("a", changes), SHORT, 0)
