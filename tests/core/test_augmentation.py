"""Augmentation as a value: named ones keep their names and keys, paths lead into them, rows of a study change them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest

from tests.data.transforms.scenes import Scenes
from tests.small import small_job, small_variant
from workbench.core.augmentation import (
    AUGMENTATIONS,
    Augmentation,
    AugmentationStep,
    Fit,
    Flip,
    Hsv,
    MixUp,
    Mosaic,
    Warp,
)
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.data.transforms import pipelines
from workbench.data.transforms.pipelines import Pipeline, StepInputs, augmented
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.catalog import spec_types
from workbench.models.job import Job, Protocol
from workbench.study import Row, Study, StudyProtocol
from workbench.tensors import Sample
from workbench.training.source import open_source

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "job_keys.json").read_text())["augment"]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_steps_that_have_a_name_are_written_as_it(name: str) -> None:
    job = Job().vary({"protocol.augment": AUGMENTATIONS[name]})
    assert job.protocol.augment == name and job.key == GOLDEN[name]
    assert job.to_dict(defaults=True)["protocol"]["augment"] == name


def test_every_name_has_steps_of_its_own() -> None:
    assert set(GOLDEN) == set(AUGMENTATIONS)
    assert len({one.key for one in AUGMENTATIONS.values()}) == len(AUGMENTATIONS)


def test_paths_lead_into_a_named_augmentation() -> None:
    rtmo = Job().vary({"protocol.augment": "rtmo"})
    plain = rtmo.vary({"protocol.augment.main.MixUp": None})
    assert plain == Job().vary({"protocol.augment": "rtmo-t"}), "RTMO-t is RTMO without mix-up"
    assert Job().vary({"protocol.augment": "rtmo", "protocol.augment.main.MixUp": None}) == plain
    slow = rtmo.vary({"protocol.augment.main.Warp.rotate": 5})
    assert isinstance(slow.protocol.augment, Augmentation) and slow.protocol.augment.main[1] == Warp(rotate=5.0)
    assert slow.vary({"protocol.augment.main.Warp.rotate": 10}).protocol.augment == "rtmo"
    with pytest.raises(KeyError, match="no 'Mosaic' here"):
        Job().vary({"protocol.augment.main.Mosaic": None})


def test_a_job_with_steps_of_its_own_is_written_and_read() -> None:
    job = Job().vary({"protocol.augment": "rtmo", "protocol.augment.main.Mosaic": Fit(scale=(0.5, 2.0))})
    for defaults in (False, True):
        assert from_dict(json.loads(json.dumps(job.to_dict(defaults=defaults))), spec_types()) == job
    assert job.key not in GOLDEN.values()


def test_what_is_no_augmentation_is_refused() -> None:
    with pytest.raises(Refused, match=r"augment: 'mosaic' is none of .*'rtmo-t'.*Augmentation"):
        Protocol(augment="mosaic")  # pyright: ignore[reportArgumentType]


# ------------------------------------------------------------------------------------------------------------- study

PROTOCOL = StudyProtocol("tiny", "two epochs", replace(small_job().protocol, augment="rtmo"), NANO_RECIPE, {}, seeds=1)
STUDY = Study(
    name="does_mosaic_pay",
    question="Does mosaic pay?",
    source="YOLOX, arXiv 2107.08430",
    base=small_variant(),
    rows=(Row("mosaic"), Row("none", {"protocol.augment.main.Mosaic": None})),
)


def drawn(job: Job, home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many mosaics a job's first epoch is made of."""
    made: list[int] = []
    whole = pipelines.geometry.mosaic

    def counting(samples: Sequence[Sample], *more: Any) -> Sample:
        made.append(len(samples))
        return whole(samples, *more)

    with monkeypatch.context() as patch:
        patch.setattr(pipelines.geometry, "mosaic", counting)
        for batch in open_source(job, 0, home).train(0):
            assert batch.images.shape[-2:] == (64, 64) and batch.targets.present.any()
    return len(made)


def test_a_row_of_a_study_switches_mosaic_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = STUDY.planned_jobs(PROTOCOL)
    check_distinct(cells)
    jobs = {cell.row: cell.job for cell in cells}
    assert jobs["mosaic"].protocol.augment == "rtmo"
    assert drawn(jobs["mosaic"], tmp_path, monkeypatch) == 16 and drawn(jobs["none"], tmp_path, monkeypatch) == 0


def test_a_row_that_wants_what_its_protocol_lacks_is_refused() -> None:
    bare = replace(PROTOCOL, protocol=replace(PROTOCOL.protocol, augment="none"))
    with pytest.raises(Refused, match=r"row 'none': .*no 'Mosaic' here.*set protocol.augment before"):
        STUDY.planned_jobs(bare)
    with pytest.raises(Refused, match=r"study wrong, row 'x'|row 'x': .*has no 'mian'"):
        replace(STUDY, name="wrong", rows=(Row("x", {"protocol.augment.mian": ()}),))


# -------------------------------------------------------------------------------------------------- a step of one's own


@final
@dataclass(frozen=True, kw_only=True)
class Blackout(AugmentationStep):
    """The left part of the image in black."""

    share: float = 0.5


@augmented.register
def _(step: Blackout, sample: Sample, given: StepInputs) -> Sample:
    image = sample.image.copy()
    image[:, : int(step.share * given.size[1])] = 0
    return replace(sample, image=image)


def test_a_step_of_ones_own_is_a_class_and_its_function(tmp_path: Path) -> None:
    job = small_job(augment=Augmentation(main=(Blackout(share=0.25), Flip(probability=0.0)), final=()))
    for batch in open_source(job, 0, tmp_path).train(0):
        assert (batch.images[..., :16] == 0).all() and (batch.images[..., 16:] > 0).any()
    assert from_dict(json.loads(json.dumps(job.to_dict())), spec_types() | {"Blackout": Blackout}) == job
    later = small_job(augment=Augmentation(main=(Mosaic(), Warp(), Blackout()), final=()))
    assert later.key not in (job.key, small_job().key)


def test_steps_come_in_their_order() -> None:
    first, last = (
        pipelines.Pipeline(size=(64, 64), steps=steps)(Scenes(), 0, np.random.default_rng(0)).image
        for steps in ((Blackout(), Flip(probability=1.0)), (Flip(probability=1.0), Blackout()))
    )
    assert (first[:, 32:] == 0).all() and (last[:, :32] == 0).all() and first[:, :32].any() and last[:, 32:].any()


def test_published_settings() -> None:
    rtmo, crowd = AUGMENTATIONS["rtmo"], AUGMENTATIONS["crowdpose"]
    warp, wide = Warp(shift=0.1, scale=(0.75, 1.0), rotate=10, shear=2), Warp(shift=0.2, scale=(0.5, 1.5), rotate=30)
    still = Fit(shift=0.0, scale=(1.0, 1.0), rotate=0.0)
    assert rtmo == Augmentation() and Pipeline().size == (640, 640)
    assert rtmo.main == (Mosaic(center=(0.5, 1.5)), warp, MixUp(scale=(0.8, 1.6)), Hsv(), Flip(probability=0.5))
    assert rtmo.final == crowd.final == (still, Hsv(), Flip())
    assert AUGMENTATIONS["rtmo-t"].main == (Mosaic(), warp, Hsv(), Flip())
    assert AUGMENTATIONS["rtmo-ml"].final[0] == Fit(shift=0.2, scale=(0.75, 1.5), rotate=30)
    assert crowd.main == (Mosaic(), wide, MixUp(scale=(0.6, 1.6)), Hsv(), Flip())
