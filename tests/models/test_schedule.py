"""Schedules: segments hand the rate on, a new one is one class, and the published ones give the reference's rates."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, cast, final

import numpy as np
import pytest

from tests.recorded import GOLDEN
from tests.small import small_job
from workbench.components.losses.kld import KLD
from workbench.components.segments.cosine import Cosine
from workbench.components.segments.scale import Scale
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.data.loader import Loader
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.models import catalog
from workbench.models.job import Job, Recipe
from workbench.models.schedule import CROWDPOSE_SCHEDULE, RTMO_SCHEDULE, learning_rate
from workbench.models.variant import Phase
from workbench.slots import Segment
from workbench.training.loop import TrainingState, train
from workbench.training.machine import Machine


@final
@dataclass(frozen=True, kw_only=True)
class Stairs(Segment):
    """A segment of somebody else's: the rate is divided again and again."""

    steps: int = 2
    by: float = 10.0

    def rate(self, value: float, base: float, step: int, total: int) -> float:
        return value / self.by ** (step // self.steps)


class _Point:
    name, value = "stairs", "package:Stairs"

    def load(self) -> object:
        return Stairs


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [cast(EntryPoint, _Point())]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points if group == catalog.GROUP else [])


def test_a_segment_of_ones_own_trains_a_job() -> None:
    job = small_job(epochs=2)
    job = replace(job, recipe=Recipe(lr=1e-3, schedule=(Stairs(), Scale(start=0.5, factor=0.5))))
    scenes = [SyntheticScenes("easy", 64, count=24)[i] for i in range(24)]
    loader = Loader(scenes, job.protocol.batch, seed=0, images=job.protocol.epoch_images)
    rates = [tick.lr for tick in train(job, TrainingState(job, Machine()), loader, len(loader))]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-5, 5e-5])


def test_a_segment_of_ones_own_is_listed_and_read_back(installed: None) -> None:
    job = Job(recipe=Recipe(schedule=(Warmup(), Stairs(by=2.0))))
    assert "  Stairs: " in catalog.listing() and catalog.discover()["schedule"]["Stairs"] is Stairs
    for defaults in (False, True):
        written = json.loads(json.dumps(job.to_dict(defaults=defaults)))
        assert from_dict(written, catalog.spec_types()) == job
    assert job.key != Job().key


@pytest.mark.parametrize("foreign", [Phase(), KLD(), Recipe(), "Cosine", None, 1.0])
def test_what_is_no_segment_is_refused(foreign: Any) -> None:
    for schedule in ((foreign,), (Warmup(), foreign)):
        with pytest.raises(Refused, match=r"Recipe.schedule\[\d\]: .* is no Segment"):
            Recipe(schedule=schedule)


def test_no_segments_are_a_constant_rate() -> None:
    assert {learning_rate((), 1e-3, step, 10) for step in range(10)} == {1e-3}


@pytest.mark.parametrize("late", [Cosine(start=0.05, end=1.0, period=1.0), Scale(start=0.05)])
def test_a_warmup_ends_before_the_rate_is_changed(late: Segment) -> None:
    with pytest.raises(Refused, match=rf"{type(late).__name__}.start 0.05 lies inside the warm-up, which ends at 0.1"):
        Recipe(schedule=(Warmup(end=0.1), late))
    Recipe(schedule=(Warmup(end=0.05), late))


@pytest.mark.parametrize("schedule", [RTMO_SCHEDULE, CROWDPOSE_SCHEDULE])
@pytest.mark.parametrize("total", [7, 1234])
def test_during_a_warmup_the_other_segments_rest(schedule: tuple[Segment, ...], total: int) -> None:
    warmup = schedule[0]
    assert isinstance(warmup, Warmup)
    for step in range(round(warmup.end * total)):
        assert learning_rate(schedule, 4e-3, step, total) == warmup.rate(4e-3, 4e-3, step, total)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [("lr_s_10it_per_epoch", RTMO_SCHEDULE), ("lr_s_crowd_10it_per_epoch", CROWDPOSE_SCHEDULE)],
)
def test_learning_rate(name: str, schedule: tuple[Segment, ...]) -> None:
    expected = np.load(GOLDEN / "schedule" / f"{name}.npz")["lr"]
    recipe = Recipe()
    bases = (recipe.lr, recipe.lr * recipe.encoder_lr_scale)
    ours = [[learning_rate(schedule, base, step, len(expected)) for base in bases] for step in range(len(expected))]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)
