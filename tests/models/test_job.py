"""What a recipe, a protocol and a job accept."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.models.job import Job, Protocol, Recipe, phase_at


@pytest.mark.parametrize(
    ("cls", "name", "values"),
    [
        (Recipe, "lr", (-1.0, 0.0)),
        (Recipe, "encoder_lr_scale", (-0.1,)),
        (Recipe, "weight_decay", (-0.05,)),
        (Recipe, "clip", (0.0, -0.1)),
        (Recipe, "ema_momentum", (0.0, -1.0, 1.5)),
        (Recipe, "ema_gamma", (0.0, -2000.0)),
        (Protocol, "score_threshold", (-0.1, 1.0, 5.0)),
        (Protocol, "nms_threshold", (0.0, -0.65)),
        (Protocol, "size", ((0, 64), (64, -64), (100, 64))),
        (Protocol, "epochs", (0, -1)),
        (Job, "seed", (-1,)),
    ],
)
def test_a_value_out_of_range_is_refused_when_declared(cls: type[Spec], name: str, values: tuple[Any, ...]) -> None:
    for value in values:
        with pytest.raises(Refused, match=name):
            cls(**{name: value})


@pytest.mark.parametrize(
    ("cls", "off"),
    [
        (Recipe, {"encoder_lr_scale": 0.0, "weight_decay": 0.0, "schedule": (), "ema_momentum": 1.0}),
        (Protocol, {"score_threshold": 0.0, "nms_threshold": 1.0}),
        (Protocol, {"nms_threshold": 2.0, "images": 0, "epoch_images": 0, "eval_images": 0, "sides": (0, 0)}),
    ],
)
def test_what_switches_a_thing_off_is_no_fault(cls: type[Spec], off: dict[str, Any]) -> None:
    cls(**off)


def test_a_phase_begins_at_its_start() -> None:
    job = Job()
    starts = [phase.start for phase in job.variant.phases]
    assert [phase_at(job, start) for start in starts] == [0, 1, 2]
    assert [phase_at(job, start - 1e-6) for start in starts[1:]] == [0, 1]
    assert phase_at(job, 1.0) == 2
