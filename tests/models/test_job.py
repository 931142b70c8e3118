"""Recipes, protocols and jobs: what they accept, and what cannot be trained is refused where it is declared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.small import small_job
from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.data.synthetic.scene import SCENE_LEVELS
from workbench.models.job import EMBEDDED, Job, Protocol, Recipe, Start, phase_at
from workbench.models.variant import Variant


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
    assert {name: getattr(cls(**off), name) for name in off} == off


def test_a_phase_begins_at_its_start() -> None:
    job = Job()
    starts = [phase.start for phase in job.variant.phases]
    assert [phase_at(job, start) for start in starts] == [0, 1, 2]
    assert [phase_at(job, start - 1e-6) for start in starts[1:]] == [0, 1]
    assert phase_at(job, 1.0) == 2


def test_an_impossible_protocol_is_refused_when_declared() -> None:
    with pytest.raises(Refused, match="multiples of 32"):
        Protocol(size=(100, 96))
    with pytest.raises(Refused, match="no multiple of accumulate"):
        Protocol(batch=10, accumulate=4)
    with pytest.raises(Refused, match="accumulate 0: must be at least 1"):
        Protocol(accumulate=0)
    with pytest.raises(Refused, match="images -1: must be 0 or more"):
        Protocol(images=-1)


def test_a_job_that_learns_nothing_in_a_phase_is_refused() -> None:
    silent = {f"losses.{n}.weights": (1.0, 0.0, 1.0) for n in ("VariFocal", "IoU", "Visibility", "OKS", "MLE")}
    with pytest.raises(Refused, match="phase 1 has no loss"):
        Job(variant=Variant().vary(silent))


def test_the_embedded_data_sets_are_the_renderer_s_levels() -> None:
    assert tuple(EMBEDDED.values()) == SCENE_LEVELS and all(
        name == f"figures-{level}" for name, level in EMBEDDED.items()
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "figures-foo"}, "no such embedded scenes; there are figures-easy, figures-hard"),
        ({"data": "figures-"}, "no such embedded scenes"),
        ({"data": "figures-Easy"}, "no such embedded scenes"),
        ({"data": "coco", "sides": (100, 90)}, r"sides \(100, 90\): expected .* \(480, 800\), or \(0, 0\)"),
        ({"data": "coco", "sides": (800, 480)}, "multiples of 32 in that order"),
        ({"data": "coco", "sides": (480, 810)}, "multiples of 32"),
        ({"data": "coco", "sides": (0, 64)}, "positive"),
        ({"data": "coco", "sides": (-64, 64)}, "positive"),
        ({"data": "coco", "sides": (64, 0)}, "positive"),
        ({"sides": (480, 800)}, "embedded scenes keep their size"),
        ({"trunk": "joint", "augment": "light"}, "features are of images as they are"),
    ],
)
def test_data_that_cannot_be_is_refused_when_declared(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        Protocol(**changes)


def test_data_that_can_be_is_accepted() -> None:
    for data in ("coco", "figures-real@ec105617", "figures-easy@00000000", "none"):
        assert Protocol(data=data).scenes == ""
    assert (
        Protocol(data="coco", sides=(480, 480)).sides == (480, 480) and Protocol(data="figures-hard").scenes == "hard"
    )


def test_oblong_scenes_are_refused_when_declared() -> None:
    with pytest.raises(Refused, match="scenes are square"):
        small_job(size=(64, 96))


def test_the_seed_and_the_protocol_are_part_of_the_identity_the_machine_is_not() -> None:
    job = small_job()
    assert len({job.key, replace(job, seed=1).key, small_job(epochs=4).key}) == 3
    assert "device" not in json.dumps(job.to_dict(defaults=True))


def test_a_job_that_begins_in_a_phase_passes_over_those_before() -> None:
    job = Job(start=Start(key="abc", phase=1))
    assert [phase_at(job, progress) for progress in (0.0, 0.5, 0.99)] == [1, 1, 2]
    assert Job().vary({"start": Start()}).key == Job().key != job.key


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start": Start(key="abc", phase=3)}, "there are 3 phases"),
        ({"start": Start(key="abc", epoch=600)}, "training ends after 600 epochs"),
        ({"start": Start(key="abc"), "protocol.trunk": "joint"}, "weights of both"),
        ({"start": Start(weights="abc"), "protocol.trunk": "joint"}, "weights of both"),
        ({"start.weights": "abc", "start.key": "def"}, "weights of the file abc and of the job def; give one"),
    ],
)
def test_a_start_that_can_not_be_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says):
        Job().vary(changes)


def test_a_job_that_begins_with_a_file_is_known_by_the_file() -> None:
    keys = {Job().vary({"start.weights": digest}).key for digest in ("", "abc", "abd")}
    assert len(keys) == 3 and Job().key in keys
    assert phase_at(Job(start=Start(weights="abc", phase=1)), 0.0) == 1


@pytest.mark.parametrize("fields", [{"epoch": 1}, {"phase": 1}, {"key": "abc", "epoch": -1}], ids=str)
def test_a_start_of_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="start: epoch"):
        Start(**fields)
